"""The check of a model: its protocol, its power, and which layer is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.calls import is_own
from mlpgrad.gradcheck.checker import Checker, not_finite
from mlpgrad.gradcheck.elements import observe
from mlpgrad.gradcheck.hints import Evidence, Hint, constant_ratio, evidence, hints
from mlpgrad.gradcheck.models import protocol
from mlpgrad.gradcheck.models.diagnosis import Blame, Diagnosis
from mlpgrad.gradcheck.models.patterns import factors, rounding_hint, vector_hints
from mlpgrad.gradcheck.models.problem import ModelProblem
from mlpgrad.gradcheck.numeric.directions import Place, second_point
from mlpgrad.gradcheck.numeric.judgement import Finding
from mlpgrad.gradcheck.numeric.problem import Leaf, stream
from mlpgrad.gradcheck.reasons import reason
from mlpgrad.gradcheck.verdicts import Verdict
from mlpgrad.layers.chain import walk

FEW = 48
"""Number of elements of an array that are measured to confirm hints."""


class ModelChecker(Checker):
    """A check of a `Sequential` on a batch."""

    problem: ModelProblem

    def repeatable(self) -> bool:
        """Check that all methods give what is expected of them, and that the value repeats."""
        self.report.protocol |= protocol.results(self.problem)
        return not self.report.protocol and super().repeatable()

    def protocol(self) -> Array | None:
        problem, report = self.problem, self.report
        fresh = stream(1, 1)
        gradient = problem.gradient(problem.point)
        if not np.isfinite(gradient).all():
            report.protocol |= not_finite(problem.leaves, gradient)
            return gradient
        decoy = second_point(problem.point, problem.leaves, fresh)
        found = protocol.mutations(problem)
        found |= protocol.dirty_gradients(problem, gradient, fresh)
        found |= protocol.stale_cache(problem, gradient, decoy)
        if not found:
            found = protocol.stale_rows(problem, gradient) | protocol.not_linear(problem)
        report.protocol |= found
        report.warnings += powerless(problem)
        return gradient

    def explain(self, place: Place) -> None:
        """Locate the wrong layer and its elements, and add hints about the error."""
        problem, report = self.problem, self.report
        if Verdict.NAN in report.protocol:
            return
        wrong = place.wrong(problem.leaves)
        common = self.common_hint(place, wrong)
        blame = None
        if common:
            self.hint([common])
        elif not problem.model.lead:
            names = {leaf.name for leaf, _ in wrong}
            blame = Diagnosis(problem, place, names, self.rng).blame()
        if blame is None:
            super().explain(place)
            return
        report.first_wrong = blame.where
        self.hint(blame.hints)
        own = [(leaf, findings) for leaf, findings in wrong if leaf.name in blame.own]
        for leaf, findings in own or wrong[:1]:
            single = self.located(place, leaf, findings)
            if own:
                self.hint(single or self.own_hints(blame, leaf, findings, place))
        self.second_opinion(place, [findings for _, findings in wrong])

    def common_hint(self, place: Place, wrong: list[tuple[Leaf, list[Finding]]]) -> Hint | None:
        """Return a common reason for all wrong tensors: clipping, or a penalty."""
        raw = [self.evidence(place, leaf, findings) for leaf, findings in wrong]
        ratios = [constant_ratio(found) for found in raw]
        norm, first = float(np.linalg.norm(place.gradient)), ratios[0] or 0.0
        rounded = abs(norm - float(f"{norm:.2g}")) < 1e-9 * norm
        equal = all(ratio and abs(ratio - first) < 1e-4 * abs(first) for ratio in ratios)
        if len(wrong) > 1 and equal and rounded and 0 < first < 1:
            text = (
                f"the gradients of all parameters are {first:.6g} times the correct ones, and "
                f"their norm is {norm:.6g}: is clipping on?"
            )
            return Hint("CLIPPED", text)
        pairs = zip(wrong, raw, strict=True)
        shares = [self.penalty_hint(leaf, place.point, found) for (leaf, _), found in pairs]
        return shares[0] if all(shares) else None

    def evidence(self, place: Place, leaf: Leaf, findings: list[Finding]) -> Evidence:
        """The slopes along directions and single elements of one array."""
        before = self.problem.passes
        elements = observe(self.problem, place, leaf, FEW, FEW // 2)
        self.report.hint_passes += self.problem.passes - before
        return evidence(leaf, findings, place.gradient, elements)

    def penalty_hint(self, leaf: Leaf, point: Array, found: Evidence) -> Hint | None:
        """The hint that a tensor's error is proportional to its values."""
        every = hints(found, self.alternatives(leaf, point), {})
        return next((hint for hint in every if hint.code == "PENALTY"), None)

    def own_hints(
        self, blame: Blame, leaf: Leaf, findings: list[Finding], place: Place
    ) -> list[Hint]:
        """Return hints about the error in a layer's own gradient."""
        found = self.evidence(place, leaf, findings)
        found = found.without(self.problem.penalty_gradient(place.point)[leaf.slice])
        every = list(hints(found, {}, self.factors()))
        if not every and blame.seen is not None:
            every = list(vector_hints(blame.seen, self.problem.slots[leaf.name].kind, found))
        size = max(abs(f.error) / (f.scale or 1.0) for f in findings)
        if not every and size >= 1e-2 and (found_reason := reason(found.elements, found.what)):
            every = [found_reason]
        return every or [rounding_hint(found.what, size)] * (size < 1e-2)

    def alternatives(self, leaf: Leaf, point: Array) -> dict[Hint, Array]:
        """Return directions of possible errors: along the weights, if a penalty is missing."""
        text = (
            f"the error is proportional to the parameters: the gradient of {leaf.name} lacks or "
            f"repeats a penalty ({{size:+.3g}} times the parameters)"
        )
        return {Hint("PENALTY", text): point[leaf.slice]}

    def factors(self) -> dict[float, str]:
        return factors(self.problem)


def powerless(problem: ModelProblem) -> Iterator[str]:
    """Return what this batch and this network cannot show."""
    if problem.rows == 1:
        yield (
            "NO_POWER: with one row, a missing sum or mean over the batch is not detectable; use "
            "2 rows or more"
        )
    first = problem.model.layers[0]
    if not is_own(type(first).backward):
        yield (
            f"NO_POWER: dL/dx of {problem.called(problem.twin.layers[0])} {first!r} was not "
            f"checked, since no parameter depends on it; check_layer(layer) does"
        )
    matrices = [slot for slot in problem.twin.parameters if len(slot.shape) == 2]
    pairs = [(slot.layer.in_features, slot.layer.out_features) for slot in matrices]
    widths = {n for pair in pairs if None not in pair for n in pair}
    if len(widths) == 1 and widths != {1}:
        yield (
            "NO_POWER: all widths are equal, where a transposed gradient has the correct shape and "
            "a symmetric mistake may not show; use different widths"
        )
    for _, layer in walk(problem.twin.layers):
        if getattr(layer, "kinks", None) and layer._outputs is not None:
            dead = float(np.mean(~layer._outputs.any(axis=-2)))
            if dead > 0.5:
                yield (
                    f"NO_POWER: {dead:.0%} of the units of {problem.called(layer)} are dead on "
                    f"this batch; use more rows, or other weights"
                )
