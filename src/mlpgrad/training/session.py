"""`Method` owns the loop of a training; `Session` is everything that goes on around it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.described import Described
from mlpgrad._core.stateful import Stateful
from mlpgrad.derivatives.objective import ROWS_AT_ONCE, Objective
from mlpgrad.metrics import Metric
from mlpgrad.metrics.base import Accumulator, weighted_mean
from mlpgrad.network.fitting import Fitting, fitted
from mlpgrad.network.network import Network
from mlpgrad.training.batches import Batch, Batches, Minibatches
from mlpgrad.training.before import Before
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.cannot_learn import warn_after_first_epoch, warn_at_end
from mlpgrad.training.communicator import Communicator, UnlikeRanksError, check_alike, summed
from mlpgrad.training.divergence import DivergenceError
from mlpgrad.training.evaluate import as_number, evaluate
from mlpgrad.training.interrupts import interrupts_end_training
from mlpgrad.training.other_weights import OtherWeights
from mlpgrad.training.record import Record
from mlpgrad.training.scalings import fit_unfitted


class Method(Described, Stateful):
    """A way to train: `fit(..., optimizer=method)` hands it the session.

    The session calls callbacks, validates, records, and ends training at Ctrl-C. A method owns
    the loop, of which each round is an epoch. The rows are in `session.batches`, or as one
    function in `session.objective()`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> class Descent(mg.Method):
    ...     def train(self, session):
    ...         loss_of, going = session.objective(), True
    ...         while going:
    ...             session.begin_epoch()
    ...             loss, gradient = loss_of.value_and_grads(session.network.params)
    ...             session.network.params -= 0.5 * gradient
    ...             going = session.end_epoch(loss, 1)
    """

    rows_at_once: int = ROWS_AT_ONCE
    """The `batch_size` of `fit` where none is given: for a method that sees all rows, a bound."""

    @property
    def optimizer(self) -> Any:
        """What callbacks see as their `optimizer`: the method itself, where there is no other."""
        return self

    def train(self, session: Session) -> None:
        """Train until `session.end_epoch` says that it is enough."""
        raise NotImplementedError

    def conclude(self, session: Session) -> None:
        """Called when training has ended, with the weights that callbacks have put back."""

    def logs(self) -> dict[str, Any]:
        """What to record of an epoch beside losses and metrics, such as a learning rate."""
        return {}


class Session(Stateful):
    """A training: callbacks, record, validation, interrupts; the loop is the method's.

    Parameters
    ----------
    network : Network
    method : Method
    batches : Batches
        An epoch of training data.
    validation : tuple (x, target, weights), optional
        Checked data that are evaluated after every epoch.
    callbacks : sequence of Callback
    metrics : sequence of Metric, optional
        Recorded on the training batches as well.
    epochs : int
        How many, at most.
    record : Record
        Gets the losses and metrics of every epoch.
    communicator : Communicator, optional
    before : Before, optional
        The network as it was before anything was prepared for this training.

    Attributes
    ----------
    epoch : int
        Epochs that have ended.
    settled : bool
        Whether the network has got the weights that training ends with: those that a callback
        has kept, or those from before a divergence.
    speaks : bool
        Whether a training that cannot learn says so: the first rank does, a test does not.
    """

    def __init__(
        self,
        network: Network,
        method: Method,
        batches: Batches,
        *,
        validation: Batch | None,
        callbacks: Sequence[Callback],
        metrics: Sequence[Metric] | None,
        epochs: int,
        record: Record,
        communicator: Communicator | None = None,
        before: Before | None = None,
    ) -> None:
        self.before = before or Before(network)
        self.network, self.method, self.batches = network, method, batches
        self.validation, self.metrics, self.epochs = validation, metrics, epochs
        self.callbacks, self.record, self.communicator = list(callbacks), record, communicator
        self.epoch, self.fitting = 0, Fitting(network)  # until it runs
        self.in_epoch = self.settled = self._resumed = False
        self.speaks = communicator is None or communicator.rank == 0
        self._others = OtherWeights(network)
        self._begun: list[Callback] = []
        for callback in self.callbacks:
            callback.session, callback.model, callback.epochs = self, network, epochs
            callback.optimizer, callback.history = method.optimizer, record

    def run(self, resume: Mapping[str, Any] | None = None) -> None:
        """Train, with the callbacks around; go on from a snapshot where there is one."""
        started, failed = time.perf_counter(), True
        with (
            fitted(self.network, self.method.optimizer) as self.fitting,
            interrupts_end_training(self.network, self.record),
            self.before.put_back_if_refused(),
        ):
            self.network.stop_training = False
            try:
                self._begin(resume)
                going = self.epoch < self.epochs and not self.network.stop_training
                if going or self.in_epoch:  # an epoch that has begun is recorded in any case
                    self.method.train(self)
                failed = False
            except KeyboardInterrupt as error:  # where no signal handler can be set
                self.record.interrupted, failed = True, False
                if self.communicator is not None:
                    self.communicator.abort(error)
            except (DivergenceError, UnlikeRanksError) as error:  # of all ranks: none waits
                self.settled = isinstance(error, DivergenceError)
                raise
            except BaseException as error:
                if self.communicator is not None:
                    self.communicator.abort(error)
                raise
            finally:
                self.record.seconds += time.perf_counter() - started
                self._end(failed)
        if self.speaks and self.record.epochs:
            warn_at_end(self.network, self.batches)

    def _begin(self, resume: Mapping[str, Any] | None) -> None:
        """Fit the scalings, begin each callback, put a snapshot back: nothing of it is wiped."""
        fit_unfitted(self.network, self.batches, self.communicator)
        for callback in self.callbacks:
            callback.on_train_begin()
            self._begun.append(callback)
        if resume is not None:
            self.restore(resume)
        if self.communicator is not None:
            asked = {"validation data": self.validation is not None, "epochs": self.epochs}
            asked["the number of metrics"] = len(self.metrics or ())
            check_alike(self.communicator, asked | self.network.fingerprints())
            with self.network._writing():
                for flat in (self.network.params, self.network.state):
                    self.communicator.broadcast(flat)

    def _end(self, failed: bool) -> None:
        """End each callback, whatever the others do; raise the first error if none came before."""
        errors = []
        for callback in self._begun:
            try:
                callback.on_train_end(self.record.last())
            except BaseException as error:
                errors.append(error)
        if failed:
            return
        if errors:
            raise errors[0]
        self.method.conclude(self)
        self.batches.conclude(self.network, self.metrics, self.record)

    def result(self) -> Network:
        """The network as training would end now: with the weights that a callback has averaged.

        It is `network` itself where no callback gives other weights (`Callback.final_params`);
        otherwise the next call gives the same copy other weights.
        """
        for callback in [] if self.settled else self.callbacks:
            params = callback.final_params()
            if params is not None:
                return self._others.with_params(params)
        return self.network

    # what a method calls

    def begin_epoch(self) -> None:
        """Call the callbacks before an epoch."""
        if self._resumed:  # in the middle of an epoch, which has begun already
            self._resumed = False
            return
        if self.callbacks:
            with self.fitting.opened():
                for callback in self.callbacks:
                    callback.on_epoch_begin(self.epoch)
        self.before.begun = self.in_epoch = True  # only now: a snapshot before is between epochs

    def end_epoch(
        self, loss: Any, weight: Any, measured: Any = None, *, whole: bool = False
    ) -> bool:
        """Record an epoch, validate, and call the callbacks; whether training goes on.

        Parameters
        ----------
        loss : number or array (E,)
            Sum over the epoch's samples of their losses, weighted where samples have weights.
        weight : number or array (E,)
            The number of samples: `end_epoch(mean, 1)` where the mean is known.
        measured : dict of Accumulator, optional
            Training metrics by name; otherwise evaluated on the training data.
        whole : bool
            Whether all of it has been made, even if Ctrl-C has come since.
        """
        own_weight = weight
        self.before.forget()
        if self.communicator is not None:
            interrupted = float(self.record.interrupted)
            loss, weight, interrupted = summed(self.communicator, loss, weight, interrupted)
            self.record.interrupted = bool(np.any(interrupted))
        if self.record.interrupted and not whole:  # nothing to record
            return False
        logs = {"loss": as_number(weighted_mean(loss, weight))}
        if self.metrics:
            logs |= self._agreed(self._trained(measured), own_weight)
        if self.validation is not None:
            with self.fitting.opened():
                held_out = evaluate(self.result(), *self.validation, self.metrics)
            held_out = self._agreed(held_out, self.validation[0].shape[-2])
            logs |= {f"val_{name}": value for name, value in held_out.items()}
        logs |= self.method.logs()
        self.record.record(logs)
        if self.epoch == 0 and self.speaks:
            warn_after_first_epoch(self.network, self.batches)
        epoch, self.epoch, self.in_epoch = self.epoch, self.epoch + 1, False
        if self.callbacks:
            with self.fitting.opened():
                for callback in self.callbacks:
                    callback.on_epoch_end(epoch, logs)
        return self.epoch < self.epochs and not self._stops()

    def _agreed(self, values: dict[str, Any], rows: Any) -> dict[str, Any]:
        """Means over all ranks, weighted by their rows, so that callbacks decide alike on each."""
        if self.communicator is None:
            return values
        joint = {name: summed(self.communicator, v * rows, rows) for name, v in values.items()}
        return {name: as_number(weighted_mean(*sums)) for name, sums in joint.items()}

    def _trained(self, measured: Mapping[str, Accumulator] | None) -> dict[str, Any]:
        """The metrics of the training data."""
        if measured is not None:
            return {name: as_number(kept.result()) for name, kept in measured.items()}
        found = evaluate(self.network, *self.training_data(), self.metrics)
        return {name: value for name, value in found.items() if name != "loss"}

    def _stops(self) -> bool:
        """Whether training has been asked to stop, by this rank or by another."""
        if self.communicator is None:
            return self.network.stop_training
        return bool(summed(self.communicator, float(self.network.stop_training))[0])

    def training_data(self) -> Batch:
        """All training rows: input, target, and weights or None."""
        if not isinstance(self.batches, Minibatches):
            raise TypeError(
                f"{type(self.method).__name__} needs all rows at once; give arrays, not batches"
            )
        return self.batches.data()

    def objective(self, *, dtype: Any = None, batch_size: int | None = None) -> Objective:
        """The training objective as a function of the parameters, on a copy of the network.

        Parameters
        ----------
        dtype : dtype, optional
            In which it computes; that of the network by default.
        batch_size : int, optional
            Rows that are computed at once; by default the `batch_size` of `fit`.
        """
        size = batch_size or self.batches.batch_size
        return Objective(self.network, *self.training_data(), dtype=dtype, batch_size=size)

    # exact continuation

    def snapshot(self) -> dict[str, Any]:
        """Everything that a training with the same options needs to go on exactly from here.

        It may be taken between epochs or, in a callback's `on_train_batch_end`, between batches.
        Later callbacks of the list have then not seen this moment yet: take it in the last one.
        """
        return {
            "epoch": self.epoch,
            "in_epoch": self.in_epoch,
            "stop": self.network.stop_training and not self.record.interrupted,
            "record": {name: list(values) for name, values in self.record.items()},
            "network": self.network.snapshot(),
            "method": self.method.snapshot(),
            "batches": self.batches.snapshot(),
            "callbacks": [
                [type(callback).__name__, callback.snapshot()] for callback in self.callbacks
            ],
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Put back what `snapshot` has returned, in a session that was made alike."""
        names = [type(callback).__name__ for callback in self.callbacks]
        taken = dict(snapshot["callbacks"])
        missing = [name for name in taken if name not in names and taken[name]]
        if missing:
            raise ValueError(f"the snapshot has the state of callbacks that are missing: {missing}")
        self.epoch, self.network.stop_training = snapshot["epoch"], snapshot["stop"]
        self._resumed = self.in_epoch = snapshot["in_epoch"]
        self.record.clear()
        self.record.update({name: list(values) for name, values in snapshot["record"].items()})
        self.network.restore(snapshot["network"])
        self.method.restore(snapshot["method"])
        self.batches.restore(snapshot["batches"])
        if not self.in_epoch:
            self.batches.rewind()
        if isinstance(self.batches, Minibatches) and self.batches.rows is not None:
            self.validation = self.batches.held_out()
        self._restore_callbacks(snapshot["callbacks"])

    def _restore_callbacks(self, taken: Sequence[Any]) -> None:
        """Give each kind of callback its states, in the order of the list."""
        for callback in self.callbacks:
            state = next((pair for pair in taken if pair[0] == type(callback).__name__), None)
            if state is not None:
                taken = [pair for pair in taken if pair is not state]
                callback.restore(state[1])
