"""The command `mlpgrad predict`: predictions for the rows of a file, in order, as a table."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad.cli.columns import listed
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.models import labels_of, load_model, predicted, probabilities
from mlpgrad.cli.rows import Rows, read_rows

if TYPE_CHECKING:
    from mlpgrad.sequential import Sequential

Columns = dict[str, Iterable[Any]]


def predict_rows(options: argparse.Namespace) -> int:
    """Run `mlpgrad predict`."""
    if options.output is not None and options.output.is_dir():
        raise CommandError(
            f"--output expects a file to write to, got the directory {options.output}"
        )
    model, about = load_model(options.model)
    rows = read_rows(model, about, options)
    name = "prediction" if about is None else about.target
    columns = _ids(rows, options) | answers(model, name, rows.x, options)
    if options.output is None:
        _write(sys.stdout, columns)
        return 0
    with options.output.open("w", encoding="utf-8", newline="") as file:
        _write(file, columns)
    print(f"wrote {options.output}")
    return 0


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
        if options.std:
            raise CommandError("--std is for quantities; the probabilities of classes: --proba")
        columns: Columns = {name: predicted(model, x)}
        return columns | (_probabilities(model, x) if options.proba else {})
    if options.proba:
        raise CommandError("--proba is for classes; the standard deviation of a quantity: --std")
    if not options.std:
        return {name: _numbers(predicted(model, x))}
    mean, std = _with_std(model, x)
    return {name: _numbers(mean), f"{name}_std": _numbers(std)}


def _probabilities(model: Sequential, x: Any) -> Columns:
    named = zip(labels_of(model).tolist(), probabilities(model, x).T, strict=True)
    return {f"P({label})": _numbers(share) for label, share in named}


def _with_std(model: Sequential, x: Any) -> tuple[Any, Any]:
    try:
        found = model.predict(x, std=True)
    except (TypeError, ValueError) as error:
        raise CommandError(
            f"--std: the uncertainty of this model is not known ({error}); train a model with "
            "--members 5"
        ) from error
    if not found.includes_noise:
        print(
            "note: the standard deviation is that of the members' predictions; how much single "
            "values scatter around the prediction is not included",
            file=sys.stderr,
        )
    return found.mean[..., 0], found.std[..., 0]


def _numbers(values: Any) -> list[str]:
    """Return numbers with the digits of float32."""
    return [f"{value:.9g}" for value in np.asarray(values, np.float64)]


def _write(file: Any, columns: Columns) -> None:
    """Write columns as a CSV table with a header."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
