"""The command line: `mlpgrad train digits`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from mlpgrad._core.described import nearest
from mlpgrad._core.version import __version__

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array
    from mlpgrad.history import History
    from mlpgrad.sequential import Sequential

TOY_DATA = ("circles", "digits", "moons", "regression", "spirals", "xor")
MOST_CLASSES = 50  # more distinct whole numbers than this are treated as a quantity
GUIDE = """\
examples:
  mlpgrad train digits                         handwritten digits, bundled: 97 % in seconds
  mlpgrad train moons --hidden 16,16 --activation tanh
  mlpgrad train table.csv --target price       a numeric table with a header line
  mlpgrad train images-idx3-ubyte.gz --labels labels-idx1-ubyte.gz
  mlpgrad explain xor                          one step of back-propagation, on a page

The same in Python: `import mlpgrad as mg`, `mg.Sequential([...], loss=...)`, `model.fit(x, y,
optimizer=mg.Adam(1e-3))`; `mg.load("model.npz")` reads a saved model.
"""


class CommandError(Exception):
    """A mistake in the use of the command line, shown as one line."""


class Data(NamedTuple):
    """A data set, split into three parts."""

    name: str
    train: tuple[Array, Array]
    validation: tuple[Array, Array]
    test: tuple[Array, Array]
    classes: int
    """Number of classes, or 0 for regression."""
    note: str
    rows: Array
    """The rows of the data in the three parts, one part after the other."""


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
    option("--target", help="column of a CSV file to predict (default: the last)")
    tasks = ["auto", "classification", "regression"]
    option("--task", choices=tasks, default="auto", help="what the target is")
    option("--labels", type=Path, help="file of labels beside an IDX file of images")
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
    option("--hidden", default="2", help="widths of hidden layers (default: 2)")
    option("--sample", type=int, default=1, help="row of the data, counted from 0 (default: 1)")
    option("--epochs", type=int, default=0, help="epochs of training beforehand (default: 0)")
    option("--learning-rate", type=float, default=0.5, help="learning rate (default: 0.5)")
    option("--seed", type=int, default=0, help="seed of the weights (default: 0)")
    option("--output", type=Path, default=Path("mlpgrad-output"), help="directory to write to")
    option("--text", action="store_true", help="print it as text instead")
    option("--no-open", action="store_true", help="write the page, but do not open it")
    explain.set_defaults(target=None, labels=None, task="auto", run=explain_step)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 success, 1 failure, 2 wrong use.

    Examples
    --------
    >>> main(["--version"])
    mlpgrad 0.1.0
    0
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.version:
        print(f"mlpgrad {__version__}")
        return 0
    if options.command is None:
        parser.print_help()
        return 0
    try:
        return int(options.run(options))
    except (CommandError, ValueError, TypeError, ArithmeticError, OSError) as error:
        print(f"mlpgrad: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, CommandError) else 1


def train_network(options: argparse.Namespace) -> int:
    """Run `mlpgrad train`: load data, train, report, check the gradient, and save."""
    import mlpgrad as mg

    data = load_data(options)
    model = build_model(data, options)
    optimizer = _choose(mg.Optimizer, options.optimizer, "optimizer")
    rate = {} if options.learning_rate is None else {"learning_rate": options.learning_rate}
    print(f"{data.name}: {data.note}\n\n{model.summary()}\n", flush=True)
    history = model.fit(
        *data.train,
        optimizer=optimizer(**rate),
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation_data=data.validation,
        callbacks=[mg.EarlyStopping(options.patience)],
        verbose=0 if options.quiet else 1,
    )
    print(f"trained {history.epochs} epochs in {history.seconds:.1f} s; kept the best weights\n")
    print(report(model, data))
    rows = slice(0, 16)
    x, y = data.train
    checked = mg.check_gradients(model, x[rows], y[rows], seed=options.seed)
    print(f"\n{checked}\n")
    save(model, history, options.output)
    return 0 if checked else 1


def load_data(options: argparse.Namespace) -> Data:
    """The data set or file that the user names, split 64 : 16 : 20, with standardised inputs."""
    from mlpgrad import datasets

    name = options.data
    if name in TOY_DATA:
        drawn = () if name in ("digits", "xor", "spirals") else (1000,)
        noise = {"moons": 0.2, "circles": 0.1, "regression": 1.0}.get(name)
        choice = {} if noise is None else {"noise": noise, "random_state": 0}
        x, y = getattr(datasets, name)(*drawn, **choice)
        if name == "xor":
            x, y = np.tile(x, (250, 1)), np.tile(y, 250)
    else:
        x, y = _read_file(Path(name), options)
    y, classes = _as_classes(y, options.task)
    labels = y if classes else None
    rng = np.random.default_rng(0)  # the split is fixed: --seed changes only the training
    rest, test = datasets.split_indices(len(x), 0.2, labels=labels, rng=rng, shuffle=True)
    inner = None if labels is None else labels[rest]
    kept, held = datasets.split_indices(len(rest), 0.2, labels=inner, rng=rng, shuffle=True)
    train, validation = rest[kept], rest[held]
    if name not in ("digits", "xor"):  # their values are already from 0 to 1
        x = datasets.standardize(x[train], x)[1]
    kind = f"{classes} classes" if classes else "regression"
    note = (
        f"{len(x):,} samples, {x.shape[1]} features, {kind}; {len(train):,} to train, "
        f"{len(validation):,} to validate, {len(test):,} to test"
    )
    fit, check, final = [(x[rows], y[rows]) for rows in (train, validation, test)]
    rows = np.concatenate([train, validation, test])
    return Data(Path(name).name, fit, check, final, classes, note, rows)


def _as_classes(y: Array, task: str) -> tuple[Array, int]:
    """Targets as class indices and the number of classes, or as numbers and 0."""
    values, indices = np.unique(y, return_inverse=True)
    few_whole_numbers = y.dtype.kind in "iub" and len(values) <= MOST_CLASSES
    if task == "regression" or (task == "auto" and not few_whole_numbers):
        return y.astype(float), 0
    if len(values) < 2:
        raise CommandError(f"the target expects two or more different values, got {values[0]} only")
    return indices, len(values)


def _read_file(path: Path, options: argparse.Namespace) -> tuple[Array, Array]:
    from mlpgrad import datasets

    if not path.exists():
        raise CommandError(f"found no data set or file {str(path)!r}{nearest(str(path), TOY_DATA)}")
    if "idx" in path.name or options.labels is not None:
        if options.labels is None:
            raise CommandError(f"{path.name} holds images; name the file of labels with --labels")
        images, labels = datasets.load_idx(path), datasets.load_idx(options.labels)
        return images.reshape(len(images), -1) / np.float32(255), labels.astype(np.intp)
    table = datasets.load_csv(path, target=-1 if options.target is None else options.target)
    return table.x, table.y


def build_model(data: Data, options: argparse.Namespace) -> Sequential:
    """A multilayer perceptron for the data, with the layers that the options describe."""
    import mlpgrad as mg

    widths = _widths(options)
    activation = _choose(mg.Activation, options.activation, "activation")
    outputs = data.classes or 1
    loss: mg.Loss = mg.SoftmaxCrossEntropy() if data.classes else mg.MeanSquaredError()
    if outputs == 2:
        outputs, loss = 1, mg.SigmoidCrossEntropy()
    layers: list[mg.Layer] = []
    features = data.train[0].shape[1]
    for width in widths:
        layers += [mg.Dense(features, width), activation()]
        if options.dropout:
            layers.append(mg.Dropout(options.dropout))
        features = width
    layers.append(mg.Dense(features, outputs))
    return mg.Sequential(layers, loss=loss, random_state=options.seed)


def _widths(options: argparse.Namespace) -> list[int]:
    """The widths of hidden layers that the user gives as `64,32`."""
    try:
        return [int(width) for width in options.hidden.split(",") if width]
    except ValueError:
        raise CommandError(
            f"--hidden expects widths such as 64,32, got {options.hidden!r}"
        ) from None


def explain_step(options: argparse.Namespace) -> int:
    """Run `mlpgrad explain`: the lecture's network on one sample, as a page or as text."""
    import mlpgrad as mg

    data = load_data(options)
    order = np.argsort(data.rows)  # as in the file
    x, labels = (np.concatenate(parts)[order] for parts in zip(*data[1:4], strict=True))
    if not 0 <= options.sample < len(x):
        raise CommandError(f"--sample expects a row from 0 to {len(x) - 1}, got {options.sample}")
    y = np.eye(data.classes)[labels] if data.classes > 2 else labels[:, None].astype(float)
    widths = [x.shape[1], *_widths(options), y.shape[1]]
    layers: list[mg.Layer] = []
    for inputs, outputs in pairwise(widths):
        layers += [mg.Dense(inputs, outputs, bias=False), mg.Sigmoid()]
    model = mg.Sequential(
        layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=options.seed
    )
    if options.epochs:
        sgd = mg.SGD(options.learning_rate)
        model.fit(x, y, optimizer=sgd, epochs=options.epochs, batch_size=4, verbose=0)
    rows = slice(options.sample, options.sample + 1)
    explanation = mg.explain(model, x[rows], y[rows], learning_rate=options.learning_rate)
    if options.text:
        print(explanation)
        return 0
    options.output.mkdir(parents=True, exist_ok=True)
    page = options.output / "explain.html"
    explanation.to_html(page)
    print(f"wrote {page}: open it in a browser, and use the slider or the arrow keys")
    if not options.no_open:
        import webbrowser

        webbrowser.open(page.absolute().as_uri())
    return 0


def _choose(base: type, name: str, what: str) -> Any:
    """The subclass of `base` with the name that the user gives, in upper or lower case."""
    known: dict[str, type] = {}
    waiting = [base]
    while waiting:
        found: list[type] = waiting.pop().__subclasses__()
        waiting += found
        known |= {cls.__name__.lower(): cls for cls in found if cls.__module__[:8] == "mlpgrad."}
    if name.lower() not in known:
        raise CommandError(f"found no {what} {name!r}{nearest(name.lower(), sorted(known))}")
    return known[name.lower()]


def report(model: Sequential, data: Data) -> str:
    """The accuracy, or the root mean squared error, on the three parts."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    if data.classes:
        values = {name: model.evaluate(*part)["accuracy"] for name, part in parts.items()}
        title = "accuracy"
    else:
        values = {name: model.evaluate(*part)["loss"] ** 0.5 for name, part in parts.items()}
        title = "root mean squared error"
    return title + ": " + ", ".join(f"{name} {value:.4f}" for name, value in values.items())


def save(model: Sequential, history: History, directory: Path) -> None:
    """Write the model and, where matplotlib is installed, a picture of the loss curves."""
    directory.mkdir(parents=True, exist_ok=True)
    model.save(directory / "model.npz")
    print(f'wrote {directory / "model.npz"}: mg.load("{directory / "model.npz"}") reads it')
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture of the loss curves: pip install 'mlpgrad[plot]' brings matplotlib")
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    history.plot(ax=figure.subplots())
    figure.savefig(directory / "loss.png", dpi=150)
    print(f"wrote {directory / 'loss.png'}")
