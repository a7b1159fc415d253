"""The network that the options describe."""

from __future__ import annotations

import argparse
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.advice import nearest
from mlpgrad._core.families import classes_below
from mlpgrad.cli.data import Data
from mlpgrad.cli.encoding import encoder_of
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.target import Target

if TYPE_CHECKING:
    import mlpgrad as mg
    from mlpgrad.sequential import Sequential


def build_model(data: Data, options: argparse.Namespace) -> Sequential:
    """Return a multilayer perceptron for the data, with the layers that the options describe."""
    import mlpgrad as mg

    classes = data.target.classes
    outputs = len(classes) if len(classes) > 2 else 1
    encoder = encoder_of(data.columns, options).plan(data.x) if data.columns else None
    features = data.x.shape[1] if encoder is None else encoder.width
    layers: list[mg.Layer] = []
    if encoder is None and data.scaled:
        layers.append(mg.Standardize(features))
    activation = choose(mg.Activation, options.activation, "activation")
    for width in options.hidden:
        layers += [mg.Dense(features, width), activation()]
        if options.dropout:
            layers.append(mg.Dropout(options.dropout))
        features = width
    layers.append(mg.Dense(features, outputs))
    return mg.Sequential(
        layers,
        loss=_loss(len(classes)),
        dtype=_dtype(data.target),
        random_state=options.seed,
        ensemble_size=None if options.members == 1 else options.members,
        classes=list(classes) or None,
        target_scaling=None if classes else "standard",
        encoder=encoder,
    )


def _dtype(target: Target) -> str:
    """Return float64 for a quantity of a size that float32 cannot hold."""
    sizes = np.abs(target.y[target.y != 0]) if not target.classes else np.ones(1)
    return "float32" if sizes.min() > 1e-30 and sizes.max() < 1e30 else "float64"


def _loss(classes: int) -> mg.Loss:
    import mlpgrad as mg

    if classes == 2:
        return mg.SigmoidCrossEntropy()
    return mg.SoftmaxCrossEntropy() if classes else mg.MeanSquaredError()


def known(base: type) -> dict[str, type]:
    """Return the classes of mlpgrad below `base`, by their names in lower case.

    Only classes that need no arguments, or only a learning rate, are included.
    """
    found = [cls for cls in classes_below(base) if _needed(cls) <= {"learning_rate"}]
    return {cls.__name__.lower(): cls for cls in found}


def _needed(cls: type) -> set[str]:
    """Return the required arguments of a class."""
    return {
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def build_optimizer(options: argparse.Namespace) -> mg.Optimizer:
    """Return the optimizer that the options name."""
    import mlpgrad as mg

    cls = choose(mg.Optimizer, options.optimizer, "optimizer")
    if options.learning_rate is not None:
        return cls(options.learning_rate)  # type: ignore[no-any-return]
    if _needed(cls):
        raise CommandError(f"--optimizer {options.optimizer} needs a --learning-rate, such as 0.1")
    return cls()  # type: ignore[no-any-return]


def choose(base: type, name: str, what: str) -> Any:
    """Return the subclass of `base` with the given name, regardless of case."""
    classes = known(base)
    if name.lower() not in classes:
        raise CommandError(f"found no {what} {name!r}{nearest(name.lower(), sorted(classes))}")
    return classes[name.lower()]
