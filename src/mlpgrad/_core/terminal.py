"""What is written to stderr while training, wherever that leads: nowhere, perhaps."""

from __future__ import annotations

import sys
from typing import Any


def is_terminal() -> bool:
    """Whether stderr is a terminal; not where it is None, closed, or of a kind that cannot say."""
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def write(text: str) -> bool:
    """Write to stderr; False where that cannot be done: training must not fail of it."""
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
