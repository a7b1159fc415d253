"""`explain(model, x, y)`: one step of back-propagation, formula by formula."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.explanation.backward import backward_steps
from mlpgrad.explanation.forward import forward_steps
from mlpgrad.explanation.quantities import Quantity, Step
from mlpgrad.explanation.trace import Trace
from mlpgrad.explanation.update import outcome_step, update_step

if TYPE_CHECKING:
    from mlpgrad.network.network import Network

MOST_SAMPLES = 32


@dataclass(repr=False)
class Explanation:
    """One step of back-propagation in the lecture's formulas, with a network's own numbers.

    `print(e)` shows it in a terminal, a notebook shows formulas, `e.to_html(path)` writes a page
    that walks through the steps.

    Attributes
    ----------
    steps : list of Step
        In order: input, forward, loss, deltas and gradients downwards, update, new loss.
    loss, new_loss : float
        Before and after the update.
    grads, params, new_params : array (P,)
        As `model.grads` and `model.params`.
    learning_rate : float
    samples : int
    """

    model: Network = field(repr=False)
    steps: list[Step]
    loss: float
    new_loss: float
    grads: Array
    params: Array
    new_params: Array
    learning_rate: float
    samples: int
    digits: int
    limit: int
    trace: Trace = field(repr=False)

    def find(self, symbol: str, layer: int | None = None) -> Quantity:
        """The quantity with this symbol: `find("delta", layer=2)`, `find("dL/dw^b")`.

        Raises
        ------
        KeyError
            With the symbols there are.
        """
        known = [q for step in self.steps for q in step.quantities]
        for quantity in known:
            if quantity.symbol == symbol and layer in (None, quantity.layer):
                return quantity
        raise KeyError(
            f"no {symbol!r}; there are {', '.join(dict.fromkeys(q.symbol for q in known))}"
        )

    def __str__(self) -> str:
        from mlpgrad.explanation.text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from mlpgrad.explanation.notebook import as_html

        return as_html(self)

    def to_html(self, path: str | Path) -> Path:
        """Write one self-contained page that walks through the steps; returns its path.

        The page needs no network access: open it with a browser.
        """
        from mlpgrad.explanation.page import as_page

        path = Path(path)
        path.write_text(as_page(self), encoding="utf-8")
        return path

    def __repr__(self) -> str:
        return (
            f"Explanation({len(self.steps)} steps, {self.samples} sample"
            f"{'s' if self.samples > 1 else ''}, loss {self.loss:.4g} -> {self.new_loss:.4g})"
        )


def explain(
    model: Network,
    x: Any,
    y: Any,
    *,
    learning_rate: float = 0.5,
    digits: int = 4,
    limit: int = 6,
) -> Explanation:
    """delta_j = (sum_k delta_k w_jk) y_j (1 - y_j), dL/dw_ij = delta_j x_i: with your numbers

    Works on a copy: the model stays as it is. The numbers are those of `model.backpropagate`.
    Layers and losses that the lecture does not have show their own formula.

    Parameters
    ----------
    model : Sequential
        One network; of an ensemble take `model.member(i)`.
    x : array (I,) or (B, I)
        One sample, or a few.
    y : array (O,) or (B, O), or classes (B,), or one number
        What is expected.
    learning_rate : float
        eta of the update (3) at the end.
    digits : int
        Significant digits shown.
    limit : int
        Longer sums and wider layers are abbreviated.

    Returns
    -------
    Explanation
        `print` it, show it in a notebook, or write a page with `to_html`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> model = mg.Sequential([mg.Dense(2, 1), mg.Sigmoid()], loss=mg.HalfSquaredError())
    >>> model.params = [1.0, -2.0, 0.5]
    >>> e = mg.explain(model, [1, 0], 1)
    >>> print(e.find("delta").line((0, 0)))
    delta_1 = (0.8176 - 1) * 0.8176 * 0.1824 = -0.02721
    >>> print(e.find("dL/dw").line((0, 0)))
    dL/dw_11 = (-0.02721) * 1 = -0.02721
    >>> e
    Explanation(7 steps, 1 sample, loss 0.01664 -> 0.01591)
    """
    if model.ensemble_size is not None:
        raise ValueError("explain expects one network, got an ensemble; pass model.member(0)")
    if model.dtype.kind == "c":
        raise ValueError(f"explain expects real numbers, got a {model.dtype} model")
    if np.ndim(x) == 0:
        raise ValueError(f"explain expects a sample's features (I,), got {x!r}; pass [{x!r}]")
    if np.ndim(x) == 1:
        x, y = np.asarray(x)[None], np.atleast_1d(y)[None] if np.ndim(y) else np.asarray(y)[None]
    if len(x) > MOST_SAMPLES:
        raise ValueError(
            f"explain expects at most {MOST_SAMPLES} samples, got {len(x)}; pass x[:1], y[:1]"
        )
    twin = model.copy()
    with twin.same_randomness():
        trace = Trace(twin, x, y, digits, limit)
    new_params, update = update_step(trace, learning_rate)
    steps = [*forward_steps(trace), *backward_steps(trace), update]
    with twin.same_randomness():
        steps.append(outcome_step(trace, x, y, new_params))
    new_loss = float(steps[-1].quantities[-1].value)
    return Explanation(
        model=twin,
        steps=steps,
        loss=float(trace.value),
        new_loss=new_loss,
        grads=trace.flat_grads,
        params=trace.flat_params,
        new_params=new_params,
        learning_rate=learning_rate,
        samples=len(x),
        digits=digits,
        limit=limit,
        trace=trace,
    )
