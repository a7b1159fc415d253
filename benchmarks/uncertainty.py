"""Measure the uncertainty of networks trained by Adam: `python -m benchmarks.uncertainty`.

The table has test RMSE, mean log likelihood in the unit of the target, and the share of targets
within 95 % intervals for UCI regression on its official splits, by five estimates of uncertainty.
All networks have one hidden layer of 50 tanh units, and scaled inputs and targets. The batch size,
the rate, and the number of epochs for each set are fixed and were not tuned. For evidence fits, see
`python -m benchmarks.second_order uci`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import numpy as np

import mlpgrad as mg

FILES = {
    "yacht": "yacht",
    "energy": "energy",
    "wine": "wine-quality-red",
    "power": "power-plant",
    "protein": "protein-tertiary-structure",
}
EPOCHS = {"yacht": 300, "energy": 300, "wine": 40, "power": 20, "protein": 5}
PUBLISHED = {"yacht": -1.25, "energy": -1.21, "wine": -0.93, "power": -2.81, "protein": -2.87}
"""The log likelihood of MC dropout: Gal and Ghahramani 2016, 10,000 passes, tuned."""
HIDDEN, BATCH, RATE, PASSES, MEMBERS, HELD_OUT = 50, 32, 0.01, 200, 5, 0.2


class Uci(NamedTuple):
    """A set of Hernandez-Lobato and Adams 2015, with the splits of Gal and Ghahramani 2016."""

    x: Any
    y: Any
    test: Any
    """Masks of the test rows, `(splits, n)`."""


def uci(folder: Path, name: str) -> Uci:
    """Load a set."""
    with np.load(folder / f"uci-{FILES[name]}.npz") as file:
        mask = np.unpackbits(file["test_mask"], axis=1, count=int(file["n_rows"])).astype(bool)
        return Uci(file["X"].astype(float), file["y"].astype(float).reshape(-1, 1), mask)


def trained(name: str, seed: int, x: Any, y: Any, **options: Any) -> mg.Sequential:
    """Train a network by the common recipe; `middle` are layers before the last one."""
    loss, middle = options.pop("loss", mg.MeanSquaredError()), options.pop("middle", [])
    outputs = 2 if isinstance(loss, mg.GaussianNLL) else 1
    layers = [mg.Standardize(x.shape[1]), mg.Dense(x.shape[1], HIDDEN), mg.Tanh(), *middle]
    model = mg.Sequential(
        [*layers, mg.Dense(HIDDEN, outputs)],
        loss=loss,
        target_scaling="standard",
        random_state=seed,
        **options,
    )
    steps = EPOCHS[name] * -(-len(x) // BATCH)
    adam = mg.Adam(mg.CosineDecay(RATE, steps=steps))
    model.fit(x, y, optimizer=adam, epochs=EPOCHS[name], batch_size=BATCH, verbose=0)
    return model


def laplace(
    layers: str, members: int | None = None
) -> Callable[..., tuple[mg.Sequential, dict[str, Any]]]:
    """One or more networks with a Laplace approximation of all layers or the last."""

    def way(name: str, seed: int, x: Any, y: Any) -> tuple[mg.Sequential, dict[str, Any]]:
        model = trained(name, seed, x, y, ensemble_size=members)
        model.laplace(x, y, layers=layers)
        return model, {}

    return way


def dropout(name: str, seed: int, x: Any, y: Any) -> tuple[mg.Sequential, dict[str, Any]]:
    """MC dropout, with the noise estimated on held-out rows."""
    order = np.random.default_rng(seed).permutation(len(x))
    held, rest = np.split(order, [int(HELD_OUT * len(x))])
    model = trained(name, seed, x[rest], y[rest], middle=[mg.Dropout(0.05)])
    model.uncertainty = mg.Noise.fit(model, x[held], y[held], samples=PASSES)
    return model, {"samples": PASSES}


def ensemble(name: str, seed: int, x: Any, y: Any) -> tuple[mg.Sequential, dict[str, Any]]:
    """Five networks that predict the noise."""
    model = trained(name, seed, x, y, loss=mg.GaussianNLL(), ensemble_size=MEMBERS)
    return model, {}


WAYS = {
    "Laplace, all layers": laplace("all"),
    "Laplace, last layer": laplace("last"),
    "ensemble of 5, Laplace": laplace("all", MEMBERS),
    "MC-dropout": dropout,
    "ensemble of 5, GaussianNLL": ensemble,
}


def measured(data: Uci, name: str, index: int, way: str) -> tuple[float, float, float]:
    """The RMSE, log likelihood and coverage of one split."""
    test = data.test[index]
    model, options = WAYS[way](name, index, data.x[~test], data.y[~test])
    x, y = data.x[test], data.y[test]
    mean = model.predict(x, std=True, **options).mean
    low, high = model.predict(x, interval=0.95, **options)
    inside = float(((low <= y) & (y <= high)).mean())
    rmse = float(np.sqrt(np.square(mean - y).mean()))
    return rmse, model.log_likelihood(x, y, **options), inside


def row(data: Uci, name: str, way: str, splits: int) -> dict[str, Any]:
    """The mean and standard error over the splits."""
    found = np.array([measured(data, name, index, way) for index in range(splits)])
    error = found.std(axis=0, ddof=1) / np.sqrt(splits) if splits > 1 else np.zeros(3)
    rmse, likelihood, inside = (
        f"{value:.3f} +- {spread:.3f}"
        for value, spread in zip(found.mean(axis=0), error, strict=True)
    )
    return {
        "set": name,
        "way": way,
        "splits": splits,
        "RMSE": rmse,
        "log likelihood": likelihood,
        "published MC-dropout": PUBLISHED[name],
        "within 95 %": inside,
    }


def main() -> None:
    """Measure the chosen sets; a set that is measured again replaces its rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.uncertainty", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="+", default=["yacht", "energy", "wine"], choices=EPOCHS)
    parser.add_argument("--splits", type=int, default=20, help="at most")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/uncertainty.json"))
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(options.output.read_text()) if options.output.exists() else []
    for name in options.sets:
        data = uci(options.data, name)
        splits = min(options.splits, len(data.test))
        rows = [each for each in rows if each["set"] != name]
        for way in WAYS:
            rows.append(row(data, name, way, splits))
            print(rows[-1], flush=True)
        options.output.write_text(json.dumps(rows, indent=1) + "\n")
    lines = ["# Uncertainty of networks trained by Adam, UCI regression", ""]
    lines += [f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0])]
    lines += [f"| {' | '.join(map(str, each.values()))} |" for each in rows]
    options.output.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
