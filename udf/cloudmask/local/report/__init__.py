"""A page to look at a folder of masks: one HTML file that needs no network."""
