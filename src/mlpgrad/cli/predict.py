"""The command `mlpgrad predict`: predictions for the rows of a file, in order, as a table."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.columns import listed
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.models import labels_of, load_model, numbers, predicted, probabilities
from mlpgrad.cli.rows import Rows, read_rows
from mlpgrad.network.labels import classes_for

if TYPE_CHECKING:
    from mlpgrad.sequential import Sequential

Columns = dict[str, Iterable[Any]]
FLOAT32_DIGITS = 9


def predict_rows(options: argparse.Namespace) -> int:
    """Run `mlpgrad predict`."""
    if options.output is not None:
        _check_output(options.output, [options.model, Path(options.file)])
    model, about = load_model(options.model)
    rows = read_rows(model, about, options)
    name = "prediction" if about is None else about.target
    ids = _ids(rows, options)
    if name in ids:  # such as the target, to compare
        name = f"predicted {name}"
    columns = ids | answers(model, name, rows.x, options)
    if options.output is None:
        _write(sys.stdout, columns)
        return 0
    with options.output.open("w", encoding="utf-8", newline="") as file:
        _write(file, columns)
    print(f"wrote {options.output}")
    return 0


def _check_output(output: Path, given: Iterable[Path]) -> None:
    """Raise CommandError for a directory, and for a file that is read."""
    if output.is_dir():
        raise CommandError(f"--output expects a file to write to, got the directory {output}")
    for path in given:
        if output.exists() and path.exists() and output.samefile(path):
            raise CommandError(f"--output would replace {path}, which is read; name another file")


def _ids(rows: Rows, options: argparse.Namespace) -> Columns:
    """Return the columns of the file to repeat next to the predictions, as text."""
    if not options.id:
        return {}
    if rows.table is None:
        raise CommandError("--id names a column of a table; images have none")
    return {name: rows.table.columns[name] for name in listed(options.id, rows.table.names, "--id")}


def answers(model: Sequential, name: str, x: Any, options: argparse.Namespace) -> Columns:
    """Return the predicted labels or numbers, and any requested additional columns."""
    if model.loss.classifies:
        if options.std or options.interval is not None:
            raise CommandError(
                "--std and --interval are for quantities; the probabilities of classes: --proba"
            )
        if classes_for(model.loss, model.out_features or 1)[1]:
            return _independent(model, name, x, options)
        columns: Columns = {name: predicted(model, x)}
        return columns | (_probabilities(model, x) if options.proba else {})
    if options.proba:
        raise CommandError("--proba is for classes; for a quantity: --std or --interval 0.95")
    found = _columns(name, "", numbers(model, x), model)
    return found | _uncertainties(model, name, x, options)


def _independent(model: Sequential, name: str, x: Any, options: argparse.Namespace) -> Columns:
    """Return whether each label applies, 0 or 1, and its probability if it is requested."""
    average = model.ensemble_size is not None
    found = model.predict_classes(x, average=average)
    named = labels_of(model).tolist()
    if not all(isinstance(label, str) for label in named):
        named = [f"{name} {number}" for number in range(1, found.shape[1] + 1)]
    columns: Columns = dict(zip(named, found.T, strict=True))
    if not options.proba:
        return columns
    shares = zip(named, model.predict_proba(x, average=average).T, strict=True)
    return columns | {f"P({label})": _numbers(share) for label, share in shares}


def _probabilities(model: Sequential, x: Any) -> Columns:
    named = zip(labels_of(model).tolist(), probabilities(model, x).T, strict=True)
    return {f"P({label})": _numbers(share) for label, share in named}


def _columns(name: str, suffix: str, values: Array, model: Sequential) -> Columns:
    """Return a column for each target, with numbers from 1 in their names if there are several."""
    names = [name] if values.shape[1] == 1 else [f"{name} {i + 1}" for i in range(values.shape[1])]
    columns = zip(names, values.T, _digits(values, model), strict=True)
    return {f"{name}{suffix}": _numbers(column, digits) for name, column, digits in columns}


def _digits(values: Array, model: Sequential) -> list[int]:
    """Return the number of digits to print of each target, `values (n, targets)`.

    They are those of float32, and as many before them as a target's mean has beyond its deviation.
    """
    digits = np.full(values.shape[1], FLOAT32_DIGITS)
    if model.scaling_of_targets is not None:
        deviation = model.scaling_of_targets.mean_and_deviation()[1]
        deviation = deviation.reshape(-1, deviation.shape[-1]).min(axis=0)
        with np.errstate(over="ignore"):
            beyond = np.log10(np.maximum(np.abs(values).max(axis=0) / deviation, 1))
        digits = np.maximum(digits, np.floor(np.fmin(beyond, 9)).astype(int) + 8)
    return [int(count) for count in digits]


def _uncertainties(model: Sequential, name: str, x: Any, options: argparse.Namespace) -> Columns:
    """Return the standard deviation of each row, or the bounds of an interval, or both."""
    columns: Columns = {}
    found: list[Any] = []
    try:
        if options.std:
            found.append(model.predict(x, std=True))
            columns |= _columns(name, "_std", found[-1].std, model)
        if options.interval is not None:
            found.append(model.predict(x, interval=options.interval))
            for bound, values in zip(("low", "high"), found[-1], strict=True):
                columns |= _columns(name, f"_{bound}", values, model)
    except (TypeError, ValueError) as error:
        raise CommandError(
            "--std and --interval: the file of this model does not hold how far values lie from "
            "the predictions; train again with `mlpgrad train`, which measures it (in Python: "
            f"{error})"
        ) from error
    if not all(one.includes_noise for one in found):
        print(
            "note: this is the disagreement of the members only; how far single values scatter "
            "around the predictions is not in the file of this model; train again with `mlpgrad "
            "train`, which measures it",
            file=sys.stderr,
        )
    return columns


def _numbers(values: Any, digits: int = FLOAT32_DIGITS) -> list[str]:
    """Return numbers with so many digits."""
    return [f"{value:.{digits}g}" for value in np.asarray(values, np.float64)]


def _write(file: Any, columns: Columns) -> None:
    """Write columns as a CSV table with a header."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
