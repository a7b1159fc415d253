"""Checks of models, layers and losses."""
