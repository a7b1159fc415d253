"""The network that the options describe."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mlpgrad._core.described import nearest
from mlpgrad.cli.data import Data
from mlpgrad.cli.errors import CommandError

if TYPE_CHECKING:
    from mlpgrad.sequential import Sequential


def build_model(data: Data, options: argparse.Namespace) -> Sequential:
    """A multilayer perceptron for the data, with the layers that the options describe."""
    import mlpgrad as mg

    widths = hidden_widths(options)
    activation = choose(mg.Activation, options.activation, "activation")
    outputs = len(data.classes) or 1
    loss: mg.Loss = mg.SoftmaxCrossEntropy() if data.classes else mg.MeanSquaredError()
    if outputs == 2:
        outputs, loss = 1, mg.SigmoidCrossEntropy()
    layers: list[mg.Layer] = []
    features = data.x.shape[1]
    for width in widths:
        layers += [mg.Dense(features, width), activation()]
        if options.dropout:
            layers.append(mg.Dropout(options.dropout))
        features = width
    layers.append(mg.Dense(features, outputs))
    return mg.Sequential(layers, loss=loss, random_state=options.seed)


def hidden_widths(options: argparse.Namespace) -> list[int]:
    """The widths of hidden layers that the user gives as `64,32`."""
    try:
        return [int(width) for width in options.hidden.split(",") if width]
    except ValueError:
        raise CommandError(
            f"--hidden expects widths such as 64,32, got {options.hidden!r}"
        ) from None


def choose(base: type, name: str, what: str) -> Any:
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
