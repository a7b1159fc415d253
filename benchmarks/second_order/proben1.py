"""Proben1: by the library's defaults, and by the protocol of the report of 1994."""

from __future__ import annotations

import time
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mlpgrad as mg
from benchmarks.datasets import PROBEN1, Proben1, Rows, proben1
from benchmarks.second_order.tables import Table, in_processes, table


class Published(NamedTuple):
    """Test error in percent, and the hidden layers that it was reached with."""

    mean: float
    deviation: float
    hidden: tuple[int, ...]
    best: float
    """The best column of published and measured figures, scikit-learn's among them."""


PUBLISHED = {
    "cancer1": Published(1.38, 0.49, (4, 2), 1.38),
    "card1": Published(14.05, 1.03, (32,), 12.21),
    "diabetes1": Published(24.10, 1.91, (16, 8), 21.98),
    "gene1": Published(16.67, 3.75, (4, 2), 10.38),
    "glass1": Published(32.70, 5.34, (16, 8), 30.38),
    "heart1": Published(19.72, 0.96, (32,), 18.17),
    "horse1": Published(29.19, 2.62, (16, 8), 29.19),
    "soybean1": Published(29.40, 2.50, (32,), 7.06),
    "thyroid1": Published(2.38, 0.35, (16, 8), 1.28),
}


def defaults(folder: str, name: str, members: int) -> dict[str, Any]:
    """One ensemble by the defaults of the library, on the rows for training and validation.

    A hidden layer of 32 ReLU units, `Adam()`, batches of 32; each member leaves out one of 5 folds
    and stops by its loss there (`EarlyStopping()`).
    """
    data = proben1(Path(folder), name)
    x, y = (np.concatenate(pair) for pair in zip(data.train, data.validation, strict=True))
    width, started = x.shape[1], time.perf_counter()
    model = mg.Sequential(
        [mg.Standardize(width), mg.Dense(width, 32), mg.ReLU(), mg.Dense(32, data.classes)],
        loss=mg.SoftmaxCrossEntropy(), random_state=0, ensemble_size=members,
    )  # fmt: skip
    history = model.fit(
        x, y, optimizer=mg.Adam(), epochs=1000, folds=np.arange(len(x)) % 5,
        callbacks=[mg.EarlyStopping()],
        verbose=0,
    )  # fmt: skip
    known = PUBLISHED[name]
    own = _errors(model.predict(data.test.x), data.test.y)
    proba = model.predict_proba(data.test.x, average=True)
    ensemble = float(100 * (proba.argmax(axis=-1) != data.test.y).mean())
    return {
        "set": name,
        "members": members,
        "member": f"{own.mean():.2f} +- {own.std():.2f}",
        "ensemble": round(ensemble, 2),
        "published": f"{known.mean:.2f} +- {known.deviation:.2f}",
        "best": known.best,
        "ratio": round(ensemble / known.best, 3),
        "ratio of members": round(float(own.mean()) / known.best, 3),
        "epochs": history.epochs,
        "seconds": round(time.perf_counter() - started, 1),
    }


def by_defaults(options: Namespace) -> Table:
    """All sets by the defaults of the library."""
    rows = _all(defaults, options)
    mean = np.mean([row["ratio"] for row in rows])
    return table(
        "Proben1 by defaults",
        "Test error in percent of one ensemble, and of its members (mean +- deviation); the ratio "
        f"is to the best published or measured column, {mean:.3f} on average over the sets just "
        "run. A hidden layer of 32 ReLU units, Adam, members that leave out one of 5 folds each "
        "and stop there. Published: Prechelt 1994, 60 runs.",
        rows,
    )


def by_protocol(options: Namespace) -> Table:
    """All sets by the protocol of the report."""
    return table(
        "Proben1 by its own protocol",
        "Test error in percent, mean +- deviation of the runs; Prechelt 1994, table 10: Rprop, "
        "softsign units, linear outputs, squared error, weights from -0.5 to 0.5, validation every "
        "5 epochs, test at the smallest validation error.",
        _all(protocol, options),
    )


def _all(run: Any, options: Namespace) -> list[dict[str, Any]]:
    members = 5 if options.smoke else options.members
    tasks = [partial(run, str(options.data), name, members) for name in options.sets or PROBEN1]
    return in_processes(tasks, options.processes)


class Prechelt(mg.Callback):
    """Validates every 5 epochs; keeps each member's best weights; stops when all have stopped.

    A member stops by GL5 (its validation error is 5 % above its best), by P5 below 0.1 (training
    progress in a strip of 5 epochs, in tenths of a percent), or after 3,000 epochs.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows, self.strip = rows, []  # type: ignore[var-annotated]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        members = self.model.ensemble_size
        self.best, self.params = np.full(members, np.inf), self.model.params.copy()
        self.stopped = np.zeros(members, bool)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self.strip.append(logs["loss"])
        if len(self.strip) < 5:
            return
        strip, self.strip = np.array(self.strip), []
        progress = 1000 * (strip.mean(axis=0) / strip.min(axis=0) - 1)
        error = np.square(self.model.predict(self.rows.x) - self.rows.y).mean(axis=(-2, -1))
        better = (error < self.best) & ~self.stopped
        self.best[better], self.params[better] = error[better], self.model.params[better]
        self.stopped |= (error > 1.05 * self.best) | (progress < 0.1)
        self.model.stop_training = bool(self.stopped.all())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.model.params = self.params
        self.session.settled = True


def protocol(folder: str, name: str, members: int) -> dict[str, Any]:
    """The report's protocol: 60 runs of Rprop on all rows, on squared errors of linear outputs."""
    data, known = proben1(Path(folder), name), PUBLISHED[name]
    started, rng = time.perf_counter(), np.random.default_rng(0)
    model = _network(data, known.hidden, members)
    model.params = rng.uniform(-0.5, 0.5, model.params.shape)
    optimizer = mg.Rprop(0.1, eta_plus=1.1, eta_minus=0.5, min_step=0.0, max_step=50.0)
    optimizer.attach(model)
    optimizer.prepare(model.params, model.grads)
    optimizer.state["d"][...] = rng.uniform(0.05, 0.2, model.params.shape)
    unit = np.eye(data.classes)
    stop = Prechelt(Rows(data.validation.x, unit[data.validation.y]))
    history = model.fit(
        data.train.x, unit[data.train.y], optimizer=optimizer, epochs=3000,
        batch_size=len(data.train.x), callbacks=[stop], verbose=0,
    )  # fmt: skip
    own = _errors(model.predict(data.test.x), data.test.y)
    return {
        "set": name,
        "hidden": "+".join(map(str, known.hidden)),
        "runs": members,
        "error": f"{own.mean():.2f} +- {own.std():.2f}",
        "published": f"{known.mean:.2f} +- {known.deviation:.2f}",
        "within": bool(abs(own.mean() - known.mean) <= known.deviation),
        "not worse": bool(own.mean() <= known.mean + known.deviation),
        "epochs": history.epochs,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _network(data: Proben1, hidden: tuple[int, ...], members: int) -> mg.Sequential:
    widths = [data.train.x.shape[1], *hidden]
    layers: list[mg.Layer] = []
    for before, width in zip(widths, hidden, strict=False):
        layers += [mg.Dense(before, width), mg.Softsign()]
    layers.append(mg.Dense(widths[-1], data.classes))
    return mg.Sequential(layers, loss=mg.HalfSquaredError(), random_state=0, ensemble_size=members)


def _errors(outputs: Any, classes: Any) -> Any:
    """Test error of each member in percent: winner takes all."""
    return 100 * (outputs.argmax(axis=-1) != classes).mean(axis=-1)
