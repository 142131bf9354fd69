"""Figures that the documentation quotes, each from a command."""
