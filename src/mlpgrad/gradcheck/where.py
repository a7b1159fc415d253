"""Where a gradient is wrong: what distinguishes the wrong elements from the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.elements import Observed

NAMED = 4
"""Largest number of elements, rows or columns that are named one by one."""


def where_wrong(seen: Observed) -> str:
    """Return a few words that describe exactly the wrong elements, or an empty string."""
    wrong = seen.wrong
    if wrong.all():
        return ""
    shows = wrong | (np.abs(seen.tested) > 0) | ~seen.zero  # a mistake would not show elsewhere
    for words, chosen in conditions(seen):
        if not chosen.all() and chosen[wrong].all() and wrong[chosen & shows].all():
            return words
    return ""


def conditions(seen: Observed) -> Iterator[tuple[str, Array]]:
    """Yield subsets of the elements, each as a description and a mask."""
    p = seen.point[seen.positions]
    yield "where its values are 0", p == 0
    if len(p) > 2:
        values, counts = np.unique(seen.point, return_counts=True)
        often = counts[np.searchsorted(values, p)] > 1
        yield "where its values repeat (ties)", often & (p != 0)
        yield "where its values repeat (ties)", often
    yield from lines(seen)
    if min(seen.wrong.sum(), (~seen.wrong).sum()) > 1:
        yield "where its values are negative", p < 0
        yield "where its values are positive", p > 0
    yield from beyond(seen, p)


def lines(seen: Observed) -> Iterator[tuple[str, Array]]:
    """Yield the rows or columns with a mistake, and the diagonal."""
    if len(seen.shape) != 2 or 1 in seen.shape:
        return
    places = np.unravel_index(seen.positions, seen.shape)
    for numbers, line in zip(places, ("row", "column"), strict=True):
        hit = np.unique(numbers[seen.wrong])
        if seen.wrong.sum() > len(hit):  # more than one mistake in a row or column
            yield f"in {line} {enumerated(hit)}", np.isin(numbers, hit)
    yield "on the diagonal", places[0] == places[1]
    yield "off the diagonal", places[0] != places[1]


def beyond(seen: Observed, p: Array) -> Iterator[tuple[str, Array]]:
    """Yield the values beyond a limit that separates the wrong elements from the correct ones."""
    wrong = seen.wrong
    if min(wrong.sum(), (~wrong).sum()) < 3:
        return
    for values, name in ((p, "its values"), (np.abs(p), "the sizes of its values")):
        low, high = values[~wrong].max(), values[wrong].min()
        if low < high:
            yield f"where {name} are above {limit(seen, low, high)}", values >= high
        low, high = values[wrong].max(), values[~wrong].min()
        if low < high:
            yield f"where {name} are below {limit(seen, high, low)}", values <= low


def limit(seen: Observed, correct: float, wrong: float) -> str:
    """Return the limit between correct and wrong values; not exactly if only some were measured."""
    return f"{wrong:.3g}" if seen.complete else f"about {(correct + wrong) / 2:.3g}"


def listed(seen: Observed, chosen: Array) -> str:
    """Return the names of the chosen elements, and how many more there are, as far as is known."""
    numbers = np.flatnonzero(chosen)
    names = [seen.element(int(number)) for number in numbers[:NAMED]]
    zeros = np.count_nonzero(seen.tested == 0) == np.count_nonzero(seen.gradient == 0)
    known = seen.complete or (zeros and not seen.tested[chosen].any())
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return ", ".join(names) + (more if known else " and others")


def enumerated(numbers: Array) -> str:
    """Return the first numbers as text, followed by dots if there are more."""
    return ", ".join(map(str, numbers[:NAMED])) + (" ..." if len(numbers) > NAMED else "")
