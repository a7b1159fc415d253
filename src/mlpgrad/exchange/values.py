"""Values as JSON: constructor arguments, objects of mlpgrad's base classes, random generators.

Decoding only calls constructors of classes that the program has defined: a file cannot name a
module to import.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from mlpgrad._core.advice import nearest
from mlpgrad._core.arrays import Array
from mlpgrad._core.calls import is_function
from mlpgrad._core.families import descendants
from mlpgrad.initializers import Initializer
from mlpgrad.layers.base import Layer
from mlpgrad.losses.base import Loss
from mlpgrad.network.network import Network
from mlpgrad.network.uncertain import Uncertainty
from mlpgrad.penalties import Penalty
from mlpgrad.tables import ColumnEncoding, TableEncoder

FAMILIES = (Network, Layer, Loss, Penalty, Initializer, Uncertainty, TableEncoder, ColumnEncoding)
"""Base classes of the objects that a file may contain, including user-defined ones."""

NUMBERS = re.compile(r"bool|(u?int|float|complex)\d{1,3}")
OWN = "mlpgrad."
LONGEST_NAME = 200
LARGEST_POOL = 1024
"""Words of a random seed's pool; NumPy's default is 4."""


def encode(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    """Return a value as JSON; arrays go to `arrays`, other types become a dict with their kind."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if np.isfinite(value) else {"float": repr(value)}
    if isinstance(value, FAMILIES) and not (place and isinstance(value, Network)):
        cls = type(value)
        inner = f"{place} {cls.__name__}".strip()
        config = {k: encode(v, f"{inner}.{k}", arrays) for k, v in value.config().items()}
        return {"object": {"class": cls.__name__, "module": cls.__module__, "config": config}}
    if type(value) in (list, tuple):
        items = [encode(item, f"{place}[{i}]", arrays) for i, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    if type(value) is dict:
        return {"dict": [encode(list(pair), place, arrays) for pair in value.items()]}
    if isinstance(value, np.dtype) and value.kind in "biufc":
        return {"dtype": value.name}
    if isinstance(value, np.random.Generator):
        source = value.bit_generator
        seed = getattr(source.seed_seq, "state", None)  # determines the next spawned generators
        state = [type(source).__name__, source.state, seed]
        return {"generator": [encode(item, place, arrays) for item in state]}
    if isinstance(value, np.str_):  # `str` and arrays drop trailing null characters
        return {"text": "".join(value)}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufcSU":
        name = f"array_{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array" if isinstance(value, np.ndarray) else "scalar": name}
    raise TypeError(_unkept(value, place))


def _unkept(value: Any, place: str) -> str:
    """Return the message for a value that cannot be written to a file."""
    fix = "keep numbers, strings, arrays or lists of these"
    if isinstance(value, Network):
        return f"{place} is a network, whose weights would not be saved; save it separately"
    if is_function(value) or isinstance(value, type):
        fix = "write it as a class, for instance a subclass of Activation"
    return f"{place} is {value!r}, which cannot be written to a file; {fix}"


class Arrays(Protocol):
    """Arrays by name: a dict, or a file that reads them on access."""

    def __getitem__(self, name: str, /) -> Array: ...


class Decoder:
    """The inverse of `encode`: called with JSON, it returns the value.

    Parameters
    ----------
    arrays : dict or Archive
        The arrays by name.
    make : callable, optional
        Called with a class and its arguments, by name; returns the object. By default the
        constructor.
    """

    def __init__(self, arrays: Arrays, make: Callable[[Any, dict[str, Any]], Any] | None = None):
        self._arrays = arrays
        self._read: dict[str, Array] = {}
        self._make = make or (lambda cls, config: cls(**config))
        self._classes: dict[Any, Any] = {}

    def __call__(self, value: Any) -> Any:
        """Return the value that `encode` was given; lists are changed in place to save memory."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                value[index] = self(item)
            return value
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        decode = _KINDS.get(kind)
        if decode is None:
            raise ValueError(f"it holds an unknown kind of value, {kind!r:.80}")
        return decode(self, content)

    def _object(self, content: Any) -> Any:
        config = content["config"]
        for name, item in config.items():
            config[_name(name)] = self(item)
        return self._make(self._find(FAMILIES, content["class"], content["module"]), config)

    def _generator(self, content: Any) -> Any:
        """A random generator in a given state."""
        name, state, seed = self(content)
        inner = state["state"] if isinstance(state["state"], dict) else {}
        # NumPy does not check these two indices, and would read beyond its buffer
        if not (0 <= inner.get("pos", 0) <= 624 and 0 <= state.get("buffer_pos", 0) <= 4):
            raise ValueError(f"the state of the random generator {name} is out of bounds")
        if seed is not None and not seed["pool_size"] <= LARGEST_POOL:
            raise ValueError(f"the seed of the random generator {name} is out of bounds")
        make = self._find((np.random.BitGenerator,), name, None)
        source = make(0 if seed is None else np.random.SeedSequence(**seed))
        source.state = state
        return np.random.Generator(source)

    def _find(self, roots: tuple[type, ...], name: str, module: str | None) -> Any:
        """`find`, once for each name."""
        key = _name(name), module
        if key not in self._classes:
            self._classes[key] = find(roots, *key)
        return self._classes[key]

    def _array(self, name: str) -> Array:
        """Return an array; references to the same name give the same array."""
        if name not in self._read:
            self._read[name] = self._arrays[name]
        return self._read[name]

    def _dtype(self, content: Any) -> Any:
        if not NUMBERS.fullmatch(content):
            raise ValueError(f"it holds an unknown type of numbers, {content!r:.80}")
        return np.dtype(content)


_KINDS: dict[str, Callable[[Decoder, Any], Any]] = {
    "array": Decoder._array,
    "scalar": lambda decoder, content: decoder._array(content)[()],
    "float": lambda decoder, content: float(content),
    "text": lambda decoder, content: np.str_(content),
    "tuple": lambda decoder, content: tuple(decoder(content)),
    "dict": lambda decoder, content: dict(decoder(content)),
    "dtype": Decoder._dtype,
    "object": Decoder._object,
    "generator": Decoder._generator,
}


def find(roots: tuple[type, ...], name: str, module: str | None) -> Any:
    """Return the class of this name among the subclasses of `roots`."""
    known = {cls for root in roots for cls in (root, *descendants(root))}
    found = [cls for cls in known if cls.__name__ == name]
    if len(found) > 1:
        same = [cls for cls in found if cls.__module__ == module]
        if not same and str(module).startswith(OWN):  # moved within mlpgrad since
            same = [cls for cls in found if cls.__module__.startswith(OWN)]
        found = same or found
    if len(found) > 1:  # a class defined repeatedly, as in a notebook: use its current definition
        found = [cls for cls in found if getattr(sys.modules.get(module or ""), name, 0) is cls]
    if not found:
        public = {cls.__name__ for cls in known if cls.__name__[0] != "_"}
        advice = nearest(name, sorted(public))
        raise ValueError(
            f"class {name!r} is not defined, or more than once; before loading, import the module "
            f"that defines it (it was {module!r:.80}){advice}"
        )
    return found[0]


def _name(text: Any) -> str:
    """Return a name from a file; raise ValueError if it is not a string."""
    if not isinstance(text, str) or len(text) > LONGEST_NAME:
        raise ValueError(f"it holds {text!r:.80} instead of a name")
    return text
