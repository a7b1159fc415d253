"""Hints about a wrong gradient: hypotheses that are tested on the measured derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array, Shape
from mlpgrad.gradcheck.elements import Observed
from mlpgrad.gradcheck.numeric.judgement import Finding
from mlpgrad.gradcheck.numeric.problem import Leaf

EXPLAINED = 2e-3
"""Fraction of an error that a hypothesis may leave unexplained."""


class Hint(NamedTuple):
    """A hint: a short code for programs, and a sentence for people."""

    code: str
    text: str


class Evidence(NamedTuple):
    """Numeric slopes along a few directions, and the gradient that does not match them."""

    what: str
    """What is wrong, as in "the gradient of weights"."""
    vectors: Array  # (k, n)
    numeric: Array  # (k,)
    tolerance: Array  # (k,)
    gradient: Array  # (n,)
    shape: Shape
    elements: Observed
    """Single elements, at which every hypothesis must hold as well."""

    @property
    def error(self) -> Array:
        """Numeric minus analytic slopes."""
        error: Array = self.numeric - self.vectors @ self.gradient
        return error

    def without(self, part: Array) -> Evidence:
        """Subtract a part that is known to be correct from the gradient and from the slopes."""
        slopes = self.vectors @ part
        return self._replace(
            numeric=self.numeric - slopes,
            gradient=self.gradient - part,
            elements=self.elements.without(part),
        )

    def explained_by(self, gradient: Array) -> bool:
        """Return whether another gradient has the measured slopes."""
        left, error = np.abs(self.numeric - self.vectors @ gradient.ravel()), np.abs(self.error)
        if len(error) < 2 and self.gradient.size > 1:
            return False  # one number proves nothing
        if error.max() < 200 * self.tolerance.max():
            return False  # too close to the noise to distinguish reasons
        explained = bool((left <= EXPLAINED * error.max() + self.tolerance).all())
        return explained and self.elements.equals(gradient)


def evidence(
    leaf: Leaf, findings: Sequence[Finding], gradient: Array, elements: Observed, what: str = ""
) -> Evidence:
    """Return the findings at one point in one tensor, as arrays."""
    slopes = [(f.direction.vector, f.estimate.value, f.tolerance) for f in findings]
    vectors, numeric, tolerance = map(np.array, zip(*slopes, strict=True))
    what = what or f"the gradient of {leaf.name}"
    return Evidence(what, vectors, numeric, tolerance, gradient[leaf.slice], leaf.shape, elements)


def hints(
    found: Evidence, alternatives: Mapping[Hint, Array], factors: Mapping[float, str]
) -> Iterator[Hint]:
    """Yield hypotheses that explain the measured slopes, the simplest first.

    Parameters
    ----------
    found : Evidence
    alternatives : dict of Hint to array
        Directions `v` in which the error may lie: the hint holds if error = c v for one c.
    factors : dict of float to str
        Known constant ratios of the analytic to the correct gradient, with their reasons.
    """
    if not found.gradient.any():
        yield Hint("ZERO", f"{found.what} is zero everywhere: was it ever written?")
        return
    ratio = constant_ratio(found)
    if ratio is not None:
        yield named_ratio(found.what, ratio, factors)
        return
    yield from transposed(found)
    for hint, vector in alternatives.items():
        slopes = found.vectors @ vector.ravel()
        if slopes.any():
            size = float(slopes @ found.error / (slopes @ slopes))
            if found.explained_by(found.gradient + size * vector.ravel()):
                yield Hint(hint.code, hint.text.format(size=-size))
    yield from zero_lines(found)


def constant_ratio(found: Evidence) -> float | None:
    """Return c if the gradient is c times the correct one, else None."""
    slopes = found.vectors @ found.gradient
    if len(slopes) < 2 and found.gradient.size > 1:
        return None
    inverse = float(slopes @ found.numeric / (slopes @ slopes))
    explained = found.explained_by(inverse * found.gradient) and inverse != 0
    return 1 / inverse if explained else None


def named_ratio(what: str, ratio: float, factors: Mapping[float, str]) -> Hint:
    """Return a constant ratio with its likely reason."""
    known = {
        -1.0: "the sign is wrong",
        2.0: "an extra factor of 2",
        0.5: "an extra factor of 1/2",
    }
    for value, reason in (known | dict(factors)).items():
        if abs(ratio / value - 1) < 1e-3:
            code = "SIGN" if value == -1 else "FACTOR"
            return Hint(code, f"{what} is {ratio:.6g} times the correct one: {reason}")
    return Hint("FACTOR", f"{what} is {ratio:.9g} times the correct one throughout")


def transposed(found: Evidence) -> Iterator[Hint]:
    """Yield a hint if the gradient of a matrix is that of its transpose."""
    if len(found.shape) == 2 and 1 not in found.shape:
        shapes = found.shape, found.shape[::-1]
        if any(found.explained_by(found.gradient.reshape(shape).T) for shape in shapes):
            yield Hint("TRANSPOSED", f"{found.what} is transposed")


def zero_lines(found: Evidence) -> Iterator[Hint]:
    """Yield hints about rows or columns that are zero although their slopes are not."""
    if len(found.shape) != 2:
        return
    matrix = found.gradient.reshape(found.shape)
    for axis, line in enumerate(("row", "column")):
        largest = np.abs(matrix).max(axis=1 - axis)
        empty = np.flatnonzero(largest <= 1e-12 * largest.max())
        places = np.unravel_index(found.elements.positions, found.shape)[axis]
        empty = np.intersect1d(empty, places[~found.elements.zero])
        if 0 < len(empty) < matrix.shape[axis]:
            where = ", ".join(map(str, empty[:4])) + (" ..." if len(empty) > 4 else "")
            yield Hint("ZERO_LINE", f"{found.what} is zero in {line} {where}")
