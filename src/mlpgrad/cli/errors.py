"""The error that the command line reports as one line."""


class CommandError(Exception):
    """A mistake in the use of the command line, shown as one line."""
