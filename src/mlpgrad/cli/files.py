"""The options that say how a file is to be read."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlpgrad.datasets.fields import MISSING


def add_file_options(parser: argparse.ArgumentParser, training: bool = False) -> None:
    """Add the options of a file; for training also those that decide on its columns."""
    option = parser.add_argument_group("options for files").add_argument
    if training:
        option("--target", help="column of a table to predict (default: the last)")
        tasks = ["auto", "classification", "regression"]
        option("--task", choices=tasks, default="auto", help="what the target is (default: auto)")
        option("--without", metavar="COLUMNS", help="columns to leave out, with commas between")
        option("--categories", metavar="COLUMNS", help="columns whose values are names")
        option("--numbers", metavar="COLUMNS", help="columns of numbers, though they seem an id")
    option("--delimiter", help="what separates columns, such as ';' or tab (default: as found)")
    signs = [".", ","]
    option("--decimal", choices=signs, metavar="SIGN", help="'.' or ',' (default: as found)")
    head = "whether the first line names the columns, which are else 0, 1 ... (default: as found)"
    option("--header", action=argparse.BooleanOptionalAction, help=head)
    option("--encoding", help="encoding of the text (default: UTF-8, or as found)")
    default = repr(",".join(MISSING)) if training else "those of the training"
    texts = "texts for missing values, with commas between them; '' is an empty field only"
    option("--missing", help=f"{texts} (default: {default})")
    option("--labels", type=Path, help="file of labels beside an IDX file of images")
