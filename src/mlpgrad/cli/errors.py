"""What the command line answers to its wrong use."""


class CommandError(Exception):
    """A mistake in the use of the command line, shown as one line."""
