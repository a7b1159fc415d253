"""The command `mlpgrad train`: load, train, report, check the gradient, save."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad.cli.columns import LEFT_OUT, THOUSANDS
from mlpgrad.cli.data import Data, load_data, take
from mlpgrad.cli.models import About, labels_of, predicted, save_model
from mlpgrad.cli.networks import build_model, build_optimizer
from mlpgrad.cli.results import Result, compared
from mlpgrad.cli.text import check_directory, make_directory, missing_texts, one_text, split
from mlpgrad.cli.uncertainty import covered, measure_noise, typical_error
from mlpgrad.datasets.fields import Fields
from mlpgrad.tables.kinds import CODES

if TYPE_CHECKING:
    import mlpgrad as mg
    from mlpgrad.gradcheck import GradientReport
    from mlpgrad.history import History
    from mlpgrad.sequential import Sequential

FEWEST_ROWS = 10
MOST_NAMES = 20  # maximum number of class names to print
CHECKED_ROWS = 16


def train_network(options: argparse.Namespace) -> int:
    """Run `mlpgrad train`: load data, train, report, check the gradient, and save."""
    check_directory(options.output)
    data = load_data(options)
    if len(data.target.y) < FEWEST_ROWS:
        raise ValueError(
            f"{data.name} has {len(data.target.y)} rows; to train, validate and test on parts of "
            f"them, at least {FEWEST_ROWS} are needed"
        )
    model = build_model(data, options)
    optimizer = build_optimizer(options)
    make_directory(options.output)
    notes = "\n".join(data.notes)
    print(f"{data.name}: {notes}\n\n{model.summary()}\n", flush=True)
    history = _fit(model, data, optimizer, options)
    _tell_end(history, options)
    about, result = evaluated(model, data, options)
    print("\n".join(filter(None, [about.figures, result.warning()])))
    checked = _checked(model, *data.part("train"), options.seed)
    print(f"\n{checked}\n")
    save(model, about, history, options)
    return _exit_code(checked)


def _fit(
    model: Sequential, data: Data, optimizer: mg.Optimizer, options: argparse.Namespace
) -> History:
    import mlpgrad as mg

    x, y = data.part("train")
    try:
        return model.fit(
            x,
            y,
            optimizer=optimizer,
            epochs=options.epochs,
            batch_size=options.batch_size,
            validation_data=data.part("validation"),
            callbacks=[mg.EarlyStopping(options.patience)],
            verbose=0 if options.quiet else 1,
        )
    except mg.DivergenceError as error:
        problem, rate = str(error).partition("; ")[0], optimizer.learning_rate
        lower = rate / 10 if isinstance(rate, float) else 1e-4
        raise ValueError(f"{problem}; lower the rate: --learning-rate {lower:g}") from error


def _tell_end(history: History, options: argparse.Namespace) -> None:
    trained = _epochs(history.epochs)
    print(f"trained {trained} in {history.seconds:.1f} s; kept the best weights")
    if history.epochs == options.epochs and not history.interrupted:
        more = 10 * options.epochs
        print(f"training reached the limit of {trained}: --epochs {more} trains longer")
    print()


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' * (count != 1)}"


def evaluated(model: Sequential, data: Data, options: argparse.Namespace) -> tuple[About, Result]:
    """Measure the noise on the validation rows, and the scores on the three parts."""
    target = data.target
    parts = {name: data.part(name) for name in data.rows}
    rows = 0 if target.classes else measure_noise(model, *parts["validation"])
    about = About(
        data.name, data.target_name, target.unit, bool(target.classes), data.columns,
        one_text(missing_texts(options)), baseline_of(data), "", data.decimal, rows,
    )  # fmt: skip
    result = compared({name: (predicted(model, x), y) for name, (x, y) in parts.items()}, about)
    figures = [str(result), typical_error(model, about, parts["validation"][0])]
    figures.append(covered(model, *parts["test"], "the test rows"))
    return about._replace(figures="\n".join(filter(None, figures))), result


def baseline_of(data: Data) -> Any:
    """Return the mean, or the most frequent class, of the training rows."""
    y = data.part("train")[1]
    if not data.target.classes:
        return float(np.mean(y / np.abs(y).max()) * np.abs(y).max()) if y.any() else 0.0
    values, counts = np.unique(y, return_counts=True)
    return values[counts.argmax()].item()


def _checked(model: Sequential, x: Any, y: Any, seed: int) -> GradientReport:
    """Check the gradient on some training rows; for an ensemble, of its first network."""
    import mlpgrad as mg

    one = model if model.ensemble_size is None else model.member(0)
    rows = slice(0, CHECKED_ROWS)
    return mg.check_gradients(one, take(x, rows), y[rows], seed=seed)


def _exit_code(checked: GradientReport) -> int:
    """Return 1 if the check found a mistake; 0, with a note, if it could not judge."""
    from mlpgrad.gradcheck import Verdict

    if checked:
        return 0
    if checked.verdict is not Verdict.INCONCLUSIVE:
        return 1
    print("note: the gradient check found no mistake, but could not judge every parameter")
    return 0


def save(model: Sequential, about: About, history: History, options: argparse.Namespace) -> None:
    """Write the model and, if matplotlib is installed, a picture of the loss curves."""
    directory: Path = options.output
    path = directory / "model.npz"
    written = "replaced" if path.exists() else "wrote"
    save_model(model, about, path)
    shell = f"mlpgrad predict {shlex.quote(str(path))} FILE"
    print(f"{written} {path}: `{shell}` predicts for the rows of a file")
    method = "predict_classes" if about.classes else "predict"
    print(f'in Python: mg.load("{path}").{method}(x), with x {_in_python(about)}')
    if model.loss.classifies:
        labels = labels_of(model).tolist()
        more = f" and {len(labels) - MOST_NAMES} more" if len(labels) > MOST_NAMES else ""
        print(f"classes: {', '.join(map(str, labels[:MOST_NAMES]))}{more}")
    _save_curves(history, directory, scaled=not about.classes)


def _in_python(about: About) -> str:
    """Return what the saved model takes in Python, where nothing reads a file as it was read."""
    if not about.columns:
        return "as it is in the data"
    columns = about.columns.values()
    numbers = [
        text for text in split(about.missing) if Fields(about.decimal or ".").is_number(text)
    ]
    found = [
        "a DataFrame of the columns above",
        "without those left out" * any(column.kind == LEFT_OUT for column in columns),
        "with plain numbers for amounts" * any(c.unit or THOUSANDS in c.reason for c in columns),
        "with text for codes" * any(column.reason.startswith(CODES) for column in columns),
        f"with NaN for {' and '.join(numbers)}" * bool(numbers),
    ]
    return ", ".join(filter(None, found))


def _save_curves(history: History, directory: Path, scaled: bool) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture of the loss curves: pip install 'mlpgrad[plot]' brings matplotlib")
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    history.plot(ax=figure.subplots())
    figure.savefig(directory / "loss.png", dpi=150)
    print(f"wrote {directory / 'loss.png'}" + (": the loss of the scaled target" if scaled else ""))
