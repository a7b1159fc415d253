"""Output to stderr while training, which may be a terminal, a file, or nothing at all."""

from __future__ import annotations

import sys
from typing import Any


def is_terminal() -> bool:
    """Whether stderr is a terminal: False if it is None, closed, or has no `isatty`."""
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def write(text: str) -> bool:
    """Write to stderr; False where that cannot be done: training must not fail because of it."""
    stream: Any = sys.stderr
    try:
        stream.write(text)
        stream.flush()
    except (AttributeError, ValueError, OSError):
        return False
    return True


class Text(str):
    r"""A text that a notebook or an interpreter shows as it is, without quotes and escapes.

    Examples
    --------
    >>> Text("two\nlines")
    two
    lines
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
