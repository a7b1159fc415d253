"""What a wrong gradient looks like: hypotheses tested on derivatives that are already there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array, Shape
from mlpgrad.gradcheck.derivative import richardson
from mlpgrad.gradcheck.probes import Finding, Outcome
from mlpgrad.gradcheck.problem import Problem
from mlpgrad.gradcheck.report import Culprit
from mlpgrad.gradcheck.trees import Leaf

EXPLAINED = 2e-3
"""Share of an error that a hypothesis may leave unexplained."""


class Hint(NamedTuple):
    """A short code for programs, a sentence for people."""

    code: str
    text: str


class Evidence(NamedTuple):
    """Numeric slopes along a few directions, and the gradient that does not match them."""

    name: str
    vectors: Array  # (k, n)
    numeric: Array  # (k,)
    tolerance: Array  # (k,)
    gradient: Array  # (n,)
    shape: Shape

    @property
    def error(self) -> Array:
        """Numeric minus analytic slopes."""
        error: Array = self.numeric - self.vectors @ self.gradient
        return error

    def without(self, part: Array) -> Evidence:
        """The same without a part of the gradient that is known to be right."""
        slopes = self.vectors @ part
        return self._replace(numeric=self.numeric - slopes, gradient=self.gradient - part)

    def explained_by(self, gradient: Array) -> bool:
        """Whether another gradient has the slopes that were measured."""
        left, error = np.abs(self.numeric - self.vectors @ gradient.ravel()), np.abs(self.error)
        if len(error) < 2 and self.gradient.size > 1:
            return False  # one number proves nothing
        if error.max() < 200 * self.tolerance.max():
            return False  # too close to the noise to tell reasons apart
        return bool((left <= EXPLAINED * error.max() + self.tolerance).all())


def evidence(leaf: Leaf, findings: Sequence[Finding], gradient: Array) -> Evidence:
    """The findings at one point in one tensor, as arrays."""
    return Evidence(
        leaf.name,
        np.array([finding.direction.vector for finding in findings]),
        np.array([finding.estimate.value for finding in findings]),
        np.array([finding.tolerance for finding in findings]),
        gradient[leaf.slice],
        leaf.shape,
    )


def hints(
    found: Evidence, alternatives: Mapping[Hint, Array], factors: Mapping[float, str]
) -> Iterator[Hint]:
    """Hypotheses that explain the measured slopes, the simplest first.

    Parameters
    ----------
    found : Evidence
    alternatives : dict of Hint to array
        Directions `v` in which the error may lie: the hint holds if error = c v for one c.
    factors : dict of float to str
        Constant ratios of the analytic to the right gradient that have a name here.
    """
    gradient, name = found.gradient, found.name
    if not gradient.any():
        yield Hint("ZERO", f"the gradient of {name} is zero everywhere: was it ever written?")
        return
    ratio = constant_ratio(found)
    if ratio is not None:
        yield named_ratio(name, ratio, factors)
        return
    yield from transposed(found)
    for hint, vector in alternatives.items():
        slopes = found.vectors @ vector.ravel()
        if slopes.any():
            size = float(slopes @ found.error / (slopes @ slopes))
            if found.explained_by(gradient + size * vector.ravel()):
                yield Hint(hint.code, hint.text.format(size=-size))
    yield from zero_lines(found)


def constant_ratio(found: Evidence) -> float | None:
    """`c` if the gradient is c times the right one."""
    slopes = found.vectors @ found.gradient
    if len(slopes) < 2 and found.gradient.size > 1:
        return None
    inverse = float(slopes @ found.numeric / (slopes @ slopes))
    if not found.explained_by(inverse * found.gradient) or inverse == 0:
        return None
    return 1 / inverse


def named_ratio(name: str, ratio: float, factors: Mapping[float, str]) -> Hint:
    """A constant ratio, with its likely reason."""
    known = {-1.0: "the sign is wrong", 2.0: "a factor 2 too much", 0.5: "a factor 1/2 too much"}
    known |= dict(factors)
    for value, reason in known.items():
        if abs(ratio / value - 1) < 1e-3:
            code = "SIGN" if value == -1 else "FACTOR"
            return Hint(
                code, f"the gradient of {name} is {ratio:.6g} times the right one: {reason}"
            )
    return Hint("FACTOR", f"the gradient of {name} is {ratio:.9g} times the right one throughout")


def transposed(found: Evidence) -> Iterator[Hint]:
    """The values of a matrix's gradient, written in the order of its transpose."""
    if len(found.shape) != 2 or 1 in found.shape:
        return
    matrix = found.gradient.reshape(found.shape)
    for turned in (matrix.T, found.gradient.reshape(found.shape[::-1]).T):
        if turned.shape != found.shape:
            turned = turned.reshape(found.shape)
        if found.explained_by(turned):
            yield Hint("TRANSPOSED", f"the gradient of {found.name} is transposed")
            return


def zero_lines(found: Evidence) -> Iterator[Hint]:
    """Rows or columns that are zero, where others are not."""
    if len(found.shape) != 2:
        return
    matrix = found.gradient.reshape(found.shape)
    for axis, line in enumerate(("row", "column")):
        largest = np.abs(matrix).max(axis=1 - axis)
        empty = np.flatnonzero(largest <= 1e-12 * largest.max())
        if 0 < len(empty) < matrix.shape[axis]:
            where = ", ".join(map(str, empty[:4])) + (" ..." if len(empty) > 4 else "")
            yield Hint("ZERO_LINE", f"the gradient of {found.name} is zero in {line} {where}")


def locate(
    problem: Problem,
    point: Array,
    leaf: Leaf,
    gradient: Array,
    findings: Sequence[Finding],
    noise: float,
) -> tuple[Culprit, bool]:
    """One wrong element by bisection, at 4 evaluations a level, and whether it is the only one.

    The error along a direction is the sum of the errors along its two halves, so one half is
    measured and the other known; the larger one is followed.
    """
    finding = worst_finding(findings)
    assert finding is not None
    h, vector, error = finding.estimate.step, finding.direction.vector, finding.error
    low, high = 0, leaf.size
    while high - low > 1:
        middle = (low + high) // 2
        start, stop = leaf.start + low, leaf.start + middle
        half = vector[low:middle]
        length = float(np.linalg.norm(half)) or 1.0
        requests = [(start, stop, half, t * h / length) for t in (1, -1, 2, -2)]
        values, _ = problem.values(point, requests)
        d1, d2 = (values[0] - values[1]) / (2 * h), (values[2] - values[3]) / (4 * h)
        here = float((4 * d1 - d2) / 3) * length - float(half @ gradient[start:stop])
        if abs(here) >= abs(error - here):
            high, error = middle, here
        else:
            low, error = middle, error - here
    position = leaf.start + low
    one = np.ones(1)
    requests = [(position, position + 1, one, t * h) for t in (1, -1, 2, -2, 4, -4)]
    values, _ = problem.values(point, requests)
    numeric, bound = richardson(values, h, noise)
    culprit = Culprit(leaf.element(low), float(gradient[position]), numeric, bound, h)
    off = numeric - gradient[position]
    only = leaf.size > 1 and all(
        abs(f.direction.vector[low] * off - f.error) <= 0.01 * abs(f.error) + f.tolerance
        for f in findings
    )
    return culprit, only


def taylor_slope(
    problem: Problem, point: Array, finding: Finding, value: float, noise: float
) -> float | None:
    """Slope of log |f(p + h u) - f(p) - h g.u| over three decades of h: 2 for a right gradient."""
    d = finding.direction
    steps = d.step * np.array([8.0, 0.8, 0.08, 0.008])
    values, _ = problem.values(point, [(d.start, d.stop, d.vector, t) for t in steps])
    rest = np.abs(values - value - steps * d.analytic)
    seen = (rest > 20 * noise) & np.isfinite(rest)
    if seen.sum() < 2:
        return None
    x, y = np.log(steps[seen]), np.log(rest[seen])
    return float(np.median(np.diff(y) / np.diff(x)))


def worst_finding(findings: Sequence[Finding]) -> Finding | None:
    """The direction to bisect: one that differs, a random one rather than the gradient's own."""
    differing = [f for f in findings if f.outcome is Outcome.DIFFERS]
    return max(differing, key=lambda f: abs(f.error) / f.tolerance, default=None)
