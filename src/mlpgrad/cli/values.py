"""Types of options: numbers with bounds, and folders."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path


def whole(least: int) -> Callable[[str], int]:
    """Reads a whole number of at least this size."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(
                f"expects a whole number of at least {least}, got {text!r}"
            )
        return value

    return read


def share(text: str) -> float:
    """Reads a number from 0 to below 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expects a number from 0 to below 1, got {text!r}")
    return value


def positive(text: str) -> float:
    """Reads a number above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expects a number above 0, got {text!r}")
    return value


def folder(text: str) -> Path:
    """Reads the name of a folder, which files are written to."""
    path = Path(text)
    if path.suffix in (".npz", ".html", ".png") and not path.is_dir():
        raise argparse.ArgumentTypeError(
            f"expects a folder, in which each file has a name of its own, got {text!r}; "
            f"leave out {path.suffix!r}"
        )
    return path


def probability(text: str) -> float:
    """Reads a number between 0 and 1."""
    value = _number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expects a number between 0 and 1, got {text!r}")
    return value


def widths(text: str) -> list[int]:
    """Reads the widths of hidden layers, as `64,32`; none for a network without."""
    try:
        return [whole(1)(width.strip()) for width in text.split(",") if width.strip()]
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expects widths such as 64,32, got {text!r}") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
