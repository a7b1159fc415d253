"""What the derivatives of a network need to know of its layers: found once, since they stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mlpgrad.layers.activations.elementwise import Elementwise
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk
from mlpgrad.layers.residual import Residual
from mlpgrad.network.network import Network
from mlpgrad.network.storage import Slot


class Plan(NamedTuple):
    """The layers of a network."""

    layers: list[Layer]
    """All of them, also those inside others."""
    units: list[tuple[Layer, list[Slot]]]
    """Layers with the slots of all their parameters; a Residual stands for those inside it."""
    foreign: bool
    """Whether there are layers whose code is not of this package."""
    coupled: bool
    """Whether, in training, a sample's output depends on other samples or on chance."""


def plan_of(network: Network) -> Plan:
    """The plan, which is kept with the network's slots: they are made anew with its layers."""
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
    """Whether the code of a layer, loss or penalty is not of this package."""
    return type(part).__module__.partition(".")[0] != "mlpgrad" or isinstance(part, Elementwise)


def _flat(layers: Sequence[Layer]) -> Iterator[Layer]:
    for layer in layers:
        if type(layer) is Residual:
            yield from _flat(layer.layers)
        else:
            yield layer
