"""The compiled step."""
