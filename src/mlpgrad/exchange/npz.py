"""Models in files: NumPy's `.npz` with a JSON description, never pickle.

A file holds the arrays `params` and `state`, and `description`, a text from which the model can be
made again: the classes and constructor arguments of the model, its layers and its loss, the states
of its random generators, and the names of columns and classes that it has learned. Reading a file
only calls these constructors, and draws no initial values: the sizes that the layers need are
compared with those of the arrays before memory is allocated for either.
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
"""Upper bounds of the memory in bytes for reading a description, by character of its text."""


def save(model: Network, path: str | Path) -> None:
    """Write a model to a file, from which `load` restores predictions and further training.

    The file is written completely or not at all. It holds all constructor arguments, parameters,
    statistics and random states; optimizers and callbacks are not part of a model. A longdouble
    model can only be read on machines with the same longdouble type. An existing file keeps its
    mode, and also its owner if the process is allowed to set it.

    Parameters
    ----------
    model : Network
    path : str or Path
        Name of the file; no suffix is added. `Sequential.save` documents the errors.
    """
    if model.uncertainty is not None:
        model.uncertainty.check(model)  # `load` would refuse the file
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
    """Read a model that `save` wrote.

    Reading needs at most about three times the size of the file in memory and runs no code from
    the file, so that untrusted files can be read. Members that the description does not name are
    ignored.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Network
        An object of the class that was saved, usually `Sequential`.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If the file does not exist, or is a folder.
    ValueError
        If the file is damaged, is not a model, is a pipe or a device, or was written by a newer
        version of mlpgrad; if its arrays do not have the sizes that its layers need, are
        compressed, or hold Python objects; or if it needs a class that is not defined: import the
        module that defines it first.
    """
    with open_regular(path) as file:
        try:
            return _read(Archive(file))
        except Exception as error:  # a damaged file can fail in any way
            reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            raise ValueError(f"{path} cannot be read as an mlpgrad model: {reason}") from error


def _read(archive: Archive) -> Network:
    """Read the model in an archive: sizes first, then the constructors, the numbers last."""
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
    """Read the numbers and random states of an archive into the model that it describes."""
    archive.read_into("params", model.params)
    archive.read_into("state", model.state)
    *rngs, model.rng = _generators(decode(description["rngs"]))
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


def _generators(found: Any) -> list[np.random.Generator]:
    """Return random generators; raise ValueError for anything else."""
    if not isinstance(found, list) or not all(
        isinstance(rng, np.random.Generator) for rng in found
    ):
        raise ValueError("its random streams are not generators")
    return found


def _streams(found: Any) -> dict[str, np.random.Generator]:
    """Return random generators by name; raise ValueError for anything else."""
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ValueError("its random streams are not generators by name")
    _generators([*found.values()])
    return found


def _description(archive: Archive) -> dict[str, Any]:
    """Return the description of the model, if this version can read it and its size is allowed."""
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
    """Give a network zero arrays, if their sizes are those in the file."""
    for name, slots in zip(("params", "state"), model._laid_out(), strict=True):
        archive.check(name, (*model.lead, slots[-1].stop if slots else 0), model.dtype)
    expected = (model.ensemble_size or 1) + 1
    if generators != expected:
        raise ValueError(f"it holds {generators} random generators, but {expected} are needed")
    *model.rngs, model.rng = [np.random.default_rng(0)] * expected  # until the file's are read
    model._bind()
