"""The error for what a layer or loss has made only after its first batch."""

from __future__ import annotations

from typing import Any


def missing(thing: Any, name: str) -> AttributeError:
    """The error for an attribute that is not there: a buffer, before there was a batch."""
    if name.startswith("_") and not name.startswith("__"):
        return AttributeError(
            f"{type(thing).__name__} has no {name} before its first batch; call forward first"
        )
    return AttributeError(f"{type(thing).__name__!r} object has no attribute {name!r}")
