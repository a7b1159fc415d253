"""`explain(model, x, y)`: one step of back-propagation, formula by formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlpgrad._core import arguments, paths
from mlpgrad._core.described import suggesting
from mlpgrad.explanation.backward import backward_steps
from mlpgrad.explanation.data import ExplanationData
from mlpgrad.explanation.forward import forward_steps
from mlpgrad.explanation.notebook import as_html
from mlpgrad.explanation.page import as_page
from mlpgrad.explanation.text import as_text
from mlpgrad.explanation.trace import Trace
from mlpgrad.explanation.update import outcome_step, update_step
from mlpgrad.network.network import Network

MOST_SAMPLES = 32


class Explanation(ExplanationData):
    """One update by back-propagation in the lecture's formulas, with a network's own numbers.

    `print(e)` shows it as text, a notebook typesets the formulas, and `e.to_html(path)` writes a
    page that walks through the steps.

    Attributes
    ----------
    steps : list of Step
        In order: the input, the forward pass layer by layer, the loss, deltas and gradients from
        the last layer to the first, the update, and the new loss.
    loss, new_loss : float
        The loss before and after the update.
    grads : array (P,)
        The gradient, in the order of `model.grads`.
    params, new_params : array (P,)
        The parameters before and after the update, in the order of `model.params`.
    learning_rate : float
        The learning rate eta of the update.
    samples : int
        The number of samples B.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 1), mg.Sigmoid()], loss=mg.HalfSquaredError(),
    ...                       random_state=0)
    >>> e = mg.explain(model, x[:1], y[:1])
    >>> [step.title for step in e.steps][:2]
    ['The input', 'Forward: output layer, Dense(2, 1), Sigmoid()']
    >>> e.find("delta").value.shape
    (1, 1)
    """

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    def to_html(self, path: str | Path) -> Path:
        """Write one self-contained HTML page that walks through the steps.

        The page needs no network access: open it with a browser.

        Parameters
        ----------
        path : str or Path
            The file to write; an existing file is replaced.

        Returns
        -------
        Path
            The path of the page.
        """
        path = Path(paths.path(path))
        page = as_page(self)
        with paths.errors_of_system("write", path):
            path.write_text(page, encoding="utf-8")
        return path

    def __reduce__(self) -> Any:
        return _again, self.given  # the steps have functions, which cannot be pickled

    def __repr__(self) -> str:
        return (
            f"Explanation({len(self.steps)} steps, {self.samples} sample"
            f"{'s' if self.samples > 1 else ''}, loss {self.loss:.4g} -> {self.new_loss:.4g})"
        )


@suggesting
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

    One step of back-propagation and one update by gradient descent, formula by formula. It works
    on a copy, so that the model is not changed; the numbers are those of `model.backpropagate`.
    Every loss of mlpgrad is written with its numbers, and cross-entropies with their
    probabilities; for layers that do not appear in the lecture, and for user-defined losses, the
    formula of the docstring is shown. In networks with more than one hidden layer, the layers are
    labelled with letters.

    Parameters
    ----------
    model : Sequential
        A single network; for an ensemble pass `model.member(i)`.
    x : array (I,) or (B, I)
        One sample, or up to 32 samples; for a model with an encoder a table of 1 to 32 rows.
    y : array (O,) or (B, O), or classes (B,), or one number
        The targets.
    learning_rate : float, default 0.5
        The learning rate eta of the update (3) at the end.
    digits : int, default 4
        The number of significant digits that are shown.
    limit : int, default 6
        Sums with more terms and layers with more units than this are abbreviated to their largest.

    Returns
    -------
    Explanation
        `print` it, show it in a notebook, or write a page with `to_html`.

    Raises
    ------
    ValueError
        If the model is an ensemble or complex, or `x` or `y` does not fit the model.

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
    learning_rate = arguments.number(learning_rate, "learning_rate")
    digits = arguments.count(digits, "digits", 1, 17)
    limit = arguments.count(limit, "limit")
    x, y = _samples(model, x, y)
    twin, given = model.copy(), (model.copy(), x, y, learning_rate, digits, limit)
    with twin.same_randomness():
        trace = Trace(twin, x, y, digits, limit)
    new_params, update = update_step(trace, learning_rate)
    steps = [*forward_steps(trace), *backward_steps(trace), update]
    with twin.same_randomness():
        steps.append(outcome_step(trace, x, y, new_params))
    return Explanation(
        model=twin,
        steps=steps,
        loss=float(trace.value),
        new_loss=float(steps[-1].quantities[-1].value),
        grads=trace.flat_grads,
        params=trace.flat_params,
        new_params=new_params,
        learning_rate=learning_rate,
        samples=len(trace.x),
        limit=limit,
        trace=trace,
        given=given,
    )


def _again(
    model: Network, x: Any, y: Any, learning_rate: float, digits: int, limit: int
) -> Explanation:
    """Explain with the arguments of an earlier explanation."""
    return explain(model, x, y, learning_rate=learning_rate, digits=digits, limit=limit)


def _samples(model: Network, x: Any, y: Any) -> tuple[Any, Any]:
    """Return inputs and targets as rows; raise ValueError if they cannot be explained."""
    arguments.instance(model, "explain", Network, "Sequential(layers, loss=loss)")
    if model.ensemble_size is not None:
        raise ValueError("explain expects one network, got an ensemble; pass model.member(0)")
    if model.dtype.kind == "c":
        raise ValueError(f"explain expects real numbers, got a {model.dtype} model")
    if model.encoder is None:
        x = arguments.numbers(x, "x")
    y = arguments.as_array(y, "y") if model.loss.classifies else arguments.numbers(y, "y")
    if model.encoder is not None:  # a table of rows
        samples, y = len(model.checked_inputs(x)), np.atleast_1d(y)
    elif x.ndim == 0:
        raise ValueError(f"explain expects a sample's features (I,), got {x}; pass [{x}]")
    else:
        x, y = (x[None], y[None]) if x.ndim == 1 else (x, y)
        samples = len(x)
    if samples > MOST_SAMPLES:
        raise ValueError(
            f"explain expects at most {MOST_SAMPLES} samples, got {samples}; pass x[:1], y[:1]"
        )
    return x, y
