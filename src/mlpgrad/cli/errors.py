"""The error that the command line reports in one line."""


class CommandError(Exception):
    """A mistake in the use of the command line, shown in one line."""
