"""Checks of vector-Jacobian and Hessian-vector products, as gradients of scalar functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.black_box import BlackBox
from mlpgrad.gradcheck.checker import global_generators_kept
from mlpgrad.gradcheck.derivative import richardson
from mlpgrad.gradcheck.engine import Plan
from mlpgrad.gradcheck.functions import FunctionChecker, called
from mlpgrad.gradcheck.problem import BadGradientError, norm, spread
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
    subject = f"vector-Jacobian product of {getattr(f, '__name__', 'f')}"
    checker = ProductChecker(
        lambda at: float(chosen @ _outputs(f(at))[1]),
        lambda at, factor: (vjp, at, rebuild(template, factor * chosen)),
        x,
        Plan(directions),
        seed,
        subject,
    )
    report = checker.run()
    if np.ptp(chosen) == 0 and chosen.size > 1:
        report.warnings.append(
            "NO_POWER: v is constant, which hides mistakes wherever the sum of the outputs is "
            "constant, as for a softmax; leave v out to have a random one"
        )
    arguments = f"{called(f, 'f')}, {called(vjp, 'vjp')}, x{'' if v is None else ', v=v'}"
    report.reproduce = Plan(directions).call("check_vjp", arguments, seed)
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
    plan, options = Plan(directions), {}
    with global_generators_kept():
        kind = _kind(f_or_grad(rebuild(x, point)), x)
        if kind == "value":
            options["step"], error = _best_step(lambda p: float(f_or_grad(rebuild(x, p))), point, v)
            plan = plan._replace(rtol=max(1e-6, min(10 * error, 0.1)))

    def along(at: Any) -> float:
        """The slope of f along v."""
        if kind == "value":
            center = layout(at)[1]
            return _slope(lambda p: float(f_or_grad(rebuild(x, p))), center, v, **options)[0]
        gradient = f_or_grad(at)[1] if kind == "pair" else f_or_grad(at)
        return float(v @ _like(gradient, x, "the gradient"))

    subject = f"Hessian-vector product of {getattr(f_or_grad, '__name__', 'f')}"
    checker = ProductChecker(
        along, lambda at, factor: (hvp, at, rebuild(x, factor * v)), x, plan, seed, subject
    )
    report = checker.run()
    arguments = f"{called(f_or_grad, 'f')}, {called(hvp, 'hvp')}, x"
    report.reproduce = Plan(directions).call("check_hvp", arguments, seed)
    return report


Call = tuple[Callable[[Any, Any], Any], Any, Any]


class ProductChecker(FunctionChecker):
    """A check of a product with a vector `v`, in which it must be linear."""

    def __init__(
        self,
        f: Callable[[Any], float],
        send: Callable[[Any, float], Call],
        x: Any,
        plan: Plan,
        seed: int,
        subject: str,
    ) -> None:
        self.send = send
        problem = BlackBox(f, lambda at: self.multiply(at, 1.0), x, "x")
        super().__init__(problem, plan, seed, subject)

    def multiply(self, at: Any, factor: float) -> Any:
        """The product with `factor` v, and whether v is as it was afterwards."""
        function, at, v = self.send(at, factor)
        before = _outputs(v)[1]
        found = function(at, v)
        if not np.array_equal(_outputs(v)[1], before):
            self.problem.mutates = "the product changes its argument v; work on a copy"
        return found

    def protocol(self) -> Array | None:
        gradient = super().protocol()
        if gradient is None or self.report.protocol:
            return gradient
        size = np.abs(gradient).max(initial=0)
        try:
            twice, nothing = (self._at_point(factor) for factor in (2.0, 0.0))
            linear = np.abs(twice - 2 * gradient).max(initial=0) <= 1e-5 * size
            linear &= not nothing.any()
        except BadGradientError:
            linear = False
        if not linear:
            self.report.protocol[Verdict.NOT_LINEAR_IN_SEED] = (
                "the product with 2 v is not twice that with v, or with 0 not 0: v is ignored, "
                "normalised or clipped on the way"
            )
        return gradient

    def _at_point(self, factor: float) -> Array:
        problem = self.problem
        return problem._flat(self.multiply(rebuild(problem.tree, problem.point), factor))


def _slope(
    f: Callable[[Array], float], center: Array, v: Array, step: float
) -> tuple[float, float]:
    """The slope of f along v by central differences of order 6, and a bound on its error."""
    values = np.array([f(center + t * step * v) for t in (1, -1, 2, -2, 4, -4)])
    noise = float(np.finfo(np.float64).eps * np.abs(values).max())
    return richardson(values, step, noise)


def _best_step(f: Callable[[Array], float], center: Array, v: Array) -> tuple[float, float]:
    """The step with the least error of the slope along v, and that error relative to the slope."""
    best = 1.0, float("inf")
    for step in 0.5 * norm(spread(center)) * 4.0 ** -np.arange(16):
        with np.errstate(all="ignore"):
            slope, bound = _slope(f, center, v, float(step))
        relative = bound / (abs(slope) or 1.0)
        if relative < best[1]:
            best = float(step), relative
    return best


def _outputs(tree: Any) -> tuple[list[Any], Array]:
    """Shapes and values of what f returned."""
    arrays = [as_array(leaf, name) for name, leaf in leaves_of(tree, "f(x)")]
    if not arrays:
        raise TypeError("f(x) expects at least one array, got none")
    values = np.concatenate([array.ravel() for array in arrays])
    if values.dtype.kind == "c":
        raise TypeError("f(x) expects real numbers, got complex ones; return both parts")
    return [array.shape for array in arrays], values


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

    def shapes(tree: Any) -> list[Any]:
        return [np.shape(leaf) for _, leaf in leaves_of(tree, "")]

    if same_structure(x, sample) and shapes(x) == shapes(sample):
        return "gradient"
    if number(sample):
        return "value"
    return "pair" if isinstance(sample, tuple) and len(sample) == 2 else "gradient"
