"""The command `mlpgrad evaluate`: how well a model does on the rows of a file."""

from __future__ import annotations

import argparse

from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.models import load_model
from mlpgrad.cli.results import compared
from mlpgrad.cli.rows import read_rows, targets


def evaluate_rows(options: argparse.Namespace) -> int:
    """Run `mlpgrad evaluate`: the figure of training on other rows, beside the simple answer."""
    trained = load_model(options.model)
    about = trained.about
    if about is None:
        raise CommandError(
            f"{options.model} was not written by `mlpgrad train`, and does not name its target; in "
            f'Python: mg.load("{options.model}").evaluate(x, y)'
        )
    rows = read_rows(trained, options, with_target=True)
    y = targets(rows, about, options)
    result = compared({f"on {len(y):,} rows": (trained.predicted(rows.x), y)}, about)
    print(result)
    if result.warning():
        print(result.warning())
    return 0
