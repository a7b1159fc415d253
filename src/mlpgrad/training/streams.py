"""Batches from any iterable, such as a reader of files or a generator of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

import numpy as np

from mlpgrad.losses.labels import of_some_rows
from mlpgrad.network.network import Network
from mlpgrad.training.batches import ROWS_SEEN, Batches
from mlpgrad.training.rows import Batch


class Stream(Batches):
    """An iterable of `(x, y)` or `(x, y, sample_weight)`, iterated again in each epoch.

    Each batch is checked and cast like data in arrays. Weights are used as given: a step divides
    the weighted sum by the number of rows of the batch. The reader decides the number and the size
    of batches. A generator can be iterated only once, so it lasts for one epoch.

    Parameters
    ----------
    network : Network
    source : iterable
    """

    def __init__(self, network: Network, source: Iterable[Any]) -> None:
        self.network, self.source = network, source
        self._seen: list[Batch] = []
        self._rows = 0

    @property
    def count(self) -> int | None:  # type: ignore[override]
        """Batches per epoch, if the reader has a length."""
        return len(self.source) if isinstance(self.source, Sized) else None

    def sample(self) -> Batch | None:
        """Return the first rows of the first epoch, as the network takes them."""
        if len({weights is None for *_, weights in self._seen}) != 1:
            return None
        columns = [
            None if parts[0] is None else np.concatenate(parts, axis=-2)
            for parts in zip(*self._seen, strict=True)
        ]
        return tuple(columns)  # type: ignore[return-value]

    def _keep(self, batch: Batch) -> None:
        """Copy rows until there are enough; a reader may reuse its arrays."""
        rows = np.s_[..., : ROWS_SEEN - self._rows, :]
        x, target, weights = batch
        self.largest = max(self.largest or 0, x.shape[-2])
        kept = None if weights is None else weights[rows].copy()
        self._seen.append((x[rows].copy(), target[rows].copy(), kept))
        self._rows += self._seen[-1][0].shape[-2]

    def blocks(self) -> Iterator[list[Batch]]:
        looks = not self._rows  # in the first epoch
        counted: Any = False  # for each network of an ensemble
        for item, number in self._items():
            batch = self._read(self.network._cast, item, number)
            counted |= True if batch[2] is None else batch[2].any(axis=(-2, -1))
            self.network.learn_signs(item[1])
            if looks and self._rows < ROWS_SEEN:
                self._keep(batch)
            yield [batch]
        if not np.all(counted):
            member = f" of member {int(np.argmin(counted))}" if np.ndim(counted) else ""
            raise ValueError(
                f"{self.name} yielded weights of 0 only{member} in an epoch; give the samples that "
                f"count a positive weight"
            )

    def checked(self) -> Iterator[Batch]:
        """Yield the batches of an epoch, checked but not cast."""
        for item, number in self._items():
            yield self._read(self.network.checked, item, number)

    def _items(self) -> Iterator[tuple[Any, int]]:
        """Yield the items of the reader, numbered from 0."""
        reader, number = iter(self.source), 0
        while (item := self._next(reader, number)) is not None:
            yield item, number
            number += 1
        if not number:
            once = iter(self.source) is self.source
            fix = (
                "it can be iterated only once: pass an object whose __iter__ starts over, or "
                "train for one epoch"
                if once
                else "it must yield at least one batch (x, y) each time it is iterated"
            )
            raise ValueError(f"{self.name} ended before its first batch; {fix}")

    def _next(self, reader: Iterator[Any], number: int) -> Any:
        """Return the next item, or None at the end; errors are raised with the reader's name."""
        try:
            return next(reader, None)
        except Exception as error:
            raise RuntimeError(
                f"{self.name} failed at batch {number + 1}: {type(error).__name__}: {error}"
            ) from error

    def _read(self, read: Callable[..., Batch], item: Any, number: int) -> Batch:
        """Check one item with a method of the network."""
        if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
            kind = type(item).__name__
            length = f" of length {len(item)}" if isinstance(item, (tuple, list)) else ""
            raise TypeError(
                f"{self.name} expects to yield (x, y) or (x, y, sample_weight), got {kind}"
                f"{length} at batch {number + 1}"
            )
        try:
            return read(*item, *[None] * (3 - len(item)))
        except (TypeError, ValueError) as error:
            message = f"batch {number + 1} of {self.name}: {of_some_rows(error)}"
            raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from error

    @property
    def name(self) -> str:
        """The name of the reader in messages."""
        name = getattr(self.source, "__qualname__", None)
        return f"the reader {name or type(self.source).__name__}"


def is_stream(x: Any, y: Any) -> bool:
    """Return whether `x` is an iterable of batches instead of an array."""
    array = hasattr(x, "__array__") or hasattr(x, "toarray")
    return y is None and isinstance(x, Iterable) and not array
