"""One direction in one tensor: the analytic slope against the numeric one."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise
from typing import NamedTuple

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.derivative import (
    BUDGET,
    NOISE_FACTOR,
    Answers,
    Estimate,
    Offsets,
    Slopes,
    central,
    complex_step,
    ridders,
    second_order,
)

GOOD = 1e-9
"""A numeric derivative this exact, relative to its scale, needs no better step."""


TRUSTED = 1e-6
"""A bound so small, relative to the slope's scale, shows that the step is in its good range."""
LADDERS = {2: [32.0, 1024.0], 3: [16.0, 128.0, 1024.0]}
"""By how much the step is reduced, for as many pairs of evaluations as are left."""


SMOOTH = 0.01
"""Of its size: a slope with a smaller error stands out from noise."""
COARSE = 0.03
"""The sharpness of a function that computes in float32."""


class ComplexStepError(ValueError):
    """A complex step is not legal here."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"complex steps are not legal here: {reason}; use method='auto' (what drops the "
            f"imaginary part: abs, max, comparisons, norms, .real, float(), math functions)"
        )


class Outcome(Enum):
    """What one direction says."""

    AGREES = auto()
    DIFFERS = auto()
    EMPTY = auto()  # both derivatives are below the noise
    UNSURE = auto()  # agrees, but within a tolerance that hides real mistakes
    KINK = auto()  # no derivative here: between the one-sided slopes
    BEYOND_KINK = auto()  # no derivative here: outside them


class Roughness(Enum):
    """How the slopes on both sides differ at small steps."""

    NONE = auto()  # less and less, like h: a curvature
    KINK = auto()  # always by as much
    NOISE = auto()  # more and more, like 1/h: or an oscillation faster than every step


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
    verify: bool = False
    """Whether a complex step must agree with central differences here."""


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

    @property
    def scale(self) -> float:
        """The size of slopes in this tensor, to which errors are related."""
        direction = self.direction
        return max(abs(direction.analytic), direction.rms, abs(self.estimate.value))


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

    @property
    def rounding(self) -> float:
        """The least uncertainty that a value can have."""
        return self.precision * abs(self.value)

    @property
    def noisy(self) -> bool:
        """Whether values are less certain than the number format explains."""
        return self.noise > 100 * self.rounding


Search = Generator[Offsets, Answers, Finding]


def compare(direction: Direction, settings: Settings) -> Search:
    """Judge one direction: by central differences, and by Ridders' where those are unsure."""
    if settings.method == "complex":
        return (yield from by_complex_step(direction, settings))
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


def by_complex_step(direction: Direction, settings: Settings) -> Search:
    """Judge by a complex step, after a comparison with central differences where asked for."""
    exact = yield from complex_step(settings.noise)
    if direction.verify:
        found = yield from central(
            settings.noise, lambda e: e.smooth, direction.step, settings.shows_kinks
        )
        apart = abs(exact.value - found.value)
        if found.smooth and not apart <= found.bound + 1e-7 * abs(found.value):
            raise ComplexStepError(
                f"one gives {exact.value:.6g}, central differences {found.value:.6g}"
            )
    return judge(direction, exact, settings)


def confirmed(finding: Finding, settings: Settings) -> Search:
    """The finding, if it persists over three decades of the step where no one shows the kinks."""
    if finding.outcome not in (Outcome.DIFFERS, Outcome.UNSURE):
        return finding
    direction, found = finding.direction, finding.estimate
    in_range = found.smooth and found.bound <= TRUSTED * finding.scale
    clear = abs(finding.error) > 10 * finding.tolerance
    if finding.outcome is Outcome.DIFFERS and settings.knows_all_kinks and in_range and clear:
        return finding
    steps = ladder(found, settings)
    smaller = yield from second_order(settings.value, settings.noise, steps)
    rough, where = roughness(settings, smaller)
    clean = found.bound < SMOOTH * abs(found.value)
    persists, weaker = False, None
    judged = [judge(direction, slopes.central, settings) for slopes in smaller]
    for slopes, again in zip(smaller, judged, strict=True):
        if again.outcome in (Outcome.AGREES, Outcome.UNSURE):
            if again.tolerance < 0.25 * abs(finding.error):
                return again
            if again.outcome is Outcome.AGREES:
                weaker = weaker or again
        apart = abs(again.estimate.value - found.value)
        agrees = again.outcome is Outcome.DIFFERS and apart <= again.tolerance + found.bound
        stands_out = clean and slopes.jump < SMOOTH * abs(slopes.central.value)
        persists |= agrees and (rough is not Roughness.NOISE or stands_out)
    if finding.outcome is Outcome.UNSURE:
        return weaker or finding
    if rough is Roughness.KINK:
        return finding._replace(outcome=at_kink(direction.analytic, settings, where))
    if not persists and rough is Roughness.NONE and steady(judged):
        finding, persists = judged[-1], True  # a kink lies within the larger steps only
    if persists and (rough is Roughness.NOISE or settings.noisy):
        # right at the smallest step of all: then f oscillates faster than the others can see
        (tiny,) = yield from second_order(
            settings.value, settings.noise, [tiny_step(finding, settings)]
        )
        persists = abs(tiny.central.value - direction.analytic) > 0.3 * abs(finding.error)
    if persists:
        return finding._replace(outcome=Outcome.DIFFERS)
    return weaker or finding._replace(outcome=Outcome.UNSURE)


def steady(findings: list[Finding]) -> bool:
    """Whether all say the same: that the gradient is wrong, and by how much."""
    errors = [finding.error for finding in findings]
    differ = all(finding.outcome is Outcome.DIFFERS for finding in findings)
    return differ and max(errors) - min(errors) < 0.1 * min(abs(error) for error in errors)


def ladder(found: Estimate, settings: Settings) -> list[float]:
    """Smaller steps over three decades, as many as the budget allows."""
    count = min(max((BUDGET - found.used) // 2, 2), 3)
    if settings.sharp >= COARSE:
        return [found.step / 4**number for number in range(1, count + 1)]
    return [found.step / factor for factor in LADDERS[count]]


def tiny_step(finding: Finding, settings: Settings) -> float:
    """The smallest step at which an error of this size would show, if f has rounding noise only."""
    visible = 20 * NOISE_FACTOR * settings.rounding / abs(finding.error or 1.0)
    resolved = 1e5 * settings.precision * finding.direction.step
    return min(max(visible, resolved), finding.direction.step)


def judge(direction: Direction, estimate: Estimate, settings: Settings) -> Finding:
    """tolerance = rtol scale + C noise / h + truncation"""
    scale = max(abs(direction.analytic), direction.rms, 1e-300)
    tolerance = settings.rtol * scale + estimate.bound
    gap = abs(estimate.value - direction.analytic)
    exact = estimate.scheme == "complex step"
    floor = estimate.bound if exact else NOISE_FACTOR * settings.noise / estimate.step
    size = max(abs(direction.analytic), direction.rms, abs(estimate.value))
    if not (gap < float("inf") and tolerance < float("inf")):  # NaN or infinity on the way
        outcome = Outcome.UNSURE
    elif gap > tolerance:
        outcome = Outcome.DIFFERS
    elif tolerance <= settings.sharp * size:
        outcome = Outcome.AGREES
    elif size <= 4 * floor:
        outcome = Outcome.EMPTY
    else:
        outcome = Outcome.UNSURE
    return Finding(outcome, direction, estimate, tolerance)


def roughness(settings: Settings, slopes: list[Slopes]) -> tuple[Roughness, Slopes]:
    """What the jump from the left to the right slope does while the step shrinks, and where."""
    for large, small in pairwise(slopes):
        if small.jump > 4 * uncertain(settings, small) and small.jump > 0.3 * large.jump:
            kink = small.jump < 3 * large.jump
            return (Roughness.KINK if kink else Roughness.NOISE), small
    return Roughness.NONE, slopes[-1]


def uncertain(settings: Settings, slopes: Slopes) -> float:
    """The rounding error of a one-sided slope."""
    return NOISE_FACTOR * settings.noise / slopes.central.step


def at_kink(analytic: float, settings: Settings, slopes: Slopes) -> Outcome:
    """Whether a slope lies between those on both sides of a kink."""
    low, high = sorted((slopes.left, slopes.right))
    spare = uncertain(settings, slopes)
    inside = low - spare <= analytic <= high + spare
    return Outcome.KINK if inside else Outcome.BEYOND_KINK
