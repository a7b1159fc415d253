"""Models in files: NumPy's `.npz` with a JSON description, never pickle.

A file holds the arrays `params` and `state`, and `description`, a text that says how to build the
model anew: the class and constructor arguments of it, its layers, its loss, and the states of its
random generators. Reading one runs no code but these constructors. Classes are looked up among
those that the program has defined: a file cannot name a module to import.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import nearest
from mlpgrad._core.version import __version__
from mlpgrad.initializers import Initializer
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk
from mlpgrad.losses.base import Loss
from mlpgrad.network.network import Network
from mlpgrad.penalties import Penalty

FORMAT, VERSION = "mlpgrad model", 1
FAMILIES = (Network, Layer, Loss, Penalty, Initializer)
"""Classes of these may stand in a file, a user's own too."""


def save(model: Network, path: str | Path) -> None:
    """Write a model to a file that `load` reads back: same predictions, same further training.

    The file appears at once or not at all. Everything that constructors take is kept, with all
    parameters, statistics and random states; optimizers and callbacks are not part of a model.
    A longdouble model can be read only where that type is the same.

    Parameters
    ----------
    model : Sequential
    path : str or Path
        Written exactly so; `.npz` is the usual ending.

    Raises
    ------
    TypeError
        If a layer or loss holds what a file cannot, such as a function; says which.

    Examples
    --------
    >>> import pathlib, tempfile, mlpgrad as mg
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.HalfSquaredError(), random_state=0)
    >>> path = pathlib.Path(tempfile.mkdtemp(), "model.npz")
    >>> model.save(path)
    >>> bool((mg.load(path).params == model.params).all())
    True
    """
    arrays: dict[str, Array] = {"params": model.params, "state": model.state}
    description = {
        "format": FORMAT,
        "version": VERSION,
        "mlpgrad": __version__,
        "model": _encode(model, "", arrays),
        "random_state": _encode(model.random_state, "random_state", arrays),
        "rngs": _encode([*model.rngs, model.rng], "rngs", arrays),
        "training": [layer.training for _, layer in walk(model.layers)],
    }
    arrays["description"] = np.array(json.dumps(description, allow_nan=False))
    target = Path(os.path.realpath(path))  # through a link, not in place of it
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(target.parent)!r} to save into; make it first")
    draft = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with draft.open("xb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # the names are ours
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def load(path: str | Path) -> Network:
    """Read a model that `save` has written.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Network
        Of the class that was saved: a `Sequential`, usually.

    Raises
    ------
    ValueError
        If the file is damaged, from a newer mlpgrad or something else; or if it needs a class
        that is not defined: import the module that defines it first.
    """
    with Path(path).open("rb") as file:
        try:
            if not zipfile.is_zipfile(file):
                raise ValueError("it is no .npz file, or its end is missing")
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            return _rebuild(arrays)
        except Exception as error:  # a damaged file can fail in any way
            reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            raise ValueError(f"{path} cannot be read as an mlpgrad model: {reason}") from error


def _rebuild(arrays: dict[str, Array]) -> Network:
    """The model that a file's arrays describe."""
    if not arrays.keys() >= {"params", "state", "description"}:
        raise ValueError(f"it holds {sorted(arrays)}, not params, state and description")
    description = json.loads(str(arrays["description"]))
    if description["format"] != FORMAT:
        raise ValueError(f"it is another format, {description['format']!r}")
    if description["version"] > VERSION:
        raise ValueError(
            f"it has format version {description['version']}, this mlpgrad reads up to {VERSION}; "
            f"it was written by mlpgrad {description['mlpgrad']}, install that or a later one"
        )
    model = _decode(description["model"], arrays)
    if not isinstance(model, Network):
        raise ValueError(f"it describes a {type(model).__name__}, not a network")
    for name, flat in (("params", model.params), ("state", model.state)):
        kept = arrays[name]
        if kept.shape != flat.shape or kept.dtype.newbyteorder("=") != flat.dtype:
            raise ValueError(
                f"{name} expects shape {flat.shape} of {flat.dtype} for the described layers, "
                f"got {kept.shape} of {kept.dtype}"
            )
        flat[...] = kept
    *rngs, model.rng = _decode(description["rngs"], arrays)
    for place, rng in zip(range(len(model.rngs)), rngs, strict=True):
        model.rngs[place] = rng  # in place: the layers hold this list
    vars(model)["random_state"] = _decode(description["random_state"], arrays)
    layers = [layer for _, layer in walk(model.layers)]
    for layer, training in zip(layers, description["training"], strict=True):
        layer.training = bool(training)
    return model


def _encode(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    """A value as JSON; arrays go to `arrays`. What JSON lacks is a dict of one key, its kind."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if np.isfinite(value) else {"float": repr(value)}
    if isinstance(value, FAMILIES):
        cls = type(value)
        inner = f"{place} {cls.__name__}".strip()
        config = {k: _encode(v, f"{inner}.{k}", arrays) for k, v in value.config().items()}
        return {"object": {"class": cls.__name__, "module": cls.__module__, "config": config}}
    if type(value) in (list, tuple):
        items = [_encode(item, f"{place}[{i}]", arrays) for i, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    if type(value) is dict:
        return {"dict": [_encode(list(pair), place, arrays) for pair in value.items()]}
    if isinstance(value, np.dtype) and value.kind in "biufc":
        return {"dtype": value.name}
    if isinstance(value, np.random.Generator):
        source = value.bit_generator
        seed = getattr(source.seed_seq, "state", None)  # what it would spawn next
        state = [type(source).__name__, source.state, seed]
        return {"generator": [_encode(item, place, arrays) for item in state]}
    if isinstance(value, np.str_):  # `str`, and arrays, drop null characters at its end
        return {"text": "".join(value)}
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        name = f"array_{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array" if isinstance(value, np.ndarray) else "scalar": name}
    raise TypeError(_unkept(value, place))


def _unkept(value: Any, place: str) -> str:
    """What to say of a value that a file cannot hold."""
    fix = "keep numbers, texts, arrays or lists of these"
    if callable(value):
        fix = "write it as a class of its own, for instance a subclass of Activation"
    return f"{place} is {value!r}, which a file cannot hold; {fix}"


def _decode(value: Any, arrays: dict[str, Array]) -> Any:
    """What `_encode` was given."""
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind == "text":
        return np.str_(content)
    if kind == "dtype":
        return np.dtype(content)
    if kind == "array":
        return arrays[content]
    if kind == "scalar":
        return arrays[content][()]
    if kind == "object":
        config = {name: _decode(item, arrays) for name, item in content["config"].items()}
        return _find(FAMILIES, content["class"], content["module"])(**config)
    items = _decode(content, arrays)
    if kind == "tuple":
        return tuple(items)
    if kind == "dict":
        return dict(items)
    if kind == "generator":
        return _generator(*items)
    raise ValueError(f"it holds an unknown kind of value, {kind!r}")


def _generator(name: str, state: dict[str, Any], seed: dict[str, Any] | None) -> Any:
    """A random generator in a given state."""
    inner = state["state"] if isinstance(state["state"], dict) else {}
    # NumPy does not check these two places: beyond its buffer it would read other memory
    if not (0 <= inner.get("pos", 0) <= 624 and 0 <= state.get("buffer_pos", 0) <= 4):
        raise ValueError(f"the state of the random generator {name} is out of bounds")
    make = _find((np.random.BitGenerator,), name, None)
    source = make(0 if seed is None else np.random.SeedSequence(**seed))
    source.state = state
    return np.random.Generator(source)


def _find(roots: tuple[type, ...], name: str, module: str | None) -> Any:
    """The class of this name among all that descend from `roots`."""
    known = {cls for root in roots for cls in (root, *_descendants(root))}
    found = [cls for cls in known if cls.__name__ == name]
    if len(found) > 1:
        found = [cls for cls in found if cls.__module__ == module] or found
    if len(found) > 1:  # a class defined anew, as in a notebook: the one that the name now means
        found = [cls for cls in found if getattr(sys.modules.get(module or ""), name, 0) is cls]
    if not found:
        raise ValueError(
            f"class {name!r} is not defined, or more than once; before loading, import the module "
            f"that defines it (it was {module!r}){nearest(name, sorted(c.__name__ for c in known))}"
        )
    return found[0]


def _descendants(cls: type[Any]) -> Iterator[type]:
    for child in cls.__subclasses__():
        yield child
        yield from _descendants(child)
