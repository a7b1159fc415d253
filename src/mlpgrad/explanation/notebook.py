"""An explanation as a notebook shows it: HTML with LaTeX formulas."""

from __future__ import annotations

import html

from mlpgrad.explanation.data import ExplanationData
from mlpgrad.explanation.excerpt import hidden, shown_indices
from mlpgrad.explanation.markup import is_formula, labelled, latex
from mlpgrad.explanation.quantities import Line, Quantity, Step


def as_html(e: ExplanationData) -> str:
    """Steps that can be folded, with formulas between dollar signs for MathJax."""
    steps = "".join(_step(number, step, e.limit) for number, step in enumerate(e.steps, start=1))
    return f'<div class="mlpgrad-explanation">{steps}</div>'


def _step(number: int, step: Step, limit: int) -> str:
    note = f"<p>{html.escape(step.note)}</p>" if step.note else ""
    body = "".join(_quantity(quantity, limit) for quantity in step.quantities)
    title = html.escape(step.title)
    return (
        f"<details open><summary><b>{number}. {title}</b></summary>"
        f'<div style="margin-left:1.5em">{note}{body}</div></details>'
    )


def _quantity(quantity: Quantity, limit: int) -> str:
    if is_formula(quantity.formula, quantity.documented):
        number = rf" \qquad ({quantity.number})" if quantity.number else ""
        parts = [_math(latex(quantity.formula) + number)]
    elif quantity.documented:
        parts = [f"<p><code>{html.escape(quantity.formula)}</code></p>"]
    else:
        parts = [f"<p>{html.escape(quantity.formula)}</p>"]
    for label, indices in shown_indices(quantity, limit):
        lines = [quantity.line(index) for index in indices]
        rows = [_row(line) for line in lines]
        parts += [f"<p>{html.escape(label)}</p>"] if label else []
        parts.append(_math(r"\begin{aligned}" + r" \\ ".join(rows) + r"\end{aligned}"))
        more = hidden(quantity, limit, indices[0][0] if quantity.per_sample else 0)
        parts += [f"<p>{html.escape(more)}</p>"] if more else []
    return "".join(parts)


def _row(line: Line) -> str:
    symbol, *sides = map(latex, line.sides)
    return f"{symbol} &= {' = '.join(sides)}" + (labelled(line.label) if line.label else "")


def _math(formula: str) -> str:
    return f"<div>${html.escape(formula)}$</div>"
