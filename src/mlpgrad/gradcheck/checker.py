"""From a problem to its report: protocol, two points, verdicts, then an explanation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import nearest
from mlpgrad.gradcheck import diagnosis, engine
from mlpgrad.gradcheck.probes import COARSE, Finding, Outcome, Settings
from mlpgrad.gradcheck.problem import BadGradientError, Problem
from mlpgrad.gradcheck.report import GOOD, GradientReport
from mlpgrad.gradcheck.trees import Leaf
from mlpgrad.gradcheck.verdicts import Verdict

CULPRITS = 4
"""Wrong tensors in which an element is searched for."""


@contextmanager
def global_generators_kept() -> Iterator[None]:
    """Whatever f draws from the global generators, they continue as if it had not."""
    numpy_state = np.random.get_state()  # noqa: NPY002  # the users' generator, not ours
    python_state = random.getstate()
    try:
        yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


class Place(NamedTuple):
    """A point, and what was found there in each tensor."""

    point: Array
    gradient: Array
    settings: Settings
    found: list[list[Finding]]

    def outcomes(self) -> set[Outcome]:
        """All that was found, in any tensor."""
        return {finding.outcome for findings in self.found for finding in findings}

    def differs(self) -> bool:
        """Whether a gradient is wrong here."""
        return Outcome.DIFFERS in self.outcomes()

    def settled(self) -> bool:
        """Whether no question is left open by a kink."""
        return not self.outcomes() & {Outcome.KINK, Outcome.BEYOND_KINK}


class Checker:
    """One run of a check; `report` grows as it goes."""

    def __init__(self, problem: Problem, plan: engine.Plan, seed: int, subject: str) -> None:
        if plan.method not in engine.METHODS:
            hint = nearest(str(plan.method), engine.METHODS)
            raise ValueError(f"no method {plan.method!r}{hint}")
        if not (isinstance(plan.directions, (int, np.integer)) and plan.directions >= 1):
            raise ValueError(f"directions expects an int >= 1, got {plan.directions!r}")
        if plan.rtol is not None and not 0 <= plan.rtol < 1:
            raise ValueError(f"rtol expects a number from 0 to 1, got {plan.rtol!r}")
        self.problem, self.plan = problem, plan
        self.rng = np.random.default_rng(seed)
        self.report = GradientReport(subject, seed=seed, method=plan.method)
        self.value = float("nan")

    def run(self) -> GradientReport:
        """Everything, in order; stops where going on makes no sense."""
        report, problem = self.report, self.problem
        with global_generators_kept(), np.errstate(all="ignore"):
            gradient = self.protocol() if self.repeatable() else None
            if gradient is not None:
                self.compare(gradient)
            report.passes = problem.passes - report.extra_passes
        return report

    # the protocol

    def repeatable(self) -> bool:
        """f twice at the same point: finite, and the same."""
        problem, report = self.problem, self.report
        self.value, again = problem.value(problem.point), problem.value(problem.point)
        if not np.isfinite(self.value):
            report.protocol[Verdict.NAN] = f"the value is {self.value} at the given parameters"
            return False
        if abs(again - self.value) > 1e-13 * abs(self.value):
            report.protocol[Verdict.RANDOM_FORWARD] = (
                f"{problem.label} gave {self.value!r}, then {again!r} with the same arguments; fix "
                f"its seed inside, or pass the random numbers as data"
            )
            return False
        return True

    def protocol(self) -> Array | None:
        """The gradient, after calls that a correct one does not notice."""
        return self.problem.gradient(self.problem.point)

    # the comparison

    def compare(self, gradient: Array) -> None:
        """Both points, the verdicts, and what follows from a failure."""
        problem, report, point = self.problem, self.report, self.problem.point
        settings = engine.settings_at(problem, point, self.value, self.plan, self.rng)
        if settings.sharp >= COARSE:
            report.precision = "float32"
        found = engine.check_point(
            problem, point, gradient, settings, self.plan, self.rng, first=True
        )
        here = Place(point, gradient, settings, found)
        there = self.elsewhere(here)
        for number, leaf in enumerate(problem.leaves):
            second = there.found[number] if there else []
            report.tensors.append(engine.verdict_of(leaf, found[number], second))
        if there:
            self.stale(here, there)
        if problem.own_dtype.itemsize < problem.gradient_dtype.itemsize:
            self.own_precision(gradient)
        if self.plan.explain and report.verdict not in GOOD:
            before = problem.passes
            wrong = [place for place in (here, there) if place and place.differs()]
            if wrong:
                self.explain(wrong[0].point, wrong[0].gradient, wrong[0].found, wrong[0].settings)
            else:
                self.second_opinion(point, found, settings)
            report.extra_passes = problem.passes - before

    def elsewhere(self, here: Place) -> Place | None:
        """A second point: what is right at one alone may come from a cache, or a kink."""
        problem, settings = self.problem, here.settings
        if self.plan.method == "coordinates" or self.report.protocol:
            return None
        moved = engine.second_point(here.point, problem.leaves, self.rng)
        value = problem.value(moved)
        if not np.isfinite(value):
            self.report.warnings.append(
                "f is not finite at a second point close by: only one was checked"
            )
            return None
        try:
            gradient = problem.gradient(moved)
        except BadGradientError as bad:
            self.report.protocol[bad.verdict] = f"at a second point close by, {bad}"
            return None
        if len(moved) > engine.LARGE and here.settled() and (gradient != here.gradient).any():
            return None  # the passes are dear, and the gradient does follow the parameters
        noise = max(settings.noise, settings.precision * abs(value))
        there = settings._replace(value=value, noise=noise)
        found = engine.check_point(
            problem, moved, gradient, there, self.plan, self.rng, first=False
        )
        return Place(moved, gradient, there, found)

    def stale(self, here: Place, there: Place) -> None:
        """A gradient that is wrong at the second point because it is still that of the first."""
        for leaf, tensor in zip(self.problem.leaves, self.report.tensors, strict=True):
            wrong = tensor.verdict is Verdict.FAIL and tensor.note
            if wrong and np.array_equal(here.gradient[leaf.slice], there.gradient[leaf.slice]):
                self.report.protocol.setdefault(
                    Verdict.STALE_CACHE,
                    f"at a second point the gradient of {leaf.name} is still that of the first; "
                    f"drop what was kept from the earlier call",
                )

    def own_precision(self, gradient: Array) -> None:
        """The gradient in the user's precision against the one in float64.

        Its rounding is seen by moving the parameters by a rounding error each. What is wrong at
        one point only is a kink between the two precisions.
        """
        problem, eps = self.problem, float(np.finfo(self.problem.own_dtype).eps)
        moved = engine.second_point(problem.point, problem.leaves, self.rng)
        moved = moved.astype(problem.own_dtype).astype(np.float64)
        here = self._rounding(problem.point, gradient, eps)
        there = None
        for number, tensor in enumerate(self.report.tensors):
            error, tolerance, norm = (float(part[number]) for part in here)
            if not error > tolerance:
                if tolerance > 5e-5 * norm and tensor.verdict is Verdict.PASS:
                    tensor.note = (
                        f"rounding to {problem.own_dtype} hides errors below {tolerance / norm:.0e}"
                    )
                continue
            if there is None:
                there = self._rounding(moved, problem.gradient(moved), eps)
            if there[0][number] > there[1][number] and tensor.verdict in GOOD:
                tensor.verdict = Verdict.FAIL
                tensor.note = (
                    f"right in float64, in {problem.own_dtype} off by {error / (norm or 1):.0e} "
                    f"of its norm, where rounding explains {tolerance / (norm or 1):.0e}"
                )

    def _rounding(self, point: Array, exact: Array, eps: float) -> tuple[Array, Array, Array]:
        """For each tensor: error of the user's gradient, what rounding explains, and the norm."""
        problem = self.problem

        def norms(vector: Array) -> Array:
            return np.array([np.linalg.norm(vector[leaf.slice]) for leaf in problem.leaves])

        own = problem.own_gradient(point)
        moves = (self.rng.choice([-1.0, 1.0], point.shape) for _ in range(3))
        near = [norms(problem.own_gradient(point * (1 + eps * signs)) - own) for signs in moves]
        return norms(own - exact), 50 * eps * norms(exact) + 8 * np.max(near, axis=0), norms(exact)

    # the explanation

    def explain(
        self, point: Array, gradient: Array, found: list[list[Finding]], settings: Settings
    ) -> None:
        """Where the gradient is wrong, and what the error looks like."""
        problem, report = self.problem, self.report
        wrong = [
            (leaf, findings)
            for leaf, findings in zip(problem.leaves, found, strict=True)
            if diagnosis.worst_finding(findings)
        ]
        for leaf, findings in wrong[:CULPRITS]:
            only = self.locate(point, leaf, gradient, findings, settings)
            evidence = diagnosis.evidence(leaf, findings, gradient)
            name = report.culprits[-1].name
            if only:
                self.hint([diagnosis.Hint("SINGLE", f"only {name} is wrong")])
            elif not report.hints:
                alternatives = self.alternatives(leaf, point)
                self.hint(list(diagnosis.hints(evidence, alternatives, self.factors())))
        self.second_opinion(point, [findings for _, findings in wrong], settings)

    def locate(
        self, point: Array, leaf: Leaf, gradient: Array, findings: list[Finding], settings: Settings
    ) -> bool:
        """Put one wrong element of a tensor into the report; True if it is the only one."""
        culprit, only = diagnosis.locate(
            self.problem, point, leaf, gradient, findings, settings.noise
        )
        self.report.culprits.append(culprit)
        return only

    def hint(self, hints: list[diagnosis.Hint]) -> None:
        """Add hints to the report, each once."""
        for hint in hints:
            if hint.text not in self.report.hints:
                self.report.hints.append(hint.text)
                self.report.codes.append(hint.code)

    def alternatives(self, leaf: Leaf, point: Array) -> dict[diagnosis.Hint, Array]:
        """Directions in which an error may lie: along the weights, if a penalty is forgotten."""
        text = (
            f"the error is proportional to the parameters: {leaf.name} lacks or repeats a "
            f"penalty ({{size:+.3g}} times the parameters)"
        )
        return {diagnosis.Hint("PENALTY", text): point[leaf.slice]}

    def factors(self) -> dict[float, str]:
        """Constant ratios that have a name."""
        return {}

    def second_opinion(self, point: Array, found: list[list[Finding]], settings: Settings) -> None:
        """The Taylor test along the direction that disagrees most."""
        every = [finding for findings in found for finding in findings]
        if every:
            worst = max(every, key=lambda f: abs(f.error) / (f.tolerance or 1e-300))
            self.report.taylor = diagnosis.taylor_slope(
                self.problem, point, worst, settings.value, settings.noise
            )
