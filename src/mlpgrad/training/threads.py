"""Distribution of the members of an ensemble to threads."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mlpgrad.training.recorded_step import repeatable

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mlpgrad.network.network import Network
    from mlpgrad.optimizers.base import Optimizer


THREADS = 4  # at most, since each holds Python's lock for a fifth of its time


THREAD_WORK = 1 << 20  # parameters times samples per thread; with less, the lock costs too much


BLAS_WORK = 1 << 18  # multiplications: a larger product gets threads from OpenBLAS


def shares(model: Network, optimizer: Optimizer, batch_size: int) -> list[slice]:
    """Return the members that each thread trains; empty if one thread is as fast."""
    networks = model.ensemble_size or 1
    work = model.params.size * batch_size
    count = min(threads(), networks, work // THREAD_WORK)
    widest = max((slot.stop - slot.start for slot in model.parameters), default=0)
    if count < 2 or widest * batch_size > BLAS_WORK or not repeatable(model, optimizer):
        return []
    return split(networks, count)


def split(number: int, parts: int) -> list[slice]:
    """Return the slices of a number of members, in parts of about the same length."""
    bounds = [number * i // parts for i in range(parts + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(bounds)]


def together(pool: Executor, calls: Sequence[Callable[[], None]]) -> None:
    """Make calls at the same time, the first of them in this thread; return when all have ended."""
    first, *others = calls
    running = [pool.submit(call) for call in others]
    try:
        first()
    finally:
        for future in running:
            future.result()


def threads() -> int:
    """Return the number of threads to use: the cores, or fewer if the environment says so."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = [int(n) for name in names if (n := os.environ.get(name, "")).isdigit() and int(n)]
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, THREADS, *limits)
