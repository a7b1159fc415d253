"""The options for reading files."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlpgrad.datasets.fields import MISSING


def add_file_options(parser: argparse.ArgumentParser, training: bool = False) -> None:
    """Add the options for files; for training also those for columns."""
    option = parser.add_argument_group("options for files").add_argument
    if training:
        option("--target", help="column of a table to predict (default: the last)")
        tasks = ["auto", "classification", "regression"]
        option("--task", choices=tasks, default="auto", help="what the target is (default: auto)")
        option("--without", metavar="COLUMNS", help="columns to leave out, separated by commas")
        option("--categories", metavar="COLUMNS", help="columns whose values are names")
        option(
            "--numbers", metavar="COLUMNS", help="columns of numbers, even if they look like an id"
        )
    option("--delimiter", help="delimiter of the columns, such as ';' or tab (default: as found)")
    signs, found = [".", ","], "as found" + ("" if training else ", or that of the training")
    option("--decimal", choices=signs, metavar="SIGN", help=f"'.' or ',' (default: {found})")
    head = "whether the first line names the columns, otherwise 0, 1 ... (default: as found)"
    option("--header", action=argparse.BooleanOptionalAction, help=head)
    option("--encoding", help="encoding of the text (default: UTF-8, or as found)")
    default = repr(",".join(MISSING)) if training else "those of the training"
    texts = "texts for missing values, separated by commas, or quoted; '' means only empty fields"
    option("--missing", help=f"{texts} (default: {default})")
    option("--labels", type=Path, help="file of labels for an IDX file of images")
