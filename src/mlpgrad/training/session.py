"""`Method` owns the training loop; `Session` does everything around it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.described import Described
from mlpgrad._core.stateful import Stateful
from mlpgrad._core.unwritten import unwritten
from mlpgrad.derivatives.objective import ROWS_AT_ONCE, Objective
from mlpgrad.metrics import Metric
from mlpgrad.metrics.base import Accumulator, weighted_mean
from mlpgrad.network.fitting import Fitting, fitted
from mlpgrad.network.network import Network
from mlpgrad.training.batches import Batches, Minibatches
from mlpgrad.training.before import Before
from mlpgrad.training.callbacks import Callback, in_turn, taking_part
from mlpgrad.training.cannot_learn import warn_after_first_epoch, warn_at_end
from mlpgrad.training.communicator import Communicator, UnlikeRanksError, check_alike, summed
from mlpgrad.training.continuing import check_continues, check_last, identity, restore_callbacks
from mlpgrad.training.divergence import DivergenceError
from mlpgrad.training.evaluate import as_number, evaluate
from mlpgrad.training.interrupts import interrupts_end_training
from mlpgrad.training.other_weights import OtherWeights
from mlpgrad.training.record import Record
from mlpgrad.training.rows import Batch
from mlpgrad.training.scalings import fit_unfitted


class Method(Described, Stateful):
    """A training method: `fit(..., optimizer=method)` gives it the session.

    The session calls callbacks, validates, records, and ends training at Ctrl-C. A method owns the
    loop, in which each iteration is an epoch. The training data are in `session.batches`;
    `session.objective()` is the objective over all of them as one function.

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

    _made_once = True
    rows_at_once: int = ROWS_AT_ONCE
    """Default `batch_size` of `fit`; for a full-batch method, the rows computed at once."""

    @property
    def optimizer(self) -> Any:
        """The `optimizer` of callbacks: the method itself unless it has an optimizer."""
        return self

    def train(self, session: Session) -> None:
        """Train until `session.end_epoch` returns False."""
        raise NotImplementedError(unwritten(self, "train"))

    def conclude(self, session: Session) -> None:
        """Called after training, when callbacks have restored their weights."""

    def logs(self) -> dict[str, Any]:
        """Return what else to record for an epoch, such as a learning rate."""
        return {}


class Session(Stateful):
    """A training: callbacks, record, validation and interrupts around the loop of a method.

    Parameters
    ----------
    network : Network
    method : Method
    batches : Batches
        An epoch of training data.
    validation : tuple (x, target, weights), optional
        Checked data to evaluate after every epoch.
    callbacks : sequence of Callback
    metrics : sequence of Metric, optional
        Metrics to record, on the training batches as well.
    epochs : int
        Maximum number of epochs.
    record : Record
        Receives the losses and metrics of every epoch.
    communicator : Communicator, optional
    before : Before, optional
        The network as it was before anything was prepared for this training.

    Attributes
    ----------
    epoch : int
        Number of completed epochs.
    settled, diverged : bool
        Whether the network already has the final weights, those that a callback kept or those
        from before a divergence; whether it is the latter.
    speaks : bool
        Whether to warn about training that cannot learn: only on the first rank.
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
        self.epoch, self.fitting = 0, Fitting(network)  # replaced when it runs
        self.in_epoch = self.settled = self.diverged = self._resumed = False
        self.speaks = communicator is None or communicator.rank == 0
        self.identity: dict[str, str] = {}  # what a snapshot is of
        self._others = OtherWeights(network)
        self._begun: list[Callback] = []
        self.left: tuple[str, Sequence[Callback]] = "", ()  # whose hook is not called yet

    def run(self, resume: Mapping[str, Any] | None = None) -> None:
        """Train and call the callbacks; continue from a snapshot if one is given."""
        started, failed = time.perf_counter(), True
        with (
            fitted(self.network) as self.fitting,
            interrupts_end_training(self.network, self.record),
            self.before.put_back_if_refused(),
            taking_part(self.callbacks, self),
        ):
            self.network.stop_training = False
            try:
                self._begin(resume)
                going = self.epoch < self.epochs and not self.network.stop_training
                if going or self.in_epoch:  # an epoch that has begun is always recorded
                    self.method.train(self)
                failed = False
            except KeyboardInterrupt as error:  # in threads, where no signal handler can be set
                self.record.interrupted, failed = True, False
                if self.communicator is not None:
                    self.communicator.abort(error)
            except (DivergenceError, UnlikeRanksError) as error:  # on all ranks, so none waits
                self.settled = self.diverged = isinstance(error, DivergenceError)
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
        """Fit the scalings, start each callback, and only then restore a snapshot."""
        fit_unfitted(self.network, self.batches, self.communicator)
        self.identity = identity(self)
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
        """End each callback, even if others fail; raise the first error if training raised none."""
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
        """Return the network as training would end now, with the averaged weights of a callback.

        It is `network` itself where no callback gives other weights (`Callback.final_params`);
        otherwise the next call gives the same copy other weights.
        """
        for callback in [] if self.settled else self.callbacks:
            params = callback.final_params()
            if params is not None:
                return self._others.with_params(params)
        return self.network

    # called by methods

    def begin_epoch(self) -> None:
        """Call the callbacks before an epoch."""
        if self._resumed:  # in the middle of an epoch whose callbacks have been called
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
        """Record an epoch, validate, and call the callbacks; return whether training continues.

        Parameters
        ----------
        loss : number or array (E,)
            Sum of the losses of the epoch's samples, weighted by any sample weights.
        weight : number or array (E,)
            The number of samples; use `end_epoch(mean, 1)` if the mean is known.
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
            self.speaks = not warn_after_first_epoch(self.network, self.batches)
        epoch, self.epoch, self.in_epoch = self.epoch, self.epoch + 1, False
        if self.callbacks:
            with self.fitting.opened():
                for callback in in_turn(self.callbacks, "on_epoch_end"):
                    callback.on_epoch_end(epoch, logs)
        return self.epoch < self.epochs and not self._stops()

    def _agreed(self, values: dict[str, Any], rows: Any) -> dict[str, Any]:
        """Return means over all ranks, weighted by rows, so that callbacks agree on all ranks."""
        if self.communicator is None:
            return values
        joint = {name: summed(self.communicator, v * rows, rows) for name, v in values.items()}
        return {name: as_number(weighted_mean(*sums)) for name, sums in joint.items()}

    def _trained(self, measured: Mapping[str, Accumulator] | None) -> dict[str, Any]:
        """Return the metrics on the training data."""
        if measured is not None:
            return {name: as_number(kept.result()) for name, kept in measured.items()}
        found = evaluate(self.network, *self.training_data(), self.metrics)
        return {name: value for name, value in found.items() if name != "loss"}

    def _stops(self) -> bool:
        """Return whether training should stop, on request of this rank or another."""
        if self.communicator is None:
            return self.network.stop_training
        return bool(summed(self.communicator, float(self.network.stop_training))[0])

    def training_data(self) -> Batch:
        """Return all training rows: inputs, targets, and weights or None."""
        if not isinstance(self.batches, Minibatches):
            raise TypeError(
                f"{type(self.method).__name__} needs all rows at once; give arrays, not batches"
            )
        return self.batches.data()

    def objective(self, *, dtype: Any = None, batch_size: int | None = None) -> Objective:
        """Return the training objective as a function of the parameters, on a copy of the network.

        Parameters
        ----------
        dtype : dtype, optional
            Type of the computation; that of the network by default.
        batch_size : int, optional
            Number of rows computed at once; by default the `batch_size` of `fit`.
        """
        size = batch_size or self.batches.batch_size
        return Objective(self.network, *self.training_data(), dtype=dtype, batch_size=size)

    # exact continuation

    def snapshot(self) -> dict[str, Any]:
        """Return all that a training with the same options needs to continue exactly from here.

        It may be taken between epochs or, in a callback's `on_train_batch_end`, between batches.
        ValueError if a callback that is later in the list would then change what it keeps.
        """
        check_last(*self.left)
        return {
            "identity": self.identity | {"batch_size": str(self.batches.batch_size)},
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
        """Restore the result of `snapshot` in a session made with the same options."""
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
        self.batches.restore(snapshot["batches"])
        check_continues(self, snapshot)
        self.method.restore(snapshot["method"])
        if not self.in_epoch:
            self.batches.rewind()
        if isinstance(self.batches, Minibatches) and self.batches.rows is not None:
            self.validation = self.batches.held_out()
        restore_callbacks(self, snapshot["callbacks"])
