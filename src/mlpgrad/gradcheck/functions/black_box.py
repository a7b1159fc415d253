"""Any function of any arrays, with its gradient, as a problem to check."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.functions import trees
from mlpgrad.gradcheck.numeric.norms import norm
from mlpgrad.gradcheck.numeric.problem import BadGradientError, Problem
from mlpgrad.gradcheck.verdicts import Verdict

Function = Callable[[Any], Any]


class BlackBox(Problem):
    """`f(params) -> float` and `grad(params)`; with `grad=None`, f returns both."""

    role, result = "grad", "the gradient"
    """The names of the function under test and of what it returns, in messages."""

    def __init__(
        self, f: Function, grad: Function | None, params: Any, name: str = "params"
    ) -> None:
        self.f, self.grad, self.tree, self.name = f, grad, params, name
        self.leaves, self.point = trees.layout(params, name)
        dtypes = (leaf.dtype for leaf in self.leaves if leaf.size)
        self.own_dtype = min(dtypes, key=lambda dtype: dtype.itemsize)
        self.label = getattr(f, "__name__", type(f).__name__)
        self.mutates = ""

    # the value

    def evaluate(self, point: Array) -> tuple[Any, bool]:
        value = self.watched(self.f, "f", trees.rebuild(self.tree, point))
        if self.grad is None:
            value = _pair(value)[0]
        return self.number(value, complex_allowed=point.dtype.kind == "c"), False

    def number(self, value: Any, *, complex_allowed: bool) -> Any:
        """The result of f as one number."""
        number = scalar(value, complex_allowed=complex_allowed)
        self.note_rounding([trees.as_array(value, "the value of f")], np.ones(1))
        return number

    def note_rounding(self, values: Sequence[Array], factors: Array) -> None:
        """Note the rounding error of the sum of f's values, times factors, as their dtypes show."""
        short = [short_eps(part.dtype) for part in values]
        if any(short):
            eps = np.repeat(short, [part.size for part in values])
            terms = np.concatenate([part.astype(np.float64).ravel() for part in values]) * factors
            errors = np.concatenate([rounding_errors(part) for part in values]) * factors
            self.value_eps = norm(eps * terms) / (norm(terms) or 1.0)
            self.value_rounding = norm(errors) / math.sqrt(12)  # a standard deviation

    def watched(self, function: Function, who: str, argument: Any) -> Any:
        """Call a function, and note whether it changes its argument."""
        given = trees.leaves_of(argument, self.name)
        before = [trees.as_array(leaf, name).copy() for name, leaf in given]
        result = function(argument)
        now = list(trees.leaves_of(argument, self.name))
        if len(now) != len(before):
            self.mutates = f"{who} adds arrays to its argument or removes some; work on a copy"
            return result
        for (name, leaf), old in zip(now, before, strict=True):
            if not np.array_equal(trees.as_array(leaf, name), old, equal_nan=True):
                self.mutates = f"{who} changes its argument {name}; work on a copy"
        return result

    # the gradient

    def gradient(self, point: Array) -> Array:
        return self._gradient(point, own_dtype=not self.lifts)

    def own_gradient(self, point: Array) -> Array:
        return self._gradient(point, own_dtype=True)

    def _gradient(self, point: Array, *, own_dtype: bool) -> Array:
        argument = trees.rebuild(self.tree, point, own_dtype)
        if self.grad is None:
            return self.flat(_pair(self.watched(self.f, "f", argument))[1])
        return self.flat(self.watched(self.grad, self.role, argument))

    def flat(self, found: Any) -> Array:
        """Return the gradient as a flat vector; raise BadGradientError if it does not fit."""
        if found is None:
            like = f"{self.result} must be like {self.name}"
            raise TypeError(f"{like}, got None; is a return missing?")
        if not trees.same_structure(self.tree, found):
            raise BadGradientError(
                Verdict.SHAPE,
                f"the gradient's structure {outline(found)} is not that of the parameters "
                f"{outline(self.tree)}; return one array for each parameter, nested alike",
            )
        arrays = []
        for leaf, (_, part) in zip(self.leaves, trees.leaves_of(found, "", self.tree), strict=True):
            name = f"gradient of {leaf.name}"
            array = trees.as_array(part, name)
            if array.shape != leaf.shape:
                text = f"{name} has shape {array.shape}, the parameter {leaf.shape}"
                raise BadGradientError(Verdict.SHAPE, text)
            if array.dtype.kind != "f":
                text = f"{name} has dtype {array.dtype}, the parameter {leaf.dtype}"
                raise BadGradientError(Verdict.DTYPE, text)
            arrays.append(array)
        self.computed = [array.dtype for array in arrays]
        return np.concatenate([array.astype(np.float64).ravel() for array in arrays])


def short_eps(dtype: np.dtype[Any]) -> float:
    """The eps of a floating-point dtype that is shorter than float64, else 0."""
    return float(np.finfo(dtype).eps) if dtype.kind == "f" and dtype.itemsize < 8 else 0.0


def rounding_errors(values: Array) -> Array:
    """The distance from each value to the next in its dtype; 0 in float64."""
    eps = short_eps(values.dtype)
    least = float(np.finfo(values.dtype).tiny) if eps else 0.0
    return eps * np.maximum(np.abs(values.astype(np.float64)).ravel(), least)


def _pair(result: Any) -> tuple[Any, Any]:
    """Return `(value, gradient)` from the result of an f that returns both."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise TypeError(
            f"without grad, f must return (value, gradient), got {type(result).__name__}; "
            f"pass grad= or return both"
        )
    return result[0], result[1]


def scalar(value: Any, *, complex_allowed: bool = False) -> Any:
    """Return the result of f as a number; raise TypeError if it is not one real number."""
    if value is None:
        raise TypeError("f must return a number, got None; is a return missing?")
    pair = isinstance(value, tuple) and len(value) == 2
    try:
        array = trees.as_array(value, "the value of f")
    except TypeError:
        if hasattr(value, "detach"):  # a tensor, in a dtype that NumPy does not have
            raise
        array = np.empty(0, bool)
    if pair or array.dtype.kind == "b":
        fix = "; if it returns (value, gradient), pass None as grad" if pair else ""
        raise TypeError(f"f must return one number, got {arguments.shown(value)}{fix}")
    if array.size != 1:
        raise TypeError(
            f"f must return one number, got an array of shape {array.shape}; sum it with "
            f"fixed weights, or use check_vjp for functions with array outputs"
        )
    number = array.reshape(()).item()
    if isinstance(number, complex) and not complex_allowed:
        raise TypeError(f"f must return a real number, got {number}; return its real part")
    return number


def outline(tree: Any) -> str:
    """Return the structure of a tree in a few characters: `{'w': (3, 2), 'b': (2,)}`."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {outline(branch)}" for key, branch in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        return "[" + ", ".join(map(outline, tree)) + "]"
    return str(np.shape(tree)) if hasattr(tree, "shape") else type(tree).__name__
