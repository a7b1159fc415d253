"""A loss in symbols and numbers: what the outputs mean, each output's term, and its slope.

A template such as `2 * ({y} - {t})` gives a formula when its fields are filled with symbols, and a
line of numbers when they are filled with numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from mlpgrad._core.arrays import Array
from mlpgrad.explanation.markup import bracketed
from mlpgrad.explanation.quantities import At, Numbers


class Reading(NamedTuple):
    """What a loss computes from the outputs, such as probabilities, rates or variances."""

    symbol: str
    words: str
    formula: str
    value: Array
    numbers: Callable[[At], str]
    neurons: bool = True
    """Whether each output has one, which the page draws behind it."""
    mixes: bool = False
    """Whether each of them depends on all outputs."""


def softmax(x: str, j: str, k: str) -> str:
    """The softmax as a formula."""
    return f"exp({x}_{j}) / sum_{k} exp({x}_{k})"


def softmax_in_numbers(x: Array, show: Numbers) -> Callable[[At], str]:
    """The function that writes one element of the softmax of `x: (B, n)`."""

    def substitute(at: At) -> str:
        texts = [f"exp({show(number)})" for number in x[at[0]]]
        return f"{texts[at[1]]} / ({show.added(texts, x[at[0]])})"

    return substitute


class Written:
    """The mean of squared differences; the base class of losses in symbols and numbers."""

    term = "({y} - {t})^2"
    slope = "2 * ({y} - {t})"
    factor = ""
    """The factor of the sum: `-`, or `1/2 * `."""
    mean = "O"
    """The letter of the number of terms that the sum is divided by; empty for a sum."""
    slope_in_words = False
    """Whether the slopes have more than one formula."""
    sums_one = False
    """Whether a sum over a single output is written as a sum."""
    target_words = "the expected output"

    def __init__(self, loss: Any, y: str, k: str, outputs: Array, target: Array, show: Numbers):
        self.loss, self.y, self.k, self.show, self.outputs = loss, y, k, show, outputs
        self.values: dict[str, tuple[str, Array]] = {"y": (f"{y}_{k}", outputs)}
        self.values["t"] = (f"{self.target_symbol}_{k}", self.target(target))
        self.columns = outputs.shape[1]
        self.reading = self.read()
        """The meaning of the outputs, if the loss does not take them as they are."""
        if self.reading is not None:
            self.values["p"] = (f"{self.reading.symbol}_{k}", self.reading.value)

    # overridden by some losses

    @property
    def target_symbol(self) -> str:
        return "t"

    def target(self, target: Array) -> Array:
        """Return the target as the terms take it."""
        return target

    def read(self) -> Reading | None:
        """The meaning of the outputs, if the loss does not take them as they are."""
        return None

    def term_at(self, at: At) -> str:
        """Return the template of one term; empty if the target makes it zero."""
        return self.term

    def slope_at(self, at: At) -> str:
        """Return the template of one slope, without the factor and the mean."""
        return self.slope

    # rendering

    def divisor(self) -> list[tuple[str, int]]:
        """Return the letter and the value of the divisor, if it is a mean of several."""
        return [(self.mean, self.columns)] if self.mean and self.columns > 1 else []

    def symbols(self, template: str) -> str:
        """Return a template as a formula: `2 (y_k - t_k)`."""
        named = {name: symbol for name, (symbol, _) in self.values.items()}
        return template.format(**named).replace(" * ", " ")

    def numbers(self, template: str, at: At) -> str:
        """Return a template with the numbers of one element: `2 * (0.5 - 1)`."""

        def number(found: re.Match[str]) -> str:
            value = self.values[found[2]][1][at]
            return found[1] + (self.show(value) if found[1] else self.show.factor(value))

        return re.sub(r"([(|]?)\{(\w+)\}", number, template)

    def formula(self) -> str:
        """Return the formula of the loss of one sample."""
        several = self.columns > 1 or self.sums_one
        term = self.symbols(self.term)
        total = f"sum_{self.k} {bracketed(term)}" if several else term
        head = self.factor + "".join(f"1/{letter} " for letter, _ in self.divisor())
        return head.replace(" * ", " ") + (bracketed(total) if head and not several else total)

    def in_numbers(self, row: int) -> str:
        """Return the loss of one sample in numbers; long sums keep terms of the largest targets."""
        places = [(row, column) for column in range(self.columns)]
        terms = {at: template for at in places if (template := self.term_at(at))}
        texts = [self.numbers(template, at) for at, template in terms.items()]
        sizes = [abs(float(self.values["t"][1][at])) for at in terms]
        total = self.show.added(texts or ["0"], sizes or [0.0])
        head = self.factor + "".join(f"1/{number} * " for _, number in self.divisor())
        return head + (bracketed(total) if head else total)

    def slope_formula(self) -> str:
        return self.symbols(self.slope)

    def slope_in_numbers(self, at: At) -> str:
        return self.numbers(self.slope_at(at), at)
