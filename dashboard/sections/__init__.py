"""Sections: parts of pages, which a page puts one below the other."""
