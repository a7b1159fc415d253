"""The parser of the command line: every command with its options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from mlpgrad._core.described import nearest
from mlpgrad.cli.data import TOY_DATA
from mlpgrad.cli.explain import explain_step
from mlpgrad.cli.train import train_network
from mlpgrad.datasets.fields import MISSING

GUIDE = """\
examples:
  mlpgrad train digits                         handwritten digits, bundled: 97 % in seconds
  mlpgrad train moons --hidden 16,16 --activation tanh
  mlpgrad train table.csv --target price       a table of numbers, in its own units
  mlpgrad train images-idx3-ubyte.gz --labels labels-idx1-ubyte.gz
  mlpgrad explain xor                          one step of back-propagation, on a page

The same in Python: `import mlpgrad as mg`, `mg.Sequential([...], loss=...)`, `model.fit(x, y,
optimizer=mg.Adam(1e-3))`; `mg.load("model.npz")` reads a saved model.
"""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that suggests the nearest option for an unknown one."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ").split()[0]
        if unknown != message.split()[0]:
            commands = [a.choices for a in self._actions if isinstance(a.choices, dict)]
            parsers = [self, *(parser for choices in commands for parser in choices.values())]
            options = [o for p in parsers for a in p._actions for o in a.option_strings]
            message = f"no option {unknown!r}{nearest(unknown, options)}"
        self.exit(2, f"mlpgrad: error: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = _Parser(
        prog="mlpgrad",
        description="Multilayer perceptrons trained by back-propagation, every gradient checked.",
        epilog=GUIDE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _add_train(commands)
    _add_explain(commands)
    return parser


def _add_train(commands: Any) -> None:
    """Add the command `mlpgrad train` and its options."""
    train = commands.add_parser(
        "train",
        help="train a network on a data set, check its gradient, save it",
        description="Train a network on a bundled data set or a file, report its accuracy on "
        "held-out data, check its gradient, and save the model.",
        epilog=GUIDE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = train.add_argument
    option("data", metavar="DATASET-or-FILE", help=f"{', '.join(TOY_DATA)}, or a file")
    _add_file_options(train)
    option("--hidden", default="128", help="widths of hidden layers (default: 128)")
    option("--activation", default="relu", help="activation of the hidden layers (default: relu)")
    option("--dropout", type=float, default=0.0, help="dropout probability (default: 0)")
    option("--optimizer", default="adam", help="update rule (default: adam)")
    option("--learning-rate", type=float, help="learning rate (default: that of the optimizer)")
    option("--epochs", type=int, default=100, help="largest number of epochs (default: 100)")
    option("--patience", type=int, default=15, help="epochs without improvement (default: 15)")
    option("--batch-size", type=int, default=32, help="samples in a step (default: 32)")
    option("--seed", type=int, default=0, help="seed of weights and order (default: 0)")
    option("--output", type=Path, default=Path("mlpgrad-output"), help="directory to write to")
    option("--quiet", action="store_true", help="no progress bar")
    train.set_defaults(run=train_network)


def _add_explain(commands: Any) -> None:
    """Add the command `mlpgrad explain` and its options."""
    explain = commands.add_parser(
        "explain",
        help="walk through one step of back-propagation on a page in the browser",
        description="Write a page that walks forward and backward through the lecture's network, "
        "one step at a time, with its numbers in the formulas; and open it in the browser.",
    )
    option = explain.add_argument
    option("data", metavar="DATASET-or-FILE", nargs="?", default="xor")
    _add_file_options(explain)
    option("--hidden", default="2", help="widths of hidden layers (default: 2)")
    option("--sample", type=int, default=1, help="row of the data, counted from 0 (default: 1)")
    option("--epochs", type=int, default=0, help="epochs of training beforehand (default: 0)")
    option("--learning-rate", type=float, default=0.5, help="learning rate (default: 0.5)")
    option("--seed", type=int, default=0, help="seed of the weights (default: 0)")
    option("--output", type=Path, default=Path("mlpgrad-output"), help="directory to write to")
    option("--text", action="store_true", help="print it as text instead")
    option("--no-open", action="store_true", help="write the page, but do not open it")
    explain.set_defaults(run=explain_step)


def _add_file_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a file is to be read."""
    option = parser.add_argument_group("options for files").add_argument
    option("--target", help="column of a table to predict (default: the last)")
    tasks = ["auto", "classification", "regression"]
    option("--task", choices=tasks, default="auto", help="what the target is")
    option("--delimiter", help="what separates columns, such as ';' or tab (default: as found)")
    signs = [".", ","]
    option("--decimal", choices=signs, metavar="SIGN", help="decimal sign (default: as found)")
    option("--no-header", action="store_true", help="the first line is data; columns are 0, 1 ...")
    option("--encoding", default="utf-8-sig", help="encoding of the text (default: utf-8-sig)")
    missing = ",".join(MISSING)
    texts = "texts for missing values, with commas between them; '' is an empty field only"
    option("--missing", default=missing, help=f"{texts} (default: {missing!r})")
    option("--labels", type=Path, help="file of labels beside an IDX file of images")
