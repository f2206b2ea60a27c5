"""One Mac or the whole fleet, live in a notebook; the same as a page and as text elsewhere."""
