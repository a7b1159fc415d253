"""Distribution of the members of an ensemble to joint computations and threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.training.second_order.part import Part
from mlpgrad.training.threads import threads

if TYPE_CHECKING:
    from concurrent.futures import Executor

TOGETHER = 1 << 17
"""Elements of all matrices; up to this, one call for all members is faster than one for each."""
THREAD_WORK = 1 << 24
"""Multiplications of a member's matrix; with fewer, threads cost more than they save."""


class Teams:
    """The members that have not finished, in parts; several threads take the parts in turn.

    Parameters
    ----------
    make : callable
        Returns the `Part` for some members.
    join : callable
        Called by each thread before it works.
    """

    def __init__(self, make: Callable[[Array], Part], join: Callable[[], Any]) -> None:
        self.make, self.join = make, join
        self.parts: list[Part] = []
        self._pool: Executor | None = None

    def choose(self, active: Array, parameters: int) -> None:
        """Make the parts for the active members; unchanged parts are kept."""
        few = active.size * parameters**2 <= TOGETHER
        shares = [active] if few else np.split(active, active.size)
        kept = {part.members.tobytes(): part for part in self.parts}
        self.parts = [kept.get(share.tobytes()) or self.make(share) for share in shares]
        work = self.parts[0].objective.x.shape[-2] * parameters**2
        if self._pool is None and len(self.parts) > 1 and threads() > 1 and work >= THREAD_WORK:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(threads(), initializer=self.join)

    def run(self, work: Callable[[Part], None]) -> None:
        """Apply a function to each part."""
        list((map if self._pool is None else self._pool.map)(work, self.parts))

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
