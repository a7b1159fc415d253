"""The random streams of a network, and snapshots of them and its arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from mlpgrad._core.changes import same
from mlpgrad._core.stateful import (
    Stateful,
    check_snapshot,
    generator_state,
    restore_generator,
)
from mlpgrad.network.storage import Storage


class Seeded(Storage, Stateful):
    """Storage with streams of random numbers, all derived from one seed."""

    kept = ("params", "state", "rngs", "rng", "streams", "encoder")

    rng: np.random.Generator
    """Generator of the order of the rows in training."""
    encoder: Any = None
    streams: dict[str, np.random.Generator]
    """Streams by name that have been used."""

    def stream(self, name: str) -> np.random.Generator:
        """Return a generator for one purpose, independent of all other streams.

        It is derived only from the seed and the name. The initial weights and dropout of each
        network have separate streams (`rngs`), and so has the order of the rows (`rng`).
        """
        if name not in self.streams:
            self.streams[name] = np.random.default_rng(self.seed(name))
        return self.streams[name]

    def _generators(self) -> list[np.random.Generator]:
        return [*self.rngs, self.rng, *self.streams.values()]

    def seed(self, name: str) -> np.random.SeedSequence:
        """Return a seed for one purpose, derived from the network's seed and the name."""
        source: Any = self.rng.bit_generator.seed_seq
        key = (*source.spawn_key, *name.encode())
        return np.random.SeedSequence(source.entropy, spawn_key=key)

    @contextmanager
    def same_randomness(self) -> Iterator[None]:
        """Restore the generators afterwards; the next forward draws the same dropout masks."""
        saved = [rng.bit_generator.state for rng in self.rngs]
        try:
            yield
        finally:
            for rng, state in zip(self.rngs, saved, strict=True):
                rng.bit_generator.state = state

    def snapshot(self) -> dict[str, Any]:
        """Return copies of parameters and statistics, and the states of all random streams."""
        params, state = self._weights()
        return {
            "params": params,
            "state": state,
            "rngs": [generator_state(rng) for rng in self.rngs],
            "rng": generator_state(self.rng),
            "streams": {name: generator_state(rng) for name, rng in self.streams.items()},
            "encoder": None if self.encoder is None else self.encoder.snapshot()["states"],
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore the result of `snapshot`, from a network with the same layers."""
        check_snapshot(self, snapshot, self.kept, optional=("encoder",))
        for name, flat in (("params", self._params), ("state", self._state)):
            found = snapshot[name]
            if found.shape != flat.shape or found.dtype != flat.dtype:
                raise ValueError(
                    f"restore expects {name} of shape {flat.shape} and {flat.dtype}, got "
                    f"{found.shape} and {found.dtype}; the snapshot is of another network"
                )
        encoder = snapshot.get("encoder")
        if encoder is not None and not same(encoder, self.snapshot()["encoder"]):
            raise ValueError(
                "restore expects a network with the same fitted encoder as in the snapshot; make "
                "it with encoder=model.encoder of the earlier model"
            )
        with self._writing():
            self.params, self.state = snapshot["params"], snapshot["state"]
        for rng, state in zip(
            [*self.rngs, self.rng], [*snapshot["rngs"], snapshot["rng"]], strict=True
        ):
            restore_generator(rng, state)
        for name, state in snapshot["streams"].items():
            restore_generator(self.stream(name), state)
