"""The command `mlpgrad explain`: the lecture's network on one sample."""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mlpgrad.cli.data import load_data
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.networks import hidden_widths

if TYPE_CHECKING:
    from mlpgrad.explanation import Explanation


def explain_step(options: argparse.Namespace) -> int:
    """Run `mlpgrad explain`: the lecture's network on one sample, as a page or as text."""
    import mlpgrad as mg

    data = load_data(options)
    x, labels = data.scaled_inputs(), data.y
    if not 0 <= options.sample < len(x):
        raise CommandError(f"--sample expects a row from 0 to {len(x) - 1}, got {options.sample}")
    classes = len(data.classes)
    y = np.eye(classes)[labels] if classes > 2 else labels[:, None].astype(float)
    widths = [x.shape[1], *hidden_widths(options), y.shape[1]]
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
    else:
        show_page(explanation, options)
    return 0


def show_page(explanation: Explanation, options: argparse.Namespace) -> None:
    """Write an explanation as a page, and open it unless that is not wanted."""
    options.output.mkdir(parents=True, exist_ok=True)
    page = options.output / "explain.html"
    explanation.to_html(page)
    print(f"wrote {page}: open it in a browser, and use the slider or the arrow keys")
    if not options.no_open:
        import webbrowser

        webbrowser.open(page.absolute().as_uri())
