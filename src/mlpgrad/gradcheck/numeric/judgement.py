"""The comparison of the analytic with the numeric slope along one direction."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mlpgrad.gradcheck.numeric import derivative
from mlpgrad.gradcheck.numeric.derivative import BUDGET, NOISE_FACTOR, Estimate, Noise, Run, Slopes
from mlpgrad.gradcheck.numeric.problem import Direction

TRUSTED = 1e-6
"""A bound below this, relative to the scale of the slope, shows that the step is suitable."""
HALF = 1e-5
"""Functions with a larger eps compute in float16, so single values show little."""
DEEP = 4.0
"""The factor by which steps shrink in the search for a scale at which a gradient is correct."""
LADDERS = {2: [32.0, 1024.0], 3: [16.0, 128.0, 1024.0]}
"""The factors that reduce the step, by the number of pairs of evaluations that are left."""
SMOOTH = 0.01
"""A slope whose relative error is smaller than this stands out from noise."""
COARSE = 5e-3
"""The sharpness of a function that computes in float32."""


class Outcome(Enum):
    """The outcome along one direction."""

    AGREES = auto()
    DIFFERS = auto()
    EMPTY = auto()  # both derivatives are below the noise
    UNSURE = auto()  # agrees, but within a tolerance that hides real mistakes
    KINK = auto()  # not differentiable; between the one-sided slopes
    BEYOND_KINK = auto()  # not differentiable; outside the one-sided slopes


class Roughness(Enum):
    """The difference between the one-sided slopes as the step shrinks."""

    NONE = auto()  # shrinks like h: a curvature
    KINK = auto()  # stays the same
    NOISE = auto()  # grows like 1/h; or an oscillation faster than every step


class Finding(NamedTuple):
    """The comparison along one direction."""

    outcome: Outcome
    direction: Direction
    estimate: Estimate
    tolerance: float

    @property
    def error(self) -> float:
        """The numeric minus the analytic slope."""
        return self.estimate.value - self.direction.analytic

    @property
    def excess(self) -> float:
        """The error in units of the tolerance."""
        ratio = abs(self.error) / (self.tolerance or 1e-300)
        return ratio if ratio == ratio else float("inf")

    @property
    def is_seen(self) -> bool:
        """Whether the numeric slope stands out from its uncertainty."""
        return abs(self.estimate.value) > 10 * self.tolerance

    @property
    def scale(self) -> float:
        """The size of slopes in this tensor; errors are relative to it."""
        direction = self.direction
        return max(abs(direction.analytic), direction.rms, abs(self.estimate.value))


class Method(NamedTuple):
    """A method of comparison, which the user chooses by name."""

    title: str
    compare: Callable[[Direction, Settings], Run[Finding]]
    every_element: bool = False


class Settings(NamedTuple):
    """The settings that all directions at one point share."""

    value: float
    """f at the point itself."""
    noise: float
    """The uncertainty of one value of f."""
    precision: float
    """eps of the numbers that f computes with."""
    rtol: float
    """Relative rounding error that the analytic gradient may have."""
    sharp: float
    """A tolerance above this, relative to the slope's scale, hides mistakes that matter."""
    shows_kinks: bool
    """Whether f reports kinks."""
    knows_all_kinks: bool
    """Whether f reports all its kinks."""
    method: Method
    hidden: float = 0.0
    """The largest change that float32 would round away, if f may be constant for that reason."""

    def along(self, direction: Direction) -> Noise:
        """The uncertainty of values along a direction."""
        argument = 0.5 * self.precision * direction.rounding
        return Noise(self.value, self.noise, self.precision, argument)

    @property
    def rounding(self) -> float:
        """The smallest uncertainty that a value can have."""
        return self.precision * abs(self.value)

    @property
    def noisy(self) -> bool:
        """Whether values are less certain than the number format explains."""
        return self.noise > 100 * self.rounding


def judge(direction: Direction, estimate: Estimate, settings: Settings) -> Finding:
    """Judge by tolerance = rtol scale + C noise / h + truncation."""
    scale = max(abs(direction.analytic), direction.rms, 1e-300)
    single = settings.precision > HALF and np.count_nonzero(direction.vector) == 1
    tolerance = settings.rtol * scale * (2 if single else 1) + estimate.bound
    finding = Finding(Outcome.UNSURE, direction, estimate, tolerance)
    gap, size = abs(finding.error), finding.scale
    if not (gap < float("inf") and tolerance < float("inf")):  # NaN or infinity
        return finding
    if estimate.value == 0 and tolerance < gap < settings.hidden / estimate.step:
        return finding._replace(outcome=Outcome.EMPTY)
    if gap > tolerance:
        return finding._replace(outcome=Outcome.DIFFERS)
    if tolerance <= settings.sharp * size:
        return finding._replace(outcome=Outcome.AGREES)
    if size <= 4 * estimate.rounding:
        return finding._replace(outcome=Outcome.EMPTY)
    return finding


def confirmed(finding: Finding, settings: Settings) -> Run[Finding]:
    """The finding if it persists over three decades of the step, unless f reports all kinks."""
    if finding.outcome not in (Outcome.DIFFERS, Outcome.UNSURE):
        return finding
    direction, found = finding.direction, finding.estimate
    differs = finding.outcome is Outcome.DIFFERS
    in_range = found.smooth and found.bound <= TRUSTED * finding.scale
    if all((differs, settings.knows_all_kinks, in_range, finding.excess > 10)):
        repeated = yield from at_half_the_step(finding, settings)
        return repeated if repeated.outcome is Outcome.AGREES else finding
    steps = ladder(found, settings)
    smaller = yield from derivative.second_order(settings.along(direction), steps)
    judged = [judge(direction, slopes.central, settings) for slopes in smaller]
    accepted = [f for f in judged if f.outcome in (Outcome.AGREES, Outcome.UNSURE)]
    if sharp := [f for f in accepted if f.tolerance < 0.25 * abs(finding.error)]:
        return sharp[0]
    weaker = next((f for f in accepted if f.outcome is Outcome.AGREES), None)
    if not differs:
        return weaker or finding
    rough, where = roughness(smaller)
    if rough is Roughness.KINK and (yield from is_kink(finding, where, settings)):
        return finding._replace(outcome=at_kink(direction.analytic, where))
    persists = any(repeats(finding, *pair, rough) for pair in zip(judged, smaller, strict=True))
    if not persists and rough is Roughness.NONE and steady(judged):
        finding, persists = judged[-1], True  # only the larger steps cross a kink
    if not persists and rough is Roughness.NONE and in_range:  # truncation of order 2 may hide it
        persists = same(finding, (yield from at_half_the_step(finding, settings)))
    if persists and (rough is Roughness.NOISE or settings.noisy):
        # if it is correct at a tiny step, f oscillates faster than larger steps can resolve
        persists = yield from differs_at_tiny(finding, settings)
    if persists and not settings.knows_all_kinks:
        return (yield from at_every_scale(finding, settings))
    return finding if persists else weaker or finding._replace(outcome=Outcome.UNSURE)


def at_half_the_step(finding: Finding, settings: Settings) -> Run[Finding]:
    """Judge again: two estimates of order 4 may agree by accident, so that a bound is too small."""
    noise, step = settings.along(finding.direction), finding.estimate.step / 2
    found = yield from derivative.sixth_order(noise, step)
    return judge(finding.direction, found, settings)


def same(finding: Finding, again: Finding) -> bool:
    """Whether both differ by nearly the same error."""
    near = abs(again.error - finding.error) < 0.3 * abs(finding.error)
    return near and again.outcome is Outcome.DIFFERS


def at_every_scale(finding: Finding, settings: Settings) -> Run[Finding]:
    """The finding if it persists at all smaller steps that rounding allows.

    A function with several scales looks smooth at steps larger than its smallest scale, but its
    gradient includes that scale.
    """
    direction, error = finding.direction, abs(finding.error)
    steps = deep_steps(finding.estimate.step, error, settings.along(direction))
    few = len(steps) < 2
    if few:  # rounding hides smaller steps: does f look smooth at the others?
        steps = [finding.estimate.step / 2**number for number in range(4)]
    slopes = yield from derivative.second_order(settings.along(direction), steps)
    if stays(slopes, error):
        return finding._replace(outcome=at_kink(direction.analytic, slopes[-1]))
    if diverge(slopes):
        return finding._replace(outcome=Outcome.UNSURE)
    if few:
        return finding
    judged = [judge(direction, each.central, settings) for each in slopes[:-1]]
    near = [f for f in judged if abs(f.error) <= f.tolerance < 0.25 * error]
    if near:
        return min(near, key=lambda f: f.tolerance)
    again = derivative.fourth_order(slopes)  # at order 2, truncation could hide it
    repeated = any(abs(value - finding.estimate.value) < 0.3 * error for value in again)
    if repeated and settings.noisy:  # noise, or an oscillation that only tiny steps resolve
        repeated = yield from differs_at_tiny(finding, settings)
    return finding if repeated else finding._replace(outcome=Outcome.UNSURE)


def stays(slopes: list[Slopes], error: float) -> bool:
    """Whether the one-sided slopes differ by the same amount at all steps, and significantly."""
    first, last = slopes[0], slopes[-1]
    matters = last.jump > max(0.3 * error, 4 * last.central.rounding)
    return matters and 0.4 * first.jump < last.jump < 2.5 * first.jump


def diverge(slopes: list[Slopes]) -> bool:
    """Whether slopes change more at the smallest step than at a larger one, beyond rounding.

    Then f oscillates faster than the smallest step, and its slope at the point is unknown.
    """
    changes = [slopes[0].jump]
    for large, small in pairwise(slopes):
        changes.append(max(small.jump, abs(small.central.value - large.central.value)))
    seen = [max(c, 8 * s.central.rounding) for c, s in zip(changes, slopes, strict=True)]
    return changes[-1] >= seen[-1] > 2 * min(seen)


def differs_at_tiny(finding: Finding, settings: Settings) -> Run[bool]:
    """Whether the gradient is wrong at a tiny step, too."""
    step = tiny_step(finding, settings)
    (tiny,) = yield from derivative.second_order(settings.along(finding.direction), [step])
    return abs(tiny.central.value - finding.direction.analytic) > 0.3 * abs(finding.error)


def deep_steps(step: float, error: float, noise: Noise) -> list[float]:
    """Decreasing steps, as long as an error of this size stands out from rounding."""
    least = NOISE_FACTOR * noise.level / (0.25 * error)
    steps = [step / DEEP**number for number in range(1, 30)]
    return [h for h in steps if h > max(least, 1e3 * noise.argument)]


def is_kink(finding: Finding, where: Slopes, settings: Settings) -> Run[bool]:
    """Whether the difference of one-sided slopes stays bounded: noise would grow like 1/h."""
    if settings.shows_kinks:
        return True
    noise = settings.along(finding.direction)
    steps = deep_steps(where.central.step, where.jump, noise)
    if not steps:
        return not settings.noisy
    slopes = yield from derivative.second_order(noise, steps)
    growth = [(where.central.step / h) ** 0.3 for h in steps]
    for each, factor in zip(slopes, growth, strict=True):
        moved = abs(each.central.value - where.central.value)
        if not max(each.jump, moved) < 2 * factor * where.jump:
            return False
    return True


def repeats(finding: Finding, again: Finding, slopes: Slopes, rough: Roughness) -> bool:
    """Whether a smaller step gives the same difference, which is not noise."""
    found = finding.estimate
    apart = abs(again.estimate.value - found.value)
    agrees = again.outcome is Outcome.DIFFERS and apart <= again.tolerance + found.bound
    clean = found.bound < SMOOTH * abs(found.value)
    stands_out = clean and slopes.jump < SMOOTH * abs(slopes.central.value)
    return agrees and (rough is not Roughness.NOISE or stands_out)


def steady(findings: list[Finding]) -> bool:
    """Whether all findings differ by the same error."""
    errors = [finding.error for finding in findings]
    differ = all(finding.outcome is Outcome.DIFFERS for finding in findings)
    return differ and max(errors) - min(errors) < 0.1 * min(abs(error) for error in errors)


def ladder(found: Estimate, settings: Settings) -> list[float]:
    """Decreasing steps over three decades, as many as the budget allows."""
    count = min(max((BUDGET - found.used) // 2, 2), 3)
    if settings.sharp >= COARSE:
        return [found.step / 4**number for number in range(1, count + 1)]
    return [found.step / factor for factor in LADDERS[count]]


def tiny_step(finding: Finding, settings: Settings) -> float:
    """The smallest step at which an error of this size stands out from rounding."""
    visible = 20 * NOISE_FACTOR * settings.rounding / abs(finding.error or 1.0)
    resolved = 1e5 * settings.precision * finding.direction.step
    return min(max(visible, resolved), finding.direction.step)


def roughness(slopes: list[Slopes]) -> tuple[Roughness, Slopes]:
    """How the jump between the one-sided slopes changes with the step, and the deciding slopes."""
    for large, small in pairwise(slopes):
        if small.jump > 4 * small.central.rounding and small.jump > 0.3 * large.jump:
            kink = small.jump < 3 * large.jump
            return (Roughness.KINK if kink else Roughness.NOISE), small
    return Roughness.NONE, slopes[-1]


def at_kink(analytic: float, slopes: Slopes) -> Outcome:
    """The outcome at a kink: whether the slope lies between the one-sided slopes."""
    low, high = sorted((slopes.left, slopes.right))
    spare = slopes.central.rounding
    inside = low - spare <= analytic <= high + spare
    return Outcome.KINK if inside else Outcome.BEYOND_KINK
