"""A loop in other code, such as a minimization of SciPy, that pauses after each iteration."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from mlpgrad.training.threads import threads


class EndedError(Exception):
    """Raised to end a loop at once, in the middle of an iteration."""


class Iterations:
    """Run `loop(pause)` in a separate thread, one iteration at a time.

    SciPy owns its loop, and so does a training, which validates and calls callbacks in its own
    thread. The two loops therefore wait for each other, and the members of an ensemble, each with
    its own iterations, stay synchronized.

    Parameters
    ----------
    loop : callable
        Calls `pause()` after each iteration, and ends when that raises StopIteration.

    Attributes
    ----------
    closing : bool
        Whether the loop should end at once.
    """

    def __init__(self, loop: Callable[[Callable[[], None]], None]) -> None:
        self.closing = False
        self._loop = loop
        self._error: BaseException | None = None
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def advance(self) -> None:
        """Begin the next iteration; `wait` must follow."""
        self._go.release()

    def wait(self) -> None:
        """Wait until the iteration or the loop has ended; raise any error of the loop."""
        # only this thread handles Ctrl-C, which may reach another and would not wake this one
        while not self._paused.acquire(timeout=0.1):
            pass
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Tell the loop to end, if it has not ended; `join` waits for it."""
        self.closing = True
        self._go.release()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self.closing:
                self._loop(self._pause)
        except BaseException as error:
            self._error = error
        del self._loop  # its data and networks would otherwise wait for the collection of cycles
        self._paused.release()

    def _pause(self) -> None:
        self._paused.release()
        self._go.acquire()
        if self.closing:
            raise StopIteration


def advance_all(loops: Sequence[Iterations]) -> None:
    """Make one iteration of each, in parallel if there are several cores."""
    count = threads()
    for some in (loops[i : i + count] for i in range(0, len(loops), count)):
        for loop in some:
            loop.advance()
        errors = []
        for loop in some:
            try:
                loop.wait()
            except BaseException as error:
                errors.append(error)
        if errors:
            raise errors[0]
