"""Training with a minimizer of SciPy, in which each iteration is an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpgrad._core.arrays import part_of
from mlpgrad._core.changes import Watched
from mlpgrad._core.training_warning import warn
from mlpgrad.derivatives.objective import Objective
from mlpgrad.training.divergence import first_non_finite, raise_divergence
from mlpgrad.training.second_order.checks import check_smooth
from mlpgrad.training.second_order.iterations import EndedError, advance_all
from mlpgrad.training.second_order.search import Search
from mlpgrad.training.session import Method, Session


class Minimizer(Method):
    """Base class of the minimizers; a subclass defines the call of SciPy.

    The objective is computed in double precision, even for a float32 model, whose weights are
    rounded after each iteration. Each member of an ensemble has its own minimization, in a thread;
    a member that has ended keeps its weights while the others continue.
    """

    messages: list[str]
    _searches: list[Search]

    def __init__(self) -> None:
        self.messages, self._searches = [], []

    def minimize(self, search: Search, callback: Callable[..., None]) -> Any:
        """Call `scipy.optimize.minimize` from the position of a search, and return its result."""
        raise NotImplementedError

    def why(self, result: Any) -> tuple[str, bool]:
        """Return why a minimization has ended, in words, and whether that is a failure."""
        raise NotImplementedError

    def train(self, session: Session) -> None:
        check_smooth(session)
        self._first = session.epoch
        try:
            going = True
            while going:
                self._begin(session)
                going = self._iterate(session)
        finally:
            self._close()

    def logs(self) -> dict[str, Any]:
        """Return the largest gradient element, and the number of evaluations so far."""
        largest = [float(np.abs(search.gradient).max(initial=0)) for search in self._searches]
        counts = [search.evaluations for search in self._searches]
        if self._single:
            return {"largest_gradient": largest[0], "evaluations": counts[0]}
        return {"largest_gradient": np.array(largest), "evaluations": np.array(counts)}

    # the loop

    def _begin(self, session: Session) -> None:
        """Start minimizing from the current weights."""
        self._close()
        network, data = session.network, session.training_data()
        self._single = network.ensemble_size is None
        networks = [network] if self._single else map(network.member, range(len(network.params)))
        for number, member in enumerate(networks):
            rows: Any = (part_of(number, array) for array in data)
            size = session.batches.batch_size
            objective = Objective(member, *rows, dtype=np.float64, batch_size=size)
            search = Search(objective, self.minimize, lambda: session.record.interrupted)
            self._searches.append(search)
            if not np.isfinite(search.value):
                place = first_non_finite(objective.network)
                raise_divergence(session.record, session.epoch, 0, None, place, False)
        self.messages = [""] * len(self._searches)

    def _close(self) -> None:
        """End the threads, and release the data and the networks."""
        searches, self._searches = self._searches, []  # whatever interrupts the wait below
        for search in searches:
            search.iterations.close()
        for search in searches:
            search.iterations.join()

    def _iterate(self, session: Session) -> bool:
        """Iterate to the end; return whether to restart with another objective."""
        watched = Watched(session.network._parts())
        while True:
            active = [search for search in self._searches if search.result is None]
            try:
                advance_all([search.iterations for search in active])
            except EndedError:  # on Ctrl-C, in the middle of an iteration
                return False
            if session.record.interrupted:
                return False
            self._note_ends()
            ended = all(search.result is not None for search in active)
            if ended and session.epoch > self._first:  # a training has at least one epoch
                return False
            session.begin_epoch()
            params, values = self._joined()
            session.network.params = params
            given = session.network.params.copy()
            if not session.end_epoch(values, 1) or ended:
                return False
            moved = not np.array_equal(session.network.params, given)
            if moved or watched.changed(session.network._parts()):  # by a callback
                return True

    def _joined(self) -> tuple[Any, Any]:
        """Return weights and values of all members, or those of the only network."""
        if self._single:
            return self._searches[0].params, self._searches[0].value
        params = np.stack([search.params for search in self._searches])
        return params, np.array([search.value for search in self._searches])

    def _note_ends(self) -> None:
        """Keep the reasons why searches have ended, and warn about those that failed."""
        for number, search in enumerate(self._searches):
            if search.result is None or self.messages[number]:
                continue
            self.messages[number], failed = self.why(search.result)
            if failed and search.is_exact():
                self.messages[number] = "float64 cannot resolve a further decrease of the objective"
            elif failed:
                member = "" if self._single else f" of member {number}"
                warn(
                    f"{type(self).__name__} ended the training{member} after {search.evaluations} "
                    f"evaluations: {self.messages[number]}; the weights with the lowest objective "
                    "found are kept. Either a gradient is wrong (mg.check_gradients shows it), "
                    "or the objective has kinks, or inputs and targets need scaling"
                )
