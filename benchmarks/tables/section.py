"""A section of the page: measurements that can be kept, and a table drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Figures = dict[str, Any]
"""The result of one measurement: numbers and texts by name, as JSON has them."""

Task = Callable[[], Figures]
"""One measurement: a function of a module, or a `functools.partial` of one, so that another
process can run it."""


class Options(NamedTuple):
    """The options of a section."""

    data: Path
    """The folder with the data sets."""
    sets: list[str] | None
    """The names of the sets to measure; None means all."""
    splits: int | None
    """The number of official splits of each set; None means all."""
    seeds: int
    smoke: bool
    """Whether to run for a few seconds only; the figures then mean nothing."""

    def chosen(self, names: Iterable[str]) -> list[str]:
        """The sets of a section that are to be measured."""
        return [name for name in names if not self.sets or name in self.sets]


class Table(NamedTuple):
    """A table of texts, with a heading."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]


class Section(NamedTuple):
    """A section of the page."""

    about: str
    """One line for `--help`: what is measured, and how long it takes."""
    recipe: str
    """The settings of the measurements; figures of another recipe are measured again."""
    sets: tuple[str, ...]
    """The names that `--sets` can choose."""
    tasks: Callable[[Options], Mapping[str, Task]]
    """The measurements by name, in the order in which they are made."""
    table: Callable[[Mapping[str, Figures]], Table]
    """Makes the table from the figures by name, of which some may be missing."""


def with_error(values: Any, digits: int) -> str:
    """A mean with its standard error."""
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return f"{values.mean():.{digits}f}"
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"
