"""An explanation as one self-contained page: a picture of the network and a walk through it."""

from __future__ import annotations

import html
import json
import re
from importlib.resources import files
from typing import Any

import numpy as np

from mlpgrad.explanation.data import ExplanationData
from mlpgrad.explanation.excerpt import hidden
from mlpgrad.explanation.markup import GREEK, as_html, is_formula, plain, raised_letters
from mlpgrad.explanation.quantities import At, Quantity, Step, element

SAMPLES = 8
"""The number of samples that the page can show."""


def as_page(e: ExplanationData) -> str:
    """The template, filled with the data of this explanation."""
    template = files("mlpgrad.explanation").joinpath("page.html").read_text(encoding="utf-8")
    data = json.dumps(page_data(e), ensure_ascii=False, separators=(",", ":"))
    return template.replace("__DATA__", data.replace("<", "\\u003c"))


def page_data(e: ExplanationData) -> dict[str, Any]:
    """The data that the page draws: columns of neurons, the weights between them, the steps."""
    drawing = Drawing(e)
    samples = min(e.samples, SAMPLES)
    return {
        "model": " ".join(repr(e.model).replace("\n", " ").split()),
        "columns": drawing.columns(),
        "weights": drawing.weights(),
        "samples": [f"sample {b + 1} of {e.samples}" for b in range(samples)],
        "steps": [_step(step, drawing, samples, e.limit) for step in e.steps],
    }


class Drawing:
    """The drawing of the network, and the neuron or weight that a number belongs to."""

    def __init__(self, e: ExplanationData) -> None:
        trace = self.trace = e.trace
        self.widths, self.kept, self.labels = [*trace.widths], [*trace.kept], [*trace.labels]
        made = None if trace.written is None else trace.written.reading
        self.reading = made if made is not None and made.neurons else None
        if self.reading is not None:  # an additional column after the outputs
            self.widths.append(self.widths[-1])
            self.kept.append(self.kept[-1])
            self.labels.append(self.labels[-1])

    def columns(self) -> list[dict[str, Any]]:
        """A column for the input, one for each layer of neurons, one for their probabilities."""
        trace = self.trace
        drawn = [("input", "", trace.names[0].x)]
        for block in trace.blocks:
            names = " + ".join(type(trace.layers[i]).__name__ for i in block)
            drawn.append((trace.short_title(block), names, trace.names[block[-1]].y))
        if self.reading is not None:
            title = self.reading.words.partition(":")[0].removeprefix("the ")
            drawn.append((title, "", self.reading.symbol))
        rows = zip(drawn, self.kept, self.widths, self.labels, strict=True)
        return [self._column(*head, kept, count, labels) for head, kept, count, labels in rows]

    def _column(
        self, title: str, kind: str, symbol: str, kept: At, count: int, labels: tuple[str, ...]
    ) -> dict[str, Any]:
        names = [plain_name(symbol, i) for i in kept]
        known = [labels[i] for i in kept] if labels else [""] * len(kept)
        return {"title": title, "kind": kind, "names": names, "labels": known, "count": count}

    def weights(self) -> list[dict[str, Any]]:
        """Every weight that is drawn; thin lines for a layer that has no matrix of weights."""
        drawn: list[dict[str, Any]] = []
        for column, block in enumerate(self.trace.blocks, 1):
            dense = self.trace.dense[block[0]]
            drawn += self._matrix(column, block[0]) if dense else self._lines(column, False)
        if self.reading is not None:
            drawn += self._lines(len(self.widths) - 1, self.reading.mixes)
        return drawn

    def _matrix(self, column: int, index: int) -> list[dict[str, Any]]:
        """The weights between the neurons that are shown."""
        table, symbol = self.trace.params(index)["weights"], self.trace.names[index].w
        return [
            {
                "id": f"w{column}.{row}.{place}",
                "value": float(table[i, j]),
                "shown": plain(self.trace.show(table[i, j])),
                "html": as_html(element(symbol, (i, j))),
                "text": plain(element(symbol, (i, j))),
            }
            for row, i in enumerate(self.kept[column - 1])
            for place, j in enumerate(self.kept[column])
        ]

    def _lines(self, column: int, every: bool) -> list[dict[str, Any]]:
        """Lines without a weight, from each neuron to its counterpart, or to all neurons."""
        before, after = self.kept[column - 1], self.kept[column]
        return [
            {"id": f"w{column}.{row}.{place}", "value": None}
            for row, i in enumerate(before)
            for place, j in enumerate(after)
            if every or i == j
        ]

    def _position(self, column: int, unit: int) -> int | None:
        """Return the position of a neuron in its column; None if it is not drawn."""
        kept = self.kept[column]
        return kept.index(unit) if unit in kept else None

    def place(self, quantity: Quantity, index: tuple[int, ...]) -> str:
        """The id of the neuron or weight that this number belongs to, or an empty string."""
        at = index[1:] if quantity.per_sample else index
        if quantity.role == "loss" or not at:
            return "loss"
        if quantity.role == "unit":  # not an input of the loss
            return ""
        if "." in quantity.parameter.partition("]")[0]:  # layers inside a Residual are not drawn
            return ""
        column = self._column_of(quantity)
        if len(at) == 2 and quantity.layer is not None and self.trace.dense[quantity.layer]:
            row, place = self._position(column - 1, at[0]), self._position(column, at[1])
            return "" if row is None or place is None else f"w{column}.{row}.{place}"
        place = self._position(column, at[0]) if len(at) == 1 else None
        return "" if place is None else f"n{column}.{place}"

    def _column_of(self, quantity: Quantity) -> int:
        if quantity.role == "input":
            return 0
        return len(self.widths) - 1 if quantity.layer is None else self.trace.column[quantity.layer]


LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def plain_name(symbol: str, unit: int) -> str:
    """The name of a neuron as plain text: `yᵇ₁`."""
    name, over, letter = symbol.partition("^")
    return name + (raised_letters(letter) if over else "") + str(unit + 1).translate(LOWERED)


def _step(step: Step, drawing: Drawing, samples: int, limit: int) -> dict[str, Any]:
    columns = sorted({drawing.trace.column[i] for i in step.layers})
    quantities = [_quantity(q, drawing, samples, limit) for q in step.quantities]
    return {
        "kind": step.kind,
        "title": step.title,
        "note": re.sub(r"\b(delta|eta)\b", lambda m: GREEK[m[0]], step.note),
        "columns": columns,
        "quantities": quantities,
    }


def _quantity(q: Quantity, drawing: Drawing, samples: int, limit: int) -> dict[str, Any]:
    formula = html.escape(q.formula)
    if is_formula(q.formula, q.documented):
        formula = as_html(q.formula)
    lines = []
    for sample in range(samples if q.per_sample else 1):
        for index in q.indices(sample, limit):
            line = q.line(index)
            lines.append(
                {
                    "at": drawing.place(q, index),
                    "sample": sample if q.per_sample else None,
                    "html": " = ".join(map(as_html, line.sides)),
                    "text": " = ".join(map(plain, line.sides)),
                    "label": line.label,
                    "symbol": as_html(line.symbol),
                    "shown": line.value,
                    "value": float(q.value[index]) if np.isfinite(q.value[index]) else None,
                }
            )
    return {
        "symbol": plain(q.symbol),
        "role": q.role,
        "formula": formula,
        "documented": q.documented,
        "number": q.number,
        "parameter": q.parameter,
        "lines": lines,
        "more": [_more(q, limit, b) for b in range(samples if q.per_sample else 1)],
    }


def _more(quantity: Quantity, limit: int, sample: int) -> str:
    """Return in words, with one number, what the lists leave out."""
    words, size, number = hidden(quantity, limit, sample).partition("size is ")
    return words + size + as_html(number)
