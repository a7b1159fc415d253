"""Ctrl-C ends a training after the current batch, and keeps what was learned."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlpgrad.network.network import Network
from mlpgrad.training.record import Record


@contextmanager
def interrupts_end_training(network: Network, record: Record) -> Iterator[None]:
    """Let the first Ctrl-C set `stop_training`; a second one interrupts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return

    def stop(signum: int, frame: Any) -> None:
        record.interrupted = network.stop_training = True
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield  # other code handles Ctrl-C
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
