"""How long the drop-in pair and scikit-learn's take for the same training."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import neural_network

from benchmarks.estimator_sets import PROBEN1, load
from mlpgrad import sklearn as ours

WORKLOADS = [
    *[
        (name, dtype, "defaults")
        for name in ("digits", "adult")
        for dtype in ("float64", "float32")
    ],
    *[(name, "float64", batch) for name in PROBEN1 for batch in ("whole", "16", "32")],
]
"""Set, dtype, and rows of a batch."""
EPOCHS = {"digits": 60, "adult": 5}
STEPS = 3000
"""Of the small sets, about."""
HIDDEN = (16,)
"""Of the small sets; the others have the default, 100."""


def ratio(name: str, dtype: str, settings: str, data: Path, repeats: int) -> list[float]:
    """The processor time of their fit over that of ours, once a turn."""
    split = load(name, 0, data)
    x = split.x
    if name == "adult":  # as scikit-learn's pair takes it
        from benchmarks.estimators import encoded

        x = encoded("passthrough").fit_transform(x)
    x = np.ascontiguousarray(x, dtype)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-3)
    options = _options(name, settings, len(x))
    ratios = []
    for _ in range(repeats):
        seconds = [_seconds(module, x, split.y, options) for module in (neural_network, ours)]
        ratios.append(round(seconds[0] / seconds[1], 3))
    return sorted(ratios)


def _options(name: str, settings: str, rows: int) -> dict[str, Any]:
    """The same for both; the rules of stopping never end training."""
    options: dict[str, Any] = {"random_state": 0, "tol": 0.0, "n_iter_no_change": 10**6}
    if settings == "defaults":
        return options | {"max_iter": EPOCHS[name]}
    size = rows if settings == "whole" else int(settings)
    epochs = max(STEPS // -(-rows // size), 1)
    return options | {"hidden_layer_sizes": HIDDEN, "batch_size": size, "max_iter": epochs}


def _seconds(module: Any, x: Any, y: Any, options: dict[str, Any]) -> float:
    """Processor time of a fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.process_time()
        module.MLPClassifier(**options).fit(x, y)
        return time.process_time() - started
