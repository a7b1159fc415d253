"""The command `mlpgrad train`: load, train, report, check the gradient, save."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.data import Data, load_data
from mlpgrad.cli.encoding import encoder_of
from mlpgrad.cli.models import About, Trained, save_model
from mlpgrad.cli.networks import build_model, build_optimizer
from mlpgrad.cli.results import Result, compared
from mlpgrad.cli.text import missing_texts

if TYPE_CHECKING:
    from mlpgrad.gradcheck import GradientReport
    from mlpgrad.history import History
    from mlpgrad.sequential import Sequential
    from mlpgrad.tables import TableEncoder

FEWEST_ROWS = 10
MOST_NAMES = 20  # names of classes that are printed
CHECKED_ROWS = 16


def train_network(options: argparse.Namespace) -> int:
    """Run `mlpgrad train`: load data, train, report, check the gradient, and save."""
    import mlpgrad as mg

    data = load_data(options)
    if len(data.target.y) < FEWEST_ROWS:
        raise ValueError(
            f"{data.name} has {len(data.target.y)} rows; to train, validate and test on parts of "
            f"them, at least {FEWEST_ROWS} are needed"
        )
    encoder = _encoder(data)
    model = build_model(data, encoder, options)
    optimizer = build_optimizer(options)
    notes = "\n".join(data.notes)
    print(f"{data.name}: {notes}\n\n{model.summary()}\n", flush=True)
    trained = Trained(model, encoder, None)
    parts = {name: _trainable(trained, data, name) for name in ("train", "validation")}
    history = model.fit(
        *parts["train"],
        optimizer=optimizer,
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation_data=parts["validation"],
        callbacks=[mg.EarlyStopping(options.patience)],
        verbose=0 if options.quiet else 1,
    )
    _tell_end(history, options)
    trained, result = evaluated(trained, data, options)
    print("\n".join(filter(None, [str(result), result.warning()])))
    checked = _checked(model, *parts["train"], options.seed)
    print(f"\n{checked}\n")
    save(trained, history, options)
    return _exit_code(checked)


def _encoder(data: Data) -> TableEncoder | None:
    """The encoder of a table, which has learnt from the training rows."""
    if not data.columns:
        return None
    encoder = encoder_of(data.columns).plan(data.x)
    return encoder.fit_members(data.x, None, None, data.rows["train"])


def _trainable(trained: Trained, data: Data, name: str) -> tuple[Any, Array]:
    """Inputs and targets of a part as the network takes them: classes are counted from 0."""
    x, y = data.part(name)
    if data.target.classes:
        y = np.searchsorted(np.array(data.target.classes), y)
    return trained.inputs(x), y


def _tell_end(history: History, options: argparse.Namespace) -> None:
    print(f"trained {history.epochs} epochs in {history.seconds:.1f} s; kept the best weights")
    if history.epochs == options.epochs and not history.interrupted:
        more = 10 * options.epochs
        print(f"the limit of {options.epochs} epochs ended it: --epochs {more} lets it go on")
    print()


def evaluated(trained: Trained, data: Data, options: argparse.Namespace) -> tuple[Trained, Result]:
    """What is known of a model, and its figures on the three parts beside a baseline."""
    target, simple = data.target, baseline_of(data)
    about = About(
        data.name, data.target_name, target.unit, list(target.classes), data.columns,
        missing_texts(options), simple, "",
    )  # fmt: skip
    trained = trained._replace(about=about)
    parts = {name: data.part(name) for name in data.rows}
    answers = {name: (trained.predicted(x), y) for name, (x, y) in parts.items()}
    result = compared(answers, about)
    return trained._replace(about=about._replace(figures=str(result))), result


def baseline_of(data: Data) -> Any:
    """The mean, or the most frequent class, of the training rows."""
    y = data.part("train")[1]
    if not data.target.classes:
        return float(np.mean(y / np.abs(y).max()) * np.abs(y).max()) if y.any() else 0.0
    values, counts = np.unique(y, return_counts=True)
    return values[counts.argmax()].item()


def _checked(model: Sequential, x: Any, y: Any, seed: int) -> GradientReport:
    """The gradient on some training rows, checked; of an ensemble's first network."""
    import mlpgrad as mg

    one = model if model.ensemble_size is None else model.member(0)
    return mg.check_gradients(one, x[:CHECKED_ROWS], y[:CHECKED_ROWS], seed=seed)


def _exit_code(checked: GradientReport) -> int:
    """1 if the check has found a mistake; 0, with a note, if it could not judge."""
    from mlpgrad.gradcheck import Verdict

    if checked:
        return 0
    if checked.verdict is not Verdict.INCONCLUSIVE:
        return 1
    print("note: the gradient check found no mistake, but could not judge every parameter")
    return 0


def save(trained: Trained, history: History, options: argparse.Namespace) -> None:
    """Write the model and, where matplotlib is installed, a picture of the loss curves."""
    directory, about = options.output, trained.about
    assert about is not None
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "model.npz"
    written = "replaced" if path.exists() else "wrote"
    save_model(trained, path)
    uses = (
        f"`mlpgrad predict {path} FILE` answers for the rows of a file"
        if about.columns
        else (f'mg.load("{path}").predict(x) takes inputs as they are in the data')
    )
    print(f"{written} {path}: {uses}")
    if 0 < len(about.classes) <= MOST_NAMES:
        print(f"classes: {', '.join(map(str, about.classes))}")
    _save_curves(history, directory, scaled=not about.classes)


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
