"""Checks of vector-Jacobian and Hessian-vector products, as gradients of scalar functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpgrad._arrays import Array
from mlpgrad.gradcheck.black_box import BlackBox
from mlpgrad.gradcheck.checker import global_generators_kept
from mlpgrad.gradcheck.engine import Plan
from mlpgrad.gradcheck.functions import FunctionChecker
from mlpgrad.gradcheck.report import GradientReport
from mlpgrad.gradcheck.trees import as_array, in_order, layout, leaves_of, rebuild, same_structure
from mlpgrad.gradcheck.verdicts import Verdict


def check_vjp(
    f: Callable[[Any], Any],
    vjp: Callable[[Any, Any], Any],
    x: Any,
    *,
    v: Any = None,
    seed: int = 0,
    directions: int = 3,
) -> GradientReport:
    """Compare `vjp(x, v)` with the numeric gradient of <v, f(x)>: the backward of any function.

    Parameters
    ----------
    f : callable
        `f(x)` gives an array, or arrays nested in tuples, lists and dicts.
    vjp : callable
        `vjp(x, v)` gives v^T df/dx, nested like `x`, for `v` nested like `f(x)`.
    x : array, or nested arrays
        Where to check.
    v : like `f(x)`, optional
        The delta to send back; by default Gaussian random numbers. All ones hide mistakes, such
        as any at all in the backward of a softmax, whose sum is constant.
    seed, directions
        As for `check_gradient`.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> w = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> report = mg.check_vjp(lambda x: np.tanh(x @ w),
    ...                       lambda x, v: (v * (1 - np.tanh(x @ w) ** 2)) @ w.T,
    ...                       np.array([[0.1, -0.2, 0.3]]))
    >>> bool(report)
    True
    """
    with global_generators_kept():
        _, values = _outputs(f(rebuild(x, layout(x, "x")[1])))
        template = f(rebuild(x, layout(x, "x")[1]))
    rng = np.random.default_rng(seed)
    chosen = rng.standard_normal(values.size) if v is None else _like(v, template, "v")
    problem = BlackBox(
        lambda at: float(chosen @ _outputs(f(at))[1]),
        lambda at: vjp(at, rebuild(template, chosen)),
        x,
        "x",
    )
    problem.label = getattr(f, "__name__", "f")
    checker = ProductChecker(
        problem, Plan(directions), seed, f"vector-Jacobian product of {problem.label}"
    )
    checker.product = lambda factor: problem._flat(
        vjp(rebuild(x, problem.point), rebuild(template, factor * chosen))
    )
    report = checker.run()
    if np.ptp(chosen) == 0 and chosen.size > 1:
        report.warnings.append(
            "NO_POWER: v is constant, which hides mistakes wherever the sum of the outputs is "
            "constant, as for a softmax; leave v out to have a random one"
        )
    report.reproduce = (
        f"mg.check_vjp({problem.label}, {getattr(vjp, '__name__', 'vjp')}, x, seed={seed})"
    )
    return report


def check_hvp(
    f_or_grad: Callable[[Any], Any],
    hvp: Callable[[Any, Any], Any],
    x: Any,
    *,
    seed: int = 0,
    directions: int = 3,
) -> GradientReport:
    """Compare `hvp(x, v)` with the numeric gradient of <v, grad f(x)>, which is H v.

    Parameters
    ----------
    f_or_grad : callable
        The gradient (nested like `x`), or a function that returns `(value, gradient)`, or one
        that returns only the value: then its slope along v is taken numerically first, and
        errors below 1e-5 cannot be seen.
    hvp : callable
        `hvp(x, v)` gives H v, nested like `x`, as `v` is.
    x : array, or nested arrays
        Where to check.
    seed, directions
        As for `check_gradient`.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> bool(mg.check_hvp(lambda x: np.cos(x), lambda x, v: -np.sin(x) * v, np.arange(3.0)))
    True
    """
    _, point = layout(x, "x")
    v = np.random.default_rng(seed).standard_normal(point.size)
    v /= np.linalg.norm(v)
    with global_generators_kept():
        sample = f_or_grad(rebuild(x, point))
    kind = _kind(sample, x)

    def along(at: Any) -> float:
        """The slope of f along v."""
        if kind == "value":
            center, h = layout(at)[1], 1e-2
            f = [float(f_or_grad(rebuild(x, center + t * h * v))) for t in (1, -1, 2, -2, 4, -4)]
            d1, d2, d4 = (f[0] - f[1]) / 2, (f[2] - f[3]) / 4, (f[4] - f[5]) / 8
            return (64 * d1 - 20 * d2 + d4) / (45 * h)
        gradient = f_or_grad(at)[1] if kind == "pair" else f_or_grad(at)
        return float(v @ _like(gradient, x, "the gradient"))

    problem = BlackBox(along, lambda at: hvp(at, rebuild(x, v)), x, "x")
    problem.label = getattr(f_or_grad, "__name__", "f")
    plan = Plan(directions, rtol=1e-6 if kind == "value" else None)
    checker = ProductChecker(problem, plan, seed, f"Hessian-vector product of {problem.label}")
    checker.product = lambda factor: problem._flat(hvp(rebuild(x, point), rebuild(x, factor * v)))
    report = checker.run()
    report.reproduce = (
        f"mg.check_hvp({problem.label}, {getattr(hvp, '__name__', 'hvp')}, x, seed={seed})"
    )
    return report


class ProductChecker(FunctionChecker):
    """A check of a product with a vector `v`, in which it must be linear."""

    product: Callable[[float], Array]

    def protocol(self) -> Array | None:
        gradient = super().protocol()
        if gradient is None or self.report.protocol:
            return gradient
        size = np.abs(gradient).max(initial=0)
        twice, nothing = self.product(2.0), self.product(0.0)
        if np.abs(twice - 2 * gradient).max(initial=0) > 1e-5 * size or nothing.any():
            self.report.protocol[Verdict.NOT_LINEAR_IN_SEED] = (
                "the product with 2 v is not twice that with v, or with 0 not 0: v is ignored, "
                "normalised or clipped on the way"
            )
        return gradient


def _outputs(tree: Any) -> tuple[list[Any], Array]:
    """Shapes and values of what f returned."""
    arrays = [as_array(leaf, name) for name, leaf in leaves_of(tree, "f(x)")]
    return [array.shape for array in arrays], np.concatenate([array.ravel() for array in arrays])


def _like(tree: Any, template: Any, name: str) -> Array:
    """A tree's values as a vector, refused where its shapes are not those of the template."""
    if same_structure(template, tree):
        shapes, values = _outputs(list(in_order(template, tree)))
        if shapes == [np.shape(leaf) for _, leaf in leaves_of(template, "")]:
            return values.astype(np.float64)
    raise ValueError(f"{name} expects arrays with the shapes of the template, got others")


def _kind(sample: Any, x: Any) -> str:
    """Whether a function gives the value, the gradient or both."""

    def number(tree: Any) -> bool:
        return not isinstance(tree, (dict, tuple, list)) and np.ndim(tree) == 0

    if number(sample) and not number(x):
        return "value"
    if isinstance(sample, tuple) and len(sample) == 2 and number(sample[0]):
        return "pair"
    return "gradient"
