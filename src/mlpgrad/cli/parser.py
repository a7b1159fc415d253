"""The parser of the command line, with every command and its options."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any, NoReturn

from mlpgrad._core.advice import nearest
from mlpgrad.cli.data import TOY_DATA
from mlpgrad.cli.evaluate import evaluate_rows
from mlpgrad.cli.explain import explain_step
from mlpgrad.cli.info import tell_about
from mlpgrad.cli.networks import known
from mlpgrad.cli.options import advice
from mlpgrad.cli.predict import predict_rows
from mlpgrad.cli.target import RULE
from mlpgrad.cli.train import train_network
from mlpgrad.cli.values import folder, positive, probability, share, whole, widths
from mlpgrad.datasets.fields import MISSING

GUIDE = """\
examples:
  mlpgrad train digits                         handwritten digits, bundled: 97 % in seconds
  mlpgrad train moons --hidden 16,16 --activation tanh
  mlpgrad train houses.csv --target price      a table of your own, in its own units
  mlpgrad predict mlpgrad-output/model.npz new-houses.csv --output prices.csv
  mlpgrad train images-idx3-ubyte.gz --labels labels-idx1-ubyte.gz
  mlpgrad explain xor                          one step of back-propagation, on a page

The same in Python: `import mlpgrad as mg`, `mg.Sequential([...], loss=...)`, `model.fit(x, y,
optimizer=mg.Adam(1e-3))`; `mg.load("model.npz")` reads a saved model.

exit codes: 0 done (a gradient check that could not judge is a note), 1 failed, 2 wrong use
"""


_NO_COMMAND = re.compile(r"argument COMMAND: invalid choice: '(.*?)' \(choose from (.*)\)")
_VALUE = re.compile(r"argument (--\S+): (expects .*)")
_NO_VALUE = re.compile(r"argument (--\S+): expected one argument")
"""Patterns of argparse's messages, with those of this command."""
_NAMES: dict[str, Any] = {"metavar": "COLUMNS", "action": "append"}
"""What options for columns have: each use of one adds to the others."""


class _Joined(argparse.Action):
    """Join the texts of an option that is given several times by commas."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is None else f"{before},{values}")


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what to write instead of unknown options."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # without abbreviations, so that new options cannot break existing calls
        super().__init__(*args, **options | {"allow_abbrev": False})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The options, as from the base class; unknown ones give an error with advice."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._refuse(unknown, options.command)
        return options

    def _refuse(self, unknown: list[str], command: str | None) -> NoReturn:
        """Exit, naming the first option or file that the command does not take."""
        first = next((word for word in unknown if word.startswith("-")), None)
        if first is None:
            self.error(f"expects no further file or name, got {unknown[0]!r}")
        commands: dict[str, argparse.ArgumentParser] = next(
            action.choices for action in self._actions if isinstance(action.choices, dict)
        )
        known = {name: [*parser._option_string_actions] for name, parser in commands.items()}
        if command is None:
            own = [*self._option_string_actions]
            self.error(f"no option {first!r}{advice(first, '', {'': own} | known)}")
        said = advice(first, command, known) or f"; see `mlpgrad {command} --help`"
        self.error(f"no option {first!r} in `mlpgrad {command}`{said}")

    def error(self, message: str) -> NoReturn:
        """Exit with code 2 and one line."""
        if found := _NO_COMMAND.match(message):
            message = f"no command {found[1]!r}"
            if Path(found[1]).exists() or found[1] in TOY_DATA:
                message += f"; write `mlpgrad train {shlex.quote(found[1])}` to train on it"
            else:
                message += nearest(found[1], found[2].replace("'", "").split(", "))
        elif found := _VALUE.match(message):
            message = f"{found[1]} {found[2]}"
        elif found := _NO_VALUE.match(message):
            message = f"{found[1]} expects a value after it"
        self.exit(2, f"mlpgrad: error: {message}\n")


class _Lines(argparse.HelpFormatter):
    """Help in which text of several lines keeps them, and a description fits the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" not in text:
            return super()._fill_text(text, width, indent)
        return "".join(indent + line for line in text.splitlines(keepends=True))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = _Parser(
        prog="mlpgrad",
        description="Multilayer perceptrons trained by back-propagation, every gradient checked.",
        epilog=GUIDE,
        formatter_class=_Lines,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _add_train(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_info(commands)
    _add_explain(commands)
    return parser


def _add_train(commands: Any) -> None:
    """Add the command `mlpgrad train` and its options."""
    import mlpgrad as mg

    train = commands.add_parser(
        "train",
        help="train a network on a data set, check its gradient, save it",
        description="Train a network on a bundled data set or a file, report its score on held-out "
        "data and that of a constant baseline, check its gradient, and save it.",
        epilog=f"{RULE}\n{GUIDE}",
        formatter_class=_Lines,
    )
    option = train.add_argument
    option("data", metavar="DATASET-or-FILE", help=f"{', '.join(TOY_DATA)}, or a file")
    _add_file_options(train, training=True)
    option("--hidden", type=widths, default="128", help="widths of hidden layers (default: 128)")
    names = ", ".join(sorted(known(mg.Activation)))
    option("--activation", default="relu", help=f"of the hidden layers: {names} (default: relu)")
    option("--dropout", type=share, default=0.0, help="dropout probability (default: 0)")
    names = ", ".join(sorted(known(mg.Optimizer)))
    option("--optimizer", default="adam", help=f"update rule: {names} (default: adam)")
    option("--learning-rate", type=positive, help="learning rate (default: that of the optimizer)")
    option("--epochs", type=whole(1), default=1000, help="largest number of epochs (default: 1000)")
    option("--patience", type=whole(0), default=30, help="epochs without improvement (default: 30)")
    option("--batch-size", type=whole(1), default=32, help="samples per step (default: 32)")
    members = "networks that are trained as an ensemble, and answer together (default: 1)"
    option("--members", type=whole(1), default=1, help=members)
    option("--seed", type=whole(0), default=0, help="seed of weights and order (default: 0)")
    option("--output", type=folder, default="mlpgrad-output", help="folder to write to")
    option("--quiet", action="store_true", help="no progress bar")
    train.set_defaults(run=train_network)


def _add_predict(commands: Any) -> None:
    """Add the command `mlpgrad predict` and its options."""
    predict = commands.add_parser(
        "predict",
        help="predict for the rows of a file with a saved model",
        description="Print a prediction for each row of a file, in its order, as a table (CSV) in "
        "the units and labels of the training.",
    )
    option = predict.add_argument
    _add_model_and_file(predict)
    option("--output", type=Path, help="file to write to (default: print)")
    repeated = "columns of the file to repeat next to the predictions, separated by commas"
    option("--id", **_NAMES, help=repeated)
    option("--proba", action="store_true", help="for classes: also the probability of each")
    option("--std", action="store_true", help="for a quantity: also its standard deviation")
    within = "for a quantity: also the bounds that hold it with this probability, such as 0.95"
    option("--interval", type=probability, metavar="PROBABILITY", help=within)
    _add_file_options(predict)
    predict.set_defaults(run=predict_rows)


def _add_evaluate(commands: Any) -> None:
    """Add the command `mlpgrad evaluate` and its options."""
    evaluate = commands.add_parser(
        "evaluate",
        help="evaluate a saved model on the rows of a file",
        description="Compare a saved model's predictions with the target in a file: the accuracy "
        "or the root mean squared error, and that of a constant baseline.",
    )
    _add_model_and_file(evaluate)
    _add_file_options(evaluate)
    evaluate.set_defaults(run=evaluate_rows)


def _add_model_and_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=Path, help="a model.npz of `mlpgrad train`")
    parser.add_argument("file", metavar="FILE", help="a file with the columns of the training")


def _add_info(commands: Any) -> None:
    """Add the command `mlpgrad info`."""
    info = commands.add_parser(
        "info",
        help="describe a saved model",
        description="Print the layers of a saved model, its target and its columns, and its scores "
        "in training.",
    )
    info.add_argument("model", metavar="MODEL", type=Path, help="a model.npz of `mlpgrad train`")
    info.set_defaults(run=tell_about)


def _add_explain(commands: Any) -> None:
    """Add the command `mlpgrad explain` and its options."""
    explain = commands.add_parser(
        "explain",
        help="walk through one step of back-propagation on a page in the browser",
        description="Write a page that walks forward and backward through the lecture's network, "
        "or a trained one (MODEL FILE), one step at a time, with its numbers in the formulas, "
        "and open it in the browser.",
    )
    option = explain.add_argument
    data = f"{', '.join(TOY_DATA)}, or a file: the lecture's network on it (default: xor); or MODEL"
    option("data", metavar="DATASET-or-FILE", nargs="?", default="xor", help=data)
    option("file", metavar="FILE", nargs="?", help="after a MODEL: the file with the sample")
    _add_file_options(explain, training=True)
    option(
        "--hidden",
        type=widths,
        default="2",
        help="widths of hidden layers (default: 2); not for a MODEL",
    )
    row = "row of the data, counted from 0 (default: 1; for a MODEL 0)"
    option("--sample", type=whole(0), help=row)
    option("--epochs", type=whole(0), default=0, help="epochs of training beforehand (default: 0)")
    option("--learning-rate", type=positive, default=0.5, help="learning rate (default: 0.5)")
    option("--seed", type=whole(0), default=0, help="seed of the weights (default: 0)")
    option("--output", type=folder, default="mlpgrad-output", help="folder to write to")
    option("--text", action="store_true", help="print it as text instead")
    option("--no-open", action="store_true", help="write the page, but do not open it")
    explain.set_defaults(run=explain_step)


def _add_file_options(parser: argparse.ArgumentParser, training: bool = False) -> None:
    """Add the options for files; for training also those for columns."""
    option = parser.add_argument_group("options for files").add_argument
    if training:
        option("--target", help="column of a table to predict (default: the last)")
        tasks = ["auto", "classification", "regression"]
        option("--task", choices=tasks, default="auto", help="what the target is (default: auto)")
        option("--without", **_NAMES, help="columns to leave out, separated by commas, or quoted")
        option("--categories", **_NAMES, help="columns whose values are names")
        option("--numbers", **_NAMES, help="columns of numbers, even if they look like an id")
    option("--delimiter", help="delimiter of the columns, such as ';' or tab (default: as found)")
    signs, found = [".", ","], "as found" + ("" if training else ", or that of the training")
    option("--decimal", choices=signs, metavar="SIGN", help=f"'.' or ',' (default: {found})")
    head = "whether the first line names the columns, otherwise 0, 1 ... (default: as found)"
    option("--header", action=argparse.BooleanOptionalAction, help=head)
    option("--encoding", help="encoding of the text (default: UTF-8, or as found)")
    default = repr(",".join(MISSING)) if training else "those of the training"
    texts = "texts for missing values, separated by commas, or quoted; '' means only empty fields"
    option("--missing", action=_Joined, help=f"{texts} (default: {default})")
    option("--labels", type=Path, help="file of labels for an IDX file of images")
