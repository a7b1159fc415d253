"""Models in files: NumPy's `.npz` with a JSON description, never pickle.

A file holds the arrays `params` and `state`, and `description`, a text that says how to build the
model anew: the class and constructor arguments of it, its layers, its loss, the states of its
random generators, and the names of columns and classes that it has learnt. Reading one runs no code
but these constructors, and draws no initial values: the sizes that the layers ask for are compared
with those of the arrays before there is memory for either.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.version import __version__
from mlpgrad.exchange.archive import Archive, open_regular
from mlpgrad.exchange.replacing import replacing
from mlpgrad.exchange.values import Decoder, encode
from mlpgrad.layers.chain import walk
from mlpgrad.network.network import Network

FORMAT, VERSION = "mlpgrad model", 2

COSTS = {"{": 180, "[": 80, ",": 10, '"': 30, '":': 60}
"""Bytes of memory that reading a description may take at most, by the marks in its text."""


def save(model: Network, path: str | Path) -> None:
    """Write a model to a file that `load` reads back: same predictions, same further training.

    The file appears whole or not at all. Everything that constructors take is kept, with all
    parameters, statistics and random states; optimizers and callbacks are not part of a model.
    A longdouble model can be read only where that type is the same. A file that is saved again
    keeps its mode, and its owner where the process may set it.

    Parameters
    ----------
    model : Network
    path : str or Path
        The file's name as it is. `Sequential.save` names the errors, and gives an example.
    """
    arrays: dict[str, Array] = {"params": model.params, "state": model.state}
    description = {
        "format": FORMAT,
        "version": VERSION,
        "mlpgrad": __version__,
        "model": encode(model, "", arrays),
        "random_state": encode(model.random_state, "random_state", arrays),
        "rngs": encode([*model.rngs, model.rng], "rngs", arrays),
        "streams": encode(model.streams, "streams", arrays),
        "training": [layer.training for _, layer in walk(model.layers)],
        "data": encode(model.known_of_data(), "what is known of the data", arrays),
        "uncertainty": encode(model.uncertainty, "uncertainty", arrays),
    }
    arrays["description"] = np.array(json.dumps(description, allow_nan=False))
    with replacing(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # the names are ours


def load(path: str | Path) -> Network:
    """Read a model that `save` has written.

    A file takes at most about three times its size of memory and runs no code of its own, so that
    files of strangers can be read. Members that the description does not name are ignored.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Network
        An object of the class that was saved: a `Sequential`, usually.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file, or it is a folder.
    ValueError
        If it is a pipe or a device; if the file is damaged, was written by a newer mlpgrad, or is
        not a model; if its arrays do not have the sizes that its layers need, are compressed, or
        hold Python objects; or if it needs a class that is not defined: import the module that
        defines it first.
    """
    with open_regular(path) as file:
        try:
            return _read(Archive(file))
        except Exception as error:  # a damaged file can fail in any way
            reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            raise ValueError(f"{path} cannot be read as an mlpgrad model: {reason}") from error


def _read(archive: Archive) -> Network:
    """The model in an archive: sizes first, then the constructors, the numbers last."""
    names = archive.names()
    if not {"params", "state", "description"} <= set(names):
        raise ValueError(f"it holds {sorted(names)[:9]}, not params, state and description")
    description = _description(archive)
    models: list[Network] = []

    def make(cls: Any, config: dict[str, Any]) -> Any:
        if not issubclass(cls, Network):
            return cls(**config)
        if models:
            raise ValueError("it describes a network within a network")
        model = cls.__new__(cls, **config)
        models.append(model)
        vars(model)["_fill"] = lambda: _lay_out(model, archive, len(description["rngs"]))
        model.__init__(**config)
        del vars(model)["_fill"]
        return model

    decode = Decoder(archive, make)
    model = decode(description["model"])
    if not isinstance(model, Network):
        raise ValueError(f"it describes a {type(model).__name__}, not a network")
    _fill(model, archive, description, decode)
    return model


def _fill(model: Network, archive: Archive, description: dict[str, Any], decode: Decoder) -> None:
    """Put the numbers of an archive, and its random states, into the model that it describes."""
    archive.read_into("params", model.params)
    archive.read_into("state", model.state)
    *rngs, model.rng = decode(description["rngs"])
    model.rngs[:] = rngs  # in place: the layers hold this list
    model.streams = _streams(decode(description.get("streams", {"dict": []})))
    model.know_of_data(decode(description.get("data", {"dict": []})))
    vars(model)["random_state"] = decode(description["random_state"])
    layers = [layer for _, layer in walk(model.layers)]
    for layer, training in zip(layers, description["training"], strict=True):
        layer.training = bool(training)
    model.uncertainty = decode(description.get("uncertainty"))
    if model.uncertainty is not None:
        model.uncertainty.check(model)


def _streams(found: Any) -> dict[str, np.random.Generator]:
    """Random generators by name, or ValueError."""
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(rng, np.random.Generator)
        for name, rng in found.items()
    ):
        raise ValueError("its random streams are not generators by name")
    return found


def _description(archive: Archive) -> dict[str, Any]:
    """What a file says of its model, if this version reads it and its size allows it."""
    text = archive["description"].item()
    if not text.isascii():
        raise ValueError("its description is not ASCII text")
    archive.afford(sum(text.count(mark) * cost for mark, cost in COSTS.items()), "a description")
    try:
        description = json.loads(text)
    except RecursionError as error:
        raise ValueError("its description is nested too deeply") from error
    if description["format"] != FORMAT:
        raise ValueError(f"it is another format, {description['format']!r:.80}")
    if description["version"] > VERSION:
        raise ValueError(
            f"it has format version {description['version']}, this mlpgrad reads up to {VERSION}; "
            f"it was written by mlpgrad {description['mlpgrad']}, install that or a later one"
        )
    return description  # type: ignore[no-any-return]


def _lay_out(model: Network, archive: Archive, generators: int) -> None:
    """Give a network arrays of zeros, if they are as large as those of the file."""
    for name, slots in zip(("params", "state"), model._laid_out(), strict=True):
        archive.check(name, (*model.lead, slots[-1].stop if slots else 0), model.dtype)
    expected = (model.ensemble_size or 1) + 1
    if generators != expected:
        raise ValueError(f"it holds {generators} random generators, {expected} are needed")
    *model.rngs, model.rng = [np.random.default_rng(0)] * expected  # until the file's are read
    model._bind()
