"""What every other part stands on: fast array forms, checks, descriptions, extras."""
