"""The command `mlpgrad train`: load, train, report, check the gradient, save."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.data import Data, load_data
from mlpgrad.cli.networks import build_model, choose
from mlpgrad.cli.units import in_own_units

if TYPE_CHECKING:
    from mlpgrad.gradcheck import GradientReport
    from mlpgrad.history import History
    from mlpgrad.sequential import Sequential

FEWEST_ROWS = 10
MOST_NAMES = 20  # names of classes that are printed


def train_network(options: argparse.Namespace) -> int:
    """Run `mlpgrad train`: load data, train, report, check the gradient, and save."""
    import mlpgrad as mg

    data = load_data(options)
    _refuse_untrainable(data)
    model = build_model(data, options)
    optimizer = choose(mg.Optimizer, options.optimizer, "optimizer")
    rate = {} if options.learning_rate is None else {"learning_rate": options.learning_rate}
    print(f"{data.name}: {data.note}\n\n{model.summary()}\n", flush=True)
    x, y = data.scaled("train")
    history = model.fit(
        x,
        y,
        optimizer=optimizer(**rate),
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation_data=data.scaled("validation"),
        callbacks=[mg.EarlyStopping(options.patience)],
        verbose=0 if options.quiet else 1,
    )
    print(f"trained {history.epochs} epochs in {history.seconds:.1f} s; kept the best weights")
    if history.epochs == options.epochs and not history.interrupted:
        more = 10 * options.epochs
        print(f"the limit of {options.epochs} epochs ended it: --epochs {more} lets it go on")
    print()
    unscaled = in_own_units(model, data.inputs, data.outputs)
    print(report(unscaled, data))
    checked = mg.check_gradients(model, x[:16], y[:16], seed=options.seed)
    print(f"\n{checked}\n")
    save(unscaled, history, data, options.output)
    return _exit_code(checked)


def _refuse_untrainable(data: Data) -> None:
    """Raise ValueError for too few rows, and for a quantity that is the same in all of them."""
    if len(data.y) < FEWEST_ROWS:
        raise ValueError(
            f"{data.name} has {len(data.y)} rows; to train, validate and test on parts of them, "
            f"at least {FEWEST_ROWS} are needed"
        )
    if data.outputs is not None and not np.isfinite(data.outputs.deviation).all():
        raise ValueError(f"{data.target!r} has the same value in all rows that are trained on")


def _exit_code(checked: GradientReport) -> int:
    """1 if the check has found a mistake; 0, with a note, if it could not judge."""
    from mlpgrad.gradcheck import Verdict

    if checked:
        return 0
    if checked.verdict is not Verdict.INCONCLUSIVE:
        return 1
    print("note: the gradient check found no mistake, but could not judge every parameter")
    return 0


def report(model: Sequential, data: Data) -> str:
    """The accuracy, or the root mean squared error, on the three parts, beside a baseline.

    Parameters
    ----------
    model : Sequential
        Takes and predicts the data's own units.
    data : Data
    """
    y, test = data.part("train")[1], data.part("test")[1]
    if data.outputs is None:
        values = {name: model.evaluate(*data.part(name))["accuracy"] for name in data.rows}
        baseline = float(np.mean(test == np.bincount(y).argmax()))
        title, simple = "accuracy", "always answering with the most frequent class"
        better = values["test"] > baseline
    else:
        unit = data.outputs.deviation
        parts = {name: data.part(name) for name in data.rows}
        values = {name: _size(model.predict(x)[:, 0] - y, unit) for name, (x, y) in parts.items()}
        baseline = _size(test - data.outputs.mean, unit)
        title = "root mean squared error"
        simple = f"in the units of {data.target!r}; predicting the mean of the training rows alone"
        better = values["test"] < baseline
    shown = _decimals if data.classes else _digits
    line = ", ".join(f"{name} {shown(value)}" for name, value in values.items())
    verdict = "" if better else "; the network is no better than that"
    return f"{title}: {line}\n{simple} gives test {shown(baseline)}{verdict}"


def _size(errors: Array, unit: Array) -> float:
    """The root of the mean square, taken in a unit in which it does not overflow."""
    return float(np.sqrt(np.mean((errors / unit) ** 2)) * unit[0])


def _decimals(value: float) -> str:
    return f"{value:.4f}"


def _digits(value: float) -> str:
    """At least five digits, never with an exponent."""
    if value >= 1:
        return f"{value:.4f}"
    return np.format_float_positional(value, 5, unique=False, fractional=False, trim="-")


def save(model: Sequential, history: History, data: Data, directory: Path) -> None:
    """Write the model and, where matplotlib is installed, a picture of the loss curves."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "model.npz"
    written = "replaced" if path.exists() else "wrote"
    model.save(path)
    method = "predict_classes" if data.outputs is None else "predict"
    print(f'{written} {path}: mg.load("{path}").{method}(x) uses it')
    if data.inputs is not None:
        print("it takes inputs as they are in the data: their scaling is part of its first layer")
    if data.outputs is not None:
        print(f"it predicts in the units of {data.target!r}: the scaling is part of its last layer")
    elif len(data.classes) <= MOST_NAMES:
        print(f"classes: {', '.join(f'{i} is {name}' for i, name in enumerate(data.classes))}")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture of the loss curves: pip install 'mlpgrad[plot]' brings matplotlib")
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    history.plot(ax=figure.subplots())
    figure.savefig(directory / "loss.png", dpi=150)
    scaled = "" if data.outputs is None else ": the loss is that of the scaled target"
    print(f"wrote {directory / 'loss.png'}{scaled}")
