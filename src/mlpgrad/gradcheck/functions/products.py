"""Checks of vector-Jacobian and Hessian-vector products, as gradients of scalar functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.gradcheck.checker import global_generators_kept
from mlpgrad.gradcheck.functions import trees
from mlpgrad.gradcheck.functions.black_box import BlackBox, outline, rounding_errors, scalar
from mlpgrad.gradcheck.functions.gradients import FunctionChecker, called, close, uncertain
from mlpgrad.gradcheck.numeric.derivative import Estimate, Noise, richardson
from mlpgrad.gradcheck.numeric.directions import Plan, second_point
from mlpgrad.gradcheck.numeric.norms import norm
from mlpgrad.gradcheck.numeric.problem import (
    BEYOND_DOMAIN,
    BadGradientError,
    is_wide,
    spread,
    stream,
)
from mlpgrad.gradcheck.report import GradientReport
from mlpgrad.gradcheck.verdicts import Verdict


@suggesting
def check_vjp(
    f: Callable[[Any], Any],
    vjp: Callable[[Any, Any], Any],
    x: Any,
    *,
    v: Any = None,
    seed: int = 0,
    directions: int = 3,
) -> GradientReport:
    """Compare `vjp(x, v)` with the numeric gradient of <v, f(x)>, for any function.

    Parameters
    ----------
    f : callable
        `f(x)` returns an array, or arrays nested in tuples, lists and dicts.
    vjp : callable
        `vjp(x, v)` returns v^T df/dx, nested like `x`, for `v` nested like `f(x)`.
    x : array, or nested arrays
        The point of the check.
    v : like `f(x)`, optional
        The vector of the product; by default Gaussian random numbers, smaller for larger outputs
        if those differ by several powers of ten. A constant vector hides mistakes, and for a
        softmax, whose outputs have a constant sum, it hides all of them.
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
    arguments.function(f, "f", "lambda x: np.tanh(x)")
    arguments.function(vjp, "vjp", "lambda x, v: v * (1 - np.tanh(x) ** 2)")
    point, rng, plan = trees.layout(x, "x")[1], stream(seed, 3), Plan(directions)
    plan.chosen()
    with global_generators_kept():
        template = f(trees.rebuild(x, point))
        given = None if v is None else _joined(_like(v, template, "v")).astype(np.float64)
        chosen = factors(f, x, template, rng) if given is None else given
    if not np.isfinite(chosen).all():
        raise ValueError("v expects finite numbers, got NaN or infinity")
    names = f"{called(f, 'f')}, {called(vjp, 'vjp')}, x{'' if v is None else ', v=v'}"
    checker = ProductChecker(lambda at: _arrays(f(at)), vjp, x, template, chosen, plan, seed)
    checker.report.subject = f"vector-Jacobian product of {getattr(f, '__name__', 'f')}"
    checker.report.reproduce = plan.call("check_vjp", names, seed)
    report = checker.run()
    if np.ptp(chosen) == 0 and chosen.size > 1:
        report.warnings.append(
            "NO_POWER: v is constant, which hides mistakes wherever the sum of the outputs is "
            "constant, as for a softmax; omit v to use a random one"
        )
    return report


@suggesting
def check_hvp(
    f_or_grad: Callable[[Any], Any],
    hvp: Callable[[Any, Any], Any],
    x: Any,
    *,
    seed: int = 0,
    directions: int = 3,
) -> GradientReport:
    """Compare `hvp(x, v)` with differences of the gradient along a random direction v.

    The reference is the gradient: H v is the gradient of <v, grad f(x)>, whose slopes are taken
    numerically. The gradient itself must therefore be correct; `check_gradient` checks it.

    Parameters
    ----------
    f_or_grad : callable
        The gradient of f, nested like `x`; or f itself if it returns `(value, gradient)`. If f
        returns only the value, its slope along v is computed numerically, and errors below 1e-5
        cannot be detected. A result of the shape of `x` is the gradient, also if `x` is a number.
    hvp : callable
        `hvp(x, v)` returns H v, nested like `x` and `v`.
    x : array, or nested arrays
        The point of the check.
    seed, directions
        As for `check_gradient`.

    Raises
    ------
    ValueError
        If `x` is a single number, and the product agrees with f only if f returns its value: the
        shape does not tell it from a gradient.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> bool(mg.check_hvp(lambda x: np.cos(x), lambda x, v: -np.sin(x) * v, np.arange(3.0)))
    True
    """
    arguments.function(f_or_grad, "f_or_grad", "lambda x: 2 * x")
    arguments.function(hvp, "hvp", "lambda x, v: 2 * v")
    (leaves, point), plan = trees.layout(x, "x"), Plan(directions)
    plan.chosen()
    sizes = spread(point, leaves)
    v = stream(seed, 3).standard_normal(point.size) * (sizes if is_wide(sizes) else 1.0)
    v /= norm(v)
    with global_generators_kept():
        along, rtol = slope_along(f_or_grad, x, v)
    names = f"{called(f_or_grad, 'f')}, {called(hvp, 'hvp')}, x"
    checker = ProductChecker(along, hvp, x, x, v, plan._replace(rtol=rtol), seed)
    checker.report.subject = f"Hessian-vector product of {getattr(f_or_grad, '__name__', 'f')}"
    checker.report.reproduce = plan.call("check_hvp", names, seed)
    report = checker.run()
    if point.size == 1 and not report:
        _check_reading(f_or_grad, hvp, x, v, seed)
    return report


def _check_reading(
    f: Callable[[Any], Any], hvp: Callable[..., Any], x: Any, v: Array, seed: int
) -> None:
    """Raise ValueError if what was read as the gradient of one number agrees as the value of f."""
    with global_generators_kept():
        sample = f(trees.rebuild(x, trees.layout(x)[1]))
        if isinstance(sample, (dict, tuple, list)) or not _fits(sample, x):
            return
        along, rtol = slope_of_values(f, x, v)
    if ProductChecker(along, hvp, x, x, v, Plan(rtol=rtol), seed).run():
        raise ValueError(
            f"check_hvp expects a gradient in the shape of x, {outline(x)}, got a result of that "
            f"shape that agrees with the product only as the value of f; give x as an array of "
            f"one element, as np.array([0.5]), and return the value as a number, such as "
            f"np.sin(x).sum(), or return (value, gradient)"
        )


Along = Callable[[Any], Sequence[Array]]
"""A function of x that returns arrays, whose scalar product with a vector is differentiated."""


class Product(BlackBox):
    """The scalar product of all arrays that f returns with `factors`."""

    role = result = "the product"
    factors: Array

    def number(self, value: Sequence[Array], *, complex_allowed: bool) -> Any:
        self.note_rounding(value, self.factors)
        return float(self.factors @ _joined(value))


class ProductChecker(FunctionChecker):
    """A check of a product with a vector `v`, which must be linear in `v`.

    Parameters
    ----------
    f : callable
        `f(x)` returns arrays; the gradient of their scalar product with `v` is the product.
    product : callable
        `product(x, v)`.
    x : array, or nested arrays
        The point of the check.
    template : array, or nested arrays
        The structure of `v`.
    v : array
        The values of `v` in one vector.
    """

    def __init__(
        self,
        f: Along,
        product: Callable[[Any, Any], Any],
        x: Any,
        template: Any,
        v: Array,
        plan: Plan,
        seed: int,
    ) -> None:
        self.product, self.template, self.v = product, template, v
        problem = Product(f, lambda at: self.multiply(at, 1.0), x, "x")
        problem.factors = v
        super().__init__(problem, plan, seed)

    def multiply(self, at: Any, factor: float) -> Any:
        """Return the product with `factor` v, and check that v is not changed."""
        v = trees.rebuild(self.template, factor * self.v)
        found = self.product(at, v)
        if not np.array_equal(_outputs(v), factor * self.v):
            self.problem.mutates = "the product changes its argument v; work on a copy"
        return found

    def protocol(self) -> Array | None:
        gradient = super().protocol()
        if gradient is None or self.report.protocol:
            return gradient
        problem = self.problem
        try:
            twice, nothing = (
                problem.flat(self.multiply(trees.rebuild(problem.tree, problem.point), factor))
                for factor in (-2.0, 0.0)
            )
            spare = uncertain(problem, self.value, gradient)
            parts = (leaf.slice for leaf in problem.leaves)
            linear = all(close(-2 * gradient[p], twice[p], spare[p], 1e-5) for p in parts)
            linear &= not nothing.any()
        except BadGradientError:
            linear = False
        if not linear:
            self.report.protocol[Verdict.NOT_LINEAR_IN_SEED] = (
                "the product with -2 v is not -2 times the product with v, or the product with 0 "
                "is not 0: v is ignored, normalized or clipped, or its sign is lost"
            )
        return gradient


def factors(f: Callable[[Any], Any], x: Any, template: Any, rng: np.random.Generator) -> Array:
    """Return a random factor for each output of f, whose sum is then differentiated.

    If outputs change by amounts of several scales, each is divided by its own amount, since
    rounding errors of the largest would hide mistakes in the others.
    """
    (leaves, point), outputs = trees.layout(x), _outputs(template)
    drawn = rng.standard_normal(outputs.size)
    rounding = np.concatenate([rounding_errors(part) for part in _arrays(template)])
    # outputs may be constant up to rounding, or too small for their dtype
    sizes = np.maximum(1e-3 * np.abs(outputs.astype(np.float64)), 1e4 * rounding)
    for _ in range(2):
        with suppress(*BEYOND_DOMAIN), np.errstate(all="ignore"):
            moved = _outputs(f(trees.rebuild(x, second_point(point, leaves, rng))))
            sizes = np.maximum(sizes, np.abs(moved - outputs))
    if not (np.isfinite(sizes).all() and is_wide(sizes)):
        return drawn
    typical = float(np.median(sizes[sizes > 0]))
    return drawn * typical / np.where(sizes > 0, sizes, typical)


def slope_along(f: Callable[[Any], Any], x: Any, v: Array) -> tuple[Along, float | None]:
    """Return grad f(x) as a function of x; only its part along v, with an error, if f has none."""
    point = trees.layout(x)[1]
    sample = f(trees.rebuild(x, point))
    if not _fits(sample, x) and isinstance(sample, tuple) and len(sample) == 2:
        return (lambda at: _like(f(at)[1], x, "the gradient")), None
    if _fits(sample, x) or isinstance(sample, (dict, tuple, list)) or np.ndim(sample):
        return (lambda at: _like(f(at), x, "the gradient")), None
    return slope_of_values(f, x, v)


def slope_of_values(f: Callable[[Any], Any], x: Any, v: Array) -> tuple[Along, float]:
    """Return the gradient's part along v of an f that returns its value, and its relative error."""
    leaves, point = trees.layout(x)

    def slope(center: Array, step: float) -> Estimate:
        """Return the slope along v by central differences, and its noise."""
        times = (1, -1, 2, -2, 4, -4)
        values = np.array(
            [float(scalar(f(trees.rebuild(x, center + t * step * v)))) for t in times]
        )
        eps = float(np.finfo(np.float64).eps)
        noise = Noise(float(values[0]), 0.0, eps)
        return richardson(values, step, noise)

    with np.errstate(all="ignore"):
        steps = 0.5 * norm(spread(point, leaves)) * 4.0 ** -np.arange(16)
        tried = []
        for step in steps[steps > 0]:
            with suppress(*BEYOND_DOMAIN):
                tried.append(slope(point, float(step)))
    errors = {e.step: e.bound / (abs(e.value) or 1.0) for e in tried if e.bound < np.inf}
    best, least = min(errors.items(), key=lambda item: item[1], default=(1.0, 1.0))
    error = max(1e-6, min(10 * least, 0.1))
    return (lambda at: [v * slope(trees.layout(at)[1], best).value]), error


def _arrays(tree: Any) -> list[Array]:
    """Return the arrays in the result of f."""
    arrays = [trees.as_array(leaf, name) for name, leaf in trees.leaves_of(tree, "f(x)")]
    if not sum(array.size for array in arrays):
        raise TypeError("f(x) expects at least one number, got none")
    if any(array.dtype.kind == "c" for array in arrays):
        raise TypeError("f(x) expects real numbers, got complex; return real and imaginary parts")
    return arrays


def _joined(arrays: Sequence[Array]) -> Array:
    """Return arrays as one vector."""
    return np.concatenate([array.ravel() for array in arrays])


def _outputs(tree: Any) -> Array:
    """Return the result of f as one vector."""
    return _joined(_arrays(tree))


def _fits(tree: Any, template: Any) -> bool:
    """Return whether a tree has the structure and the shapes of the template."""
    if not trees.same_structure(template, tree):
        return False
    pairs = zip(trees.leaves_of(tree, "", template), trees.leaves_of(template, ""), strict=True)
    return all(np.shape(a) == np.shape(b) for (_, a), (_, b) in pairs)


def _like(tree: Any, template: Any, name: str) -> list[Array]:
    """Return a tree's arrays; raise ValueError if it does not fit the template."""
    if not _fits(tree, template):
        raise ValueError(f"{name} expects the shapes {outline(template)}, got {outline(tree)}")
    return _arrays([leaf for _, leaf in trees.leaves_of(tree, "", template)])
