"""Checks of this library's models, layers and losses."""
