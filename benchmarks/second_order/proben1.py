"""Proben1 by the library's defaults, and by the protocol of the report of 1994."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mlpgrad as mg
from benchmarks.datasets import PROBEN1, Proben1, Rows, proben1
from benchmarks.tables.section import Figures, Options, Section, Table, Task


class Published(NamedTuple):
    """A published test error in percent, with the hidden layers of the network."""

    mean: float
    deviation: float
    hidden: tuple[int, ...]
    best: float
    """The best of the published and measured figures, which include scikit-learn's."""


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


MEMBERS, ENSEMBLES = 60, 10
"""Networks of an ensemble, and ensembles by defaults: a row of cancer1 is 0.6 %."""


def defaults(folder: Path, name: str, members: int, ensembles: int) -> Figures:
    """Train ensembles by the library's defaults on the training and validation rows.

    The network has a hidden layer of 32 ReLU units; `Adam()` trains it in batches of 32. Members
    that each leave out one of 5 folds determine the number of epochs with the lowest mean
    validation loss; then all members train on all rows for that many epochs.
    """
    data = proben1(folder, name)
    started = time.process_time()
    models, epochs = zip(*(_by_defaults(data, members, n) for n in range(ensembles)), strict=True)
    proba = [model.predict_proba(data.test.x, average=True) for model in models]
    errors = [float(100 * (one.argmax(axis=-1) != data.test.y).mean()) for one in proba]
    outputs = np.concatenate([model.predict(data.test.x) for model in models])
    return {
        **_errors(outputs, data.test.y),
        "ensemble": float(np.mean(errors)),
        "ensembles": errors,
        "epochs": int(np.median(epochs)),
        "CPU seconds": round((time.process_time() - started) / ensembles, 1),
    }


def _by_defaults(data: Proben1, members: int, seed: int) -> tuple[mg.Sequential, int]:
    """Train one ensemble; return it with its number of epochs."""
    x, y = (np.concatenate(pair) for pair in zip(data.train, data.validation, strict=True))

    def made() -> mg.Sequential:
        width = x.shape[1]
        return mg.Sequential(
            [mg.Standardize(width), mg.Dense(width, 32), mg.ReLU(), mg.Dense(32, data.classes)],
            loss=mg.SoftmaxCrossEntropy(), random_state=seed, ensemble_size=members,
        )  # fmt: skip

    folds = np.arange(len(x)) % 5
    history = made().fit(
        x, y, optimizer=mg.Adam(), epochs=1000, folds=folds, callbacks=[mg.EarlyStopping()],
        verbose=0,
    )  # fmt: skip
    epochs = int(np.argmin(np.mean(history["val_loss"], axis=-1))) + 1
    model = made()
    model.fit(x, y, optimizer=mg.Adam(), epochs=epochs, verbose=0)
    return model, epochs


def defaults_table(found: Mapping[str, Figures]) -> Table:
    """A row for each set."""
    names = [name for name in PROBEN1 if name in found]
    ratio = {name: found[name]["ensemble"] / PUBLISHED[name].best for name in names}
    return Table(
        "Proben1 by defaults",
        f"Test error in percent of ensembles of {MEMBERS}, the mean of {ENSEMBLES} with seeds "
        f"from 0 to {ENSEMBLES - 1}, and of their members (mean +- deviation). The ratio of the "
        f"ensemble to the best published or measured column is {np.mean([*ratio.values()]):.4f} on "
        "average. The networks have a hidden layer of 32 ReLU units, and train by Adam on the "
        "training and validation rows, for the number of epochs that is best for members that each "
        "leave out one of 5 folds; epochs and CPU seconds are of one ensemble. Published: Prechelt "
        "1994, 60 runs.",
        ["set", "member", "ensemble", "published", "best", "ratio", "epochs", "CPU seconds"],
        [
            [
                *(name, with_deviation(found[name]), f"{found[name]['ensemble']:.2f}"),
                *(_published(name), f"{PUBLISHED[name].best:.2f}", f"{ratio[name]:.3f}"),
                *(str(found[name]["epochs"]), str(found[name]["CPU seconds"])),
            ]
            for name in names
        ],
    )


class Prechelt(mg.Callback):
    """Validates every 5 epochs, keeps each member's best weights, and stops with the last member.

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


def protocol(folder: Path, name: str, members: int) -> Figures:
    """Train by the report's protocol: 60 runs of full-batch Rprop on the squared error."""
    data, known = proben1(folder, name), PUBLISHED[name]
    started, rng = time.process_time(), np.random.default_rng(0)
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
    return {
        **_errors(model.predict(data.test.x), data.test.y),
        "epochs": history.epochs,
        "CPU seconds": round(time.process_time() - started, 1),
    }


def protocol_table(found: Mapping[str, Figures]) -> Table:
    """A row for each set."""
    return Table(
        "Proben1 by its own protocol",
        f"Test error in percent, mean +- deviation of {MEMBERS} runs; Prechelt 1994, table 10: "
        "Rprop, softsign units, linear outputs, squared error, weights from -0.5 to 0.5, "
        "validation every 5 epochs, test at the smallest validation error. Within means that the "
        "means differ by at most one published standard deviation.",
        ["set", "hidden", "error", "published", "within", "epochs", "CPU seconds"],
        [_protocol_row(name, found[name]) for name in PROBEN1 if name in found],
    )


def _protocol_row(name: str, found: Figures) -> list[str]:
    known = PUBLISHED[name]
    difference = found["mean"] - known.mean
    within = "yes" if abs(difference) <= known.deviation else "better" if difference < 0 else "no"
    return [
        *(name, "+".join(map(str, known.hidden)), with_deviation(found), _published(name)),
        *(within, str(found["epochs"]), str(found["CPU seconds"])),
    ]


def _network(data: Proben1, hidden: tuple[int, ...], members: int) -> mg.Sequential:
    widths = [data.train.x.shape[1], *hidden]
    layers: list[mg.Layer] = []
    for before, width in zip(widths, hidden, strict=False):
        layers += [mg.Dense(before, width), mg.Softsign()]
    layers.append(mg.Dense(widths[-1], data.classes))
    return mg.Sequential(layers, loss=mg.HalfSquaredError(), random_state=0, ensemble_size=members)


def _errors(outputs: Any, classes: Any) -> Figures:
    """The test error of each member in percent: the largest output is the predicted class."""
    errors = 100 * (outputs.argmax(axis=-1) != classes).mean(axis=-1)
    return {"mean": float(errors.mean()), "deviation": float(errors.std())}


def with_deviation(found: Figures) -> str:
    """The mean error of the members, with its deviation."""
    return f"{found['mean']:.2f} +- {found['deviation']:.2f}"


def _published(name: str) -> str:
    return f"{PUBLISHED[name].mean:.2f} +- {PUBLISHED[name].deviation:.2f}"


def _tasks(run: Callable[[Path, str, int], Figures], options: Options) -> dict[str, Task]:
    """All sets, the slowest first, so that parallel processes end at about the same time."""
    members = 5 if options.smoke else MEMBERS
    names = options.chosen(PROBEN1) if options.sets or not options.smoke else ["cancer1"]
    return {
        name: partial(run, options.data, name, members)
        for name in sorted(names, key=lambda name: name not in ("thyroid1", "gene1", "soybean1"))
    }


def _tasks_of_defaults(options: Options) -> dict[str, Task]:
    return _tasks(partial(defaults, ensembles=1 if options.smoke else ENSEMBLES), options)


DEFAULTS = Section(
    "Proben1 by the library's defaults: some minutes",
    f"32 ReLU, Adam(), epochs from 5 folds, then all rows, {ENSEMBLES} ensembles",
    PROBEN1,
    _tasks_of_defaults,
    defaults_table,
)

PROTOCOL = Section(
    "Proben1 by the protocol of its report: some minutes",
    "Rprop(eta_plus=1.1, eta_minus=0.5), Prechelt 1994",
    PROBEN1,
    partial(_tasks, protocol),
    protocol_table,
)
