"""Derivatives along one direction, each with a bound on its own error.

Each scheme is a generator: it yields the offsets `t` at which it wants `f(p + t u)`, receives the
values (and whether a kink lies between `p` and that point), and returns an `Estimate`. So the
offsets of many directions can be evaluated together, as one batched forward pass of an ensemble.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from mlpgrad._core.arrays import Array

NOISE_FACTOR = 16.0
"""C in the bound `C noise / h`."""
STEP = 2.5e-3
"""First step along a unit direction: the best one for float64 and functions of scale one."""
TINY = float(np.finfo(np.float64).tiny)
SHRINK = 8.0
BUDGET = 12
"""Evaluations along one direction, not counting Ridders' method."""

AVERAGED, RANGES = 96, 6
"""The number of pairs of values to average, and of ranges to try, each half as long."""

Answers = tuple[Array, Array]  # values, and whether a kink was crossed


class Noise(NamedTuple):
    """The uncertainty of values of f along one direction."""

    value: float
    """f at the point itself."""
    level: float
    """Uncertainty of that value."""
    precision: float
    """eps of the numbers that f computes with."""
    argument: float = 0.0
    """Length of the rounding error of `p + t u`: half an eps of every parameter that moves."""

    def of(self, values: Array, offsets: Array) -> float:
        """The uncertainty of values at some offsets.

        Values have the relative error eps. In addition a displaced point is rounded to another one
        at a distance of up to `argument`, which matters if f is steep there.
        """
        steepest = np.max(np.abs(values - self.value) / np.abs(offsets))
        level = max(self.level, self.precision * float(np.max(np.abs(values))))
        return level + self.argument * float(steepest)


STENCIL = np.array([1.0, -1.0, 2.0, -2.0, 4.0, -4.0])
"""Offsets of the estimate of order 6, in steps."""


class Scheme(StrEnum):
    """The method of an estimate; `short` is its name in a table."""

    short: str

    def __new__(cls, name: str, short: str) -> Scheme:
        scheme = str.__new__(cls, name)
        scheme._value_, scheme.short = name, short
        return scheme

    ORDER_2 = "central, order 2", "order 2"
    ORDER_6 = "central, order 6", "order 6"
    RIDDERS = "Ridders", "Ridders"
    AVERAGE = "fit through many values", "average"
    INTEGRAL = "integral of the gradient", "integral"
    COMPLEX = "complex step", "complex step"


class Estimate(NamedTuple):
    """A derivative along a direction, with a bound on its error."""

    value: float
    bound: float
    step: float
    scheme: Scheme
    smooth: bool = True
    """False if a kink is known to lie within the stencil."""
    rounding: float = 0.0
    """The share of rounding in the bound."""
    used: int = 0
    """Number of evaluations."""

    @property
    def is_rounding(self) -> bool:
        """Whether rounding is most of the bound."""
        return self.rounding > 0.5 * self.bound


Result = TypeVar("Result")
Run = Generator[list[float] | list[complex], Answers, Result]
"""Yields offsets, receives the answers there, and returns a result."""


def richardson(values: Array, h: float, noise: Noise, smooth: bool = True) -> Estimate:
    """The estimate of order 6 from f at h, -h, 2h, -2h, 4h, -4h.

    The truncation error is taken from two estimates of order 4, at h and 2h. Their difference is
    15 times the error of the better one, which is far larger than the error of order 6.
    """
    d1, d2, d4 = (values[0::2] - values[1::2]) / (2 * h * np.array([1, 2, 4]))
    fourth, coarser = (4 * d1 - d2) / 3, (4 * d2 - d4) / 3
    rounding = NOISE_FACTOR * noise.of(values, h * STENCIL) / h
    value, bound = (16 * fourth - coarser) / 15, abs(fourth - coarser) / 4 + rounding
    known = float(bound) if np.isfinite(bound) else math.inf  # NaN beyond the domain of f
    return Estimate(float(value), known, h, Scheme.ORDER_6, smooth, rounding)


def central(noise: Noise, enough: Callable[[Estimate], bool], step: float) -> Run[Estimate]:
    """Central differences of order 6, at a step without a kink and with little truncation.

    The outer points are evaluated first: if a kink lies between them, the step shrinks before
    the inner points are evaluated.

    Parameters
    ----------
    noise : Noise
        Uncertainty of values of f along this direction.
    enough : callable
        Whether an estimate settles the question.
    step : float
        The first step to try.
    """
    h, used = step, 0
    best: Estimate | None = None
    while used + 6 <= BUDGET:
        outer, moved = yield [4 * h, -4 * h]
        used += 2
        if moved.any() and used + 6 <= BUDGET:
            h /= SHRINK
            continue
        inner, inner_moved = yield [h, -h, 2 * h, -2 * h]
        used += 4
        smooth = not (moved.any() or inner_moved.any())
        found = richardson(np.concatenate([inner, outer]), h, noise, smooth)
        if best is None or (smooth, -found.bound) > (best.smooth, -best.bound):
            best = found
        noisy = smooth and found.rounding > 0.5 * found.bound
        if enough(found) or (noisy and h < step):
            break
        h = h * SHRINK if noisy else h / SHRINK
    assert best is not None
    return best._replace(used=used)


def sixth_order(noise: Noise, h: float) -> Run[Estimate]:
    """Central differences of order 6 at one given step."""
    values, moved = yield [h, -h, 2 * h, -2 * h, 4 * h, -4 * h]
    return richardson(values, h, noise, not moved.any())._replace(used=len(values))


class Slopes(NamedTuple):
    """Second-order differences at one step, and the slopes on both sides."""

    central: Estimate
    left: float
    right: float

    @property
    def jump(self) -> float:
        """The difference between the two one-sided slopes."""
        return abs(self.right - self.left)


def second_order(noise: Noise, steps: list[float]) -> Run[list[Slopes]]:
    """(f(h) - f(-h)) / 2h at decreasing `steps`; truncation errors from neighbouring steps."""
    steps = [max(h, TINY) for h in steps]  # else 0 for subnormal parameters
    values, moved = yield [t for h in steps for t in (h, -h)]
    rights, lefts = (values[0::2] - noise.value) / steps, (noise.value - values[1::2]) / steps
    centrals = (rights + lefts) / 2
    found = []
    for number, (h, left, right) in enumerate(zip(steps, lefts, rights, strict=True)):
        neighbour = centrals[min(number + 1, len(steps) - 1)]
        pair = values[2 * number : 2 * number + 2]
        rounding = NOISE_FACTOR * noise.of(pair, np.array([h, -h])) / h
        bound = float(abs(centrals[number] - neighbour)) + rounding
        smooth = not moved[2 * number : 2 * number + 2].any()
        slope = float(centrals[number])
        estimate = Estimate(slope, bound, h, Scheme.ORDER_2, smooth, rounding)
        found.append(Slopes(estimate, float(left), float(right)))
    return found


def fourth_order(slopes: list[Slopes]) -> list[float]:
    """Slopes without the truncation error of order 2, from pairs of neighbouring steps."""
    found = []
    for large, small in pairwise(each.central for each in slopes):
        ratio = (large.step / small.step) ** 2
        found.append((ratio * small.value - large.value) / (ratio - 1))
    return found


def complex_step(noise: Noise) -> Run[Estimate]:
    """Im f(p + i h u) / h: without a difference, h can be tiny and the result is exact.

    Squire and Trapp, "Using complex variables to estimate derivatives of real functions", 1998.
    """
    h = 1e-30
    values, _ = yield [complex(0, h)]
    slope, rounding = float(np.imag(values[0])) / h, NOISE_FACTOR * noise.level
    return Estimate(slope, rounding, h, Scheme.COMPLEX, rounding=rounding, used=1)


def ridders(noise: Noise, scale: float, tries: int = 60) -> Run[Estimate]:
    """Ridders' extrapolation from a large step downwards, for functions of unknown scale.

    A Neville tableau of central differences at steps shrinking by 1.6; the entry whose
    neighbours agree best is taken (Ridders, Advances in Engineering Software 4, 1982).
    """
    factor, order = 1.6, 5
    h = 0.5 * scale
    best = Estimate(float("nan"), float("inf"), h, Scheme.RIDDERS)
    previous: list[float] = []
    used, flat = 0, True
    for _ in range(tries):
        (plus, minus), moved = yield [h, -h]
        used += 2
        flat &= bool(plus == minus)
        if plus == minus and not flat:
            break  # f is a step function: it is constant at smaller steps
        rounding = NOISE_FACTOR * noise.of(np.array([plus, minus]), np.array([h, -h])) / h
        row = [float(plus - minus) / (2 * h)]
        for number, old in enumerate(previous[: order - 1], start=1):
            weight = factor ** (2 * number)
            row.append((weight * row[-1] - old) / (weight - 1))
            # three neighbours, since two can agree by accident
            neighbours = [row[-2], *previous[number - 1 : number + 1]]
            bound = max(abs(row[-1] - neighbour) for neighbour in neighbours) + rounding
            if number >= 2 and bound < best.bound:
                smooth = not moved.any()
                best = Estimate(row[-1], bound, h, Scheme.RIDDERS, smooth, rounding)
        if best.bound < rounding:
            break  # smaller steps have larger rounding errors
        previous = row
        h /= factor
    return best._replace(used=used)


def averaged(noise: Noise, scale: float) -> Run[Estimate]:
    """The slope of an odd polynomial fitted through many values, at the best of some ranges.

    Rounding errors of different values are nearly independent, so their scatter about the fit
    gives the uncertainty of its slope. A fit over a long range may miss a short bend, which the
    noise hides, so a range counts only if no shorter one contradicts its slope (Lepski, "On a
    problem of adaptive estimation in Gaussian white noise", 1990).
    """
    best = Estimate(float("nan"), float("inf"), scale, Scheme.AVERAGE)
    found = yield from fits(noise, scale)
    for number, (fit, truncation, fits_well) in enumerate(found[:-1]):
        shorter = found[number + 1 :]
        apart = [abs(fit.value - other.value) for other, _, _ in shorter]
        explained = [fit.rounding + 0.5 * other.rounding + more for other, more, _ in shorter]
        beyond_rounding = apart[0] - 0.5 * shorter[0][0].rounding
        bound = fit.rounding + max(truncation, beyond_rounding)
        agrees = all(gap <= most for gap, most in zip(apart, explained, strict=True))
        if fits_well and agrees and bound < best.bound:
            best = fit._replace(bound=bound)
    return best


def fits(noise: Noise, scale: float) -> Run[list[tuple[Estimate, float, bool]]]:
    """The slopes over some ranges, their truncation errors, and whether the polynomial fits."""
    at = (np.arange(AVERAGED) + 0.5) / AVERAGED * 0.8 + 0.2
    powers = at[:, None] ** np.arange(0, 8, 2)
    found = []
    for h in scale / 2.0 ** np.arange(RANGES):
        values, moved = yield list(h * np.concatenate([at, -at]))
        differences = (values[:AVERAGED] - values[AVERAGED:]) / (2 * h * at)
        if not np.isfinite(differences).all():
            continue
        slope, error, scatter = fitted(differences, at, powers)
        simple = fitted(differences, at, powers[:, :-1])[0]
        rounds = scatter * h <= 3 * noise.of(values, h * np.concatenate([at, -at]))
        stands_still = np.ptp(values) < 8 * noise.level  # then the steps of f are not random
        rounding = 3 * max(error, noise.level / h / (1 if stands_still else AVERAGED))
        smooth = not moved.any()
        fit = Estimate(slope, rounding, float(h), Scheme.AVERAGE, smooth, rounding)
        found.append((fit, abs(slope - simple), bool(rounds)))
    return found


def fitted(differences: Array, at: Array, powers: Array) -> tuple[float, float, float]:
    """The first coefficient of a fit by powers, its standard deviation, and the scatter.

    Neighbouring errors of one sign are those of the fit, not of rounding, and count once.
    """
    design = powers * at[:, None]  # all differences are equally uncertain
    inverse = np.linalg.pinv(design)
    coefficients = inverse @ (differences * at)
    left = differences * at - design @ coefficients
    scatter = math.sqrt(float(left @ left) / (len(at) - powers.shape[1]))
    repeats = math.sqrt(len(at) / independent(left))
    return float(coefficients[0]), scatter * repeats * float(np.linalg.norm(inverse[0])), scatter


def independent(errors: Array) -> int:
    """The number of independent errors in a sequence: two for each change of their sign."""
    changes = int(np.count_nonzero(np.diff(np.sign(errors))))
    return min(1 + 2 * changes, len(errors))
