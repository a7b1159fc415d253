"""The parts of an explanation: steps of quantities, each with its formula and its numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array

LARGE = 1e9
"""Numbers below it are written without an exponent."""
At = tuple[int, ...]
"""The index of an element of an array."""


class Line(NamedTuple):
    """One element in writing: `delta_1 = (0.731 - 1) * 0.731 * 0.269 = -0.0529`."""

    symbol: str
    substitution: str
    """The formula with numbers in it; empty if there is no formula for single elements."""
    value: str
    label: str = ""
    """The name of the feature or class that the element belongs to; empty if it is not known."""

    @property
    def sides(self) -> list[str]:
        """The parts between the equals signs."""
        return [part for part in self[:3] if part]

    def __str__(self) -> str:
        label = f"  ({self.label})" if self.label else ""
        return " = ".join(self.sides) + label


@dataclass(frozen=True)
class Quantity:
    """An array whose elements are given by one formula.

    Attributes
    ----------
    symbol : str
        The lecture's symbol, without indices: `delta`, `w^b`, `dL/dw^b`.
    letters : str
        The letters of its indices: `k`, or `jk`.
    formula : str
        The formula of each element, in plain text.
    value : array
        The numbers: `(B, n)` if each sample has its own, else in the shape of the parameter.
    layer : int or None
        The position of its layer in the model.
    role : str
        `input`, `sum`, `output`, `reading` (what the loss computes from the outputs), `unit` (the
        outputs in the units of the data), `target`, `loss`, `delta`, `gradient`, `update`,
        `new output` or `new reading`.
    substitute : function of an index
        Writes the formula with the numbers of one element.
    digits : int
        The number of significant digits that are shown.
    per_sample : bool
        Whether the first axis is the sample.
    documented : bool
        Whether the formula is taken from the docstring of a class, not from the lecture.
    number : str
        The number of the formula in the lecture, or an empty string.
    parameter : str
        The name of the parameter in the model, such as `layers[0].weights`, or an empty string.
    kept : tuple of tuple of int, optional
        Which elements of each axis are shown if not all are; by default the first ones. The axis
        of the samples is not among them.
    labels : tuple of str
        The names of the elements of the last axis, of features or classes, where they are known.
    """

    symbol: str
    letters: str
    formula: str
    value: Array
    layer: int | None
    role: str
    substitute: Callable[[tuple[int, ...]], str]
    digits: int
    per_sample: bool = False
    documented: bool = False
    number: str = ""
    parameter: str = ""
    kept: tuple[tuple[int, ...], ...] = ()
    labels: tuple[str, ...] = ()

    def line(self, index: tuple[int, ...]) -> Line:
        """The formula with its numbers for one element of `value`."""
        number = Numbers(self.digits)(self.value[index])
        substitution = self.substitute(index)
        if substitution.strip("()") == number:  # nothing was computed
            substitution = ""
        label = self.labels[index[-1]] if self.labels else ""
        return Line(self.name(index), substitution, number, label)

    def name(self, index: tuple[int, ...]) -> str:
        """The symbol of one element, with indices from 1 as in the lecture: `w^b_12`."""
        return element(self.symbol, index[1:] if self.per_sample else index)

    def indices(self, sample: int | None = None, limit: int | None = None) -> list[tuple[int, ...]]:
        """The indices into `value`, for one sample if there are several; a few of a wide axis."""
        shape = self.value.shape[1:] if self.per_sample else self.value.shape
        lead = (sample or 0,) if self.per_sample else ()
        axes = [tuple(range(n)) for n in shape]
        if limit is not None:
            first = [tuple(range(shown(n, limit))) for n in shape]
            axes = [
                k if len(k) == len(f) else f for k, f in zip(self.kept or first, first, strict=True)
            ]
        return [(*lead, *index) for index in itertools.product(*axes)]


@dataclass(frozen=True)
class Step:
    """One step of the forward pass, the backward pass or the update.

    Attributes
    ----------
    kind : str
        `input`, `forward`, `loss`, `delta`, `gradient`, `update` or `outcome`.
    title : str
        What happens in this step.
    note : str
        The reason, for a reader who sees back-propagation for the first time.
    quantities : tuple of Quantity
        What is computed in this step.
    layers : tuple of int
        The positions of the layers concerned.
    """

    kind: str
    title: str
    note: str
    quantities: tuple[Quantity, ...]
    layers: tuple[int, ...] = ()


def shown(count: int, limit: int) -> int:
    """Return how many of `count` numbers to show: all if within the limit, else half of it."""
    return count if count <= limit else max(1, limit // 2)


def element(symbol: str, index: Sequence[int]) -> str:
    """Return the symbol with indices: `w^b` and (0, 1) give `w^b_12`; (0, 11) gives `w^b_1,12`."""
    if not index:
        return symbol
    counted = [str(i + 1) for i in index]
    apart = "," if any(len(i) > 1 for i in counted) and len(counted) > 1 else ""
    return f"{symbol}_{apart.join(counted)}"


class Numbers:
    """Format numbers, products and sums as text that Python can evaluate.

    Examples
    --------
    >>> show = Numbers(digits=3, terms=3)
    >>> show(0.73106), show.factor(-0.5)
    ('0.731', '(-0.5)')
    >>> show.sum_of_products([1, 2], [0.5, -0.25])
    '1 * 0.5 + 2 * (-0.25)'
    >>> show.sum_of_products(range(5), range(5))
    '4 * 4 + ...'
    """

    def __init__(self, digits: int, terms: int = 6) -> None:
        self.digits, self.terms = digits, terms

    def __call__(self, value: Any) -> str:
        text = f"{float(value):.{self.digits}g}"
        if "e+" in text and abs(value) < LARGE:
            text = f"{float(value):.0f}"
        return "0" if text == "-0" else text

    def factor(self, value: Any) -> str:
        """Return a number, in parentheses if it is negative."""
        text = self(value)
        return f"({text})" if text.startswith("-") else text

    def product(self, *factors: Any) -> str:
        """`a * b * ...`; factors that are text are not changed."""
        return " * ".join(f if isinstance(f, str) else self.factor(f) for f in factors)

    def sum_of_products(self, first: Iterable[Any], second: Iterable[Any]) -> str:
        """Return `a_1 * b_1 + a_2 * b_2 + ...`; for a long sum, its largest terms."""
        pairs = list(zip(first, second, strict=True))
        sizes = [abs(float(a) * float(b)) for a, b in pairs]
        return self.added([self.product(*pair) for pair in pairs], sizes)

    def sum(self, numbers: Iterable[Any]) -> str:
        """Return `a_1 + a_2 + ...`; for a long sum, its largest terms."""
        numbers = list(numbers)
        return self.added(map(self.factor, numbers), [abs(float(number)) for number in numbers])

    def added(self, terms: Iterable[str], sizes: Sequence[float]) -> str:
        """Return the sum of some terms; for many, those with the largest sizes, in their order."""
        terms = list(terms)
        kept = largest(np.asarray(sizes, float), self.terms)
        texts = [terms[i] for i in kept]
        return " + ".join(texts if len(kept) == len(terms) else [*texts, "..."])


def largest(sizes: Array, limit: int) -> tuple[int, ...]:
    """Return the positions of all numbers if they are within the limit, else of the largest."""
    count = shown(len(sizes), limit)
    if count == len(sizes):
        return tuple(range(count))
    order = np.argsort(-np.nan_to_num(sizes, nan=np.inf), kind="stable")
    return tuple(sorted(order[:count].tolist()))
