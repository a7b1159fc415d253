"""The verdicts of a check, and their meanings."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """Outcome for one tensor, or for the protocol of the whole function; `meaning` explains it.

    Examples
    --------
    >>> Verdict.PASS.meaning
    'the gradient is correct'
    """

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Verdict:
        member = str.__new__(cls, name)
        member._value_, member.meaning = name, meaning
        return member

    PASS = "PASS", "the gradient is correct"
    FAIL = "FAIL", "the gradient is wrong: the difference is larger than every error of the check"
    KINK = (
        "KINK",
        "the function has no derivative here, and no slope that was seen contradicts the gradient",
    )
    INCONCLUSIVE = "INCONCLUSIVE", "the numeric derivative is too uncertain to judge"
    NO_POWER = "NO_POWER", "the check could not have noticed a mistake"
    RANDOM_FORWARD = "RANDOM_FORWARD", "two calls with the same arguments give different values"
    NON_REENTRANT = "NON_REENTRANT", "two calls with the same arguments give different gradients"
    ACCUMULATES = "ACCUMULATES", "gradients are added to those of an earlier call"
    STALE_CACHE = "STALE_CACHE", "the gradient uses values left over from an earlier call"
    MUTATES_INPUT = "MUTATES_INPUT", "the call changes its arguments"
    NOT_LINEAR_IN_SEED = (
        "NOT_LINEAR_IN_SEED",
        "the gradient is not proportional to the delta that comes in",
    )
    SHAPE = "SHAPE", "a result does not have the expected shape or structure"
    DTYPE = "DTYPE", "a result does not have the expected dtype"
    NOT_WRITTEN = "NOT_WRITTEN", "a method returns its result instead of writing it into out"
    NAN = "NAN", "the value or the gradient is not finite"


GOOD = (Verdict.PASS, Verdict.KINK, Verdict.NO_POWER)
"""The verdicts that report no mistake."""
