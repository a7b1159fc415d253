"""Checks of one layer or one loss by itself, its input taking the place of a parameter."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np

from mlpgrad._arrays import Array, Shape
from mlpgrad.gradcheck.engine import Plan
from mlpgrad.gradcheck.model_checker import ModelChecker
from mlpgrad.gradcheck.model_problem import ModelProblem
from mlpgrad.gradcheck.report import GradientReport
from mlpgrad.initializers import Initializer
from mlpgrad.layers import Layer
from mlpgrad.losses import Loss


def check_layer(
    layer: Layer,
    x: Any = None,
    *,
    seed: int = 0,
    method: str = "auto",
    directions: int = 3,
) -> GradientReport:
    """Compare a layer's backward with numeric slopes: its parameters and dL/dx.

    The layer is copied and gets random parameters (around its initial ones); L is a sum of its
    outputs with fixed random factors.

    Parameters
    ----------
    layer : Layer
        Of this library or your own; it may belong to a model.
    x : array (B, I), optional
        The input; by default 6 rows of Gaussian numbers.
    seed, method, directions
        As for `check_gradients`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> report = mg.check_layer(mg.Dense(4, 3))
    >>> bool(report), [tensor.name for tensor in report.tensors]
    (True, ['input', 'weights', 'bias'])
    """
    rng = np.random.default_rng(seed)
    inner = copy.deepcopy(layer)
    values = rng.standard_normal((6, inner.in_features or 5)) if x is None else np.asarray(x, float)
    model = _model([_Input(values), inner], _Projection(), seed)
    width = inner.out_features or values.shape[-1]
    model.params += 0.1 * rng.standard_normal(model.params.shape)
    model.params[: values.size] = values.ravel()
    target = rng.standard_normal((len(values), width))
    plan = Plan(directions, method)
    report = _checked(model, values, target, seed, plan, repr(layer))
    report.reproduce = plan.call("check_layer", "layer" if x is None else "layer, x", seed)
    return report


def check_loss(
    loss: Loss,
    prediction: Any = None,
    target: Any = None,
    *,
    sample_weight: Any = None,
    seed: int = 0,
    method: str = "auto",
    directions: int = 3,
) -> GradientReport:
    """Compare a loss's first delta with numeric slopes.

    Parameters
    ----------
    loss : Loss
        Of this library or your own.
    prediction : array (B, O), optional
        By default those of `type(loss).example()`.
    target : array, optional
        As the loss takes it.
    sample_weight : array (B,), optional
    seed, method, directions
        As for `check_gradients`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> bool(mg.check_loss(mg.HalfSquaredError()))
    True
    """
    given = prediction is not None and target is not None
    if not given:
        _, prediction, target = type(loss).example()
        width = loss.target_features(prediction.shape[-1])
        if not loss.classifies and target.shape[-1] != width:  # its options are not the example's
            target = np.cos(3 * prediction[:, :width])
    values = np.asarray(prediction, float)
    source = _Input(values)
    source.gives_probabilities = loss.expects_probabilities
    model = _model([source], copy.deepcopy(loss), seed)
    plan = Plan(directions, method)
    report = _checked(model, values, target, seed, plan, repr(loss), sample_weight)
    report.tensors[0].name = "prediction"
    arguments = "loss, prediction, target" if given else "loss"
    arguments += "" if sample_weight is None else ", sample_weight=sample_weight"
    report.reproduce = plan.call("check_loss", arguments, seed)
    return report


class _Given(Initializer):
    """Fixed values."""

    def __init__(self, values: Array) -> None:
        self.values = values

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return self.values


class _Input(Layer):
    """A layer whose parameter is its output: dL/dx becomes the gradient of a parameter."""

    def __init__(self, values: Array) -> None:
        self.values = values
        self.out_features = values.shape[-1]

    def parameters(self) -> dict[str, tuple[Shape, Initializer]]:
        return {"input": (self.values.shape, _Given(self.values))}

    def forward(self, x: Array) -> Array:
        rows: Array = self.params.input[..., : x.shape[-2], :]  # of a shorter batch, the first
        return rows.copy()

    def backward(self, delta: Array) -> Array | None:
        self.grads.input[...] = 0
        self.grads.input[..., : delta.shape[-2], :] = delta
        return delta if self.wants_input_delta else None

    def __repr__(self) -> str:
        return "the input"


class _Projection(Loss):
    """l = sum_k t_k z_k: sends the target back as delta."""

    def losses(self, prediction: Array, target: Array) -> Array:
        return (prediction * target).sum(axis=-1)  # type: ignore[no-any-return]

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        out[...] = target

    def __repr__(self) -> str:
        return "a sum with random factors"


def _model(layers: list[Layer], loss: Loss, seed: int) -> Any:
    from mlpgrad.model import Sequential

    return Sequential(layers, loss=loss, dtype=np.float64, random_state=seed)


def _checked(
    model: Any, x: Array, y: Any, seed: int, plan: Plan, subject: str, sample_weight: Any = None
) -> GradientReport:
    problem = ModelProblem(model, x, y, sample_weight)
    problem.leaves = [
        leaf._replace(name=_alone(leaf.name.removeprefix("layers[0].")).removeprefix("the layer."))
        for leaf in problem.leaves
    ]
    report = ModelChecker(problem, plan, seed, f"{subject}, {x.shape[-2]} rows").run()
    report.first_wrong = _alone(report.first_wrong)
    report.hints, report.warnings = (
        [_alone(t) for t in ts] for ts in (report.hints, report.warnings)
    )
    report.protocol = {verdict: _alone(text) for verdict, text in report.protocol.items()}
    return report


def _alone(text: str) -> str:
    """What is said of layer 1, after the input, said of the only layer and those inside it."""
    return re.sub(
        r"layers\[1(?:\.([\d.]+))?\]",
        lambda found: f"layers[{found[1]}]" if found[1] else "the layer",
        text,
    )
