"""One direction in one tensor: the analytic slope against the numeric one."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from enum import Enum, auto
from typing import NamedTuple

from mlpgrad._arrays import Array
from mlpgrad.gradcheck.derivative import (
    BUDGET,
    NOISE_FACTOR,
    Answers,
    Estimate,
    Slopes,
    central,
    ridders,
    second_order,
)

GOOD = 1e-9
"""A numeric derivative this exact, relative to its scale, needs no better step."""


LADDERS = {1: [256.0], 2: [32.0, 1024.0], 3: [16.0, 128.0, 1024.0]}
"""By how much the step is reduced, for as many pairs of evaluations as are left."""


COARSE = 0.03
"""The sharpness of a function that computes in float32."""


class Outcome(Enum):
    """What one direction says."""

    AGREES = auto()
    DIFFERS = auto()
    EMPTY = auto()  # both derivatives are below the noise
    UNSURE = auto()  # agrees, but within a tolerance that hides real mistakes
    KINK = auto()  # no derivative here: between the one-sided slopes
    BEYOND_KINK = auto()  # no derivative here: outside them


@dataclass
class Direction:
    """A unit vector within `params[start:stop]`, and the slope that the gradient gives there."""

    tensor: int
    start: int
    stop: int
    vector: Array
    analytic: float
    rms: float
    """Root mean square of the gradient in this tensor: the size of a typical slope."""
    step: float


class Finding(NamedTuple):
    """The comparison along one direction."""

    outcome: Outcome
    direction: Direction
    estimate: Estimate
    tolerance: float

    @property
    def error(self) -> float:
        """Numeric minus analytic slope."""
        return self.estimate.value - self.direction.analytic


class Settings(NamedTuple):
    """What all directions at one point share."""

    value: float
    """f at the point itself."""
    noise: float
    """Uncertainty of one value of f."""
    precision: float
    """eps of the numbers that f computes with."""
    rtol: float
    """Relative rounding error that the analytic gradient may have."""
    sharp: float
    """A tolerance above this, relative to the slope's scale, hides mistakes that matter."""
    shows_kinks: bool
    """Whether f tells where it has kinks."""
    knows_all_kinks: bool
    """Whether it tells of all of them."""
    method: str = "auto"


Search = Generator[list[float], Answers, Finding]


def compare(direction: Direction, settings: Settings) -> Search:
    """Judge one direction: by central differences, and by Ridders' where those are unsure."""
    if settings.method != "ridders":
        scale = max(abs(direction.analytic), direction.rms)

        def enough(found: Estimate) -> bool:
            if not settings.shows_kinks and found.bound > GOOD * scale:
                # the rest of the budget goes to smaller steps: is there a kink in the way?
                return judge(direction, found, settings).outcome is Outcome.DIFFERS
            return found.smooth and found.bound <= GOOD * scale

        found = yield from central(settings.noise, enough, direction.step, settings.shows_kinks)
        finding = yield from confirmed(judge(direction, found, settings), settings)
        if finding.outcome is not Outcome.UNSURE or settings.method == "central":
            return finding
    found = yield from ridders(settings.noise, 400 * direction.step)
    return (yield from confirmed(judge(direction, found, settings), settings))


def confirmed(finding: Finding, settings: Settings) -> Search:
    """The finding, if it persists over three decades of the step where no one shows the kinks."""
    if finding.outcome not in (Outcome.DIFFERS, Outcome.UNSURE):
        return finding
    direction, found = finding.direction, finding.estimate
    count = min(max((BUDGET - found.used) // 2, 1 if found.smooth else 2), 3)
    steps = [found.step / factor for factor in LADDERS[count]]
    if settings.sharp >= COARSE:
        steps = [found.step / 4**number for number in range(1, count + 1)]
    smaller = yield from second_order(settings.value, settings.noise, steps)
    persists = settings.knows_all_kinks and found.smooth
    for slopes in smaller:
        again = judge(direction, slopes.central, settings)
        explained = again.tolerance < 0.25 * abs(finding.error)
        if again.outcome is Outcome.AGREES or (again.outcome is Outcome.UNSURE and explained):
            return again
        apart = abs(again.estimate.value - found.value)
        persists |= again.outcome is Outcome.DIFFERS and apart <= again.tolerance + found.bound
    if finding.outcome is Outcome.UNSURE:
        return finding
    outcome = at_kink(direction.analytic, settings, smaller)
    if outcome is None:
        outcome = Outcome.DIFFERS if persists else Outcome.UNSURE
    return finding._replace(outcome=outcome)


def judge(direction: Direction, estimate: Estimate, settings: Settings) -> Finding:
    """tolerance = rtol scale + C noise / h + truncation"""
    scale = max(abs(direction.analytic), direction.rms, 1e-300)
    tolerance = settings.rtol * scale + estimate.bound
    gap = abs(estimate.value - direction.analytic)
    if not gap < float("inf"):  # NaN or infinite values on the way
        outcome = Outcome.UNSURE
    elif gap > tolerance:
        outcome = Outcome.DIFFERS
    elif tolerance <= settings.sharp * max(scale, abs(estimate.value)):
        outcome = Outcome.AGREES
    elif max(scale, abs(estimate.value)) <= 4 * NOISE_FACTOR * settings.noise / estimate.step:
        outcome = Outcome.EMPTY
    else:
        outcome = Outcome.UNSURE
    return Finding(outcome, direction, estimate, tolerance)


def at_kink(analytic: float, settings: Settings, slopes: list[Slopes]) -> Outcome | None:
    """Whether f has a kink exactly here: one-sided slopes that differ at every step."""
    for large, small in pairwise(slopes):
        uncertain = NOISE_FACTOR * settings.noise / small.central.step
        jump, before = abs(small.right - small.left), abs(large.right - large.left)
        if jump > 4 * uncertain and jump > 0.3 * before:  # the jump of a curvature is as h
            break
    else:
        return None
    low, high = sorted((small.left, small.right))
    inside = low - uncertain <= analytic <= high + uncertain
    return Outcome.KINK if inside else Outcome.BEYOND_KINK
