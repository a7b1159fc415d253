"""The data of an explanation: steps, each with quantities, each with its formula and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array

At = tuple[int, ...]
"""A place in an array."""


class Line(NamedTuple):
    """One number: `delta_1 = (0.731 - 1) * 0.731 * 0.269 = -0.0529`."""

    symbol: str
    substitution: str
    """The formula with numbers in it, or nothing where there is no formula by element."""
    value: str

    def __str__(self) -> str:
        return " = ".join(part for part in self if part)


@dataclass(frozen=True)
class Quantity:
    """An array of numbers that one formula gives.

    Attributes
    ----------
    symbol : str
        As the lecture writes it, without indices: `delta`, `w^b`, `dL/dw^b`.
    letters : str
        Its indices: `k`, or `jk`.
    formula : str
        How each number comes about, in plain text.
    value : array
        `(B, n)` where there is one number for each sample, else in the shape of the parameter.
    layer : int or None
        Position of its layer in the model.
    role : str
        `input`, `target`, `sum`, `output`, `loss`, `delta`, `gradient`, `update`, `new output`.
    per_sample : bool
        Whether the first axis counts samples.
    documented : bool
        Whether the formula is the first line of a class's docstring, not one of the lecture's.
    number : str
        The lecture's number of the formula.
    parameter : str
        Where a parameter is concerned, its name in the model: `layers[0].weights`.
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

    def line(self, index: tuple[int, ...]) -> Line:
        """The formula with its numbers for one element of `value`."""
        number = Numbers(self.digits)(self.value[index])
        substitution = self.substitute(index)
        if substitution.strip("()") == number:  # nothing was computed
            substitution = ""
        return Line(self.name(index), substitution, number)

    def name(self, index: tuple[int, ...]) -> str:
        """The symbol of one element, counted from 1 as in the lecture: `w^b_12`."""
        return element(self.symbol, index[1:] if self.per_sample else index)

    def indices(self, sample: int | None = None, limit: int | None = None) -> list[tuple[int, ...]]:
        """Places in `value`, of one sample where there are samples; few of a wide axis."""
        shape = self.value.shape[1:] if self.per_sample else self.value.shape
        ends = shape if limit is None else tuple(shown(n, limit) for n in shape)
        lead = (sample or 0,) if self.per_sample else ()
        return [(*lead, *index) for index in np.ndindex(*ends)]


@dataclass(frozen=True)
class Step:
    """One stop on the way forward and backward.

    Attributes
    ----------
    kind : str
        `input`, `forward`, `loss`, `delta`, `gradient`, `update` or `outcome`.
    title : str
        What happens, in words.
    note : str
        Why, for a reader who sees it for the first time.
    quantities : tuple of Quantity
    layers : tuple of int
        Positions of the layers concerned.
    """

    kind: str
    title: str
    note: str
    quantities: tuple[Quantity, ...]
    layers: tuple[int, ...] = ()


def shown(count: int, limit: int) -> int:
    """How many of `count` numbers to show: all up to the limit, else half of it."""
    return count if count <= limit else max(1, limit // 2)


def element(symbol: str, index: Sequence[int]) -> str:
    """`w^b` and (0, 1) give `w^b_12`; large indices are set apart: `w^b_1,12`."""
    if not index:
        return symbol
    counted = [str(i + 1) for i in index]
    apart = "," if any(len(i) > 1 for i in counted) and len(counted) > 1 else ""
    return f"{symbol}_{apart.join(counted)}"


class Numbers:
    """Numbers, products and sums as text that Python could evaluate.

    Examples
    --------
    >>> show = Numbers(digits=3, terms=3)
    >>> show(0.73106), show.factor(-0.5)
    ('0.731', '(-0.5)')
    >>> show.sum_of_products([1, 2], [0.5, -0.25])
    '1 * 0.5 + 2 * (-0.25)'
    >>> show.sum_of_products(range(5), range(5))
    '0 * 0 + ... + 4 * 4'
    """

    def __init__(self, digits: int, terms: int = 6) -> None:
        self.digits, self.terms = digits, terms

    def __call__(self, value: Any) -> str:
        text = f"{float(value):.{self.digits}g}"
        return "0" if text == "-0" else text

    def factor(self, value: Any) -> str:
        """In brackets where it is negative."""
        text = self(value)
        return f"({text})" if text.startswith("-") else text

    def product(self, *factors: Any) -> str:
        """`a * b * ...`; texts are taken as they are."""
        return " * ".join(f if isinstance(f, str) else self.factor(f) for f in factors)

    def sum_of_products(self, first: Iterable[Any], second: Iterable[Any]) -> str:
        """`a_1 * b_1 + a_2 * b_2 + ...`, abbreviated where it is long."""
        return self._added([self.product(*pair) for pair in zip(first, second, strict=True)])

    def sum(self, numbers: Iterable[Any]) -> str:
        """`a_1 + a_2 + ...`, abbreviated where it is long."""
        return self._added([self.factor(number) for number in numbers])

    def _added(self, terms: list[str]) -> str:
        if len(terms) > self.terms:
            terms = [*terms[: max(1, self.terms // 2)], "...", terms[-1]]
        return " + ".join(terms)
