"""Any function of any arrays, with its gradient, as a problem to check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.derivative import Answers
from mlpgrad.gradcheck.probes import ComplexStepError
from mlpgrad.gradcheck.problem import BadGradientError, Problem, Request, complex_steps, displaced
from mlpgrad.gradcheck.trees import as_array, in_order, layout, leaves_of, rebuild, same_structure
from mlpgrad.gradcheck.verdicts import Verdict


class BlackBox(Problem):
    """`f(params) -> float` and `grad(params)`; with `grad=None`, f returns both."""

    def __init__(
        self,
        f: Callable[[Any], Any],
        grad: Callable[[Any], Any] | None,
        params: Any,
        name: str = "params",
    ) -> None:
        self.f, self.grad, self.tree = f, grad, params
        self.leaves, self.point = layout(params, name)
        if not len(self.point):
            raise ValueError("params expects at least one number, got none: nothing to check")
        self.own_dtype = np.result_type(*(leaf.dtype for leaf in self.leaves if leaf.size))
        self.label = getattr(f, "__name__", type(f).__name__)
        self.mutates = ""

    # the value

    def values(self, point: Array, requests: Sequence[Request]) -> Answers:
        complex_ = complex_steps(requests)
        buffer = np.empty(len(point), np.complex128 if complex_ else np.float64)
        try:
            found = [self._value(displaced(point, request, buffer)) for request in requests]
        except TypeError as error:
            if complex_:
                raise ComplexStepError(f"f refuses complex numbers ({error})") from error
            raise
        self.passes += len(found)
        return np.array(found), np.zeros(len(found), bool)

    def _value(self, vector: Array) -> float:
        arguments = rebuild(self.tree, vector)
        before = [as_array(leaf, "params").copy() for _, leaf in leaves_of(arguments, "params")]
        value = self.f(arguments)
        self._note_changes(arguments, before, "f")
        if self.grad is None:
            value = _pair(value)[0]
        number: float = scalar(value, complex_allowed=vector.dtype.kind == "c")
        return number

    # the gradient

    def gradient(self, point: Array) -> Array:
        return self._gradient(rebuild(self.tree, point, own_dtype=self.gradient_dtype.itemsize < 8))

    def own_gradient(self, point: Array) -> Array:
        return self._gradient(rebuild(self.tree, point, own_dtype=True))

    def _gradient(self, arguments: Any) -> Array:
        before = [as_array(leaf, "params").copy() for _, leaf in leaves_of(arguments, "params")]
        found = _pair(self.f(arguments))[1] if self.grad is None else self.grad(arguments)
        self._note_changes(arguments, before, "grad")
        return self._flat(found)

    def _flat(self, found: Any) -> Array:
        """The gradient as a flat vector, refused where it does not fit the parameters."""
        if found is None:
            raise TypeError("the gradient expects arrays like params, got None; return it")
        if not same_structure(self.tree, found):
            raise BadGradientError(
                Verdict.SHAPE,
                f"the gradient's structure {outline(found)} is not that of the parameters "
                f"{outline(self.tree)}; return one array for each parameter, nested alike",
            )
        parts = []
        self.gradient_dtypes = []
        for leaf, part in zip(self.leaves, in_order(self.tree, found), strict=True):
            array = as_array(part, f"gradient of {leaf.name}")
            if array.shape != leaf.shape:
                raise BadGradientError(
                    Verdict.SHAPE,
                    f"gradient of {leaf.name} has shape {array.shape}, the parameter {leaf.shape}",
                )
            if array.dtype.kind != "f":
                raise BadGradientError(
                    Verdict.DTYPE,
                    f"gradient of {leaf.name} has dtype {array.dtype}, the parameter {leaf.dtype}",
                )
            self.gradient_dtypes.append(array.dtype)
            parts.append(array.astype(np.float64).ravel())
        flat = np.concatenate(parts)
        if not np.isfinite(flat).all():
            position = int(np.argmax(~np.isfinite(flat)))
            leaf = next(leaf for leaf in self.leaves if position < leaf.stop)
            raise BadGradientError(
                Verdict.NAN,
                f"gradient of {leaf.element(position - leaf.start)} is {flat[position]}",
            )
        return flat

    def _note_changes(self, arguments: Any, before: list[Array], who: str) -> None:
        now = list(leaves_of(arguments, "params"))
        if len(now) != len(before):
            self.mutates = f"{who} adds to its argument or takes from it; work on a copy"
            return
        for (name, leaf), old in zip(now, before, strict=True):
            if not np.array_equal(as_array(leaf, name), old, equal_nan=True):
                self.mutates = f"{who} changes its argument {name}; work on a copy"


def _pair(result: Any) -> tuple[Any, Any]:
    """`(value, gradient)` from an f that returns both."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise TypeError(
            f"without grad, f expects to return (value, gradient), got {type(result).__name__}; "
            f"pass grad= or return both"
        )
    return result[0], result[1]


def scalar(value: Any, *, complex_allowed: bool = False) -> Any:
    """What f returned, as a float: anything but one real number is refused."""
    if value is None:
        raise TypeError("f expects to return a number, got None; is a return missing?")
    array = as_array(value, "the value of f")
    if array.size != 1:
        raise TypeError(
            f"f expects to return one number, got an array of shape {array.shape}; sum it with "
            f"fixed weights, or use check_vjp for functions with array outputs"
        )
    number = array.reshape(()).item()
    if isinstance(number, complex) and not complex_allowed:
        raise TypeError(f"f expects to return a real number, got {number}; return its real part")
    return number


def outline(tree: Any) -> str:
    """The structure of a tree in a few characters: `{'w': (3, 2), 'b': (2,)}`."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {outline(branch)}" for key, branch in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        return "[" + ", ".join(map(outline, tree)) + "]"
    return str(np.shape(tree)) if hasattr(tree, "shape") else type(tree).__name__
