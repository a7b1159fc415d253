"""The check itself: directions in every tensor, at two points, and a verdict for each tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.derivative import STEP
from mlpgrad.gradcheck.probes import COARSE, Direction, Finding, Outcome, Settings, compare
from mlpgrad.gradcheck.problem import Problem, norm, rms, search, spread, uncertainty
from mlpgrad.gradcheck.report import TensorReport
from mlpgrad.gradcheck.trees import Leaf
from mlpgrad.gradcheck.verdicts import Verdict

LARGE = 100_000
"""From this number of parameters on, one direction in each array is checked."""
AT_ONCE = 1 << 20
"""Elements of all the direction vectors held at one time."""


METHODS = ("auto", "central", "coordinates", "ridders", "complex")


class Plan(NamedTuple):
    """What to check, as the caller chose it."""

    directions: int = 3
    method: str = "auto"
    rtol: float | None = None
    explain: bool = True

    def call(self, function: str, arguments: str, seed: int) -> str:
        """The line that repeats the check: every option that is not the default."""
        usual = Plan()._asdict()
        options = {"seed": seed} | {n: v for n, v in self._asdict().items() if v != usual[n]}
        given = "".join(f", {name}={value!r}" for name, value in options.items())
        return f"mg.{function}({arguments}{given})"


def settings_at(
    problem: Problem, point: Array, value: float, plan: Plan, rng: np.random.Generator
) -> Settings:
    """Noise, precision and tolerances of this function at this point."""
    noise, precision = uncertainty(problem, point, value, rng)
    exact = precision < 1e-10 and problem.gradient_dtype.itemsize >= 8
    worst = max(precision, float(np.finfo(problem.gradient_dtype).eps))
    rtol = plan.rtol if plan.rtol is not None else (1e-10 if exact else 100 * worst)
    sharp = 1e-6 if exact else (5e-5 if precision < 1e-10 else COARSE)
    return Settings(
        value,
        noise,
        precision,
        rtol,
        max(sharp, 10 * rtol),
        problem.shows_kinks,
        problem.knows_all_kinks,
        plan.method,
    )


def directions(
    leaves: Sequence[Leaf],
    gradient: Array,
    point: Array,
    plan: Plan,
    count: int,
    step: float,
    rng: np.random.Generator,
    *,
    along: bool,
) -> Iterator[Direction]:
    """Unit vectors in each tensor: the gradient's own direction, then Gaussian ones.

    Along itself a gradient has its largest slope, so that a wrong factor shows at once; an error
    across it shows along random directions.
    """
    sizes = spread(point)
    for number, leaf in enumerate(leaves):
        if leaf.size == 0:
            continue
        part = gradient[leaf.slice]
        typical = rms(part)
        size = norm(sizes[leaf.slice])
        length = step * min(max(1.0, size / 8), size / 2)

        def made(
            vector: Array,
            typical: float = typical,
            leaf: Leaf = leaf,
            part: Array = part,
            length: float = length,
            number: int = number,
        ) -> Direction:
            slope = float(vector @ part)
            return Direction(number, leaf.start, leaf.stop, vector, slope, typical, length, along)

        if plan.method == "coordinates":
            for index in range(leaf.size):
                vector = np.zeros(leaf.size)
                vector[index] = 1.0
                yield made(vector)
            continue
        if along and 0 < typical < np.inf:
            unit = part / np.abs(part).max()
            yield made(unit / np.linalg.norm(unit))
            if leaf.size == 1:
                continue
        for _ in range(count if leaf.size > 1 else 1):
            vector = rng.standard_normal(leaf.size)
            yield made(vector / np.linalg.norm(vector))


def probe(
    problem: Problem, point: Array, settings: Settings, chosen: Iterator[Direction]
) -> Iterator[Finding]:
    """Compare along the chosen directions, as many at a time as memory allows."""
    group: list[Direction] = []
    held = 0
    for direction in chosen:
        group.append(direction)
        held += direction.vector.size
        if held >= AT_ONCE:
            yield from search(problem, point, [(d, compare(d, settings)) for d in group])
            group, held = [], 0
    if group:
        yield from search(problem, point, [(d, compare(d, settings)) for d in group])


def check_point(
    problem: Problem,
    point: Array,
    gradient: Array,
    settings: Settings,
    plan: Plan,
    rng: np.random.Generator,
    *,
    first: bool,
) -> list[list[Finding]]:
    """The findings at one point, for each tensor."""
    count = max(plan.directions - 1, 1) if first else 1
    along = first and len(point) <= LARGE
    if len(point) > LARGE:
        count = 1
    step = STEP if settings.sharp < COARSE else 8 * STEP
    chosen = directions(problem.leaves, gradient, point, plan, count, step, rng, along=along)
    found: list[list[Finding]] = [[] for _ in problem.leaves]
    for finding in probe(problem, point, settings, chosen):
        found[finding.direction.tensor].append(finding)
    return found


def verdict_of(leaf: Leaf, first: list[Finding], second: list[Finding]) -> TensorReport:
    """One verdict from what all directions in a tensor say, at both points."""
    here, there = ({finding.outcome for finding in found} for found in (first, second))
    report = TensorReport(leaf.name, leaf.shape, Verdict.PASS, first + second)
    if leaf.size == 0:
        report.verdict, report.note = Verdict.NO_POWER, "no elements"
    elif Outcome.DIFFERS in here | there:
        report.verdict = Verdict.FAIL
        if here <= {Outcome.AGREES, Outcome.EMPTY}:
            report.note = "right at the given point, wrong at a second one close by"
    elif Outcome.BEYOND_KINK in here | there:
        # at several kinks at once one-sided slopes bound nothing: the second point decides
        settled = there and there <= {Outcome.AGREES, Outcome.EMPTY}
        report.verdict = Verdict.KINK if settled else Verdict.INCONCLUSIVE
    elif Outcome.KINK in here:
        report.verdict = Verdict.KINK
    elif Outcome.UNSURE in here:
        report.verdict = Verdict.INCONCLUSIVE
    elif here | there == {Outcome.EMPTY}:
        report.verdict = Verdict.NO_POWER
        report.note = "the gradient is zero within rounding"
    return report


def second_point(point: Array, leaves: Sequence[Leaf], rng: np.random.Generator) -> Array:
    """A point nearby, with no element where it was: not at the same kink, not in a cache."""
    moved = point.copy()
    for leaf in leaves:
        part = moved[leaf.slice]
        size = np.maximum(np.abs(part), 0.2 * (rms(part) or 0.5))
        part += 0.05 * size * rng.standard_normal(leaf.size)
    return moved
