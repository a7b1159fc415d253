"""The methods that compare along one direction, which users choose by name."""

from __future__ import annotations

import math

from mlpgrad.gradcheck.numeric import derivative
from mlpgrad.gradcheck.numeric.derivative import Estimate, Run
from mlpgrad.gradcheck.numeric.judgement import (
    HALF,
    Finding,
    Method,
    Outcome,
    Settings,
    at_every_scale,
    confirmed,
    judge,
)
from mlpgrad.gradcheck.numeric.problem import ComplexStepError, Direction

ENOUGH = 1e-9
"""A numeric derivative with this relative error does not need a better step."""
RESOLVED = 5e-3
"""A sufficient tolerance if the rounding of f does not allow a smaller one."""
CERTAIN = 5 / 3
"""The excess that shows a mistake in a mean: five standard deviations, where three are expected."""
LARGEST = 1.0
"""The largest step to try if the parameters are smaller."""
SMALL = 1e-6
"""First steps below this belong to parameters that training has brought close to 0."""


def by_differences(direction: Direction, settings: Settings) -> Run[Finding]:
    """Judge by central differences, and by Ridders' extrapolation if those are uncertain.

    The first steps are in proportion to the parameters. If rounding hides everything there, steps
    of size one follow, since near zero the scale of f may differ from that of its parameters. The
    last resort averages the rounding errors of f.
    """
    if settings.precision > HALF:
        return (yield from by_averages(direction, settings))
    finding = yield from by_central_differences(direction, settings)
    usual = settings.shows_kinks and direction.step > SMALL  # the parameters of a network
    doubtful = (Outcome.UNSURE,) if usual else (Outcome.UNSURE, Outcome.EMPTY)
    if finding.outcome in doubtful:
        finding = sharper(finding, (yield from by_ridders(direction, settings)))
    if usual or finding.outcome not in doubtful:
        return finding
    found = yield from derivative.ridders(settings.along(direction), 2 * LARGEST)
    larger = yield from confirmed(judge(direction, found, settings), settings)
    finding = sharper(finding, larger)
    if settings.shows_kinks:
        return finding
    if finding.outcome is Outcome.UNSURE:
        finding = resolved(finding, settings)
    if finding.outcome is Outcome.UNSURE and finding.estimate.is_rounding:
        averaged = yield from by_averages(direction, settings)
        finding = sharper(finding, averaged)
    return finding


def sharper(first: Finding, second: Finding) -> Finding:
    """The more certain of two findings.

    A slope that differs at the steps of the second, but not at smaller ones, is not that of f at
    the point if the first contradicts it, so its tolerance does not count. A kink that is too close
    to be resolved is at the point.
    """
    passing = second.outcome is not Outcome.DIFFERS and not is_within(second)
    close = second.outcome is Outcome.KINK and not first.tolerance <= RESOLVED * first.scale
    contradicts = is_within(first) and not abs(second.error) <= 4 * first.tolerance
    if passing and contradicts and not close:
        return first
    better = second.outcome is Outcome.AGREES or not first.tolerance <= second.tolerance
    return second if better else first  # the tolerance is NaN beyond the domain of f


def is_within(finding: Finding) -> bool:
    """Whether the gradient agrees within the tolerance, however large it is."""
    return abs(finding.error) <= finding.tolerance < math.inf


def by_averages(direction: Direction, settings: Settings) -> Run[Finding]:
    """Judge by a fit through many values, whose rounding errors average out."""
    scale = max(400 * direction.step, LARGEST)
    found = yield from derivative.averaged(settings.along(direction), scale)
    finding = resolved(judge(direction, found, settings), settings)
    if finding.outcome is not Outcome.DIFFERS or settings.precision > HALF:
        return finding
    if finding.excess < CERTAIN:
        return finding._replace(outcome=Outcome.UNSURE)
    return (yield from at_every_scale(finding, settings))


def resolved(finding: Finding, settings: Settings) -> Finding:
    """The finding, accepted at the resolution of f if there is no better one."""
    agrees = abs(finding.error) <= finding.tolerance and finding.estimate.is_rounding
    enough = finding.tolerance <= max(settings.sharp, RESOLVED) * finding.scale
    if finding.outcome is Outcome.UNSURE and agrees and enough:
        return finding._replace(outcome=Outcome.AGREES)
    return finding


def by_central_differences(direction: Direction, settings: Settings) -> Run[Finding]:
    """Judge by central differences of order 6."""
    scale = max(abs(direction.analytic), direction.rms)

    def enough(found: Estimate) -> bool:
        if not settings.shows_kinks and found.bound > ENOUGH * scale:
            # the rest of the budget goes to smaller steps, which show whether there is a kink
            return judge(direction, found, settings).outcome is Outcome.DIFFERS
        return found.smooth and found.bound <= ENOUGH * scale

    found = yield from derivative.central(settings.along(direction), enough, direction.step)
    return (yield from confirmed(judge(direction, found, settings), settings))


def by_ridders(direction: Direction, settings: Settings) -> Run[Finding]:
    """Judge by Ridders' extrapolation."""
    found = yield from derivative.ridders(settings.along(direction), 400 * direction.step)
    return (yield from confirmed(judge(direction, found, settings), settings))


def by_complex_step(direction: Direction, settings: Settings) -> Run[Finding]:
    """Judge by a complex step, after a comparison with central differences on request."""
    exact = yield from derivative.complex_step(settings.along(direction))
    if direction.verify:
        found = yield from derivative.central(
            settings.along(direction), lambda e: e.smooth, direction.step
        )
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
