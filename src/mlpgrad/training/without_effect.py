"""What would silently do nothing: attributes of other libraries, names of no array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlpgrad._core.arguments import shown
from mlpgrad._core.calls import is_own
from mlpgrad._core.habits import ATTRIBUTES
from mlpgrad._core.synonyms import meant_by
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk
from mlpgrad.network.network import Network

FREEZING = ("trainable", "requires_grad")
"""Names for whether a layer is trained; here all are."""


def check_attributes(network: Network, optimizer: Any) -> None:
    """Raise AttributeError if an attribute was assigned that would silently do nothing.

    Names of parameters that no layer has are a ValueError.

    `optimizer.lr = 0.01` and `layer.trainable = False` are accepted by Python for any object. Only
    objects of mlpgrad's own classes are looked at, since others may use such names themselves.

    Parameters
    ----------
    network : Network
    optimizer : Optimizer or Method
    """
    for place, thing in _things(network, optimizer):
        if not is_own(type(thing)):
            continue
        options = thing.config()
        for name, value in vars(thing).copy().items():
            if name in FREEZING and value is not True:
                raise AttributeError(
                    f"{place}.{name} = {value!r} has no effect: every layer is trained; "
                    f"write del {place}.{name}"
                )
            array = _array_meant_by(name, thing)
            if array:
                raise AttributeError(
                    f"{place}.{name} = {shown(value)} has no effect: {type(thing).__name__} has no "
                    f"array {name!r}; write into those of {array.replace('layer', place, 1)}, and "
                    f"del {place}.{name}"
                )
            if name not in options and (instead := meant_by(name, options)):
                raise AttributeError(
                    f"{place}.{name} = {value!r} has no effect: {type(thing).__name__} has no "
                    f"option {name!r}{instead.replace('write ', f'write {place}.')}, "
                    f"and del {place}.{name}"
                )
    _check_kinds(network, optimizer)


def _check_kinds(network: Network, optimizer: Any) -> None:
    """Raise ValueError if a penalty, or a weight decay with kinds of its own, acts on no array."""
    known = dict.fromkeys(slot.kind for slot in network.parameters)
    named = [
        (f"model.penalties[{index}].kinds", penalty.kinds)
        for index, penalty in enumerate(network.penalties)
        if getattr(penalty, "strength", True)
    ]
    decayed = getattr(optimizer, "decay_kinds", ("weights",))
    if decayed != ("weights",) and optimizer.weight_decay:
        named.append(("optimizer.decay_kinds", decayed))
    for place, kinds in named:
        if known and kinds and not known.keys() & set(kinds):
            raise ValueError(
                f"{place} = {kinds!r} has no effect: the arrays of the layers are "
                f"{', '.join(map(repr, known))}"
            )


def _array_meant_by(name: str, thing: Any) -> str:
    """Return where the array of a layer is that another library calls `name`, or ""."""
    if not isinstance(thing, Layer):
        return ""
    code = ATTRIBUTES["Layer"].get(name, "")
    return code if code in ("layer.params", "layer.state") else ""


def _things(network: Network, optimizer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the objects of a training, each with what to write for it."""
    yield "model", network
    yield "model.loss", network.loss
    for path, layer in walk(network.layers):
        yield f"model.layers[{path.replace('.', '].layers[')}]", layer
    for index, penalty in enumerate(network.penalties):
        yield f"model.penalties[{index}]", penalty
    yield "optimizer", optimizer
