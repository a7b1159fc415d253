"""The verdict on one array, from the findings along all directions."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome, Settings
from mlpgrad.gradcheck.numeric.problem import Leaf
from mlpgrad.gradcheck.report import TensorReport
from mlpgrad.gradcheck.verdicts import Verdict

ELSEWHERE = "correct at the given point, wrong at a second one nearby"
BEYOND = "at a kink, along some directions the gradient is outside all slopes that were seen"
SETTLED = {Outcome.AGREES, Outcome.EMPTY}


def verdict_of(leaf: Leaf, first: list[Finding], second: list[Finding]) -> TensorReport:
    """Return one verdict from all directions in a tensor at both points."""
    here, there = ({finding.outcome for finding in found} for found in (first, second))
    both, note = here | there, ""
    if leaf.size == 0:
        verdict, note = Verdict.NO_POWER, "no elements"
    elif Outcome.DIFFERS in both:
        verdict = Verdict.FAIL
        if here <= SETTLED:
            note = ELSEWHERE
    elif Outcome.BEYOND_KINK in both:
        verdict, note = Verdict.INCONCLUSIVE, BEYOND
    elif Outcome.KINK in here:
        verdict = Verdict.KINK
    elif Outcome.UNSURE in here:
        verdict = Verdict.INCONCLUSIVE
    elif Outcome.AGREES not in both:
        verdict, note = Verdict.NO_POWER, "the gradient is zero within rounding"
    else:
        verdict = Verdict.PASS
    return TensorReport(leaf.name, leaf.shape, verdict, first + second, note)


def mark_hidden(tensors: list[TensorReport], settings: Settings) -> None:
    """Mark the arrays in which noise may hide mistakes that matter beside the slopes of others."""
    largest = max((f.scale for tensor in tensors for f in tensor.findings), default=0.0)
    for tensor in tensors:
        unseen = max((f.tolerance for f in tensor.findings if f.scale > 0), default=0.0)
        is_empty = tensor.verdict is Verdict.NO_POWER
        if settings.noisy and is_empty and unseen > settings.sharp * largest:
            jumps = f"the values of the function jump or scatter by {settings.noise:.1g}"
            tensor.hidden, tensor.note = True, f"{jumps}, which hides the slopes here"
        elif settings.hidden and is_empty and any(f.direction.analytic for f in tensor.findings):
            tensor.note = "f is constant here, perhaps since it rounds to float32; use float64"


def add_note(tensor: TensorReport, gradient: Array, findings: list[Finding]) -> None:
    """Add a note to a PASS if elements are smaller than every error of the check."""
    seen = gradient == 0
    for finding in findings:
        seen |= np.abs(gradient * finding.direction.vector) > finding.tolerance
    missed = int((~seen).sum())
    if tensor.verdict is Verdict.PASS and missed:
        few = f"{missed} of {gradient.size} elements are" if missed > 1 else "1 element is"
        tensor.note = f"{few} below the noise of the check: a mistake there would not show"
