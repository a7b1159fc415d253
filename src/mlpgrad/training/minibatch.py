"""Minibatch training: one step of an optimizer for each minibatch.

The members of an ensemble share only the data. Each thread therefore trains some of them on the
same batches, and the resulting weights are bit for bit those of a single thread. NumPy releases
Python's lock: if its calls are long enough, two threads need two thirds of the time.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.advice import instead_of
from mlpgrad._core.arguments import flag, instance, shown
from mlpgrad._core.arrays import part_of
from mlpgrad._core.options import assignments
from mlpgrad.layers.chain import walk
from mlpgrad.metrics.base import sums_of
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.schedule import Schedule
from mlpgrad.training.batches import Minibatches
from mlpgrad.training.choose_step import choose_step
from mlpgrad.training.communicator import Joined
from mlpgrad.training.continuing import at_own_rate, count_steps, rate_as_text
from mlpgrad.training.divergence import first_non_finite, raise_divergence
from mlpgrad.training.evaluate import as_number
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.rows import Batch
from mlpgrad.training.session import Method, Session
from mlpgrad.training.threads import shares, together
from mlpgrad.training.worker import Worker

if TYPE_CHECKING:
    from concurrent.futures import Executor

BATCHES_AT_ONCE = 32  # in threads, between two checks for Ctrl-C


class Minibatch(Method):
    """Stochastic gradient descent with an optimizer, the default method of `fit`.

    Parameters
    ----------
    optimizer : Optimizer
    compiled : bool, optional
        Whether to compile the steps; True raises an error if that is not possible, None chooses.
    """

    rows_at_once = 32

    def __init__(self, optimizer: Optimizer, compiled: bool | None = None) -> None:
        self._optimizer = optimizer
        self._rate = rate_as_text(optimizer.learning_rate)  # before a callback assigns another
        self._wish = compiled
        self._compiled: bool | None = None
        self._workers: list[Worker] = []
        self._session: Session | None = None
        self._pool: Executor | None = None
        self._resume: Mapping[str, Any] | None = None
        self._mean_weight: Any = 1.0
        self._watchful = self._streams = self._ahead = False
        self._assignments = 0

    @property
    def optimizer(self) -> Optimizer:
        return self._optimizer

    def train(self, session: Session) -> None:
        self.optimizer.attach(session.network)
        count_steps(session, 0 if self._resume is None else self._resume["batches"])
        self._workers, self._session = [], session
        self._mean_weight = session.batches.mean_weight(session.communicator)
        self._streams = not isinstance(session.batches, Minibatches)
        rate = self.optimizer.learning_rate
        own = callable(rate) and not isinstance(rate, Schedule)
        # whether user code runs during training
        self._watchful = bool(own or session.callbacks or session.metrics or self._streams)
        session.fitting.close()
        try:
            going = True
            while going:
                session.begin_epoch()
                self._prepare(session)
                if self._ahead:
                    going = self._run_ahead(session)
                    continue
                self._run(session, self._workers[0].batches)
                self._look_for_divergence(session)
                measured = self._workers[0].measured
                going = session.end_epoch(self._joined("total"), self._joined("weight"), measured)
        finally:
            self._close(session)

    def _close(self, session: Session) -> None:
        """End the threads, and record whether the steps were compiled."""
        if session.network.compiled_because is not None:  # known only at the first batch
            session.record.compiled = False
        for worker in self._workers:
            worker.close()
        if not session.in_epoch:  # an interrupted epoch may be saved
            # arrays and data would otherwise wait for the collection of cycles
            self._workers, self._session = [], None
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        session.fitting.open()

    def logs(self) -> dict[str, Any]:
        return {"learning_rate": as_number(self.optimizer.current_learning_rate)}

    # an epoch

    def _prepare(self, session: Session) -> None:
        """Make the workers for an epoch, again if a callback may have changed something."""
        changed = self._watchful or assignments.count != self._assignments
        self._assignments = assignments.count
        if changed:
            session.network.follow()
            self.optimizer.follow_state()
        if not self._workers or (changed and len(self._workers) > 1):
            before, self._workers = self._workers, self._make_workers(session)
            for old, new in zip(before, self._workers, strict=False):
                new.take_over(old)
        elif changed:
            self._workers[0].refresh()
        if self._resume is not None:
            self._resume_workers(self._resume)
            self._resume = None
            return
        for worker in self._workers:
            worker.begin()

    def _make_workers(self, session: Session) -> list[Worker]:
        """Make one worker for the whole network, or one for the members of each thread."""
        network, optimizer, batches = session.network, self.optimizer, session.batches
        size = batches.batch_size
        steps = None
        if size is not None and batches.samples is not None:
            steps = session.epochs * (batches.samples // size)
        callbacks = [callback for callback in session.callbacks if callback.follows_batches()]
        metrics, join = session.metrics or (), None
        mean_weight = self._mean_weight
        if session.communicator is not None:
            join = Joined(session.communicator, network)
        alone = callbacks or metrics or join
        compiled = self._compiled_worker(session, bool(alone), steps)
        if compiled is not None:
            # whether nothing observes an epoch before the next one
            self._ahead = not (self._watchful or session.validation)
            return [compiled]
        members = [] if alone or size is None else shares(network, optimizer, size)
        if not members:
            # user code may change options between two batches
            step = choose_step(network, optimizer, size, 0 if callbacks else steps, mean_weight)
            options: Any = {"callbacks": callbacks, "metrics": metrics, "join": join}
            return [Worker(network, optimizer, step, **options)]
        if self._watchful and steps is not None:
            steps //= session.epochs  # until they are made again
        optimizer.prepare(network.params, network.grads)
        workers = []
        for some in members:
            part, rule = network.share(some), optimizer.share(some)
            step = choose_step(part, rule, size, steps, part_of(some, mean_weight))
            workers.append(Worker(part, rule, step, members=some))
        return workers

    def _compiled_worker(self, session: Session, alone: bool, steps: int | None) -> Worker | None:
        """Return the worker whose steps are compiled, if that is wanted and possible."""
        from mlpgrad.training import choose_compiled

        network, optimizer, batches = session.network, self.optimizer, session.batches
        wish, reason = choose_compiled.wanted(self._wish), None
        if self._compiled is not None:  # decided, perhaps before a resumption
            wish = self._compiled
        if wish is False:
            reason = "it was told not to compile"
        elif alone or steps is None:
            reason = (
                "a callback, metric or communicator uses single batches, "
                "or batches come from an iterable"
            )
        else:
            reason = choose_compiled.why_not(network, optimizer, batches)
            if wish is None and reason is None:
                reason = choose_compiled.too_short(network, steps, batches.batch_size or 1)
        if wish and reason is not None:
            raise ValueError(f"compiled=True, but {reason}")
        vars(network)["compiled_because"] = reason
        session.record.compiled = self._compiled = reason is None
        if reason is not None:
            return None
        from mlpgrad.training.compiled_worker import CompiledWorker

        step = RecordedStep(network, optimizer)
        step.mean_weight = self._mean_weight
        return CompiledWorker(network, optimizer, step)

    def _run_ahead(self, session: Session) -> bool:
        """Train for one or more epochs, and record them; return whether training continues."""
        worker, going = self._workers[0], True
        for whole in worker.epochs(session.batches, session.epochs - session.epoch):
            self._look_for_divergence(session)
            going = session.end_epoch(worker.total, worker.weight, whole=whole)
        return going

    def _run(self, session: Session, seen: int) -> None:
        """Train on the remaining batches of an epoch."""
        if seen and session.network.stop_training:  # resumed after a request to stop
            return
        if len(self._workers) == 1:
            self._run_here(session, seen)
        else:
            self._run_in_threads(session, seen)

    def _run_here(self, session: Session, seen: int) -> None:
        """Run one worker over the batches, in this thread."""
        if not self._streams:
            self._workers[0].epoch(session.batches, seen)
            return
        left = itertools.chain.from_iterable(session.batches.after(seen))
        self._workers[0].run(_outside(session, left))

    def _run_in_threads(self, session: Session, seen: int) -> None:
        """Run each worker over the same batches, one of them in this thread."""
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            others = len(self._workers) - 1
            self._pool = ThreadPoolExecutor(others, initializer=session.fitting.join)
        for block in session.batches.after(seen):
            for start in range(0, len(block), BATCHES_AT_ONCE):
                batches = block[start : start + BATCHES_AT_ONCE]
                try:
                    together(self._pool, [partial(w.run, batches) for w in self._workers])
                finally:
                    self.optimizer.steps = self._workers[0].optimizer.steps
                diverged = any(worker.diverged_at is not None for worker in self._workers)
                if session.network._attention:
                    session.fitting.serve()
                if diverged or session.network.stop_training:
                    return
        self._show_last_step(session)

    def _show_last_step(self, session: Session) -> None:
        """Let the network's layers hold the last batch of the workers."""
        networks = [session.network, *(worker.network for worker in self._workers)]
        layers = (walk(network.layers) for network in networks)
        for (_, layer), *theirs in zip(*layers, strict=True):
            for name in ("_inputs", "_outputs", "_delta"):
                arrays = [getattr(their, name) for _, their in theirs]
                shared = arrays[0] is None or arrays[0].ndim == 2
                setattr(layer, name, arrays[0] if shared else np.concatenate(arrays))

    def _look_for_divergence(self, session: Session) -> None:
        """If the loss is not finite, restore earlier weights and raise DivergenceError."""
        diverged = [worker for worker in self._workers if worker.diverged_at is not None]
        if not diverged or (batch := diverged[0].diverged_at) is None:
            return
        place = first_non_finite(diverged[0].network)
        for worker in self._workers:
            worker.last_sane.put_back()
        if session.communicator is not None:  # each rank judged by its own rows
            for flat in (session.network.params, session.network.state):
                session.communicator.broadcast(flat)
        rate = self.optimizer.current_learning_rate
        self.optimizer.reset()
        known = all(np.all(worker.last_sane.known) for worker in diverged)
        record, epoch = session.record, session.epoch
        raise_divergence(record, epoch, batch, rate, place, known)

    def _joined(self, name: str) -> Any:
        """Join the sums of all members."""
        sums = [getattr(worker, name) for worker in self._workers]
        if len(sums) == 1 or np.ndim(sums[0]) == 0:  # the weight may be common to all members
            return sums[0]
        return np.concatenate(sums)

    # exact continuation

    def snapshot(self) -> dict[str, Any]:
        """Return the optimizer's state, and the sums and the batch count of an unfinished epoch."""
        taken: dict[str, Any] = {"optimizer": self.optimizer.snapshot(), "epoch": None}
        taken["compiled"], taken["learning_rate"] = self._compiled, self._rate
        if self._workers and self._session is not None and self._session.in_epoch:
            first = self._workers[0]
            taken["epoch"] = {
                "batches": first.batches,
                "total": copy.deepcopy(self._joined("total")),
                "weight": copy.deepcopy(self._joined("weight")),
                "measured": {name: sums_of(a) for name, a in first.measured.items()},
            }
        return taken

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore the result of `snapshot`, but keep a learning rate that is given anew."""
        taken, rate = snapshot["optimizer"], snapshot.get("learning_rate", self._rate)
        self.optimizer.restore(taken if rate == self._rate else at_own_rate(self.optimizer, taken))
        self._resume = snapshot["epoch"]
        self._compiled = snapshot.get("compiled", self._compiled)

    def _resume_workers(self, begun: Mapping[str, Any]) -> None:
        """Continue in the middle of an epoch."""
        for worker in self._workers:
            worker.begin()
            worker.batches = begun["batches"]
            worker.earlier = -worker.batches  # so that the weights of the first step are kept
            for name in ("total", "weight"):
                value = begun[name]
                if worker.members is not None and np.ndim(value):
                    value = value[worker.members]
                setattr(worker, name, copy.deepcopy(value))
            for name, accumulator in worker.measured.items():
                vars(accumulator).update(copy.deepcopy(begun["measured"][name]))


def _outside(session: Session, batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the user's batches; other threads may read weights while the next one is made."""
    waiting = iter(batches)
    while True:
        with session.fitting.opened():
            batch = next(waiting, None)
        if batch is None:
            return
        yield batch


def method_of(optimizer: Any, compiled: bool | None = None) -> Method:
    """Return the training method: the one given, or the minibatch loop of an optimizer."""
    if isinstance(optimizer, Method):
        if compiled:
            raise ValueError(
                f"compiled=True expects an Optimizer, whose steps are compiled, got "
                f"{type(optimizer).__name__}, which has none; leave compiled out"
            )
        return optimizer
    method = instead_of(optimizer, Method)
    if method.startswith("; write"):
        got = shown(optimizer)
        raise TypeError(f"optimizer expects an Optimizer or a Method, got {got}{method}")
    compiled = None if compiled is None else flag(compiled, "compiled")
    return Minibatch(instance(optimizer, "optimizer", Optimizer, "Adam(1e-3)"), compiled)
