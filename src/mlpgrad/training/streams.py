"""Batches from anything that can be iterated: a reader of files, a generator of samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mlpgrad.network.network import Network
from mlpgrad.training.batches import Batch, Batches


class Stream(Batches):
    """An iterable of `(x, y)` or `(x, y, sample_weight)`, begun anew at each epoch.

    Each batch is checked and cast like data in arrays. Weights count as they are: a step divides
    their weighted sum by the number of rows of the batch. How many there are and how large they are
    is the reader's affair. A generator can be iterated only once, so it is good for one epoch.

    Parameters
    ----------
    network : Network
    source : iterable
    """

    def __init__(self, network: Network, source: Iterable[Any]) -> None:
        self.network, self.source = network, source

    def blocks(self) -> Iterator[list[Batch]]:
        reader, number = iter(self.source), 0
        while (item := self._next(reader, number)) is not None:
            yield [self._batch(item, number)]
            number += 1
        if not number:
            once = iter(self.source) is self.source
            fix = (
                "it can be iterated only once: pass an object whose __iter__ begins anew, or "
                "train for one epoch"
                if once
                else "it must yield at least one batch (x, y) each time it is iterated"
            )
            raise ValueError(f"{self.name} ended before its first batch; {fix}")

    def _next(self, reader: Iterator[Any], number: int) -> Any:
        """The next item, None at the end; what the reader raises is raised with its name."""
        try:
            return next(reader, None)
        except Exception as error:
            raise RuntimeError(
                f"{self.name} failed at batch {number + 1}: {type(error).__name__}: {error}"
            ) from error

    def _batch(self, item: Any, number: int) -> Batch:
        """One item, checked and cast."""
        if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
            kind = type(item).__name__
            length = f" of length {len(item)}" if isinstance(item, (tuple, list)) else ""
            raise TypeError(
                f"{self.name} expects to yield (x, y) or (x, y, sample_weight), got {kind}"
                f"{length} at batch {number + 1}"
            )
        try:
            return self.network._cast(*item, *[None] * (3 - len(item)))
        except (TypeError, ValueError) as error:
            message = f"batch {number + 1} of {self.name}: {error}"
            raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from error

    @property
    def name(self) -> str:
        """What to call the reader in messages."""
        name = getattr(self.source, "__qualname__", None)
        return f"the reader {name or type(self.source).__name__}"
