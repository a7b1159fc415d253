"""The properties of a network's layers that derivatives need, determined once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mlpgrad._core.calls import is_own
from mlpgrad.layers.activations.elementwise import Elementwise
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk
from mlpgrad.layers.residual import Residual
from mlpgrad.network.network import Network
from mlpgrad.network.storage import Slot


class Plan(NamedTuple):
    """The layers of a network."""

    layers: list[Layer]
    """All layers, including those inside others."""
    units: list[tuple[Layer, list[Slot]]]
    """Layers with the slots of all their parameters; a Residual represents the layers inside it."""
    foreign: bool
    """Whether there are user-defined layers."""
    coupled: bool
    """Whether, in training, a sample's output depends on other samples or on chance."""


def plan_of(network: Network) -> Plan:
    """Return the plan, which is cached with the network's slots and made again with its layers."""
    slots = network.parameters
    if slots.plan is None:
        by_layer = slots.by_layer()
        units = []
        for layer in _flat(network.layers):
            own = [slot for _, part in walk([layer]) for slot in by_layer.get(id(part), [])]
            if own:
                units.append((layer, own))
        layers = [layer for _, layer in walk(network.layers)]
        coupled = any(layer.mixes_samples or layer.is_random for layer in layers)
        slots.plan = Plan(layers, units, any(map(is_of_users, layers)), coupled)
    plan: Plan = slots.plan
    return plan


def is_of_users(part: object) -> bool:
    """Return whether a layer, loss or penalty is user-defined."""
    return not is_own(type(part)) or isinstance(part, Elementwise)


def _flat(layers: Sequence[Layer]) -> Iterator[Layer]:
    for layer in layers:
        if type(layer) is Residual:
            yield from _flat(layer.layers)
        else:
            yield layer
