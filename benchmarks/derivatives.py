"""Compare derivatives with torch.func: `python -m benchmarks.derivatives`, half a minute.

The table has times in units of the library's own gradient, ratios to torch.func, and the largest
difference. `--smoke` takes a second, and its times mean nothing.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before NumPy is imported

import numpy as np  # noqa: E402

import mlpgrad as mg  # noqa: E402
from benchmarks.tables.section import Figures, Section, Table  # noqa: E402

ROUNDS, SECONDS = 15, 0.1
TEXT = (
    "Everything is computed in float64 on one core, and times are processor times. Each ratio is "
    f"the median over {ROUNDS} rounds in which the libraries take turns, with the quartiles in "
    "parentheses. PyTorch computes with `jvp(grad(f))` and `vmap(grad(f))` of torch.func. The "
    "gradients of samples take at least as long as a gradient and writing an array of their size."
)
RESULTS = Path(__file__).parent / "results" / "derivatives.json"
NETWORKS = {
    "8-50-1 tanh, 128 rows": ([8, 50, 1], "Tanh", 128),
    "20-50-10 ReLU, 256 rows": ([20, 50, 10], "ReLU", 256),
    "64-128-128-10 tanh, 512 rows": ([64, 128, 128, 10], "Tanh", 512),
    "784-100-10 ReLU, 128 rows": ([784, 100, 10], "ReLU", 128),
}


def model_of(widths: list[int], activation: str) -> mg.Sequential:
    """A network of this library."""
    layers: list[mg.Layer] = []
    for width, following in itertools.pairwise(widths):
        layers += [mg.Dense(width, following), getattr(mg, activation)()]
    loss = mg.HalfSquaredError()
    return mg.Sequential(layers[:-1], loss=loss, dtype="float64", random_state=0)


def ours(model: mg.Sequential, x: Any, y: Any, v: Any) -> dict[str, Callable[[], Any]]:
    """The functions of this library that are timed."""
    operator = model.curvature(x, y)
    return {
        "gradient": lambda: (model.backpropagate(x, y), model.grads)[1],
        "product": lambda: operator @ v,
        "rows": lambda: model.per_example_gradients(x, y),
        "norms": lambda: model.per_example_gradient_norms(x, y),
        "room": lambda: np.full((len(x), v.size), 1.0),
    }


def torch_s(model: mg.Sequential, x: Any, y: Any, v: Any) -> dict[str, Callable[[], Any]]:
    """The same functions by torch.func, on existing tensors; empty without PyTorch."""
    try:
        import torch
        from torch.func import grad, jvp, vmap
    except ImportError:
        return {}
    torch.set_num_threads(1)

    def tensors(flat: Any) -> list[Any]:
        return [torch.from_numpy(slot.view(flat).copy()) for slot in model.parameters]

    activation = torch.tanh if isinstance(model.layers[1], mg.Tanh) else torch.relu

    def loss(params: list[Any], x: Any, y: Any) -> Any:
        for weights, bias in zip(params[:-2:2], params[1:-2:2], strict=True):
            x = activation(x @ weights + bias)
        return 0.5 * ((x @ params[-2] + params[-1] - y) ** 2).sum(dim=-1).mean()

    def of_one(params: list[Any], x: Any, y: Any) -> Any:
        return loss(params, x[None], y[None])

    params, vector = tensors(model.params), tensors(v)
    xs, ys = torch.from_numpy(x), torch.from_numpy(y)
    gradient, rows = grad(loss), vmap(grad(of_one), in_dims=(None, 0, 0))
    along = (params,), (vector,)
    return {
        "gradient": lambda: gradient(params, xs, ys),
        "product": lambda: jvp(lambda p: gradient(p, xs, ys), *along)[1],
        "rows": lambda: rows(params, xs, ys),
    }


def flat(found: Any) -> Any:
    """PyTorch's list of arrays in the library's layout of parameters; an array stays as it is."""
    if not isinstance(found, list):
        return np.asarray(found)
    lead = found[-1].ndim - 1
    return np.concatenate([a.numpy().reshape(*a.shape[:lead], -1) for a in found], axis=-1)


def seconds(function: Callable[[], Any], calls: int) -> float:
    """The processor time of one call."""
    started = time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - started) / calls


def times(functions: dict[Any, Callable[[], Any]], rounds: int, least: float) -> dict[Any, Any]:
    """The seconds of a call in each round; the functions take turns within a round."""
    calls = {}
    for name, function in functions.items():
        function()
        calls[name] = max(1, int(least / max(seconds(function, 3), 1e-6)))
    found: dict[Any, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            found[name].append(seconds(function, calls[name]))
    return found


def ratio(above: list[float], below: list[float]) -> str:
    """The median over the rounds, with the quartiles."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})"


def tasks(smoke: bool) -> dict[str, Callable[[], dict[str, str]]]:
    """One measurement for each network."""
    rounds, least = (1, 0.0) if smoke else (ROUNDS, SECONDS)
    networks = list(NETWORKS.items())[: 1 if smoke else None]
    return {
        name: functools.partial(row, name, *network, rounds, least) for name, network in networks
    }


def row(
    name: str, widths: list[int], activation: str, count: int, rounds: int, least: float
) -> dict[str, str]:
    """Measure one network."""
    rng = np.random.default_rng(0)
    model = model_of(widths, activation)
    x, y = rng.normal(size=(count, widths[0])), rng.normal(size=(count, widths[-1]))
    v = rng.normal(size=model.params.shape)
    own, other = ours(model, x, y, v), torch_s(model, x, y, v)
    functions = {("ours", key): f for key, f in own.items()}
    functions |= {("torch", key): f for key, f in other.items()}
    taken = times(functions, rounds, least)
    gradient = taken["ours", "gradient"]
    found = {
        "network": name,
        "gradient, us": f"{statistics.median(gradient) * 1e6:,.0f}",
        "Hessian-vector product / gradient": ratio(taken["ours", "product"], gradient),
        "norms of samples' gradients / gradient": ratio(taken["ours", "norms"], gradient),
    }
    for key, called in CALLED.items() if other else ():
        found[f"{called}: PyTorch / ours"] = ratio(taken["torch", key], taken["ours", key])
    if other:
        least = [sum(pair) for pair in zip(gradient, taken["ours", "room"], strict=True)]
        found[f"{CALLED['rows']}: PyTorch / a gradient and writing such an array"] = ratio(
            taken["torch", "rows"], least
        )
    for key in ("product", "rows") if other else ():
        difference = error(own[key](), flat(other[key]()))
        found[f"{CALLED[key]}: largest difference"] = f"{difference:.0e}"
    return found


def error(found: Any, expected: Any) -> float:
    """The largest difference, relative to the largest number."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


CALLED = {
    "gradient": "gradient",
    "product": "Hessian-vector product",
    "rows": "samples' gradients",
}


def page(rows: list[dict[str, str]]) -> str:
    """The table as Markdown."""
    lines = ["`python -m benchmarks.derivatives`: derivatives against torch.func.", "", TEXT, ""]
    lines += [f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0])]
    lines += [f"| {' | '.join(each.values())} |" for each in rows]
    return "\n".join(lines) + "\n"


def table(found: Mapping[str, Figures]) -> Table:
    """The rows as a section of another page."""
    rows = [*found.values()]
    return Table("Derivatives against torch.func", TEXT, [*rows[0]], [[*r.values()] for r in rows])


SECTION = Section(
    "derivatives against torch.func: half a minute",
    repr(NETWORKS),
    (),
    lambda options: tasks(options.smoke),
    table,
)


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(prog="benchmarks.derivatives", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a second, without meaning")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = [task() for task in tasks(options.smoke).values()]
    options.output.write_text(json.dumps(rows, indent=1) + "\n")
    options.output.with_suffix(".md").write_text(page(rows), encoding="utf-8")
    print(page(rows))


if __name__ == "__main__":
    main()
