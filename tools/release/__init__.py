"""Checks of what is handed out: archives, changelog, citation, recipe, container file."""
