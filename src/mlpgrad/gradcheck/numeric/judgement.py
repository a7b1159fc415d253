"""One direction in one tensor: the analytic slope against the numeric one."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from itertools import pairwise
from typing import NamedTuple

from mlpgrad.gradcheck.numeric import derivative
from mlpgrad.gradcheck.numeric.derivative import BUDGET, NOISE_FACTOR, Estimate, Run, Slopes
from mlpgrad.gradcheck.numeric.problem import ComplexStepError, Direction

ENOUGH = 1e-9
"""A numeric derivative this exact, relative to its scale, needs no better step."""
TRUSTED = 1e-6
"""A bound so small, relative to the slope's scale, shows that the step is in its good range."""
LADDERS = {2: [32.0, 1024.0], 3: [16.0, 128.0, 1024.0]}
"""The factors by which the step is reduced, for as many pairs of evaluations as are left."""
SMOOTH = 0.01
"""A slope whose relative error is smaller than this stands out from noise."""
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


class Roughness(Enum):
    """How the slopes on both sides differ at small steps."""

    NONE = auto()  # less and less, like h: a curvature
    KINK = auto()  # always by as much
    NOISE = auto()  # more and more, like 1/h: or an oscillation faster than every step


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
    def excess(self) -> float:
        """The error in units of the tolerance."""
        ratio = abs(self.error) / (self.tolerance or 1e-300)
        return ratio if ratio == ratio else float("inf")

    @property
    def scale(self) -> float:
        """The size of slopes in this tensor, to which errors are related."""
        direction = self.direction
        return max(abs(direction.analytic), direction.rms, abs(self.estimate.value))


class Method(NamedTuple):
    """A way to compare, as the user chooses it by name."""

    title: str
    compare: Callable[[Direction, Settings], Run[Finding]]
    every_element: bool = False


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
    """Whether it finds every kink that there is."""
    method: Method

    @property
    def rounding(self) -> float:
        """The least uncertainty that a value can have."""
        return self.precision * abs(self.value)

    @property
    def noisy(self) -> bool:
        """Whether values are less certain than the number format explains."""
        return self.noise > 100 * self.rounding


def by_differences(direction: Direction, settings: Settings) -> Run[Finding]:
    """Judge by central differences, and by Ridders' extrapolation where those are uncertain."""
    finding = yield from by_central_differences(direction, settings)
    if finding.outcome is Outcome.UNSURE:
        finding = yield from by_ridders(direction, settings)
    return finding


def by_central_differences(direction: Direction, settings: Settings) -> Run[Finding]:
    """Judge by central differences of order 6."""
    scale = max(abs(direction.analytic), direction.rms)

    def enough(found: Estimate) -> bool:
        if not settings.shows_kinks and found.bound > ENOUGH * scale:
            # the rest of the budget goes to smaller steps: is there a kink in the way?
            return judge(direction, found, settings).outcome is Outcome.DIFFERS
        return found.smooth and found.bound <= ENOUGH * scale

    found = yield from derivative.central(settings.noise, enough, direction.step)
    return (yield from confirmed(judge(direction, found, settings), settings))


def by_ridders(direction: Direction, settings: Settings) -> Run[Finding]:
    """Judge by Ridders' extrapolation."""
    found = yield from derivative.ridders(settings.noise, 400 * direction.step)
    return (yield from confirmed(judge(direction, found, settings), settings))


def by_complex_step(direction: Direction, settings: Settings) -> Run[Finding]:
    """Judge by a complex step, after a comparison with central differences where asked for."""
    exact = yield from derivative.complex_step(settings.noise)
    if direction.verify:
        found = yield from derivative.central(settings.noise, lambda e: e.smooth, direction.step)
        apart = abs(exact.value - found.value)
        if found.smooth and not apart <= found.bound + 1e-7 * abs(found.value):
            raise ComplexStepError(
                f"one gives {exact.value:.6g}, central differences {found.value:.6g}"
            )
    return judge(direction, exact, settings)


METHODS = {
    "auto": Method("central differences", by_differences),
    "central": Method("central differences", by_central_differences),
    "coordinates": Method("central differences of every element", by_differences, True),
    "ridders": Method("Ridders' extrapolation", by_ridders),
    "complex": Method("complex steps", by_complex_step),
}
"""The values of the option `method` of every check."""


def judge(direction: Direction, estimate: Estimate, settings: Settings) -> Finding:
    """tolerance = rtol scale + C noise / h + truncation"""
    scale = max(abs(direction.analytic), direction.rms, 1e-300)
    tolerance = settings.rtol * scale + estimate.bound
    finding = Finding(Outcome.UNSURE, direction, estimate, tolerance)
    gap, size = abs(finding.error), finding.scale
    if not (gap < float("inf") and tolerance < float("inf")):  # NaN or infinity on the way
        return finding
    if gap > tolerance:
        return finding._replace(outcome=Outcome.DIFFERS)
    if tolerance <= settings.sharp * size:
        return finding._replace(outcome=Outcome.AGREES)
    if size <= 4 * estimate.rounding:
        return finding._replace(outcome=Outcome.EMPTY)
    return finding


def confirmed(finding: Finding, settings: Settings) -> Run[Finding]:
    """The finding, if it persists over three decades of the step where no one shows the kinks."""
    if finding.outcome not in (Outcome.DIFFERS, Outcome.UNSURE):
        return finding
    direction, found = finding.direction, finding.estimate
    differs = finding.outcome is Outcome.DIFFERS
    in_range = found.smooth and found.bound <= TRUSTED * finding.scale
    clear = abs(finding.error) > 10 * finding.tolerance
    if differs and settings.knows_all_kinks and in_range and clear:
        return finding
    steps = ladder(found, settings)
    smaller = yield from derivative.second_order(settings.value, settings.noise, steps)
    judged = [judge(direction, slopes.central, settings) for slopes in smaller]
    accepted = [f for f in judged if f.outcome in (Outcome.AGREES, Outcome.UNSURE)]
    sharper = (f for f in accepted if f.tolerance < 0.25 * abs(finding.error))
    if (settled := next(sharper, None)) is not None:
        return settled
    weaker = next((f for f in accepted if f.outcome is Outcome.AGREES), None)
    if not differs:
        return weaker or finding
    rough, where = roughness(smaller)
    if rough is Roughness.KINK:
        return finding._replace(outcome=at_kink(direction.analytic, where))
    persists = any(repeats(finding, *pair, rough) for pair in zip(judged, smaller, strict=True))
    if not persists and rough is Roughness.NONE and steady(judged):
        finding, persists = judged[-1], True  # a kink lies within the larger steps only
    if persists and (rough is Roughness.NOISE or settings.noisy):
        # correct at the smallest step of all: then f oscillates faster than the others can see
        step = tiny_step(finding, settings)
        (tiny,) = yield from derivative.second_order(settings.value, settings.noise, [step])
        persists = abs(tiny.central.value - direction.analytic) > 0.3 * abs(finding.error)
    return finding if persists else weaker or finding._replace(outcome=Outcome.UNSURE)


def repeats(finding: Finding, again: Finding, slopes: Slopes, rough: Roughness) -> bool:
    """Whether a smaller step finds the same difference, and not by noise."""
    found = finding.estimate
    apart = abs(again.estimate.value - found.value)
    agrees = again.outcome is Outcome.DIFFERS and apart <= again.tolerance + found.bound
    clean = found.bound < SMOOTH * abs(found.value)
    stands_out = clean and slopes.jump < SMOOTH * abs(slopes.central.value)
    return agrees and (rough is not Roughness.NOISE or stands_out)


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


def roughness(slopes: list[Slopes]) -> tuple[Roughness, Slopes]:
    """What the jump from the left to the right slope does while the step shrinks, and where."""
    for large, small in pairwise(slopes):
        if small.jump > 4 * small.central.rounding and small.jump > 0.3 * large.jump:
            kink = small.jump < 3 * large.jump
            return (Roughness.KINK if kink else Roughness.NOISE), small
    return Roughness.NONE, slopes[-1]


def at_kink(analytic: float, slopes: Slopes) -> Outcome:
    """Whether a slope lies between those on both sides of a kink."""
    low, high = sorted((slopes.left, slopes.right))
    spare = slopes.central.rounding
    inside = low - spare <= analytic <= high + spare
    return Outcome.KINK if inside else Outcome.BEYOND_KINK
