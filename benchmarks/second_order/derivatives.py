"""Derivatives against torch.func: time in gradients, ratios, and the largest difference."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np

import mlpgrad as mg

ROUNDS, SECONDS = 15, 0.1
NETWORKS = {
    "8-50-1 tanh, 128 rows": ([8, 50, 1], "Tanh", 128),
    "20-50-10 ReLU, 256 rows": ([20, 50, 10], "ReLU", 256),
    "64-128-128-10 tanh, 512 rows": ([64, 128, 128, 10], "Tanh", 512),
    "784-100-10 ReLU, 128 rows": ([784, 100, 10], "ReLU", 128),
}


class Table(TypedDict):
    """A section of the results."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]


def model_of(widths: list[int], activation: str) -> mg.Sequential:
    """The library's network."""
    layers: list[mg.Layer] = []
    for width, following in itertools.pairwise(widths):
        layers += [mg.Dense(width, following), getattr(mg, activation)()]
    loss = mg.HalfSquaredError()
    return mg.Sequential(layers[:-1], loss=loss, dtype="float64", random_state=0)


def ours(model: mg.Sequential, x: Any, y: Any, v: Any) -> dict[str, Callable[[], Any]]:
    """What is measured of the library."""
    operator = model.curvature(x, y)
    return {
        "gradient": lambda: (model.backpropagate(x, y), model.grads)[1],
        "product": lambda: operator @ v,
        "rows": lambda: model.per_example_gradients(x, y),
        "norms": lambda: model.per_example_gradient_norms(x, y),
    }


def torch_s(model: mg.Sequential, x: Any, y: Any, v: Any) -> dict[str, Callable[[], Any]]:
    """The same by torch.func, on tensors that are there already; empty without PyTorch."""
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
    """PyTorch's list of arrays as the library lays parameters out; arrays as they are."""
    if not isinstance(found, list):
        return np.asarray(found)
    lead = found[-1].ndim - 1
    return np.concatenate([a.numpy().reshape(*a.shape[:lead], -1) for a in found], axis=-1)


def seconds(function: Callable[[], Any], calls: int) -> float:
    """Processor time of a call."""
    started = time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - started) / calls


def times(functions: dict[Any, Callable[[], Any]], rounds: int, least: float) -> dict[Any, Any]:
    """Seconds of a call in each round; in a round all functions take their turns."""
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
    """The median over the rounds, with the middle half of them."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})"


def measure(smoke: bool) -> Table:
    """All networks."""
    rounds, least = (1, 0.0) if smoke else (ROUNDS, SECONDS)
    rows = []
    for name, (widths, activation, count) in list(NETWORKS.items())[: 1 if smoke else None]:
        rng = np.random.default_rng(0)
        model = model_of(widths, activation)
        x, y = rng.normal(size=(count, widths[0])), rng.normal(size=(count, widths[-1]))
        v = rng.normal(size=model.params.shape)
        own, other = ours(model, x, y, v), torch_s(model, x, y, v)
        functions = {(0, key): f for key, f in own.items()} | {(1, k): f for k, f in other.items()}
        taken = times(functions, rounds, least)
        gradient = taken[0, "gradient"]
        row = [name, f"{statistics.median(gradient) * 1e6:,.0f}"]
        row += [ratio(taken[0, key], gradient) for key in ("product", "norms")]
        for key in ("gradient", "product", "rows"):
            row.append(ratio(taken[1, key], taken[0, key]) if other else "not measured")
        for key in ("product", "rows"):
            expected = flat(other[key]()) if other else None
            row.append("not measured" if expected is None else f"{error(own[key](), expected):.0e}")
        rows.append(row)
    return {
        "title": "Derivatives against torch.func",
        "text": TEXT,
        "columns": COLUMNS,
        "rows": rows,
    }


def error(found: Any, expected: Any) -> float:
    """The largest difference, relative to the largest number."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


TEXT = (
    "In float64, on one core each; processor time. Each ratio is the median over "
    f"{ROUNDS} rounds, in which all take their turns, with the middle half of the rounds. PyTorch "
    "computes with `jvp(grad(f))` and `vmap(grad(f))` of torch.func."
)
COLUMNS = [
    "network",
    "our gradient, us",
    "Hessian-vector product, in our gradients",
    "norms of samples' gradients, in our gradients",
    "gradient: PyTorch / ours",
    "product: PyTorch / ours",
    "samples' gradients: PyTorch / ours",
    "product: largest difference",
    "samples' gradients: largest difference",
]
