"""The check of the gradient of any function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.gradcheck.checker import Checker, not_finite
from mlpgrad.gradcheck.functions.black_box import BlackBox
from mlpgrad.gradcheck.functions.tolerance import tolerance_hint
from mlpgrad.gradcheck.numeric.directions import Place, Plan, second_point
from mlpgrad.gradcheck.numeric.problem import BadGradientError, spread, stream
from mlpgrad.gradcheck.report import GradientReport
from mlpgrad.gradcheck.verdicts import Verdict


@suggesting
def check_gradient(
    f: Callable[[Any], Any],
    grad: Callable[[Any], Any] | None,
    params: Any,
    *,
    seed: int = 0,
    method: str = "auto",
    directions: int = 3,
    rtol: float | None = None,
) -> GradientReport:
    """Compare `grad(params)` with the slopes of `f(params)` along random directions.

    Parameters
    ----------
    f : callable
        `f(params) -> float`. Beyond its domain it may return NaN, or raise an ArithmeticError, a
        ValueError or a RuntimeError, such as the LinAlgError of NumPy or PyTorch; then points there
        are left out.
    grad : callable or None
        `grad(params)` returns arrays nested like `params`. Pass None if f returns
        `(value, gradient)`.
    params : array, float, or nested tuple, list or dict of those
        The point of the check. f and grad get new NumPy arrays in float64, whatever library the
        arrays are from (f in complex128 for complex steps); grad also gets them in the dtype of
        `params` if that is narrower.
    seed : int
        Seed of the random directions: the same seed gives the same report.
    method : {"auto", "central", "coordinates", "ridders", "complex"}
        "auto": central differences of order 6, then Ridders' extrapolation if they are uncertain,
        then, where f rounds to fewer digits than float64, integrals of the gradient.
        "central" and "ridders": only the one or the other. "coordinates": as "auto", for every
        element. "complex": complex steps, exact to rounding, if f supports complex numbers.
    directions : int
        Number of directions in each array; more directions detect rarer mistakes.
    rtol : float, optional
        Relative tolerance of the gradient; by default only rounding errors are tolerated.

    Returns
    -------
    GradientReport
        The report, which is truthy if the gradient is correct.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> def f(p):
    ...     return np.sum(np.sin(p["a"])) + p["b"] @ p["b"]
    >>> def grad(p):
    ...     return {"a": np.cos(p["a"]), "b": 2 * p["b"]}
    >>> params = {"a": np.arange(3.0), "b": np.ones(4)}
    >>> bool(mg.check_gradient(f, grad, params))
    True
    >>> def wrong(p):
    ...     return {"a": np.cos(p["a"]), "b": p["b"]}
    >>> report = mg.check_gradient(f, wrong, params)
    >>> report["params['b']"].verdict.value
    'FAIL'
    >>> report.hints
    ["the gradient of params['b'] is 0.5 times the correct one: an extra factor of 1/2"]
    """
    arguments.function(f, "f", "lambda p: float((p**2).sum())")
    if grad is not None:
        arguments.function(grad, "grad", "lambda p: 2 * p")
    plan = Plan(directions, method, rtol)
    names = f"{called(f, 'f')}, {called(grad, 'grad') if grad is not None else None}"
    again = plan.call("check_gradient", f"{names}, params", seed)
    problem = BlackBox(f, grad, params)
    return FunctionChecker(problem, plan, seed, f"gradient of {problem.label}", again).run()


def called(function: Any, role: str) -> str:
    """Return the name of a function as code, or its role if it has none."""
    name = getattr(function, "__name__", role)
    return name if name.isidentifier() else role


class FunctionChecker(Checker):
    """A check of a black box."""

    problem: BlackBox

    def protocol(self) -> Array | None:
        """Compare gradients at the same point, also after a call at another point."""
        problem, report = self.problem, self.report
        try:
            gradient = self.exact_gradient()
            again = problem.gradient(problem.point)
            problem.value(second_point(problem.point, problem.leaves, stream(1, 1)))
            later = problem.gradient(problem.point)
        except BadGradientError as bad:
            report.protocol[bad.verdict] = str(bad)
            return None
        finally:
            if problem.mutates:
                report.protocol[Verdict.MUTATES_INPUT] = problem.mutates
        report.protocol |= not_finite(problem.leaves, gradient)
        report.protocol |= repeated(problem, self.value, (gradient, again, later))
        return gradient

    def explain(self, place: Place) -> None:
        """Locate the mistake, and add hints; that f has a tolerance replaces all others."""
        super().explain(place)
        before = self.problem.passes
        seen = (finding for tensor in self.report.tensors for finding in tensor.findings)
        found = tolerance_hint(self.problem, place, seen)
        self.report.hint_passes += self.problem.passes - before
        if found:
            self.report.hints, self.report.codes = [found.text], [found.code]

    def exact_gradient(self) -> Array:
        """Return the gradient in float64 if possible, else in the user's precision."""
        problem = self.problem
        try:
            gradient = problem.gradient(problem.point)
        except Exception:
            if problem.own_dtype.itemsize >= 8:
                raise
            problem.lifts = False
            gradient = problem.gradient(problem.point)
        pairs = list(zip(problem.leaves, problem.computed, strict=True))
        for leaf, computed in pairs:
            if leaf.size and computed.itemsize < 8 <= leaf.dtype.itemsize:
                text = (
                    f"the gradient of {leaf.name} has dtype {computed}, the parameter "
                    f"{leaf.dtype}; compute in one precision, or pass {computed} parameters"
                )
                raise BadGradientError(Verdict.DTYPE, text)
        problem.leaves = [leaf._replace(gradient_dtype=computed) for leaf, computed in pairs]
        problem.gradient_dtype = np.result_type(*(d for leaf, d in pairs if leaf.size))
        problem.lifts &= problem.gradient_dtype.itemsize >= 8
        return gradient


def repeated(problem: BlackBox, value: float, calls: Sequence[Array]) -> dict[Verdict, str]:
    """Compare the gradients of a second and a third call with the first, array by array."""
    first, again, later = map(np.nan_to_num, calls)
    spare = uncertain(problem, value, first)
    for leaf in problem.leaves:
        a, b, c, least = first[leaf.slice], again[leaf.slice], later[leaf.slice], spare[leaf.slice]
        of = f" of {leaf.name}" if len(problem.leaves) > 1 else ""
        if not close(a, b, least):
            if close(2 * a, b, least):
                text = f"the second call gives twice the gradient{of}; overwrite instead of adding"
                return {Verdict.ACCUMULATES: text}
            text = f"a second call with the same arguments changes the gradient{of}"
            return {Verdict.NON_REENTRANT: text}
        if not close(a, c, least):
            text = f"the gradient{of} changes after a call with other parameters; store nothing"
            return {Verdict.STALE_CACHE: text}
    return {}


def uncertain(problem: BlackBox, value: float, gradient: Array) -> Array:
    """Return how much each element may change by rounding, since calls may add in another order.

    Terms of all arrays may nearly cancel in one element, so the largest change of f when a
    parameter moves by its own size counts, in units of each parameter.
    """
    sizes, eps = spread(problem.point, problem.leaves), np.finfo(problem.gradient_dtype).eps
    largest = max(abs(value), float(np.abs(gradient * sizes).max(initial=0)))
    most = 1e-6 * float(np.abs(gradient).max(initial=0))
    spare: Array = np.minimum(64 * float(eps) * largest / sizes, most)
    return spare


def close(a: Array, b: Array, spare: Array, rtol: float = 1e-6) -> bool:
    """Return whether two gradients of one array are equal up to rounding."""
    return bool((np.abs(a - b) <= rtol * np.abs(a).max(initial=0) + spare).all())
