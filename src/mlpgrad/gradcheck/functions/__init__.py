"""Checks of functions from anywhere, as black boxes of arrays."""
