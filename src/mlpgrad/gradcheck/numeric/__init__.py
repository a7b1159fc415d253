"""Numeric derivatives of a function of one flat vector, and their comparison with a gradient."""
