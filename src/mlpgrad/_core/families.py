"""The classes of a family, which are those below its base class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlpgrad._core.calls import is_own


def descendants(base: type[Any]) -> Iterator[type[Any]]:
    """Yield every class below a base class, also those that users have defined."""
    for child in base.__subclasses__():
        yield child
        yield from descendants(child)


def classes_below(base: type[Any]) -> list[type[Any]]:
    """Return the public classes of mlpgrad below a base class.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> [cls.__name__ for cls in classes_below(mg.Penalty)]
    ['L2', 'L1']
    """
    return [cls for cls in descendants(base) if is_own(cls) and not cls.__name__.startswith("_")]
