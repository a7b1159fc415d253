"""Output to stderr during training, which may be a terminal, a file, or missing."""

from __future__ import annotations

import sys
from typing import Any


def is_terminal() -> bool:
    """Return whether stderr is a terminal: False if it is None, closed, or has no `isatty`."""
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, ValueError, OSError):
        return False


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
