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
from mlpgrad.explanation.markup import GREEK, as_html, is_formula, plain
from mlpgrad.explanation.quantities import Quantity, Step, element, shown

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
    """The picture of the network, and which of its neurons or weights a number belongs to."""

    def __init__(self, e: ExplanationData) -> None:
        self.trace, self.limit = e.trace, e.limit
        self.column = {i: c for c, block in enumerate(self.trace.blocks, 1) for i in block}
        last = [self.trace.outputs[block[-1]].shape[-1] for block in self.trace.blocks]
        self.widths = [self.trace.x.shape[-1], *last]

    def columns(self) -> list[dict[str, Any]]:
        """One column for the input, then one for each layer of neurons."""
        trace = self.trace
        first = trace.names[0]
        drawn: list[dict[str, Any]] = [{"title": "input", "symbol": first.x}]
        for block in trace.blocks:
            names = " + ".join(type(trace.layers[i]).__name__ for i in block)
            title, symbol = trace.short_title(block), trace.names[block[-1]].y
            drawn.append({"title": title, "kind": names, "symbol": symbol})
        for column, count in zip(drawn, self.widths, strict=True):
            column |= {"shown": shown(count, self.limit), "count": count}
        return drawn

    def weights(self) -> list[dict[str, Any]]:
        """Every weight that is drawn; thin lines for a layer that has no matrix of weights."""
        drawn = []
        for block in self.trace.blocks:
            column = self.column[block[0]]
            ends = [shown(n, self.limit) for n in self.widths[column - 1 : column + 1]]
            table = (
                self.trace.params(block[0]).get("weights") if self.trace.dense[block[0]] else None
            )
            pairs = [(i, j) for i in range(ends[0]) for j in range(ends[1])]
            for i, j in pairs:
                if table is not None:
                    name = element(self.trace.names[block[0]].w, (i, j))
                    drawn.append(
                        {
                            "id": f"w{column}.{i}.{j}",
                            "value": float(table[i, j]),
                            "shown": plain(self.trace.show(table[i, j])),
                            "html": as_html(name),
                            "text": plain(name),
                        }
                    )
                elif i == j:
                    drawn.append({"id": f"w{column}.{i}.{j}", "value": None})
        return drawn

    def place(self, quantity: Quantity, index: tuple[int, ...]) -> str:
        """The id of the neuron or weight that this number belongs to, or an empty string."""
        at = index[1:] if quantity.per_sample else index
        if quantity.role == "loss" or not at:
            return "loss"
        if "." in quantity.parameter.partition("]")[0]:  # layers inside a Residual are not drawn
            return ""
        last = len(self.widths) - 1
        column = last if quantity.layer is None else self.column[quantity.layer]
        if quantity.role == "input":
            column = 0
        if len(at) == 2 and quantity.layer is not None and self.trace.dense[quantity.layer]:
            return f"w{column}.{at[0]}.{at[1]}"
        return f"n{column}.{at[0]}" if len(at) == 1 else ""


def _step(step: Step, drawing: Drawing, samples: int, limit: int) -> dict[str, Any]:
    columns = sorted({drawing.column[i] for i in step.layers})
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
                    "html": " = ".join(as_html(part) for part in line if part),
                    "text": " = ".join(plain(part) for part in line if part),
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
    """What the lists leave out, in words with one number."""
    words, size, number = hidden(quantity, limit, sample).partition("size is ")
    return words + size + as_html(number)
