"""Numeric derivatives of a function of one flat vector, and what they say about a gradient."""
