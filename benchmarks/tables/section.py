"""What a section of the page is: measurements that can be kept, and a table drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Figures = dict[str, Any]
"""What one measurement has found: numbers and texts by name, as JSON has them."""

Task = Callable[[], Figures]
"""One measurement: a function of a module, or `functools.partial` of one, so that another process
can run it."""


class Options(NamedTuple):
    """What a section is told."""

    data: Path
    """The folder with the data sets."""
    sets: list[str] | None
    """Names of some of its sets, all by default."""
    splits: int | None
    """Official splits of each set, all by default."""
    seeds: int
    smoke: bool
    """Whether a few seconds are enough, and the figures mean nothing."""

    def chosen(self, names: Iterable[str]) -> list[str]:
        """Those of a section's sets that are to be measured."""
        return [name for name in names if not self.sets or name in self.sets]


class Table(NamedTuple):
    """A table of texts with its heading."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]


class Section(NamedTuple):
    """A section of the page."""

    about: str
    """One line for `--help`: what is measured, and for how long."""
    recipe: str
    """How it is measured. Figures of another recipe are measured anew."""
    sets: tuple[str, ...]
    """What can be chosen by `--sets`."""
    tasks: Callable[[Options], Mapping[str, Task]]
    """The measurements by name, in the order in which they are made."""
    table: Callable[[Mapping[str, Figures]], Table]
    """The table of the figures that there are by now, by name: some, or all."""


def with_error(values: Any, digits: int) -> str:
    """A mean with its standard error."""
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return f"{values.mean():.{digits}f}"
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"
