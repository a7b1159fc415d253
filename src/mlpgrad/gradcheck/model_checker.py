"""The check of a model: its protocol, its own precision, and which layer is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._arrays import Array
from mlpgrad.gradcheck import engine, model_protocol
from mlpgrad.gradcheck.checker import Checker
from mlpgrad.gradcheck.model_problem import ModelProblem
from mlpgrad.gradcheck.probes import Settings
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
            bad = next(l for l in problem.leaves if not np.isfinite(gradient[l.slice]).all())
            report.protocol[Verdict.NAN] = f"the gradient of {bad.name} is not finite"
            return None
        decoy = engine.second_point(problem.point, problem.leaves, fresh)
        for found in (
            model_protocol.mutations(problem, problem.point),
            model_protocol.dirty_gradients(problem, gradient, fresh),
            model_protocol.stale_cache(problem, gradient, decoy),
        ):
            report.protocol |= found
        if not report.protocol:
            report.protocol |= model_protocol.not_linear(problem, problem.point)
        self.power()
        return gradient

    def power(self) -> None:
        """What this batch and this shape of network cannot show."""
        problem, warn = self.problem, self.report.warnings.append
        rows = problem.batch[0].shape[-2]
        if rows == 1:
            warn(
                "NO_POWER: with a batch of 1 a missing sum or mean over the batch cannot show; use 2 or more rows"
            )
        widths = [layer.in_features for layer in problem.model.layers if layer.in_features]
        widths += [layer.out_features for layer in problem.model.layers if layer.out_features]
        if len(widths) > 1 and len(set(widths)) == 1 and widths[0] > 1:
            warn(
                "NO_POWER: all layers have the same width, where a transposed shape cannot show; use different widths"
            )
        for position, layer in walk(problem.twin.layers):
            if getattr(layer, "kinks", None) and layer._outputs is not None:
                dead = np.mean(~layer._outputs.any(axis=-2))
                if dead > 0.5:
                    warn(
                        f"NO_POWER: {dead:.0%} of the units of layers[{position}] are dead on this batch; use more rows or other weights"
                    )
