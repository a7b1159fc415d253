"""Checks of a model, of one layer and of one loss.

A layer or a loss is checked in a separate model, in which its input is a parameter.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from mlpgrad._core import arguments, checks
from mlpgrad._core.arrays import Array, Shape
from mlpgrad._core.described import suggesting
from mlpgrad.gradcheck.models.checker import ModelChecker
from mlpgrad.gradcheck.models.problem import ModelProblem
from mlpgrad.gradcheck.numeric.directions import Plan
from mlpgrad.gradcheck.numeric.problem import stream
from mlpgrad.gradcheck.report import GradientReport
from mlpgrad.initializers import Initializer, Zeros
from mlpgrad.layers.activations.base import Activation
from mlpgrad.layers.base import Layer
from mlpgrad.losses.base import Loss
from mlpgrad.network.boundary import inputs
from mlpgrad.network.network import Network


@suggesting
def check_gradients(
    model: Network,
    x: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    seed: int = 0,
    method: str = "auto",
    directions: int = 3,
    explain: bool = True,
) -> GradientReport:
    """Compare `model.backpropagate(x, y)` with numeric slopes, for every parameter array.

    The model is not changed: everything is computed on copies, in float64.

    Parameters
    ----------
    model : Sequential
        A model, which may have user-defined layers, activations, losses and penalties.
    x, y, sample_weight
        A batch as for `model.backpropagate`; 8 to 64 rows are enough.
    seed : int
        Seed of the random directions: the same seed gives the same report.
    method : {"auto", "central", "coordinates", "ridders", "complex"}
        "auto": central differences of order 6 along random directions, then Ridders' extrapolation
        if they are uncertain. "central" and "ridders": only the one or the other. "coordinates":
        as "auto", for every element. "complex": complex steps, exact to rounding, if all layers
        support complex numbers.
    directions : int
        Number of directions in each array; more directions detect rarer mistakes.
    explain : bool
        Whether to locate and explain a mistake.

    Returns
    -------
    GradientReport
        The report, which is truthy if the gradient is correct; print it.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 3), mg.Tanh(), mg.Dense(3, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> report = mg.check_gradients(model, x, y)
    >>> report.verdict.value, len(report.tensors)
    ('PASS', 4)
    """
    if not isinstance(model, Network):
        raise TypeError(
            f"model expects a Sequential, got {type(model).__name__}; for functions there is "
            f"check_gradient(f, grad, params)"
        )
    problem = ModelProblem(model, x, y, sample_weight)
    size = f"{len(model.layers)} layers, {problem.point.size:,} parameters"
    subject = f"{size}, {problem.rows} rows, {model.loss!r}"
    plan = Plan(directions, method, explain=arguments.flag(explain, "explain"))
    return _checked(problem, plan, seed, subject, "check_gradients", "model, x, y")


@suggesting
def check_layer(
    layer: Layer, x: Any = None, *, seed: int = 0, method: str = "auto", directions: int = 3
) -> GradientReport:
    """Compare a layer's backward with numeric slopes: its parameters and dL/dx.

    The layer is copied and gets random parameters (around its initial ones); L is a sum of its
    outputs with fixed random factors.

    Parameters
    ----------
    layer : Layer
        A layer, which may be user-defined and may belong to a model.
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
    rng = stream(seed, 2)
    inner = copy.deepcopy(arguments.instance(layer, "layer", Layer, "Dense(4, 3)"))
    values = rng.standard_normal((6, inner.in_features or 5)) if x is None else x
    values = inputs(values, inner.in_features, (), np.dtype(float)).astype(float)
    name = "dL/dx" if "input" in inner.parameters() else "input"
    layers = [_Input(name, values), inner]
    model = Network(layers, loss=_Projection(), dtype=np.float64, random_state=seed)
    model.params += 0.1 * rng.standard_normal(model.params.shape)
    model.params[: values.size] = values.ravel()
    target = rng.standard_normal((len(values), inner.out_features or values.shape[-1]))
    problem = ModelProblem(model, values, target, name=_alone)
    problem.strict_kinks = isinstance(inner, Activation)
    subject, given = f"{layer!r}, {problem.rows} rows", "layer" + ", x" * (x is not None)
    return _checked(problem, Plan(directions, method), seed, subject, "check_layer", given)


@suggesting
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
        A loss, which may be user-defined.
    prediction : array (B, O), optional
        By default, prediction and target are those of `type(loss).example()`.
    target : array, optional
        The target in the form that the loss takes; give it together with `prediction`.
    sample_weight : array (B,), optional
    seed, method, directions
        As for `check_gradients`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> bool(mg.check_loss(mg.HalfSquaredError()))
    True
    """
    arguments.instance(loss, "loss", Loss, "HalfSquaredError()")
    given = prediction is not None
    if given != (target is not None):
        one, other = ("prediction", "target") if given else ("target", "prediction")
        raise TypeError(f"check_loss got {one} without {other}; give both, or neither")
    if not given:
        _, prediction, target = type(loss).example()
        width = loss.target_features(prediction.shape[-1])
        if not loss.classifies and target.shape[-1] != width:  # its options are not the example's
            target = np.cos(3 * prediction[:, :width])
    values = _prediction(loss, prediction)
    source = _Input("prediction", values)
    source.gives_probabilities = loss.expects_probabilities
    model = Network([source], loss=copy.deepcopy(loss), dtype=np.float64, random_state=seed)
    model.params[...] = values.ravel()
    problem = ModelProblem(model, values, target, sample_weight, name=_alone)
    problem.strict_kinks = True
    subject, names = f"{loss!r}, {problem.rows} rows", "loss" + ", prediction, target" * given
    return _checked(problem, Plan(directions, method), seed, subject, "check_loss", names)


class _Input(Layer):
    """A layer whose parameter is its output: dL/dx becomes the gradient of a parameter."""

    def __init__(self, name: str, values: Array) -> None:
        self.name, self.values = name, values
        self.out_features = values.shape[-1]

    def parameters(self) -> dict[str, tuple[Shape, Initializer]]:
        return {self.name: (self.values.shape, Zeros())}

    def forward(self, x: Array) -> Array:
        rows: Array = self.params[self.name][..., : x.shape[-2], :]  # the first of a shorter batch
        return rows.copy()

    def backward(self, delta: Array) -> Array | None:
        gradient = self.grads[self.name]
        gradient[...] = 0
        gradient[..., : delta.shape[-2], :] = delta
        return delta if self.wants_input_delta else None

    def __repr__(self) -> str:
        return "the input"


def _prediction(loss: Loss, prediction: Any) -> Array:
    """The prediction in float64; raise an error if the loss is not defined there."""
    values = checks.numeric(prediction, "prediction")
    checks.real(values, "prediction", np.dtype(float))
    checks.finite(values, "prediction", np.dtype(float))
    if values.ndim != 2:
        raise ValueError(f"prediction expects shape (samples, outputs), got {values.shape}")
    beyond = values[(values < 0) | (values > 1)]
    if loss.expects_probabilities and beyond.size:
        raise ValueError(
            f"{loss!r} expects probabilities from 0 to 1 as its prediction, got {beyond[0]}; "
            f"apply a sigmoid or a softmax, or check a loss on logits"
        )
    return values.astype(float)


class _Projection(Loss):
    """l = sum_k t_k z_k: sends the target back as delta."""

    def losses(self, prediction: Array, target: Array) -> Array:
        return (prediction * target).sum(axis=-1)  # type: ignore[no-any-return]

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        out[...] = target


def _checked(
    problem: ModelProblem, plan: Plan, seed: int, subject: str, function: str, arguments: str
) -> GradientReport:
    """The report, with the line of code that repeats the check."""
    weights = "" if problem.batch[2] is None else ", sample_weight=sample_weight"
    again = plan.call(function, arguments + weights, seed)
    return ModelChecker(problem, plan, seed, subject, again).run()


def _alone(position: str) -> str:
    """The name of a layer inside the one that is checked; none for that layer itself."""
    inner = position.partition(".")[2]
    return f"layers[{inner}]" if inner else ""
