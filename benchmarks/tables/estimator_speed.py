"""Processor times of the drop-in pair and scikit-learn's for the same training in one thread."""

from __future__ import annotations

import functools
import importlib.util
import os
import time
import unittest.mock
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import neural_network

from benchmarks.estimator_sets import PROBEN1, load
from benchmarks.tables.estimators import encoded
from benchmarks.tables.section import Figures, Options, Section, Table, Task
from benchmarks.training import processor
from mlpgrad import sklearn as ours

DTYPES = ("float64", "float32")
WORKLOADS = [
    *[(name, dtype, "defaults") for name in ("digits", "adult") for dtype in DTYPES],
    *[(name, "float64", batch) for name in PROBEN1 for batch in ("whole", "16", "32")],
    (PROBEN1[0], "float64", "whole, 100 units"),
]
"""Name of the set, dtype, and rows of a batch."""
SETS = tuple(dict.fromkeys(name for name, _, _ in WORKLOADS))
GOALS = {"float64": 2.0, "float32": 2.5, "whole": 3.5, "16": 2.5, "32": 2.5}
GOALS["whole, 100 units"] = GOALS["whole"]
STEPS_OF = {"NumPy": "0", "compiled": "1"}
"""How our pair makes its steps, and the value of MLPGRAD_COMPILED."""
EPOCHS = {"digits": 60, "adult": 5}
STEPS = 3000
"""The approximate number of steps on the small sets."""
HIDDEN = (16,)
"""The hidden layer for the small sets; the other sets have the default, 100."""
TURNS = 5
COMPILES = importlib.util.find_spec("llvmlite") is not None


def figures(data: Path, name: str, dtype: str, settings: str, smoke: bool) -> Figures:
    """The ratio of their processor time of a fit to ours, for each turn and kind of step."""
    split = load(name, 0, data)
    x = split.x
    if name == "adult":  # scikit-learn's pair needs numbers
        x = encoded("passthrough").fit_transform(x)
    x = np.ascontiguousarray(x, dtype)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-3)
    options = _options(name, settings, len(x))
    if smoke:
        options["max_iter"] = 1
    ratios: dict[str, list[float]] = {kind: [] for kind in STEPS_OF if COMPILES or kind == "NumPy"}
    for kind in ratios:  # compiles, so that all turns find machine code in the cache
        _seconds(ours, x, split.y, options | {"max_iter": 1}, kind)
    for _ in range(1 if smoke else TURNS):
        theirs = _seconds(neural_network, x, split.y, options, "NumPy")
        for kind, found in ratios.items():
            found.append(round(theirs / _seconds(ours, x, split.y, options, kind), 3))
    return {kind: sorted(found) for kind, found in ratios.items()} | {"processor": processor()}


def _options(name: str, settings: str, rows: int) -> dict[str, Any]:
    """The options, the same for both; the stopping rules never end training."""
    options: dict[str, Any] = {"random_state": 0, "tol": 0.0, "n_iter_no_change": 10**6}
    if settings == "defaults":
        return options | {"max_iter": EPOCHS[name]}
    size = rows if settings.startswith("whole") else int(settings)
    epochs = max(STEPS // -(-rows // size), 1)
    hidden = (100,) if settings.endswith("100 units") else HIDDEN
    return options | {"hidden_layer_sizes": hidden, "batch_size": size, "max_iter": epochs}


def _seconds(module: Any, x: Any, y: Any, options: dict[str, Any], kind: str) -> float:
    """The processor time of a fit."""
    chosen = unittest.mock.patch.dict(os.environ, MLPGRAD_COMPILED=STEPS_OF[kind])
    with chosen, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.process_time()
        module.MLPClassifier(**options).fit(x, y)
        return time.process_time() - started


def tasks(options: Options) -> dict[str, Task]:
    """One measurement for each workload."""
    sets = options.chosen(PROBEN1[:1] if options.smoke and not options.sets else SETS)
    return {
        "/".join(work): functools.partial(figures, options.data, *work, options.smoke)
        for work in WORKLOADS
        if work[0] in sets
    }


def table(found: Mapping[str, Figures]) -> Table:
    """A row for each workload."""
    rows, processors = [], {figures["processor"] for figures in found.values()}
    for work in WORKLOADS:
        if (key := "/".join(work)) in found:
            goal = GOALS[work[1] if work[2] == "defaults" else work[2]]
            ratios = [found[key].get(kind) for kind in STEPS_OF]
            cells = [f"{np.median(r):.2f} ({min(r):.2f})" if r else "-" for r in ratios]
            rows.append([*work, *cells, f"{goal}"])
    return Table(
        "Speed of the drop-in pair relative to scikit-learn's",
        f"Both train with the same settings and weights, in one thread, in turns. Figures are "
        f"scikit-learn's processor time over ours: the median of {TURNS} turns, and the smallest "
        f"in parentheses, on {' and '.join(sorted(processors))}. Steps are NumPy's, or "
        f"compiled by llvmlite with the machine code in the cache; the first compiled fit of a "
        f"kind takes a fifth of a second longer. By itself, a "
        f"fit compiles if that should save a quarter of a second; most of these are shorter. "
        f"`MLPClassifier` has its defaults "
        f"(100 hidden units, batches of 200 rows) on digits and Adult; {HIDDEN[0]} hidden units on "
        f"the others, if not said otherwise, in one batch of all rows or in small ones.",
        ["set", "dtype", "batch", *STEPS_OF, "goal"],
        rows,
    )


SECTION = Section(
    "processor time of the drop-in pair and of scikit-learn's, a quarter of an hour",
    f"{EPOCHS} {STEPS} {HIDDEN} {TURNS} {STEPS_OF}",
    SETS,
    tasks,
    table,
)
