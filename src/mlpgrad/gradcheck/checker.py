"""The steps of a check: protocol, two points, verdicts, then an explanation."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.conclusions import ELSEWHERE, SETTLED, add_note, mark_hidden, verdict_of
from mlpgrad.gradcheck.elements import observe
from mlpgrad.gradcheck.hints import Hint
from mlpgrad.gradcheck.locating import locate, single_element, taylor_slope
from mlpgrad.gradcheck.numeric.directions import (
    FEW,
    LARGE,
    Place,
    Plan,
    check_point,
    first_step,
    rounded,
    second_point,
)
from mlpgrad.gradcheck.numeric.integral import integrated
from mlpgrad.gradcheck.numeric.judgement import COARSE, HALF, Finding, Outcome
from mlpgrad.gradcheck.numeric.kinks import between_slopes_nearby, outside_kinks
from mlpgrad.gradcheck.numeric.methods import METHODS
from mlpgrad.gradcheck.numeric.problem import BadGradientError, Leaf, Problem, spread, stream
from mlpgrad.gradcheck.numeric.scatter import beyond_rounding
from mlpgrad.gradcheck.precision import in_own_precision
from mlpgrad.gradcheck.reasons import reasons
from mlpgrad.gradcheck.report import GradientReport
from mlpgrad.gradcheck.verdicts import GOOD, Verdict

CULPRITS = 4
"""Maximum number of wrong tensors in which a wrong element is located."""
AUTOMATIC = ("auto", "coordinates")
"""The methods that try others if their slopes are uncertain."""
SIZES = 1.0, 0.1, 0.01, 0.001
"""The distances of the second point to try, in units of the first, until f is finite there."""
AT_KINKS = {Outcome.KINK, Outcome.BEYOND_KINK, Outcome.DIFFERS}


@contextmanager
def global_generators_kept() -> Iterator[None]:
    """Restore the global random generators, in case f draws from them."""
    numpy_state = np.random.get_state()  # noqa: NPY002  # the users' generator, not ours
    python_state = random.getstate()
    try:
        yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


class Checker:
    """One run of a check; `report` grows as it goes.

    Parameters
    ----------
    problem : Problem
    plan : Plan
    seed : int
        Seed of the random directions.
    subject : str
        A short description of what is checked.
    again : str
        The line of code that repeats the check.
    """

    def __init__(
        self, problem: Problem, plan: Plan, seed: int, subject: str = "", again: str = ""
    ) -> None:
        self.every_element = plan.chosen().every_element
        self.problem, self.plan = problem, plan
        self.rng = stream(seed)
        self.report = GradientReport(subject, seed=seed, method=plan.method, reproduce=again)
        self.value = float("nan")

    def run(self) -> GradientReport:
        """Run all steps in order; stop when the next one would be meaningless."""
        report, problem = self.report, self.problem
        with global_generators_kept(), np.errstate(all="ignore"):
            gradient = self.protocol() if self.repeatable() else None
            if gradient is not None:
                self.compare(gradient)
                self.left_out()
            report.passes = problem.passes - report.extra_passes - report.hint_passes
        return report

    def left_out(self) -> None:
        """Say that f has no value at some points, if this may be why the check does not pass."""
        problem, report = self.problem, self.report
        if problem.lost and not report:
            raised = f"; it raised {problem.last_error}" if problem.last_error else ""
            report.warnings.append(
                f"{problem.label} had no finite value at {problem.lost} of the points that were "
                f"tried, which were left out{raised}"
            )

    # the protocol

    def repeatable(self) -> bool:
        """Check that two calls of f at the same point give the same finite value."""
        problem, protocol = self.problem, self.report.protocol
        self.value, again = problem.value(problem.point), problem.value(problem.point)
        if not np.isfinite(self.value):
            protocol[Verdict.NAN] = f"the value is {self.value} at the given parameters"
        elif abs(again - self.value) > 1e-13 * abs(self.value):
            protocol[Verdict.RANDOM_FORWARD] = (
                f"{problem.label} gave {self.value!r}, then {again!r} with the same arguments; fix "
                f"its seed inside, or pass the random numbers as data"
            )
        return not protocol

    def protocol(self) -> Array | None:
        """Return the gradient, or None if it cannot be compared; subclasses check the calls too."""
        return self.problem.gradient(self.problem.point)

    # the comparison

    def compare(self, gradient: Array) -> None:
        """Compare at both points, set the verdicts, and examine failures."""
        problem, report, point = self.problem, self.report, self.problem.point
        settings = self.plan.settings(problem, point, self.value, self.rng)
        bad = ~np.isfinite(gradient)
        if settings.sharp >= COARSE:
            report.precision = "float16" if settings.precision > HALF else "float32"
        small = len(point) <= LARGE
        count = max(self.plan.directions - 1, 1) if small else 1
        here = Place(point, gradient, settings)
        here = self.by_integrals(check_point(problem, here, self.rng, count, along=small))
        there = self.elsewhere(here)
        here = self.beyond_rounding(self.close_by(here, there))
        for number, leaf in enumerate(problem.leaves):
            second = there.found[number] if there else []
            report.tensors.append(verdict_of(leaf, here.found[number], second))
            if self.every_element or not problem.shows_kinks:
                add_note(report.tensors[-1], gradient[leaf.slice], here.found[number])
        mark_hidden(report.tensors, settings)
        self.not_numbers(here, bad)
        self.kinks(here)
        if there:
            self.stale(here, there)
        in_own_precision(problem, gradient, report.tensors, self.rng)
        if self.plan.explain and report.verdict not in GOOD:
            before = problem.passes
            wrong = [p for p in (here, there) if p and Outcome.DIFFERS in p.outcomes()]
            if wrong:
                self.explain(wrong[0]._replace(gradient=np.nan_to_num(wrong[0].gradient)))
            else:
                self.second_opinion(here, here.found)
            report.extra_passes += problem.passes - before - report.hint_passes

    def elsewhere(self, here: Place) -> Place | None:
        """Compare at a second point, since one point may be special: a cache, or a kink.

        One random direction in each array is enough there, even if every element is checked here.
        """
        problem, settings = self.problem, here.settings
        if self.report.protocol:
            return None
        if self.every_element:
            settings = settings._replace(method=METHODS["auto"])
        moved, value = self.moved(here.point)
        if not np.isfinite(value):
            text = "f is not finite at a second point nearby: only the given one was checked"
            self.report.warnings.append(text)
            return None
        try:
            gradient = problem.gradient(moved)
        except BadGradientError as bad:
            self.report.protocol[bad.verdict] = f"at a second point nearby, {bad}"
            return None
        kinks = here.outcomes() & {Outcome.KINK, Outcome.BEYOND_KINK}
        parts = (leaf.slice for leaf in problem.leaves if here.gradient[leaf.slice].any())
        moves = all((gradient[part] != here.gradient[part]).any() for part in parts)
        moves &= bool((gradient != here.gradient).any())
        if len(moved) > LARGE and not kinks and moves:
            return None  # passes are expensive, and each gradient does depend on the parameters
        noise = max(settings.noise, settings.precision * abs(value))
        hidden = settings.hidden if value == settings.value else 0.0
        settings = settings._replace(value=value, noise=noise, hidden=hidden)
        there = Place(moved, gradient, settings)
        there = self.by_integrals(check_point(problem, there, self.rng, 1, along=False))
        return self.beyond_rounding(there)

    def moved(self, point: Array) -> tuple[Array, float]:
        """Return a second point, and f there; the domain of f may end close to the first."""
        problem, value = self.problem, float("nan")
        for size in SIZES:
            moved = second_point(point, problem.leaves, self.rng, size)
            if not problem.lifts:
                moved = rounded(moved, problem.leaves)
            value = problem.value(moved)
            if np.isfinite(value):
                break
        return moved, value

    def beyond_rounding(self, place: Place) -> Place:
        """Keep differences that rounding errors of the gradient do not explain.

        A gradient that changes from call to call scatters anyway.
        """
        if self.report.protocol:
            return place
        return beyond_rounding(self.problem, place, self.report.seed)

    def by_integrals(self, place: Place) -> Place:
        """Judge what is not settled in a coarse function by integrals of its gradient."""
        settings, problem = place.settings, self.problem
        chosen = problem.shows_kinks or self.plan.method not in AUTOMATIC
        if chosen or not (settings.noisy or settings.sharp >= COARSE):
            return place
        before = problem.passes
        found = [
            [f if f.outcome is Outcome.AGREES else integrated(problem, place, f) for f in findings]
            for findings in place.found
        ]
        self.report.extra_passes += problem.passes - before
        return place._replace(found=found)

    def not_numbers(self, here: Place, bad: Array) -> None:
        """Measure the slopes at the first elements that are not finite."""
        problem, before, left = self.problem, self.problem.passes, CULPRITS
        for leaf, tensor in zip(problem.leaves, self.report.tensors, strict=True):
            positions = np.flatnonzero(bad[leaf.slice])
            if not len(positions):
                continue
            if tensor.verdict is not Verdict.FAIL:
                tensor.verdict = Verdict.NAN
            tensor.note = f"{len(positions)} of {leaf.size} elements are not finite"
            size = float(np.linalg.norm(spread(here.point, problem.leaves)[leaf.slice]))
            step = first_step(size / np.sqrt(leaf.size), here.settings)
            for position in positions[:left]:
                culprit = single_element(problem, here, leaf, int(position), step)
                self.report.culprits.append(culprit)
            left -= len(positions[:left])
        self.report.extra_passes += problem.passes - before

    def close_by(self, here: Place, there: Place | None) -> Place:
        """Judge what is not settled at the point, but at the second one, by slopes close by.

        It may be due to kinks at the point, whose one-sided slopes are not bounds if there are
        several. If an element moves several units, no slope is a bound, and the second point
        decides.
        """
        problem, before, found = self.problem, self.problem.passes, list(here.found)
        if self.every_element:
            return here  # single elements are compared with their slopes on both sides
        for number, (leaf, first) in enumerate(zip(problem.leaves, here.found, strict=True)):
            settled = there and {f.outcome for f in there.found[number]} <= SETTLED
            if not (settled and AT_KINKS & {f.outcome for f in first}):
                continue
            if problem.strict_kinks:
                rng = stream(self.report.seed, 5)
                found[number] = between_slopes_nearby(problem, here, leaf, first, rng)
            else:
                beyond = Outcome.BEYOND_KINK
                kink = (
                    f._replace(outcome=Outcome.KINK) if f.outcome is beyond else f for f in first
                )
                found[number] = list(kink)
        self.report.extra_passes += problem.passes - before
        return here._replace(found=found)

    def kinks(self, here: Place) -> None:
        """Check that an element's gradient at a kink lies between the slopes on both sides."""
        problem, before = self.problem, self.problem.passes
        if not problem.strict_kinks:
            return  # an element may move several units at kinks, so its slopes are not bounds
        for number, leaf in enumerate(problem.leaves):
            tensor = self.report.tensors[number]
            outcomes = {finding.outcome for finding in here.found[number]}
            small = leaf.size <= FEW and Outcome.KINK in outcomes
            if tensor.verdict is Verdict.FAIL or not (small or Outcome.BEYOND_KINK in outcomes):
                continue
            rng = stream(self.report.seed, 5)
            for direction, slopes in outside_kinks(problem, here, leaf, rng):
                low, high = sorted((slopes.left, slopes.right))
                name, slope = leaf.element(direction.tensor), direction.analytic
                tensor.verdict = Verdict.FAIL
                tensor.note = f"{name} is at a kink: {slope:.6g} is outside [{low:.6g}, {high:.6g}]"
                break
        self.report.extra_passes += problem.passes - before

    def stale(self, here: Place, there: Place) -> None:
        """Detect a gradient at the second point that is still that of the first."""
        for leaf, tensor in zip(self.problem.leaves, self.report.tensors, strict=True):
            wrong = tensor.verdict is Verdict.FAIL and tensor.note == ELSEWHERE
            if wrong and np.array_equal(here.gradient[leaf.slice], there.gradient[leaf.slice]):
                self.report.protocol.setdefault(
                    Verdict.STALE_CACHE,
                    f"at a second point the gradient of {leaf.name} is still that of the first; "
                    "do not reuse values stored by an earlier call",
                )

    # the explanation

    def explain(self, place: Place) -> None:
        """Locate the mistake, and add hints about the error."""
        wrong = place.wrong(self.problem.leaves)
        single = [h for t, found in wrong[:CULPRITS] for h in self.located(place, t, found)]
        before = self.problem.passes
        seen = [observe(self.problem, place, leaf) for leaf, _ in wrong if leaf.size <= LARGE]
        self.report.hint_passes += self.problem.passes - before
        self.hint(reasons(seen))
        if not self.report.hints and len(wrong) == 1 and not seen[:1]:
            self.hint(single)
        self.second_opinion(place, [findings for _, findings in wrong])

    def located(self, place: Place, leaf: Leaf, findings: list[Finding]) -> list[Hint]:
        """Report one wrong element of a tensor, if found; return a hint if it is the only one."""
        culprit, only = locate(self.problem, place, leaf, findings)
        if culprit is None:
            return []
        self.report.culprits.append(culprit)
        return [Hint("SINGLE", f"only {culprit.name} is wrong")] if only else []

    def hint(self, hints: Iterator[Hint] | list[Hint]) -> None:
        """Add hints to the report, each once."""
        for hint in hints:
            if hint.text not in self.report.hints:
                self.report.hints.append(hint.text)
                self.report.codes.append(hint.code)

    def second_opinion(self, place: Place, found: Sequence[list[Finding]]) -> None:
        """Run the Taylor test along the direction with the largest disagreement."""
        every = [f for findings in found for f in findings if np.isfinite(f.excess)]
        if every:
            worst = max(every, key=lambda f: f.excess).direction
            value, noise = place.settings.value, place.settings.noise
            self.report.taylor = taylor_slope(self.problem, place.point, worst, value, noise)


def not_finite(leaves: Sequence[Leaf], gradient: Array) -> dict[Verdict, str]:
    """Return a finding about the first element that is not finite; empty if all are finite."""
    for leaf in leaves:
        bad = np.flatnonzero(~np.isfinite(gradient[leaf.slice]))
        if len(bad):
            value = gradient[leaf.start + bad[0]]
            return {Verdict.NAN: f"the gradient of {leaf.element(int(bad[0]))} is {value}"}
    return {}
