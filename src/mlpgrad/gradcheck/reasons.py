"""Reasons for a wrong gradient, each of which must hold at every measured element."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.elements import EXPLAINED, Observed
from mlpgrad.gradcheck.hints import Hint, named_ratio
from mlpgrad.gradcheck.where import listed, where_wrong

CONSTANTS = {
    math.pi / 180: "degrees taken as radians",
    180 / math.pi: "radians taken as degrees",
    math.log(2): "a logarithm to base 2 in place of the natural one, or the reverse",
    1 / math.log(2): "a logarithm to base 2 in place of the natural one, or the reverse",
    math.log(10): "a logarithm to base 10 in place of the natural one, or the reverse",
    1 / math.log(10): "a logarithm to base 10 in place of the natural one, or the reverse",
}


def reasons(seen: Sequence[Observed]) -> list[Hint]:
    """Return the reasons for the mistakes in some arrays: one for all of them, or one for each."""
    common = next(between(seen), None)
    if common is not None:
        return [common]
    return [hint for array in seen if (hint := reason(array)) is not None]


def reason(seen: Observed, what: str = "") -> Hint | None:
    """Return the simplest reason for the mistakes in one array, which is called `what`."""
    if not seen.wrong.any():
        return None
    what = what or f"the gradient of {seen.name}"
    if not seen.gradient.any():
        return Hint("ZERO", f"{what} is zero everywhere: was it ever written?")
    ratio = ratio_of(seen)
    if ratio is not None and (seen.gradient.size > 1 or ratio_has_name(ratio)):
        if "repeat" in (where := where_wrong(seen)):
            return Hint("FACTOR_PART", f"{what} is {ratio:.6g} times the correct one {where}")
        return named_ratio(what, ratio, factors(seen))
    for kind in (orders, symmetries, functions_of_point, parts, sums):
        hint: Hint | None = next(kind(seen, what), None)
        if hint is not None:
            return hint
    return None


# several arrays


def between(seen: Sequence[Observed]) -> Iterator[Hint]:
    """Yield reasons that concern more than one array."""
    if len(seen) < 2:
        return
    for number, one in enumerate(seen):
        for other in seen[number + 1 :]:
            if one.gradient.size != other.gradient.size:
                continue
            if one.equals(other.gradient) and other.equals(one.gradient):
                text = f"the gradients of {one.name} and {other.name} are exchanged"
                yield Hint("EXCHANGED", text)
    ratios = [ratio_of(array) for array in seen]
    first = ratios[0]
    if first is not None and all(r is not None and abs(r / first - 1) < 1e-4 for r in ratios):
        names = " and ".join([", ".join(a.name for a in seen[:-1]), seen[-1].name])
        yield named_ratio(f"the gradient of {names}", first, {})


# factors


def ratio_of(seen: Observed) -> float | None:
    """Return c if all measured elements, not all 0, are c times the correct ones; else None."""
    tested = seen.tested
    if not len(tested):
        return None
    sizes = np.abs(seen.numeric)
    surest = int((sizes / (seen.bound + 1e-9 * sizes.max() + 1e-300)).argmax())
    if seen.zero[surest] or not tested[surest]:
        return None
    ratio = float(tested[surest] / seen.numeric[surest])
    return ratio if seen.equals(seen.gradient / ratio) else None


def ratio_has_name(ratio: float) -> bool:
    """Return whether a factor is a known one; for a single number, some factor always fits."""
    return min(abs(ratio / c - 1) for c in (-1.0, 2.0, 0.5, *CONSTANTS)) < 1e-4


def factors(seen: Observed) -> dict[float, str]:
    """Return ratios and their reasons: known constants, and the numbers of elements."""
    named = dict(CONSTANTS)
    for n in {seen.gradient.size, *seen.shape} - {1, 2}:
        named.setdefault(float(n), f"{n} elements: a sum in place of a mean")
        named.setdefault(1 / n, f"{n} elements: a mean in place of a sum")
    return named


# the same numbers elsewhere


def orders(seen: Observed, what: str) -> Iterator[Hint]:
    """Yield hints about the correct values in another order."""
    matrix = seen.gradient.reshape(seen.shape)
    if len(seen.shape) == 2 and 1 not in seen.shape:
        for shape in (seen.shape, seen.shape[::-1]):
            if seen.equals(seen.gradient.reshape(shape).T):
                yield Hint("TRANSPOSED", f"{what} is transposed")
    for axis in range(matrix.ndim):
        if matrix.shape[axis] > 2:
            if seen.equals(np.flip(matrix, axis)):
                yield Hint("ORDER", f"{what} is reversed along axis {axis}")
            for shift in (1, -1):
                if seen.equals(np.roll(matrix, shift, axis)):
                    yield Hint("ORDER", f"{what} is shifted by {-shift} along axis {axis}")
    if seen.complete and seen.wrong.sum() >= 2:
        yield from exchanged(seen, what)


def exchanged(seen: Observed, what: str) -> Iterator[Hint]:
    """Yield a hint if the wrong elements hold each other's slopes."""
    wrong = np.flatnonzero(seen.wrong)
    tested, numeric, spare = seen.tested[wrong], seen.numeric[wrong], seen.spare[wrong]
    mine, theirs = np.argsort(tested, kind="stable"), np.argsort(numeric, kind="stable")
    if (np.abs(tested[mine] - numeric[theirs]) > spare[theirs]).any():
        return
    if len(wrong) == 2:
        first, second = (seen.element(int(number)) for number in wrong)
        yield Hint("EXCHANGED", f"{first} is exchanged with {second}")
    else:
        yield Hint("ORDER", f"{what} has {len(wrong)} correct values in the wrong places")


def symmetries(seen: Observed, what: str) -> Iterator[Hint]:
    """Yield hints about square matrices that are correct after symmetrising, or the reverse."""
    if len(seen.shape) != 2 or seen.shape[0] != seen.shape[1] or not seen.complete:
        return
    a, n = seen.gradient.reshape(seen.shape), seen.numeric.reshape(seen.shape)
    for matrix, text in (
        ((a + a.T) / 2, "correct after symmetrising, (G + G^T) / 2"),
        (a + a.T, "correct after adding its transpose, G + G^T"),
        (a + a.T - np.diag(np.diag(a)), "correct after mirroring its triangle"),
    ):
        if seen.equals(matrix):
            yield Hint("SYMMETRY", f"{what} is {text}")
    spare = float(seen.spare.max())
    for matrix, text in (
        ((n + n.T) / 2, "the symmetric part of the correct one, but its elements are independent"),
        (n + n.T, "the correct one plus its transpose, but its elements are independent"),
        (
            n + n.T - np.diag(np.diag(n)),
            "that of a symmetric matrix: it is doubled off the diagonal",
        ),
        (np.tril(n), "the lower triangle of the correct one"),
        (np.triu(n), "the upper triangle of the correct one"),
    ):
        if np.abs(matrix - a).max() <= spare:
            yield Hint("SYMMETRY", f"{what} is {text}")


# mistakes in some elements only


def parts(seen: Observed, what: str) -> Iterator[Hint]:
    """Yield hints about what the wrong elements have in common, if the others are correct."""
    wrong, tested = seen.wrong, seen.tested
    if wrong.sum() == 1 and seen.complete and seen.gradient.size > 1:
        element = seen.element(int(np.argmax(wrong)))
        if not seen.zero[wrong].all():
            yield Hint("SINGLE", f"only {element} is wrong")
    where = where_wrong(seen)
    single = seen.gradient.size == 1
    place = f" {where}" if where else f" at {listed(seen, wrong)}" * (not single)
    if seen.zero[wrong].all():
        yield Hint("MUST_BE_ZERO", f"{what} must be 0{place}")
    if (tested[wrong] == 0).all() and not seen.zero[wrong].any():
        code = "ZERO_LINE" if where.startswith("in ") else "MISSING"
        yield Hint(code, f"{what} is zero{place}, where the slope is not")
    if wrong.all() and not seen.complete:
        return
    some = seen._replace(
        positions=seen.positions[wrong], numeric=seen.numeric[wrong], bound=seen.bound[wrong]
    )
    ratio = ratio_of(some)
    if ratio is not None and not wrong.all() and wrong.sum() > 1:
        only = " only" if where or seen.complete else ""
        yield Hint("FACTOR_PART", f"{what} is {ratio:.6g} times the correct one{place}{only}")
    limit = np.abs(tested).max()
    cut = np.abs(np.abs(tested[wrong]) - limit) < 1e-9 * limit
    cut &= np.sign(tested[wrong]) * seen.numeric[wrong] > limit
    if wrong.sum() > 1 and cut.all():
        yield Hint("CLIPPED", f"{what} is clipped at {limit:.6g}{place}")
    if where and not wrong.all():
        yield Hint("WHERE", f"{what} is wrong only{place}")


# functions of the gradient and of the point


def functions_of_point(seen: Observed, what: str) -> Iterator[Hint]:
    """Yield hints if the parameters relate the gradient to the slopes, element by element."""
    a, p, n = seen.tested, seen.point[seen.positions], seen.numeric
    if len(n) < 2 or np.ptp(np.abs(p)) < 1e-6 * np.abs(p).max():
        return
    with np.errstate(all="ignore"):
        relations = (
            ("ABSOLUTE", np.abs(n), "is the absolute value of the correct one"),
            ("POINT", n * p, "has an extra factor of the parameters"),
            ("POINT", n * p * p, "has an extra factor of the parameters squared"),
            ("POINT", n / p, "lacks a factor of the parameters"),
            ("POINT", n / (p * p), "lacks a factor of the parameters squared"),
        )
    for code, correct, text in relations:
        size = np.abs(correct).max()
        left = np.abs(a - correct).max()
        if size and left <= min(EQUALLY * size, EXPLAINED * np.abs(n - a).max()):
            yield Hint(code, f"{what} {text}")
    for vector, text in ((p, "the parameters"), (np.sign(p), "the parameters' signs")):
        size = float(vector @ (n - a) / (vector @ vector))
        if (np.abs(a + size * vector - n) <= seen.spare).all() and np.ptp(vector):
            penalty = f"lacks or repeats a penalty ({-size:+.3g} times {text})"
            yield Hint("PENALTY", f"the error is proportional to {text}: {what} {penalty}")


EQUALLY = 1e-5
"""Largest error of a relation, relative to the largest element."""


# sums


def sums(seen: Observed, what: str) -> Iterator[Hint]:
    """Yield hints about sums and means along an axis that are missing or superfluous."""
    if not seen.complete or seen.gradient.size < 3:
        return
    a, n = seen.gradient.reshape(seen.shape), seen.numeric.reshape(seen.shape)
    error, spare = n - a, 4 * float(seen.spare.max())
    for axis in (None, *range(a.ndim)) if a.ndim > 1 else (None,):
        along = "all elements" if axis is None else f"axis {axis}"
        if axis is not None and a.shape[axis] < 2:
            continue
        for total, text in ((n.sum, "sum"), (n.mean, "mean")):
            if np.abs(total(axis=axis, keepdims=True) - a).max() <= spare:
                yield Hint("SUMMED", f"{what} is the {text} of the correct one over {along}")
        if np.ptp(error, axis=axis).max() <= spare and np.ptp(a, axis=axis).max() > spare:
            yield Hint("OFFSET", f"{what} lacks a constant term over {along}, such as a sum")
    for axis in range(a.ndim):
        if cumulative(a, n, axis, spare):
            yield Hint(
                "CUMULATIVE", f"{what} is accumulated along axis {axis} in the wrong direction"
            )


def cumulative(a: Array, n: Array, axis: int, spare: float) -> bool:
    """Return whether the gradient accumulates in the direction opposite to the correct one."""
    if a.shape[axis] < 3:
        return False

    def parts(matrix: Array, end: int) -> Array:
        edge = np.take(matrix, [end], axis)
        joined = [edge * 0, matrix] if end == 0 else [matrix, edge * 0]
        return np.diff(np.concatenate(joined, axis), axis=axis)

    return bool(np.abs(parts(n, 0) + parts(a, -1)).max() <= 2 * spare) or bool(
        np.abs(parts(a, 0) + parts(n, -1)).max() <= 2 * spare
    )
