"""The command `mlpgrad info`: describe a saved model."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from mlpgrad.cli.columns import NUMBERS, Decided, listing
from mlpgrad.cli.encoding import columns_of
from mlpgrad.cli.models import labels_of, load_model
from mlpgrad.cli.uncertainty import described

MOST_CLASSES = 20


def tell_about(options: argparse.Namespace) -> int:
    """Run `mlpgrad info`: network, target, columns, and the figures of the training."""
    model, about = load_model(options.model)
    print(f"{options.model}\n\n{model.summary()}\n")
    uncertainty = described(model, about)
    if about is None:
        print("written by model.save(), not by `mlpgrad train`, so its target is not known")
        named = {name: Decided(NUMBERS) for name in model.feature_names_ or ()}
        _tell_columns(columns_of(model.encoder) or named)
        print(uncertainty, end="\n" * bool(uncertainty))
        return 0
    unit = f" in {about.unit}" if about.unit else ""
    kind = "classes" if about.classes else f"a quantity{unit}"
    print(f"trained on {about.file} to predict {about.target!r}, {kind}")
    if about.classes:
        labels = [str(label) for label in labels_of(model)]
        more = f" and {len(labels) - MOST_CLASSES} more" if len(labels) > MOST_CLASSES else ""
        print(f"classes: {', '.join(labels[:MOST_CLASSES])}{more}")
    _tell_columns(about.columns)
    print(f"in training:\n{about.figures}")
    print(uncertainty, end="\n" * bool(uncertainty))
    return 0


def _tell_columns(columns: Mapping[Any, Decided]) -> None:
    """Print what is read from a table, if that is known."""
    if columns:
        print("columns:")
    for line in listing(columns):
        print(line)
