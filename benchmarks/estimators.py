"""The estimators beside scikit-learn's: `python -m benchmarks.estimators ../shared/data`.

`errors`: on eighteen tables, and on two more that are printed beside them, the tabular pair against
scikit-learn's MLP with defaults and with `early_stopping=True`, logistic or ridge regression, and
HistGradientBoosting, all without tuning. The others get numbers scaled, categories one-hot and gaps
filled (trees as they are), and targets scaled. Ten seeds, or official splits; error in per cent, or
RMSE, and seconds to fit. `speed`: the drop-in pair against scikit-learn's, with the same settings,
in turns, one thread. Results are kept in `results/estimators.json`, and a run goes on where an
earlier one has ended; `--draw` prints them only. All of it takes some hours on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks.estimator_sets import BESIDE, NUMBERS, SETS, Split, load
from mlpgrad import sklearn as ours

RESULTS = Path(__file__).parent / "results" / "estimators.json"
METHODS = ("tabular", "MLP", "MLP early", "linear", "trees")


def encoded(estimator: Any) -> Any:
    """What scikit-learn's documentation advises for a table in front of a linear model or MLP."""
    text = make_column_selector(dtype_include=[object, "str", "category"])
    numbers = make_column_selector(dtype_include="number")
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), text),
        ),
        estimator,
    )


def trees(estimator: Any) -> Any:
    """Numbers as they are, categories as codes."""
    text = make_column_selector(dtype_include=[object, "str", "category"])
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return make_pipeline(make_column_transformer((codes, text), remainder="passthrough"), estimator)


def scaled(estimator: Any) -> Any:
    """The same on targets of mean 0 and deviation 1."""
    return TransformedTargetRegressor(encoded(estimator), transformer=StandardScaler())


def made(method: str, seed: int, *, numbers: bool) -> Any:
    """A fresh estimator."""
    state = {"random_state": seed}
    if method == "tabular":
        return (ours.TabularMLPRegressor if numbers else ours.TabularMLPClassifier)(**state)
    if method == "trees":
        kind = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
        return trees(kind(**state))
    if method == "linear":
        alphas = np.logspace(-4, 4, 17)
        return scaled(RidgeCV(alphas)) if numbers else encoded(LogisticRegression(max_iter=2000))
    options = state | {"early_stopping": method == "MLP early"}
    return scaled(MLPRegressor(**options)) if numbers else encoded(MLPClassifier(**options))


def measured(split: Split, method: str, seed: int, *, numbers: bool) -> dict[str, Any]:
    """Test error and the seconds to fit."""
    estimator = made(method, seed, numbers=numbers)
    started = time.perf_counter()
    estimator.fit(split.x, split.y)
    seconds = time.perf_counter() - started
    prediction = estimator.predict(split.x_test)
    if numbers:
        error = float(np.sqrt(np.mean((prediction - split.y_test) ** 2)))
    else:
        error = float(100 * np.mean(prediction != split.y_test))
    found = {"error": error, "seconds": seconds, "test_rows": len(split.y_test)}
    if method == "tabular":
        found |= {"chosen": estimator.chosen_, "all_rows": estimator.all_rows_}
    return found


def errors(data: Path, names: list[str], seeds: int, methods: list[str]) -> None:
    """Fit everything that has not been fitted yet, one seed of all sets after another."""
    for seed in range(seeds):
        for name in names:
            split = None
            for method in methods:
                key = f"{name}/{method}/{seed}"
                kept = read()
                if key in kept["errors"]:
                    continue
                split = load(name, seed, data) if split is None else split
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = measured(split, method, seed, numbers=name in NUMBERS)
                kept["errors"][key] = found
                RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
                print(f"{key:32} {found['error']:8.3f} {found['seconds']:7.1f} s", flush=True)


def speed(data: Path, repeats: int) -> None:
    """Time of a fit with the same settings, theirs over ours, in turns."""
    from benchmarks.estimator_speed import WORKLOADS, ratio

    kept = read()
    for name, dtype, settings in WORKLOADS:
        found = ratio(name, dtype, settings, data, repeats)
        kept["speed"][f"{name}/{dtype}/{settings}"] = found
        RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
        print(f"{name:10} {dtype} {settings:8} {np.median(found):6.2f}  {found}", flush=True)


def read() -> dict[str, Any]:
    """What has been measured so far."""
    if RESULTS.exists():
        return json.loads(RESULTS.read_text())
    return {"errors": {}, "speed": {}}


# the table


def of(kept: dict[str, Any], name: str, method: str) -> list[dict[str, Any]]:
    """All that was measured of a method on a set, by seed."""
    found = kept["errors"]
    return [found[key] for seed in range(100) if (key := f"{name}/{method}/{seed}") in found]


def mean(kept: dict[str, Any], name: str, method: str, what: str = "error") -> float:
    """The mean over the seeds; NaN where nothing was measured."""
    values = [entry[what] for entry in of(kept, name, method)]
    return float(np.mean(values)) if values else float("nan")


def standard_error(kept: dict[str, Any], name: str) -> float:
    """Of the test error of the MLP: by its seeds for numbers, by its test rows for classes."""
    entries = of(kept, name, "MLP")
    if name in NUMBERS:
        return float(np.std([e["error"] for e in entries]) / np.sqrt(len(entries)))
    share = mean(kept, name, "MLP") / 100
    return 100 * float(np.sqrt(share * (1 - share) / entries[0]["test_rows"]))


def draw() -> None:
    """Print the table, and which of the goals are met."""
    kept = read()
    print(f"{'':14}" + "".join(f"{method:>20}" for method in METHODS))
    for name in (*SETS, *BESIDE):
        cells = []
        for method in METHODS:
            error, seconds = (mean(kept, name, method, what) for what in ("error", "seconds"))
            cells.append(f"{error:11.3f} {seconds:6.1f} s")
        print(f"{name:14}" + "".join(f"{cell:>20}" for cell in cells))
    complete = [name for name in SETS if all(of(kept, name, method) for method in METHODS)]
    own = {name: mean(kept, name, "tabular") for name in complete}
    print(f"\ncomplete: {len(complete)} of {len(SETS)} sets")
    judge = _judge(kept, own)
    for other in METHODS[1:]:
        judge(other)
    ratios = [own[name] / mean(kept, name, "MLP") for name in complete]
    if ratios:
        print(f"mean error ratio to the MLP with defaults: {np.mean(ratios):.3f} (goal: 0.9)")
    far = [n for n in complete if own[n] > mean(kept, n, "MLP") + 2 * standard_error(kept, n)]
    print(f"worse than the MLP by more than two standard errors: {far or 'none'} (goal: none)")
    for key, values in kept["speed"].items():
        print(f"speed {key:28} {np.median(values):5.2f} times (from {min(values):.2f})")


def _judge(kept: dict[str, Any], own: dict[str, float]) -> Callable[[str], None]:
    """Counts on how many sets the tabular pair is better than or equal to another method."""
    goals = {"MLP early": "all", "MLP": "12", "trees": "13", "linear": "-"}

    def judge(other: str) -> None:
        worse = [name for name in own if own[name] > mean(kept, name, other)]
        print(
            f"better than or equal to {other}: {len(own) - len(worse)} of {len(own)} "
            f"(goal: {goals[other]}); worse on {worse}"
        )

    return judge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--part", choices=["errors", "speed"], action="append")
    parser.add_argument("--sets", default=",".join((*SETS, *BESIDE)))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--draw", action="store_true", help="print the table only")
    given = parser.parse_args()
    if not given.draw:
        if "speed" in (given.part or ["speed"]) and os.environ.get("OPENBLAS_NUM_THREADS") != "1":
            parser.error("the speed is that of one thread: set OPENBLAS_NUM_THREADS=1")
        if "errors" in (given.part or ["errors"]):
            errors(given.data, given.sets.split(","), given.seeds, given.methods.split(","))
        if "speed" in (given.part or ["speed"]):
            speed(given.data, given.repeats)
    draw()


if __name__ == "__main__":
    main()
