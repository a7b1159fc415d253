"""Checks of arbitrary functions, as black boxes on arrays."""
