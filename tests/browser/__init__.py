"""The dashboard as a visitor sees it: a real server and a real browser, which all tests of this folder share."""
