"""What a check can find, and what each finding means to the person who reads it."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """Outcome for one tensor, or for the protocol of the whole function."""

    PASS = "PASS"
    FAIL = "FAIL"
    KINK = "KINK"
    INCONCLUSIVE = "INCONCLUSIVE"
    NO_POWER = "NO_POWER"
    RANDOM_FORWARD = "RANDOM_FORWARD"
    NON_REENTRANT = "NON_REENTRANT"
    ACCUMULATES = "ACCUMULATES"
    STALE_CACHE = "STALE_CACHE"
    MUTATES_INPUT = "MUTATES_INPUT"
    NOT_LINEAR_IN_SEED = "NOT_LINEAR_IN_SEED"
    SHAPE = "SHAPE"
    DTYPE = "DTYPE"
    NAN = "NAN"


MEANING = {
    Verdict.PASS: "the gradient is right",
    Verdict.FAIL: "the gradient is wrong: the difference is larger than every error of the check",
    Verdict.KINK: "the function has no derivative here; the gradient lies between its slopes",
    Verdict.INCONCLUSIVE: "the numeric derivative is too uncertain to judge",
    Verdict.NO_POWER: "the check could not have noticed a mistake",
    Verdict.RANDOM_FORWARD: "two calls with the same arguments give different values",
    Verdict.NON_REENTRANT: "two calls with the same arguments give different gradients",
    Verdict.ACCUMULATES: "gradients are added to those of an earlier call",
    Verdict.STALE_CACHE: "the gradient uses values that an earlier call has left behind",
    Verdict.MUTATES_INPUT: "the call changes its arguments",
    Verdict.NOT_LINEAR_IN_SEED: "the gradient is not proportional to the delta that comes in",
    Verdict.SHAPE: "the gradient has another shape or structure than the parameters",
    Verdict.DTYPE: "the gradient has another kind of numbers than the parameters",
    Verdict.NAN: "the value or the gradient is not finite",
}
