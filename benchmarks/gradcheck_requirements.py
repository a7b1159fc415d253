"""Check the promises of the gradient checker: `python -m benchmarks.gradcheck_requirements`.

The table has twelve requirements, each with its number, what was measured, and on how many cases.
Power, false alarms and hints are read from the results of `benchmarks.gradcheck_power` (the full
form if it has been run); the rest is measured here, in about a minute. The results are
`results/gradcheck_requirements.md` and `.json`; the exit code is 0 if all requirements hold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mlpgrad as mg
from benchmarks.gradcheck_power import ACCEPTED, HERE, correct_net, mutants
from mlpgrad.gradcheck.locating import taylor_slope
from mlpgrad.gradcheck.models.problem import ModelProblem
from mlpgrad.gradcheck.numeric.problem import Direction

RESULTS = HERE / "results"


Line = tuple[str, str, bool]  # a requirement, what was measured, whether it holds


class Row(NamedTuple):
    """One line of the table."""

    number: int
    requirement: str
    measured: str
    holds: bool


def power_results() -> dict[str, Any]:
    """The results of the power benchmark: of its full form if there are any."""
    paths = [RESULTS / f"gradcheck_power{form}.json" for form in ("_full", "")]
    return json.loads(next(path for path in paths if path.exists()).read_text())  # type: ignore[no-any-return]


def detected(result: dict[str, Any], *names: str) -> float:
    """The smallest detected share over some mutants and all nets."""
    return min(row["detected"] for row in result["power"] if not names or row["mutant"] in names)


def smooth(p: np.ndarray) -> np.ndarray:
    """A function with a gradient of any size, for real and complex numbers."""
    return (np.sin(p) * p).sum()  # type: ignore[no-any-return]


def slope(p: np.ndarray) -> np.ndarray:
    """Its gradient."""
    return np.cos(p) * p + np.sin(p)  # type: ignore[no-any-return]


# one function for each requirement, in order; `cases` is the number of random cases


def power(cases: int) -> Iterator[Line]:
    """1: small errors anywhere, and errors of one element."""
    result = power_results()
    seeds = result["seeds"]
    large, small = (detected(result, f"off_by_1e_{n}") for n in (4, 6))
    yield (
        "a relative error of 1e-4 in one tensor: always FAIL",
        f"{large:.2%} on {len(mutants.NETS)} nets, {seeds:,} seeds each",
        large == 1,
    )
    yield (
        "a relative error of 1e-6: at least 99.9 %",
        f"{small:.2%} on {len(mutants.NETS)} nets, {seeds:,} seeds each",
        small >= 0.999,
    )
    found = sum(one_element(seed) for seed in range(cases))
    yield (
        "one element x1.5, from 1e-3 of its tensor's RMS up, to 10,000 parameters: always",
        f"{found} of {cases}",
        found == cases,
    )


def one_element(seed: int) -> bool:
    """Whether one wrong element is detected in a random net of up to 10,000 parameters."""
    rng = np.random.default_rng(seed)
    widths = [int(n) for n in np.exp(rng.uniform(np.log(3), np.log(80), size=3))]
    layers = [mg.Dense(widths[0], widths[1]), mg.Tanh(), mg.Dense(widths[1], widths[2])]
    model = mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy(), dtype="float64", random_state=seed)
    x, y = rng.normal(size=(16, widths[0])), rng.integers(widths[2], size=16)
    model.backpropagate(x, y)
    layer = layers[rng.choice([0, 2])]
    kind = str(rng.choice(["weights", "bias"]))
    gradient = layer.gradients[kind].ravel()
    eligible = np.flatnonzero(abs(gradient) >= 1e-3 * np.sqrt(np.mean(gradient**2)))
    place = np.unravel_index(rng.choice(eligible), layer.gradients[kind].shape)

    def enlarge(self: Any, delta: np.ndarray) -> None:
        self.grads[kind][place] *= 1.5

    mutants.patch(layer, backward=mutants.after_backward(enlarge))
    return mg.check_gradients(model, x, y, seed=seed).verdict.value == "FAIL"


def false_alarms(_: int) -> Iterator[Line]:
    """2: no false alarms on correct nets."""
    found = power_results()["correct"]["float64"]
    wrong = sum(n for verdict, n in found["verdicts"].items() if verdict not in ACCEPTED)
    doubtful = found["verdicts"].get("INCONCLUSIVE", 0) / found["nets"]
    nets = f"of {found['nets']:,} correct random nets"
    yield ("no false FAIL", f"{wrong} {nets}", wrong == 0)
    yield ("INCONCLUSIVE in at most 0.5 %", f"{doubtful:.2%} {nets}", doubtful <= 0.005)


def cost(_: int) -> Iterator[Line]:
    """3: forward passes and memory."""
    used = []
    for make in mutants.NETS.values():
        report = mg.check_gradients(*make(0), directions=3)
        used.append(report.passes / (2 * (12 * 3 * len(report.tensors) + 10)))  # at two points
    yield (
        "at most 12 k T + 10 passes a point",
        f"at most {max(used):.0%} of that, {len(used)} nets",
        max(used) <= 1,
    )
    more = []
    for n in (10, 1000, 100_000):
        p = np.random.default_rng(n).normal(size=n)
        wrong = np.ones(n)
        wrong[n // 3] = 1.5
        report = mg.check_gradient(smooth, lambda q, w=wrong: w * slope(q), p)
        assert report.culprits[0].name == f"params[{n // 3}]", str(report)
        taylor = 4  # passes of the second opinion
        more.append(report.extra_passes - taylor - (4 * int(np.ceil(np.log2(n))) + 8))
    yield (
        "4 ceil(log2 n) + 8 more passes to locate an element",
        f"at least {-max(more)} fewer than that, n = 10 to 100,000",
        max(more) <= 0,
    )
    for what, broken in (("right", False), ("wrong", True)):
        report, megabytes = checked_million(broken)
        explained = f" + {report.extra_passes} to explain" if broken else ""
        yield (
            f"a million parameters, {what}: under 100 passes and 200 MB more",
            f"{report.verdict.value}, {report.passes} passes{explained}, {megabytes:.0f} MB",
            report.passes < 100 and megabytes < 200 and bool(report) != broken,
        )


def checked_million(broken: bool) -> tuple[mg.GradientReport, float]:
    """The report on a net with a million parameters, perhaps a wrong row, and the peak MB."""
    layers = [mg.Dense(1000, 990), mg.Tanh(), mg.Dense(990, 10)]
    model = mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy(), dtype="float64", random_state=0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 1000)), rng.integers(0, 10, 8)
    if broken:

        def double_a_row(self: Any, delta: np.ndarray) -> None:
            self.grads.weights[123] *= 2

        mutants.patch(layers[0], backward=mutants.after_backward(double_a_row))
    tracemalloc.start()
    report = mg.check_gradients(model, x, y)
    megabytes = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return report, megabytes


def kinks(cases: int) -> Iterator[Line]:
    """4: kinks, at the point and near it."""
    verdicts = []
    for seed in range(cases):
        rng = np.random.default_rng(seed)
        activation = (mg.ReLU, mg.LeakyReLU)[seed % 2]()
        layers = [mg.Dense(4, 6), activation, mg.Dense(6, 3)]
        model = mg.Sequential(
            layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=seed
        )
        x = rng.normal(size=(8, 4))
        x[:2] = 0  # with a bias of 0: pre-activations of exactly 0
        report = mg.check_gradients(model, x, rng.normal(size=(8, 3)), seed=seed)
        verdicts.append(report.verdict.value)
    good = sum(verdict in ("PASS", "KINK") for verdict in verdicts)
    yield ("ReLU and LeakyReLU at exactly 0: PASS or KINK", f"{good} of {cases}", good == cases)
    right = wrong = 0
    for seed in range(cases):
        rng = np.random.default_rng(seed)
        p = rng.normal(size=int(rng.integers(2, 15)))
        p[rng.random(len(p)) < 0.3] = 0
        p[rng.random(len(p)) < 0.3] *= 10.0 ** rng.uniform(-12, -2)
        right += bool(mg.check_gradient(lambda q: np.abs(q).sum(), np.sign, p, seed=seed))
        wrong += not mg.check_gradient(
            lambda q: np.abs(q).sum(), lambda q: 1.5 * np.sign(q) + 0.1, p, seed=seed
        )
    yield (
        "a black box with kinks at all distances: correct gradients pass, wrong ones do not",
        f"{right} and {wrong} of {cases}",
        right == wrong == cases,
    )


def scales(cases: int) -> Iterator[Line]:
    """5: the scale of the loss changes no verdict."""
    changed = 0
    for seed in range(cases):
        p = np.random.default_rng(seed).normal(size=12)
        for factor in (1.0, 1.0001):
            verdicts = {
                mg.check_gradient(
                    lambda q, s=scale: s * smooth(q),
                    lambda q, s=scale * factor: s * slope(q),
                    p,
                    seed=seed,
                ).verdict
                for scale in (1e-8, 1.0, 1e8)
            }
            changed += len(verdicts) > 1
    yield (
        "the loss times 1e-8 or 1e8: the same verdict, on correct gradients and on errors of 1e-4",
        f"{changed} of {2 * cases} changed",
        changed == 0,
    )


def single_precision(_: int) -> Iterator[Line]:
    """6: float32."""
    result = power_results()
    found = result["correct"]["float32"]
    wrong = sum(n for verdict, n in found["verdicts"].items() if verdict not in ACCEPTED)
    share = min(row["detected"] for row in result["float32"])
    yield ("float32: no false FAIL", f"{wrong} of {found['nets']:,} nets", wrong == 0)
    yield ("float32: 1e-4 found in at least 99 %", f"{share:.2%}", share >= 0.99)


def protocol(cases: int) -> Iterator[Line]:
    """7: each fault of the calls gets its own verdict."""
    named: dict[str, list[bool]] = {}
    for seed in range(cases):
        for verdict, check in misbehaving(seed):
            named.setdefault(verdict, []).append(check().verdict.value == verdict)
    for verdict, right in named.items():
        yield (verdict, f"named in {sum(right)} of {len(right)}", all(right))


def misbehaving(seed: int) -> list[tuple[str, Callable[[], mg.GradientReport]]]:
    """A mutant for each verdict about the calls."""
    rng = np.random.default_rng(seed)
    p = rng.normal(size=5)
    total = np.zeros(5)
    stored = []

    def accumulating(q: np.ndarray) -> np.ndarray:
        nonlocal total
        total = total + slope(q)
        return total

    def changing(q: np.ndarray) -> float:
        before = smooth(q)
        q += 1
        return float(before)

    def first_point(q: np.ndarray) -> np.ndarray:
        stored.append(q.copy())
        return slope(stored[0])

    def of_model(name: str) -> Callable[[], mg.GradientReport]:
        mutant = next(m for m in mutants.MUTANTS if m.name == name)
        model, x, y = next(iter(mutants.NETS.values()))(seed)
        mutant.apply(model)
        return lambda: mg.check_gradients(model, x, y, seed=seed)

    def remembering(q: np.ndarray, calls: list[int] = []) -> np.ndarray:  # noqa: B006
        calls.append(1)
        return slope(q) * (1 + 0.1 * (len(calls) > 1) * len(calls))

    def check(f: Any, grad: Any) -> Callable[[], mg.GradientReport]:
        return lambda: mg.check_gradient(f, grad, p, seed=seed)

    return [
        ("RANDOM_FORWARD", check(lambda q: smooth(q) + rng.normal(), slope)),
        ("NON_REENTRANT", check(smooth, remembering)),
        ("ACCUMULATES", check(smooth, accumulating)),
        ("ACCUMULATES", of_model("accumulates")),
        ("STALE_CACHE", check(smooth, first_point)),
        ("STALE_CACHE", of_model("first_input_forever")),
        ("STALE_CACHE", of_model("grow_only_buffer")),
        ("MUTATES_INPUT", check(changing, slope)),
        ("MUTATES_INPUT", of_model("edits_input")),
        (
            "NOT_LINEAR_IN_SEED",
            lambda: mg.check_vjp(np.sin, lambda q, v: np.cos(q) * v + 1, p, seed=seed),
        ),
        ("NOT_LINEAR_IN_SEED", of_model("upstream_ignored")),
        ("SHAPE", check(smooth, lambda q: slope(q)[:2])),
        ("DTYPE", check(smooth, lambda q: slope(q).astype(int))),
        ("NAN", check(smooth, lambda q: q * np.nan)),
    ]


def hints(_: int) -> Iterator[Line]:
    """8: correct hints."""
    result = power_results()
    share = float(np.mean([row["right_hint"] for row in result["power"]]))
    yield (
        "the correct hint on at least 90 % of the mutants",
        f"{share:.2%} of {len(mutants.MUTANTS)} mutants",
        share >= 0.9,
    )


def emptiness(cases: int) -> Iterator[Line]:
    """9: the report says what a check could not have detected."""
    seen: dict[str, int] = {}
    for seed in range(cases):
        rng = np.random.default_rng(seed)
        for name, report in powerless(seed, rng):
            noticed = "NO_POWER" in str(report)
            seen[name] = seen.get(name, 0) + noticed
    for name, count in seen.items():
        yield (f"NO_POWER: {name}", f"noticed in {count} of {cases}", count == cases)


def powerless(seed: int, rng: np.random.Generator) -> Iterator[tuple[str, mg.GradientReport]]:
    """Checks that cannot fail."""

    def net(widths: tuple[int, ...], rows: int, bias: float = 0.0) -> mg.GradientReport:
        a, b, c = widths
        model = mg.Sequential(
            [mg.Dense(a, b), mg.ReLU(), mg.Dense(b, c)],
            loss=mg.MeanSquaredError(),
            dtype="float64",
            random_state=seed,
        )
        model.layers[0].params.bias[...] = bias
        x, y = rng.normal(size=(rows, a)), rng.normal(size=(rows, c))
        return mg.check_gradients(model, x, y, seed=seed)

    p = rng.normal(size=6)
    yield (
        "the gradient is below its own noise",
        mg.check_gradient(lambda q: 1e6 + 0 * q.sum(), np.zeros_like, p, seed=seed),
    )
    yield "a batch of 1", net((3, 5, 2), 1)
    yield "all widths equal", net((4, 4, 4), 8)
    yield "over half of the units dead", net((3, 5, 2), 8, bias=-100.0)
    yield (
        "a seed of ones",
        mg.check_vjp(np.sin, lambda q, v: np.cos(q) * v, p, v=np.ones(6), seed=seed),
    )


def second_opinion(cases: int) -> Iterator[Line]:
    """10: the Taylor slope of correct gradients."""
    slopes = []
    for seed in range(cases):
        rng = np.random.default_rng(seed)
        layers = [mg.Dense(6, 16), mg.Tanh(), mg.Dense(16, 4)]
        model = mg.Sequential(
            layers, loss=mg.SoftmaxCrossEntropy(), dtype="float64", random_state=seed
        )
        x, y = rng.normal(size=(16, 6)), rng.integers(4, size=16)
        value = float(model.backpropagate(x, y))
        vector = rng.normal(size=model.params.size)
        vector /= np.linalg.norm(vector)
        slope = float(vector @ model.grads)
        direction = Direction(0, 0, vector.size, vector, slope, abs(slope), step=1e-2)
        problem = ModelProblem(model, x, y, None)
        noise = float(np.finfo(float).eps) * max(abs(value), 1)
        found = taylor_slope(problem, model.params.copy(), direction, value, noise)
        slopes.append(found or 0.0)
    good = sum(s >= 1.9 for s in slopes)
    yield (
        "Taylor slope of correct nets at least 1.9",
        f"{good} of {cases}, smallest {min(slopes):.2f}",
        good == cases,
    )


def complex_step(cases: int) -> Iterator[Line]:
    """11: complex steps are exact where they are legal, and refused elsewhere."""
    largest = 0.0
    for seed in range(cases):
        p = np.random.default_rng(seed).normal(size=8)
        report = mg.check_gradient(smooth, slope, p, seed=seed, method="complex")
        errors = [abs(t.worst.error) / t.worst.scale for t in report.tensors if t.worst]
        largest = max(largest, *errors)
    yield (
        "complex step on smooth functions: relative error at most 1e-14",
        f"at most {largest:.0e} in {cases}",
        largest <= 1e-14,
    )
    refused = 0
    lies: list[Any] = [
        lambda q: np.abs(q).sum(),
        lambda q: float(np.real(smooth(q))),
        lambda q: (q * np.conj(q)).real.sum(),
        lambda q: np.linalg.norm(q),
        lambda q: np.var(q),
    ]
    for f in lies:
        try:
            mg.check_gradient(f, np.sign, np.array([1.0, -2.0, 0.5]), method="complex")
        except ValueError:
            refused += 1
    yield (
        "complex steps are refused for functions that drop imaginary parts",
        f"{refused} of {len(lies)} kinds",
        refused == len(lies),
    )


ALONE = """
import sys
for name in ("scipy", "torch", "jax", "autograd", "matplotlib", "pytest"):
    sys.modules[name] = None
import numpy as np, mlpgrad as mg
assert mg.check_gradient(lambda p: float(np.sin(p).sum()), np.cos, np.arange(3.0))
"""


def in_tests(cases: int) -> Iterator[Line]:
    """12: the checker can be used in other people's tests."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    yield (
        "NumPy is enough",
        "yes" if done.returncode == 0 else done.stderr[-200:],
        done.returncode == 0,
    )
    same = restored = 0
    for seed in range(cases):
        model, x, y = correct_net(seed)
        before = model.params.copy(), model.rngs[0].bit_generator.state
        reports = [mg.check_gradients(model, x, y, seed=seed).to_dict() for _ in range(2)]
        same += reports[0] == reports[1]
        restored += (
            np.array_equal(model.params, before[0])
            and model.rngs[0].bit_generator.state == before[1]
            and restores_after_an_error(seed)
        )
    yield ("reruns are the same to the last bit", f"{same} of {cases}", same == cases)
    yield (
        "inputs and generators restored, after exceptions too",
        f"{restored} of {cases}",
        restored == cases,
    )
    p = np.linspace(-1, 1, 4)
    structures = [p, (p, p), [p, [p]], {"a": p, "b": {"c": p}}, {"a": (p, [p])}]
    kept = sum(bool(mg.check_gradient(total, gradient_like, s)) for s in structures)
    yield (
        "arrays, tuples, lists, dicts, nested",
        f"{kept} of {len(structures)} kinds",
        kept == len(structures),
    )


def restores_after_an_error(seed: int) -> bool:
    """Whether parameters and NumPy's global generator are as before."""
    calls = []
    p = np.random.default_rng(seed).normal(size=4)
    before = p.copy(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002

    def f(q: np.ndarray) -> float:
        np.random.random()  # noqa: NPY002
        calls.append(1)
        q[:] = 0
        if len(calls) > seed % 7:
            raise RuntimeError("later")
        return 0.0

    with contextlib.suppress(RuntimeError):
        mg.check_gradient(f, slope, p)
    after = np.random.get_state()[1]  # type: ignore[index]  # noqa: NPY002
    return np.array_equal(p, before[0]) and np.array_equal(after, before[1])


def total(tree: Any) -> Any:
    """The sum of `smooth` over all arrays."""
    if isinstance(tree, np.ndarray):
        return smooth(tree)
    return sum(total(t) for t in (tree.values() if isinstance(tree, dict) else tree))


def gradient_like(tree: Any) -> Any:
    """The gradient of `total`, in the same structure."""
    if isinstance(tree, np.ndarray):
        return slope(tree)
    if isinstance(tree, dict):
        return {name: gradient_like(t) for name, t in tree.items()}
    return type(tree)(gradient_like(t) for t in tree)


REQUIREMENTS: list[Callable[[int], Iterator[Line]]] = [
    power,
    false_alarms,
    cost,
    kinks,
    scales,
    single_precision,
    protocol,
    hints,
    emptiness,
    second_opinion,
    complex_step,
    in_tests,
]


def markdown(rows: list[Row]) -> str:
    """The table."""
    result = power_results()
    lines = [
        f"`python -m benchmarks.gradcheck_requirements`; 1, 2, 6 and 8 from the power benchmark "
        f"with {result['seeds']:,} seeds.",
        "",
        "| | requirement | measured | |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row.number} | {row.requirement} | {row.measured} | {'✓' if row.holds else '**no**'} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200, help="random cases for each requirement")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows = [
        Row(number, *line)
        for number, requirement in enumerate(REQUIREMENTS, 1)
        for line in requirement(options.cases)
    ]
    text = markdown(rows)
    print(text)
    (options.output / "gradcheck_requirements.md").write_text(text)
    data = json.dumps([row._asdict() for row in rows], indent=1)
    (options.output / "gradcheck_requirements.json").write_text(data + "\n")
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
