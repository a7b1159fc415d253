"""An explanation as text of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from mlpgrad.explanation.data import ExplanationData
from mlpgrad.explanation.excerpt import hidden, shown_indices
from mlpgrad.explanation.quantities import Line, Quantity, Step

WIDTH = 78


def as_text(e: ExplanationData) -> str:
    """Every step under its title: formula, then numbers."""
    lines = [f"Back-propagation, {e.samples} sample{'s' if e.samples > 1 else ''}"]
    lines += textwrap.wrap(" ".join(repr(e.model).split()), WIDTH, initial_indent="  ",
                           subsequent_indent="    ", break_long_words=False)  # fmt: skip
    for number, step in enumerate(e.steps, start=1):
        title = f"{number}. {step.title}"
        lines += ["", *textwrap.wrap(title, WIDTH), "-" * min(len(title), WIDTH)]
        if step.note:
            lines += textwrap.wrap(step.note, WIDTH)
        for quantity in step.quantities:
            lines += _quantity(quantity, step, e.limit)
    return "\n".join(lines)


def _quantity(quantity: Quantity, step: Step, limit: int) -> Iterator[str]:
    number = f"({quantity.number})" if quantity.number else ""
    where = quantity.parameter if len(step.quantities) > 2 else ""
    if where:
        yield f"  {where}"
    wrapped = textwrap.wrap(quantity.formula, WIDTH - 8, initial_indent="  ",
                            subsequent_indent="      ")  # fmt: skip
    yield f"{wrapped[0]:<{WIDTH - len(number)}}{number}".rstrip()
    yield from wrapped[1:]
    for label, indices in shown_indices(quantity, limit):
        if label:
            yield f"    {label}"
        lines = [quantity.line(index) for index in indices]
        symbol = max(len(line.symbol) for line in lines)
        for line in lines:
            yield from _line(line, symbol)
        more = hidden(quantity, limit, indices[0][0] if quantity.per_sample else 0)
        if more:
            yield f"    {more}"


def _line(line: Line, symbol: int) -> list[str]:
    text = f"{line.symbol:<{symbol}} = " + " = ".join(line.sides[1:])
    text += f"  ({line.label})" if line.label else ""
    return textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent=" " * (symbol + 7),
                         break_long_words=False)  # fmt: skip
