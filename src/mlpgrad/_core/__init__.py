"""Common parts: array operations, checks, descriptions, optional packages."""
