"""Sections: the parts that pages are composed of."""
