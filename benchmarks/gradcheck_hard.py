"""The gradient check on hard functions: `python -m benchmarks.gradcheck_hard --cases 2000`.

Correct gradients must not FAIL, gradients with an error above the resolution of the function must
not PASS, and few may be INCONCLUSIVE. The table is written to `results/gradcheck_hard.md`; the exit
code is 0 if all requirements hold.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mlpgrad as mg

COMMAND = "python -m benchmarks.gradcheck_hard"
RESULTS = Path(__file__).parent / "results" / "gradcheck_hard.md"

Function = Callable[[Any], Any]
Case = tuple[Function, Function, np.ndarray]


class Family(NamedTuple):
    """Functions of one kind; `resolution` is the relative error that must be detected."""

    make: Callable[[np.random.Generator], Case]
    resolution: float = 1e-5


def sine(scale: np.ndarray | float, point: np.ndarray, value: float = 1.0, plus: float = 0) -> Case:
    """value sum sin(p / scale) + plus."""
    return (
        lambda p: plus + value * float(np.sum(np.sin(p / scale))),
        lambda p: value * np.cos(p / scale) / scale,
        point,
    )


def sizes(low: int, high: int) -> Callable[[np.random.Generator], Case]:
    """Elements of many magnitudes in one array."""

    def make(rng: np.random.Generator) -> Case:
        scale = 10.0 ** np.linspace(low, high, 7)
        return sine(scale, rng.normal(size=7) * scale)

    return make


def near_minimum(away: float) -> Callable[[np.random.Generator], Case]:
    """sum (p - 1)^2 at or near its minimum."""
    return lambda rng: (
        lambda p: float(np.sum((p - 1) ** 2)),
        lambda p: 2 * (p - 1),
        1 + away * rng.normal(size=8),
    )


def small_points(size: float) -> Callable[[np.random.Generator], Case]:
    """Parameters far smaller than the scale of the function."""

    def make(rng: np.random.Generator) -> Case:
        w = rng.normal(size=5)
        return (
            lambda p: float(np.sum(w * np.cos(p))),
            lambda p: -w * np.sin(p),
            size * rng.normal(size=5),
        )

    return make


def near_kinks(away: float) -> Callable[[np.random.Generator], Case]:
    """|p| with elements at or near a kink."""

    def make(rng: np.random.Generator) -> Case:
        point = np.where(rng.random(8) < 0.5, away, rng.normal(size=8))
        return lambda p: float(np.abs(p).sum()), np.sign, point

    return make


def single(rng: np.random.Generator) -> Case:
    """A function that computes in float32."""
    a = rng.normal(size=(8, 8)).astype(np.float32)
    return (
        lambda p: float(np.sum(np.tanh(a @ p.astype(np.float32)))),
        lambda p: (a.T @ (1 - np.tanh(a @ p.astype(np.float32)) ** 2)).astype(float),
        rng.normal(size=8),
    )


def mixed(penalty: float) -> Callable[[np.random.Generator], Case]:
    """A model that computes in float32, and a penalty in float64."""

    def make(rng: np.random.Generator) -> Case:
        x, y = rng.normal(size=(32, 4)).astype(np.float32), rng.normal(size=32).astype(np.float32)

        def f(p: np.ndarray) -> float:
            off = np.tanh(x @ p.astype(np.float32)) - y
            return float(np.mean(off * off)) + penalty * float(p @ p)

        def grad(p: np.ndarray) -> np.ndarray:
            t = np.tanh(x.astype(float) @ p)
            return x.T.astype(float) @ (2 * (t - y) * (1 - t * t)) / 32 + 2 * penalty * p

        return f, grad, rng.normal(size=4)

    return make


def half(rng: np.random.Generator) -> Case:
    """A function that computes in float16."""
    a = rng.normal(size=(8, 8)).astype(np.float16)
    return (
        lambda p: float(np.sum(np.tanh(a @ p.astype(np.float16)))),
        lambda p: (a.T @ (1 - np.tanh(a @ p.astype(np.float16)) ** 2)).astype(float),
        rng.normal(size=8),
    )


def ripple(rng: np.random.Generator) -> Case:
    """A small, fast oscillation on a straight line."""
    return (
        lambda p: float(np.sum(p + 1e-6 * np.sin(1e4 * p))),
        lambda p: 1 + 1e-2 * np.cos(1e4 * p),
        rng.normal(size=8),
    )


def determinant(rng: np.random.Generator) -> Case:
    """The logarithm of a determinant."""
    a = rng.normal(size=(4, 4))
    return (
        lambda q: float(np.linalg.slogdet(q)[1]),
        lambda q: np.linalg.inv(q).T,
        a + a.T + 8 * np.eye(4),
    )


def rounded(rng: np.random.Generator) -> Case:
    """A value that is rounded to three decimals."""
    return lambda p: round(float(np.sin(p).sum()), 3), np.cos, rng.normal(size=8)


def rectified(rng: np.random.Generator) -> Case:
    """A layer of ReLUs that computes in float32, with kinks closer than any useful step."""
    x, y = rng.normal(size=(60, 4)).astype(np.float32), rng.normal(size=60).astype(np.float32)
    v = rng.normal(size=8).astype(np.float32)

    def f(p: np.ndarray) -> float:
        return float(np.mean((np.maximum(x @ p.astype(np.float32), 0) @ v - y) ** 2))

    def grad(p: np.ndarray) -> np.ndarray:
        z = x @ p.astype(np.float32)
        off = 2 * (np.maximum(z, 0) @ v - y) / np.float32(60)
        return (x.T @ (off[:, None] * v * (z > 0))).astype(float)

    return f, grad, rng.normal(size=(4, 8))


def partly_rounded(rng: np.random.Generator) -> Case:
    """A value that is rounded to two decimals, and an exact penalty."""
    return (
        lambda p: round(float(np.sin(p).sum()), 2) + 0.05 * float(p @ p),
        lambda p: np.cos(p) + 0.1 * p,
        rng.normal(size=8),
    )


def normal(rng: np.random.Generator, n: int = 8) -> np.ndarray:
    """Parameters that all have one scale."""
    return rng.normal(size=n)


FAMILIES = {
    "sizes 1e-3 to 1e3": Family(sizes(-3, 3)),
    "sizes 1e-6 to 1e6": Family(sizes(-6, 6)),
    "sizes 1e-9 to 1e9": Family(sizes(-9, 9)),
    "sizes 1e-9 to 1": Family(sizes(-9, 0)),
    "value 1e-200": Family(lambda rng: sine(1.0, normal(rng), 1e-200)),
    "value 1e200": Family(lambda rng: sine(1.0, normal(rng), 1e200)),
    "parameters 1e-12": Family(lambda rng: sine(1e-12, 1e-12 * normal(rng))),
    "parameters 1e12": Family(lambda rng: sine(1e12, 1e12 * normal(rng))),
    "a constant of 1e8": Family(lambda rng: sine(1.0, normal(rng), plus=1e8), 1e-3),
    "at a minimum": Family(near_minimum(0.0)),
    "1e-10 beside a minimum": Family(near_minimum(1e-10), 1e-3),
    "1e-7 beside a minimum": Family(near_minimum(1e-7), 1e-4),
    "points of 1e-4": Family(small_points(1e-4)),
    "points of 1e-6": Family(small_points(1e-6), 1e-3),
    "at kinks": Family(near_kinks(0.0)),
    "1e-9 beside kinks": Family(near_kinks(1e-9)),
    "1e-5 beside kinks": Family(near_kinks(1e-5)),
    "sin(1e3 p)": Family(lambda rng: sine(1e-3, normal(rng))),
    "sin(1e6 p)": Family(lambda rng: sine(1e-6, normal(rng)), 1e-3),
    "a ripple": Family(ripple, 1e-3),
    "a determinant": Family(determinant),
    "float32": Family(single, 1e-2),
    "float32 and a penalty in float64": Family(mixed(5e-3), 2e-2),
    "float32 and a large penalty in float64": Family(mixed(5.0), 2e-2),
    "ReLUs in float32": Family(rectified, 2e-2),
    "rounded to 0.001": Family(rounded, 2e-2),
    "rounded to 0.01 and an exact part": Family(partly_rounded, 2e-1),
    "float16": Family(half, 1e-2),
}
SLOW = 20
"""Families of coarse functions have fewer cases by this factor, since values are averaged."""
COARSE = "ReLUs in float32", "rounded to 0.001", "rounded to 0.01 and an exact part", "float16"


def wrong_gradients(grad: Function, point: np.ndarray, size: float) -> list[Function]:
    """Mistakes of a relative size in all elements, in the sign, or in one element; and zeros."""
    first = np.asarray(grad(point), float)
    largest = int(np.abs(first).argmax())

    def one(p: np.ndarray) -> np.ndarray:
        found = np.array(grad(p), float)
        found.flat[largest] *= 1 + 4 * size
        return found

    return [
        lambda p: (1 + size) * np.asarray(grad(p)),
        lambda p: -np.asarray(grad(p)),
        lambda p: 0.0 * np.asarray(grad(p)),
        one,
    ]


def counted(family: Family, seeds: range) -> tuple[Counter[str], Counter[str]]:
    """The verdicts on correct and on wrong gradients."""
    correct: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for seed in seeds:
        f, grad, point = family.make(np.random.default_rng(seed))
        correct[mg.check_gradient(f, grad, point, seed=seed).verdict.value] += 1
        if np.any(grad(point)):
            mistakes = wrong_gradients(grad, point, family.resolution)
            mistake = mistakes[seed % len(mistakes)]
            wrong[mg.check_gradient(f, mistake, point, seed=seed).verdict.value] += 1
    return correct, wrong


def main() -> int:
    """Count the verdicts in all families, and compare them with the requirements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=2000, help="correct gradients in all")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    cases = options.cases
    lines = ["# The gradient check on hard functions", "", f"`{COMMAND} --cases {cases}`", ""]
    lines += ["| functions | correct gradients | wrong gradients |", "|---|---|---|"]
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    each = -(-cases // (len(FAMILIES) - len(COARSE)))
    for name, family in FAMILIES.items():
        found = counted(family, range(max(4, each // SLOW) if name in COARSE else each))
        right, wrong = right + found[0], wrong + found[1]
        print(f"{name:24} correct {dict(found[0])}, wrong {dict(found[1])}", flush=True)
        counts = (", ".join(f"{n} {verdict}" for verdict, n in sorted(c.items())) for c in found)
        lines.append(f"| {name} | {' | '.join(counts)} |")
    doubtful = right["INCONCLUSIVE"] / right.total()
    accepted = wrong["PASS"] + wrong["KINK"]
    summary = (
        f"{right.total():,} correct gradients: {right['FAIL']} FAIL, {doubtful:.2%} INCONCLUSIVE; "
        f"{wrong.total():,} wrong ones: {accepted} accepted"
    )
    print(summary)
    options.output.write_text("\n".join([*lines, "", f"{summary}.", ""]), encoding="utf-8")
    return int(right["FAIL"] > 0 or accepted > 0 or doubtful >= 0.02)


if __name__ == "__main__":
    raise SystemExit(main())
