"""Output to stderr during training, which may be a terminal, a file, or missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any


def is_terminal() -> bool:
    """Return whether stderr is a terminal: False if it is None, closed, or has no `isatty`."""
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def columns() -> int:
    """Return how many characters a line of the terminal holds before it wraps."""
    import shutil  # brings compression, which takes time to import

    return shutil.get_terminal_size().columns - 1


def fitted(begin: str, values: Sequence[str], end: str, width: int) -> str:
    """Join the parts of a line of at most `width`: the last values that do not fit are left out.

    A value is never cut, since a part of a number is another number.

    Examples
    --------
    >>> fitted("epoch 3/9", ["loss 0.125", "val_loss 0.25"], "4 s left", 40)
    'epoch 3/9  loss 0.125  4 s left'
    """
    for count in range(len(values), -1, -1):
        line = "  ".join([begin, *values[:count], end])
        if len(line) <= width:
            return line
    return begin[:width]


def in_notebook() -> bool:
    """Return whether this code runs in a notebook's kernel, without importing anything."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


def write(text: str) -> bool:
    """Write to stderr; return False if that fails, since training must not fail because of it."""
    stream: Any = sys.stderr
    try:
        stream.write(text)
        stream.flush()
    except (AttributeError, ValueError, OSError):
        return False
    return True


class Text(str):
    r"""A text that notebooks and interpreters show without quotes and escapes.

    Examples
    --------
    >>> Text("two\nlines")
    two
    lines
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
