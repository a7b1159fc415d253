"""The command `mlpgrad evaluate`: evaluate a model on the rows of a file."""

from __future__ import annotations

import argparse

from mlpgrad.cli.models import load_trained, predicted
from mlpgrad.cli.results import compared
from mlpgrad.cli.rows import read_rows, targets
from mlpgrad.cli.uncertainty import covered


def evaluate_rows(options: argparse.Namespace) -> int:
    """Run `mlpgrad evaluate`: print the score on the rows of a file, and that of the baseline."""
    code = f'mg.load("{options.model}").evaluate(x, y)'
    model, about = load_trained(options.model, code)
    rows = read_rows(model, about, options, with_target=True)
    y = targets(rows, model, about, options)
    result = compared(
        {f"on {len(y):,} row{'s' * (len(y) > 1)}": (predicted(model, rows.x), y)}, about
    )
    lines = [str(result), covered(model, rows.x, y, "these rows"), result.warning()]
    print("\n".join(filter(None, lines)))
    return 0
