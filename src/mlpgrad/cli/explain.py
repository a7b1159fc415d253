"""The command `mlpgrad explain`: one step of back-propagation on one sample."""

from __future__ import annotations

import argparse
import shlex
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad.cli.data import load_data, take
from mlpgrad.cli.encoding import encoder_of
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.models import load_trained
from mlpgrad.cli.rows import read_rows, targets
from mlpgrad.cli.text import make_directory
from mlpgrad.datasets.splitting import standardize

if TYPE_CHECKING:
    from mlpgrad.explanation import Explanation
    from mlpgrad.sequential import Sequential


def explain_step(options: argparse.Namespace) -> int:
    """Run `mlpgrad explain`: the lecture's network, or a trained one, on one sample."""
    if options.file is None and options.data.endswith(".npz"):
        model = shlex.quote(options.data)
        raise CommandError(f"a model needs a file with the sample: `mlpgrad explain {model} FILE`")
    explanation = _of_lecture(options) if options.file is None else _of_model(options)
    if options.text:
        print(explanation)
    else:
        show_page(explanation, options)
    return 0


def _of_model(options: argparse.Namespace) -> Explanation:
    """Explain a trained network on a row of a file."""
    import mlpgrad as mg

    code = f'mg.explain(mg.load("{options.data}"), x, y)'
    model, about = load_trained(Path(options.data), code)
    rows = read_rows(model, about, options, with_target=True)
    y = targets(rows, model, about, options)
    row = _row(options.sample or 0, len(y))
    one = model if model.ensemble_size is None else model.member(0)
    if one is not model:
        others = f"the first of {model.ensemble_size} networks that answer together"
        print(f"note: this is {others}", file=sys.stderr)
    return mg.explain(one, take(rows.x, row), y[row], learning_rate=options.learning_rate)


def _row(sample: int, count: int) -> slice:
    """Return the row of a sample."""
    if not 0 <= sample < count:
        raise CommandError(f"--sample expects a row from 0 to {count - 1}, got {sample}")
    return slice(sample, sample + 1)


def _of_lecture(options: argparse.Namespace) -> Explanation:
    """Explain the lecture's network, with initial weights or after some epochs."""
    import mlpgrad as mg

    data = load_data(options)
    x: Any = encoder_of(data.columns, options).fit_transform(data.x) if data.columns else data.x
    x = standardize(x) if data.scaled and not data.columns else x
    labels = data.target.y
    if data.target.classes:
        labels = np.unique(labels, return_inverse=True)[1]
    else:
        labels = standardize(labels[:, None])[:, 0]
    rows = _row(1 if options.sample is None else options.sample, len(x))
    classes = len(data.target.classes)
    y = np.eye(classes)[labels] if classes > 2 else labels[:, None].astype(float)
    rate = options.learning_rate
    model = _lecture_network([x.shape[1], *options.hidden, y.shape[1]], options.seed)
    if options.epochs:
        sgd = mg.SGD(rate)
        model.fit(x, y, optimizer=sgd, epochs=options.epochs, batch_size=4, verbose=0)
    return mg.explain(model, x[rows], y[rows], learning_rate=rate)


def _lecture_network(widths: list[int], seed: int) -> Sequential:
    import mlpgrad as mg

    layers: list[mg.Layer] = []
    for inputs, outputs in pairwise(widths):
        layers += [mg.Dense(inputs, outputs, bias=False), mg.Sigmoid()]
    return mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=seed)


def show_page(explanation: Explanation, options: argparse.Namespace) -> None:
    """Write an explanation as a page, and open it if requested."""
    make_directory(options.output)
    page = options.output / "explain.html"
    explanation.to_html(page)
    print(f"wrote {page}: open it in a browser, and use the slider or the arrow keys")
    if not options.no_open:
        import webbrowser

        webbrowser.open(page.absolute().as_uri())
