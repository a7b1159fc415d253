"""The problem of a check: a value, its gradient, and the parameters as one flat vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array, Shape
from mlpgrad.gradcheck.numeric.derivative import TINY, Answers, Result, Run
from mlpgrad.gradcheck.numeric.noise import CLOSE, jumps, noise_of, stairs
from mlpgrad.gradcheck.numeric.norms import rms
from mlpgrad.gradcheck.verdicts import Verdict

OWN_STREAMS = 0x67726164
"""Key of the random numbers of checks, which differ from a caller's `default_rng(seed)`."""
BEYOND_DOMAIN = ArithmeticError, ValueError, RuntimeError
"""Errors by which f says that it has no value at a point; PyTorch's LinAlgError is the last."""
APART = 1e-3
"""Sizes that differ by more than this belong to different scales."""
Request = tuple[int, int, Array, complex]
"""start, stop, u, t: the point with p[start:stop] + t u; t is complex for complex steps."""


class Leaf(NamedTuple):
    """The place of an array in the flat vector, and its name in the report."""

    name: str
    start: int
    stop: int
    shape: Shape
    dtype: np.dtype[Any] = np.dtype(np.float64)
    gradient_dtype: np.dtype[Any] = np.dtype(np.float64)
    """The dtype in which the gradient of this array is computed."""

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.stop - self.start

    @property
    def slice(self) -> slice:
        """The place in the flat vector."""
        return slice(self.start, self.stop)

    def element(self, position: int) -> str:
        """The name of one element: `params['w'][0, 3]`."""
        where = np.unravel_index(position, self.shape) if self.shape else ()
        return f"{self.name}[{', '.join(str(int(i)) for i in where)}]" if where else self.name


class Direction(NamedTuple):
    """A unit vector within `params[start:stop]`, and the slope along it by the gradient."""

    tensor: int
    start: int
    stop: int
    vector: Array
    analytic: float
    rms: float
    """The root mean square of the gradient in this tensor: the size of a typical slope."""
    step: float
    rounding: float = 0.0
    """Length of the rounding error of a displaced point, relative to eps."""
    verify: bool = False
    """Whether a complex step must agree with central differences here."""

    def at(self, t: complex) -> Request:
        """The request for the point at a distance t along the direction."""
        return self.start, self.stop, self.vector, t


class BadGradientError(Exception):
    """The gradient is not an array like the parameters, which has its own verdict."""

    def __init__(self, verdict: Verdict, text: str) -> None:
        super().__init__(text)
        self.verdict = verdict


class ComplexStepError(ValueError):
    """Complex steps are not legal for this function."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"complex steps are not legal here: {reason}; use method='auto' (what drops the "
            f"imaginary part: abs, max, comparisons, norms, .real, float(), math functions)"
        )


class Problem:
    """A function of a flat vector with a gradient; `passes` counts evaluations of the value."""

    leaves: list[Leaf]
    point: Array
    own_dtype: np.dtype[Any] = np.dtype(np.float64)
    """The dtype of the user's parameters; the shortest if there are several."""
    lifts: bool = True
    """Whether `gradient` computes with the parameters in float64."""
    gradient_dtype: np.dtype[Any] = np.dtype(np.float64)
    """The dtype of what `gradient` computes; the longest if there are several."""
    shows_kinks: bool = False
    """Whether `values` can tell that a kink lies between two points."""
    knows_all_kinks: bool = False
    """Whether `values` can report all kinks."""
    strict_kinks: bool = True
    """Whether a gradient at a kink must lie between the slopes of each element on both sides."""
    is_constant: bool = False
    """Whether f had the same value at all points that showed its uncertainty."""
    value_eps: float = 0.0
    """eps of the dtype of f's values if it is shorter than float64."""
    value_rounding: float = 0.0
    """The rounding error of the last value in that dtype."""
    label: str = "f"
    passes: int = 0
    lost: int = 0
    """The number of displaced points at which f had no finite value."""
    last_error: str = ""
    """The error that f raised at the last of them."""

    def values(self, point: Array, requests: Sequence[Request]) -> Answers:
        """f at each displaced point, and whether a kink lies between it and the point."""
        self.passes += len(requests)
        exact = bool(requests) and isinstance(requests[0][3], complex)  # all of them or none
        buffer = np.empty(len(point), np.complex128 if exact else np.float64)

        def evaluated(request: Request) -> tuple[Any, bool]:
            """f at one point, and NaN beyond its domain, where it may raise an error."""
            try:
                return self.evaluate(displaced(point, request, buffer))
            except BEYOND_DOMAIN as error:
                if exact or (not request[3] and np.array_equal(point, self.point)):
                    raise
                self.last_error = f"{type(error).__name__}: {error}".partition("\n")[0]
                return np.nan, False

        try:
            found = [evaluated(request) for request in requests]
        except (TypeError, *BEYOND_DOMAIN) as error:
            if exact:
                raise ComplexStepError(f"{self.label} refuses complex numbers ({error})") from error
            raise
        values, moved = zip(*found, strict=True) if found else ((), ())
        self.lost += int(np.count_nonzero(~np.isfinite(values)))
        return np.array(values), np.array(moved, bool)

    def evaluate(self, point: Array) -> tuple[Any, bool]:
        """f at one point, which may be complex, and whether a kink was crossed."""
        raise NotImplementedError

    def gradient(self, point: Array) -> Array:
        """The gradient under test at a point, computed in float64 where possible."""
        raise NotImplementedError

    def own_gradient(self, point: Array) -> Array:
        """The gradient under test in the user's own dtype (as float64 numbers)."""
        raise NotImplementedError

    def value(self, point: Array) -> float:
        """f at a point."""
        return float(self.values(point, [(0, 0, np.empty(0), 0.0)])[0][0])

    def uncertainty(
        self, point: Array, value: float, rng: np.random.Generator
    ) -> tuple[float, float]:
        """The uncertainty of one value of f, and the precision eps in which f computes.

        The uncertainty is the largest of `eps |f|`, the noise in values at small, equal distances,
        the height of jumps, and the smallest normal number, below which products underflow. If all
        values are float32 numbers, or jumps are as high as those of such numbers, f computes in
        float32.
        """
        vector = rng.standard_normal(len(point)) * spread(point, self.leaves)

        def along(offsets: Any) -> Array:
            requests: list[Request] = [(0, len(point), vector, t) for t in offsets]
            return np.array(self.values(point, requests)[0], np.float64)

        spacing = 1e-13 if self.shows_kinks else 1e-9  # a kink between would look like noise
        elsewhere, *close = along([1e-3, *(spacing * np.arange(1, CLOSE))])
        constant = value == max(close) == min(close)
        while value == max(close) == min(close) and value != elsewhere and spacing < 1e-5:
            spacing *= 100  # f is constant over this distance
            close = list(along(spacing * np.arange(1, CLOSE)))
        self.is_constant = value == elsewhere == max(close) == min(close)
        precision = float(np.finfo(np.float64).eps)
        for dtype in (np.float32, np.float16):
            coarse = value == float(dtype(value)) and elsewhere == float(dtype(elsewhere))
            if coarse and value != elsewhere:
                precision = float(np.finfo(dtype).eps)
        precision = max(precision, self.value_eps)
        rounding = max(precision * abs(value), self.value_rounding, TINY)
        noise = max(rounding, noise_of(np.array([value, *close])))
        if self.shows_kinks:
            return noise, precision
        if constant and (height := stairs(value, along)):
            return max(noise, height), precision
        jump, size = jumps(along, min(noise, 100 * rounding))
        single = float(np.finfo(np.float32).eps)
        if single / 8 < jump / (max(size, abs(value)) or 1.0) < 64 * single:
            precision = max(precision, single)
        return max(noise, jump), precision


def stream(seed: int, purpose: int = 0) -> np.random.Generator:
    """Random numbers for one purpose, independent of those of `default_rng(seed)`.

    Callers often draw their data from the latter. If directions equalled the data, wrong products
    could agree with correct ones: v x^T is symmetric if v is x.
    """
    seed = arguments.count(seed, "seed", 0)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(OWN_STREAMS, purpose)))


def displaced(point: Array, request: Request, out: Array) -> Array:
    """Write the point that a request asks for into `out`."""
    start, stop, vector, t = request
    out[...] = point
    out[start:stop] += t * vector
    return out


def search(
    problem: Problem, point: Array, runs: Sequence[tuple[Direction, Run[Result]]]
) -> list[Result]:
    """Run searches along many directions, with batched evaluations."""
    results: dict[int, Result] = {}
    waiting = {number: next(run) for number, (_, run) in enumerate(runs)}
    while waiting:
        requests = [runs[n][0].at(t) for n, offsets in waiting.items() for t in offsets]
        values, moved = problem.values(point, requests)
        following, stop = {}, 0
        for number, offsets in waiting.items():
            part = slice(stop, stop := stop + len(offsets))
            try:
                following[number] = runs[number][1].send((values[part], moved[part]))
            except StopIteration as end:
                results[number] = end.value
        waiting = following
    return [results[number] for number in range(len(runs))]


def spread(point: Array, leaves: Sequence[Leaf]) -> Array:
    """The size of each parameter, for displacements relative to it; never zero.

    In an array with several scales, each number has its own size. In other arrays the root mean
    square of the array is added, or that of all arrays unless it is far larger.
    """
    sizes, overall = np.abs(point), rms(point) or 1.0
    for leaf in leaves:
        part = sizes[leaf.slice]
        own = rms(part)
        if is_wide(part):
            part[part == 0] = np.median(part[part > 0])
        else:
            part += own if 0 < own < APART * overall else overall
    return sizes


def is_wide(sizes: Array) -> bool:
    """Whether some sizes are too small to be those of random numbers of one scale."""
    seen = sizes[sizes > 0]
    return len(seen) > 1 and bool(seen.min() < APART / len(sizes) * rms(seen))
