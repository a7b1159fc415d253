"""Measure which wrong gradients the checker finds and explains, and how often it is wrong.

    python -m benchmarks.gradcheck_power            quick: 100 seeds, 3 nets, every mutant
    python -m benchmarks.gradcheck_power --full     1,000 seeds and 10,000 correct nets

The results are `results/gradcheck_power.json` and `.md` (`..._full` in the full form). Checkers of
other libraries (PyTorch, JAX, autograd, SciPy) are measured if they are installed, with their own
defaults, on the same models as functions of one flat vector.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np

import mlpgrad as mg
from tests.gradcheck import mutants

HERE = Path(__file__).parent

ACCEPTED = ("PASS", "KINK", "NO_POWER", "INCONCLUSIVE")
ACTIVATIONS = (mg.Tanh, mg.ReLU, mg.LeakyReLU, mg.Sigmoid)


def correct_net(seed: int, dtype: str = "float64") -> tuple[mg.Sequential, np.ndarray, np.ndarray]:
    """A correct network with random depth, widths, activations, normalisation, dropout and loss."""
    rng = np.random.default_rng(seed)
    widths = [int(n) for n in rng.integers(2, 17, size=rng.integers(2, 5))]
    layers: list[mg.Layer] = []
    for into, out in pairwise(widths):
        layers.append(mg.Dense(into, out))
        if rng.random() < 0.3:
            layers.append(mg.BatchNorm(out))
        layers.append(ACTIVATIONS[rng.integers(len(ACTIVATIONS))]())
        if rng.random() < 0.3:
            layers.append(mg.Dropout(float(rng.choice([0.1, 0.25, 0.5]))))
    outputs = int(rng.integers(2, 6))
    layers.append(mg.Dense(widths[-1], outputs))
    rows = int(rng.integers(2, 33))
    losses = (mg.HalfSquaredError, mg.SoftmaxCrossEntropy, mg.MeanSquaredError)
    loss = losses[rng.integers(len(losses))]()
    penalties = [mg.L2(1e-4)] if rng.random() < 0.5 else []
    model = mg.Sequential(layers, loss=loss, penalties=penalties, dtype=dtype, random_state=seed)
    if rng.random() < 0.7:
        model.params += 0.2 * rng.standard_normal(model.params.shape)
    x = rng.standard_normal((rows, widths[0]))
    if loss.classifies:
        return model, x, rng.integers(outputs, size=rows)
    return model, x, rng.standard_normal((rows, outputs))


def check_correct(case: tuple[int, str]) -> tuple[str, int, float]:
    """The verdict on a correct random net, the passes, and the largest error over its tolerance."""
    seed, dtype = case
    report = mg.check_gradients(*correct_net(seed, dtype), seed=seed)
    ratios = [
        abs(tensor.worst.error) / tensor.worst.tolerance
        for tensor in report.tensors
        if tensor.worst is not None and tensor.worst.tolerance and tensor.verdict == "PASS"
    ]
    return report.verdict.value, report.passes, max(ratios, default=0.0)


def false_alarms(pool: Executor, count: int, dtype: str) -> dict[str, object]:
    """The verdicts on correct random nets."""
    cases = [(seed, dtype) for seed in range(count)]
    verdicts, passes, ratios = zip(*pool.map(check_correct, cases, chunksize=50), strict=True)
    return {
        "nets": count,
        "verdicts": dict(Counter(verdicts)),
        "closest": max(ratios),
        "most_passes": max(passes),
    }


def check_mutant(case: tuple[str, str, str, int, int]) -> dict[str, object]:
    """Check one mutant on one net: detection for all seeds, and the correct hint for some."""
    name, net, dtype, seeds, explained = case
    mutant = next(m for m in mutants.MUTANTS if m.name == name)
    detected = right = passes = 0
    for seed in range(seeds):
        model, x, y = mutants.NETS[net](seed)
        if dtype != "float64":
            model = model.lifted(dtype)
        place = mutant.apply(model)
        explain = seed < explained
        report = mg.check_gradients(model, x, y, seed=seed, explain=explain)
        detected += report.verdict.value not in ACCEPTED
        right += explain and mutants.diagnosed(report, place, mutant.codes)
        passes += report.passes
    return {
        "mutant": name,
        "net": net,
        "detected": detected / seeds,
        "right_hint": right / explained,
        "passes": passes / seeds,
    }


def power(
    pool: Executor, names: list[str], dtype: str, seeds: int, explained: int
) -> list[dict[str, object]]:
    """Check mutants on every net."""
    cases = [(name, net, dtype, seeds, explained) for name in names for net in mutants.NETS]
    return list(pool.map(check_mutant, cases))


# peers: each returns True if it accepts the gradient of a function of one vector


def peers() -> dict[str, Callable[[Callable, Callable, np.ndarray], bool]]:
    """The installed checkers of other libraries, with their defaults."""
    found: dict[str, Callable[[Callable, Callable, np.ndarray], bool]] = {}
    try:
        import torch

        def by_torch(f, grad, p, *, fast):
            class Function(torch.autograd.Function):
                @staticmethod
                def forward(ctx, t):
                    ctx.save_for_backward(t)
                    return torch.tensor(f(t.detach().numpy()), dtype=torch.float64)

                @staticmethod
                def backward(ctx, v):
                    (t,) = ctx.saved_tensors
                    return v * torch.from_numpy(grad(t.detach().numpy()))

            t = torch.tensor(p, dtype=torch.float64, requires_grad=True)
            check = torch.autograd.gradcheck
            return bool(check(Function.apply, (t,), raise_exception=False, fast_mode=fast))

        found["torch slow"] = lambda f, g, p: by_torch(f, g, p, fast=False)
        found["torch fast"] = lambda f, g, p: by_torch(f, g, p, fast=True)
    except ImportError:
        pass
    try:
        import jax
        from jax.test_util import check_vjp

        jax.config.update("jax_enable_x64", True)

        def by_jax(f, grad, p):
            def vjp(at):
                gradient = grad(np.asarray(at))
                return np.array([f(np.asarray(at))]), lambda v: (float(v[0]) * gradient,)

            try:
                check_vjp(lambda at: np.array([f(np.asarray(at))]), vjp, (p,))
            except AssertionError:
                return False
            return True

        found["JAX"] = by_jax
    except ImportError:
        pass
    try:
        from autograd.extend import defvjp, primitive
        from autograd.test_util import check_grads

        def by_autograd(f, grad, p):
            @primitive
            def function(at):
                return f(at)

            defvjp(function, lambda _value, at: lambda v: v * grad(at))
            try:
                check_grads(function, modes=["rev"], order=1)(p)
            except AssertionError:
                return False
            return True

        found["autograd"] = by_autograd
    except ImportError:
        pass
    try:
        from scipy.optimize import check_grad

        # check_grad returns a number; the threshold here is 1e-6 of the gradient's norm
        found["scipy"] = lambda f, g, p: bool(
            check_grad(f, g, p) <= 1e-6 * max(np.linalg.norm(g(p)), 1e-300)
        )
    except ImportError:
        pass
    return found


def flat(model: mg.Sequential, x: np.ndarray, y: np.ndarray) -> tuple[Callable, Callable, list]:
    """A model as `f(p)` and `grad(p)`, with a counter of forward passes."""
    batch = model._cast(x, y, None)
    state, passes = model.state.copy(), [0]

    def step(p: np.ndarray) -> float:
        model.params, model.state = p, state
        passes[0] += 1
        with model.same_randomness():
            return float(model._step(*batch))

    def grad(p: np.ndarray) -> np.ndarray:
        step(np.array(p))
        return model.grads.copy()

    return lambda p: step(np.array(p)), grad, passes


def peer_power(seeds: int) -> dict[str, dict[str, object]]:
    """Check the same mutants and nets by the peers: detection, false alarms, forward passes."""
    table: dict[str, dict[str, object]] = {}
    for name, accepts in peers().items():
        began = time.perf_counter()
        by_mutant: dict[str, float] = {}
        passes_used = []
        for mutant in mutants.MUTANTS:
            alarms = 0
            for make in mutants.NETS.values():
                for seed in range(seeds):
                    np.random.seed(seed)  # noqa: NPY002  # the peers draw from the global one
                    model, x, y = make(seed)
                    mutant.apply(model)
                    f, grad, passes = flat(model, x, y)
                    alarms += not accepts(f, grad, model.params.copy())
                    passes_used.append(passes[0])
            by_mutant[mutant.name] = alarms / (seeds * len(mutants.NETS))
        wrong = 0
        nets = 10 * seeds
        for seed in range(nets):
            np.random.seed(seed)  # noqa: NPY002
            model, x, y = correct_net(seed)
            f, grad, _ = flat(model, x, y)
            wrong += not accepts(f, grad, model.params.copy())
        table[name] = {
            "detected": by_mutant,
            "false_alarms": wrong / nets,
            "correct_nets": nets,
            "passes": float(np.mean(passes_used)),
            "seconds": time.perf_counter() - began,
        }
    return table


def markdown(result: dict) -> str:
    """The published table."""
    names = list(result["peers"])
    lines = [
        f"| mutant | found | correct hint | passes | {' | '.join(names)} |".replace("|  |", "|"),
        "|---" * (4 + len(names)) + "|",
    ]
    for mutant in mutants.MUTANTS:
        rows = [row for row in result["power"] if row["mutant"] == mutant.name]
        ours = [np.mean([row[key] for row in rows]) for key in ("detected", "right_hint", "passes")]
        others = [f"{result['peers'][name]['detected'][mutant.name]:.0%}" for name in names]
        cells = [mutant.name, f"{ours[0]:.2%}", f"{ours[1]:.0%}", f"{ours[2]:.0f}", *others]
        lines.append("| " + " | ".join(cells) + " |")
    total = [
        np.mean([row[key] for row in result["power"]])
        for key in ("detected", "right_hint", "passes")
    ]
    others = [f"{np.mean(list(result['peers'][n]['detected'].values())):.0%}" for n in names]
    lines.append(
        "| "
        + " | ".join(
            ["**all**", f"**{total[0]:.2%}**", f"**{total[1]:.0%}**", f"{total[2]:.0f}", *others]
        )
        + " |"
    )
    alarms = [f"{result['peers'][n]['false_alarms']:.1%}" for n in names]
    mine = result["correct"]["float64"]
    wrong = sum(n for v, n in mine["verdicts"].items() if v not in ACCEPTED)
    lines.append(
        "| "
        + " | ".join(["*correct nets: alarms*", f"{wrong / mine['nets']:.2%}", "", "", *alarms])
        + " |"
    )
    used = [f"{result['peers'][n]['passes']:.0f}" for n in names]
    lines.append("| " + " | ".join(["*forward passes*", f"{total[2]:.0f}", "", "", *used]) + " |")
    text = "\n".join(lines)
    seeds = result["seeds"]
    head = (
        f"Wrong gradients found: {len(mutants.MUTANTS)} mutants, {len(mutants.NETS)} nets, "
        f"{seeds} seeds each"
    )
    if names:
        head += f" ({result['peer_seeds']} for the other libraries, with their defaults)"
    verdicts = "\n".join(
        f"- {dtype}: {part['nets']} correct random nets: "
        + ", ".join(f"{name} {n}" for name, n in sorted(part["verdicts"].items()))
        + f"; largest error {part['closest']:.2f} of its tolerance"
        for dtype, part in result["correct"].items()
    )
    single = np.mean([row["detected"] for row in result["float32"]])
    verdicts += f"\n- float32: a relative error of 1e-4 in one tensor found in {single:.2%}"
    return f"{head}.\n\n{text}\n\n{verdicts}\n\n{result['seconds']:.0f} s, {result['machine']}.\n"


def main() -> int:
    """Measure, print and save; the exit code is 1 if the checker breaks a promise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="1,000 seeds, 10,000 correct nets")
    parser.add_argument("--seeds", type=int, help="seeds for each mutant and net")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    seeds = options.seeds or (1000 if options.full else 100)
    explained = max(1, seeds // (1 if options.full else 10))
    peer_seeds = 10 if options.full else 1
    began = time.perf_counter()
    every = [mutant.name for mutant in mutants.MUTANTS]
    with ProcessPoolExecutor() as pool:
        measured = {
            "power": power(pool, every, "float64", seeds, explained),
            "float32": power(pool, ["off_by_1e_4"], "float32", seeds, explained),
            "correct": {
                "float64": false_alarms(pool, 10 * seeds, "float64"),
                "float32": false_alarms(pool, seeds, "float32"),
            },
        }
    result = {
        "seeds": seeds,
        "peer_seeds": peer_seeds,
        **measured,
        "peers": peer_power(peer_seeds),
        "machine": f"Python {platform.python_version()}, NumPy {np.__version__}",
    }
    result["seconds"] = time.perf_counter() - began
    name = "gradcheck_power" + ("_full" if options.full else "")
    (options.output / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    text = markdown(result)
    (options.output / f"{name}.md").write_text(text)
    print(text)
    missed = [row for row in result["power"] + result["float32"] if row["detected"] < 1]
    for row in missed:
        print(f"missed: {row['mutant']} on {row['net']}: found in {row['detected']:.1%}")
    alarms = sum(
        n
        for part in result["correct"].values()
        for verdict, n in part["verdicts"].items()
        if verdict not in ACCEPTED
    )
    print(f"{alarms} false alarms")
    weak = any(row["detected"] < 0.999 for row in result["power"])
    weak |= any(row["detected"] < 0.99 for row in result["float32"])
    return int(bool(alarms) or weak)


if __name__ == "__main__":
    sys.exit(main())
