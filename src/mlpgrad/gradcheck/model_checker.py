"""The check of a model: its protocol, its power, and which layer is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlpgrad._arrays import Array
from mlpgrad.gradcheck import diagnosis, engine, model_protocol
from mlpgrad.gradcheck.checker import Checker
from mlpgrad.gradcheck.diagnosis import Hint
from mlpgrad.gradcheck.model_diagnosis import Culprit, Search, factors, rounding_hint, vector_hints
from mlpgrad.gradcheck.model_problem import ModelProblem
from mlpgrad.gradcheck.probes import Finding, Settings
from mlpgrad.gradcheck.trees import Leaf
from mlpgrad.gradcheck.verdicts import Verdict
from mlpgrad.layers import walk


class ModelChecker(Checker):
    """A check of a `Sequential` on a batch."""

    problem: ModelProblem

    def protocol(self) -> Array | None:
        problem, report = self.problem, self.report
        fresh = np.random.default_rng(1)
        gradient = problem.gradient(problem.point)
        if not np.isfinite(gradient).all():
            bad = next(p for p in problem.leaves if not np.isfinite(gradient[p.slice]).all())
            report.protocol[Verdict.NAN] = f"the gradient of {bad.name} is not finite"
            return None
        decoy = engine.second_point(problem.point, problem.leaves, fresh)
        report.protocol |= model_protocol.mutations(problem, problem.point)
        report.protocol |= model_protocol.dirty_gradients(problem, gradient, fresh)
        report.protocol |= model_protocol.stale_cache(problem, gradient, decoy)
        if not report.protocol:
            report.protocol |= model_protocol.stale_rows(problem, gradient)
            report.protocol |= model_protocol.not_linear(problem, problem.point)
        report.warnings += powerless(problem)
        return gradient

    def explain(
        self, point: Array, gradient: Array, found: list[list[Finding]], settings: Settings
    ) -> None:
        """The layer that is wrong, its elements, and what the error looks like."""
        problem, report = self.problem, self.report
        wrong = {
            leaf.name: (leaf, findings)
            for leaf, findings in zip(problem.leaves, found, strict=True)
            if diagnosis.worst_finding(findings)
        }
        common = self.common_hint(point, gradient, list(wrong.values()))
        if common is not None or problem.model.lead:
            self.hint([common] if common else [])
            super().explain(point, gradient, found, settings)
            return
        culprit = Search(problem, point, set(wrong), settings, self.rng).culprit()
        if culprit is None:
            super().explain(point, gradient, found, settings)
            return
        report.first_wrong = culprit.where
        self.hint(culprit.hints)
        for name in culprit.own or list(wrong)[:1]:
            leaf, findings = wrong[name]
            only = self.locate(point, leaf, gradient, findings, settings)
            if culprit.own:
                own = list(self.own_hints(culprit, leaf, gradient, findings, point, only))
                self.hint(own)
        self.second_opinion(point, [findings for _, findings in wrong.values()], settings)

    def common_hint(
        self, point: Array, gradient: Array, wrong: list[tuple[Leaf, list[Finding]]]
    ) -> Hint | None:
        """One reason for all wrong tensors: clipping, or the same share of the weights."""
        raw = [diagnosis.evidence(leaf, findings, gradient) for leaf, findings in wrong]
        ratios = [diagnosis.constant_ratio(found) for found in raw]
        norm = float(np.linalg.norm(gradient))
        first = ratios[0] or 0.0
        if len(wrong) > 1 and all(r and abs(r - first) < 1e-4 * abs(first) for r in ratios):
            rounded = abs(norm - float(f"{norm:.2g}")) < 1e-9 * norm
            if rounded and 0 < first < 1:
                text = (
                    f"the gradients of all parameters are {first:.6g} times the right ones, and "
                    f"their norm is {norm:.6g}: is clipping on?"
                )
                return Hint("CLIPPED", text)
        shares = [
            self.penalty_hint(leaf, point, found)
            for (leaf, _), found in zip(wrong, raw, strict=True)
        ]
        return shares[0] if all(shares) else None

    def penalty_hint(self, leaf: Leaf, point: Array, found: diagnosis.Evidence) -> Hint | None:
        """The hint that a tensor's error is proportional to its values."""
        hints = diagnosis.hints(found, self.alternatives(leaf, point), {})
        return next((hint for hint in hints if hint.code == "PENALTY"), None)

    def own_hints(
        self,
        culprit: Culprit,
        leaf: Leaf,
        gradient: Array,
        findings: list[Finding],
        point: Array,
        only: bool,
    ) -> Iterator[Hint]:
        """What the error in a layer's own gradient looks like."""
        if only:
            yield Hint("SINGLE", f"only {self.report.culprits[-1].name} is wrong")
            return
        found = diagnosis.evidence(leaf, findings, gradient)
        found = found.without(self.problem.penalty_gradient(point)[leaf.slice])
        hints = list(diagnosis.hints(found, {}, self.factors()))
        if not hints and culprit.seen is not None:
            hints = list(vector_hints(culprit.seen, leaf, found.gradient))
        if not hints:
            scales = (max(abs(f.estimate.value), f.direction.rms, 1e-300) for f in findings)
            size = max(abs(f.error) / scale for f, scale in zip(findings, scales, strict=True))
            if size < 1e-2:
                hints = [rounding_hint(f"the gradient of {leaf.name}", size)]
        yield from hints

    def factors(self) -> dict[float, str]:
        return factors(self.problem)


def powerless(problem: ModelProblem) -> Iterator[str]:
    """What this batch and this shape of network cannot show."""
    if problem.batch[0].shape[-2] == 1:
        yield (
            "NO_POWER: with one row a missing sum or mean over the batch cannot show; "
            "use 2 rows or more"
        )
    matrices = [slot for slot in problem.twin.parameters if len(slot.shape) == 2]
    pairs = [(slot.layer.in_features, slot.layer.out_features) for slot in matrices]
    widths = {n for pair in pairs if None not in pair for n in pair}
    if len(widths) == 1 and widths != {1}:
        yield (
            "NO_POWER: all widths are equal, where a transposed gradient has the right shape and a "
            "symmetric mistake may not show; use different widths"
        )
    for position, layer in walk(problem.twin.layers):
        if getattr(layer, "kinks", None) and layer._outputs is not None:
            dead = float(np.mean(~layer._outputs.any(axis=-2)))
            if dead > 0.5:
                yield (
                    f"NO_POWER: {dead:.0%} of the units of layers[{position}] are dead on this "
                    f"batch; use more rows, or other weights"
                )
