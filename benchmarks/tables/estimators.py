"""The pair for tables beside scikit-learn's estimators, on eighteen sets and two more.

Nothing is tuned. scikit-learn's estimators are its MLP with defaults and with
`early_stopping=True`, logistic or ridge regression, and gradient boosting. They get scaled numbers,
one-hot categories, filled gaps (except for trees), and scaled targets; ours get the table itself.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
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

from benchmarks.estimator_sets import BESIDE, NUMBERS, RESPLIT, SETS, Split, load
from benchmarks.tables.section import Figures, Options, Section, Table, Task
from mlpgrad import sklearn as ours
from mlpgrad.sklearn import candidate, candidates, joining, tabular, tabular_classifier

OURS, MLP, EARLY, LINEAR, TREES = METHODS = (
    "ours",
    "MLP",
    "MLP, early stopping",
    "linear",
    "gradient boosting",
)
GOALS = {EARLY: "all", MLP: "12", LINEAR: "none", TREES: "13"}
SMALL_TO_LARGE = (
    *("iris", "wine", "glass1", "yacht", "horse1", "diabetes", "breast cancer", "soybean1"),
    *("card1", "cancer1", "diabetes1", "heart1", "energy", "wine red", "digits", "gene1"),
    *(*RESPLIT, "phoneme", "thyroid1", "adult", "protein"),
)
SMOKE_SETS, SMOKE_ROWS = ("iris", "yacht"), 100


# the estimators


def encoded(estimator: Any) -> Any:
    """The preparation of a table that scikit-learn's documentation advises."""
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
    """Unchanged numbers, and categories as codes."""
    text = make_column_selector(dtype_include=[object, "str", "category"])
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return make_pipeline(make_column_transformer((codes, text), remainder="passthrough"), estimator)


def scaled(estimator: Any) -> Any:
    """The same regressor on targets with mean 0 and deviation 1."""
    return TransformedTargetRegressor(encoded(estimator), transformer=StandardScaler())


def made(method: str, seed: int, *, numbers: bool, smoke: bool = False) -> Any:
    """A new estimator."""
    state = {"random_state": seed}
    if method == OURS:
        options = state | ({"max_epochs": 2, "candidates": ["plain"]} if smoke else {})
        return (ours.TabularMLPRegressor if numbers else ours.TabularMLPClassifier)(**options)
    if method == TREES:
        kind = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
        return trees(kind(**state))
    if method == LINEAR:
        alphas = np.logspace(-4, 4, 17)
        return scaled(RidgeCV(alphas)) if numbers else encoded(LogisticRegression(max_iter=2000))
    options = state | {"early_stopping": method == EARLY}
    return scaled(MLPRegressor(**options)) if numbers else encoded(MLPClassifier(**options))


# measurements


def figures(data: Path, name: str, method: str, seed: int, smoke: bool) -> Figures:
    """The error on the test rows, and the CPU seconds of the fit."""
    numbers, split = name in NUMBERS, load(name, seed, data)
    if smoke:
        split = Split(split.x[:SMOKE_ROWS], split.y[:SMOKE_ROWS], split.x_test, split.y_test)
    estimator = made(method, seed, numbers=numbers, smoke=smoke)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about 200 epochs being too few: these are the defaults
        started = time.process_time()
        estimator.fit(split.x, split.y)
        seconds = time.process_time() - started
        prediction = estimator.predict(split.x_test)
    if numbers:
        error = float(np.sqrt(np.mean((prediction - split.y_test) ** 2)))
    else:
        error = float(100 * np.mean(prediction != split.y_test))
    found = {"error": error, "seconds": seconds, "test rows": len(split.y_test)}
    if method == OURS:
        names = [one.name for one in estimator.candidates_ if one.name in estimator.joined_]
        found |= {"chosen": " + ".join(names), "all rows": estimator.all_rows_}
    return found


def tasks(options: Options) -> dict[str, Task]:
    """Every method on every set, seed by seed, with small sets first."""
    sets = options.chosen(SMOKE_SETS if options.smoke and not options.sets else SMALL_TO_LARGE)
    return {
        f"{name}/{method}/{seed}": functools.partial(
            figures, options.data, name, method, seed, options.smoke
        )
        for seed in range(options.seeds)
        for name in sets
        for method in METHODS
    }


# the table


class Errors:
    """Errors and seconds of all methods, on the sets and seeds that are complete."""

    def __init__(self, found: Mapping[str, Figures]) -> None:
        self.found = found
        seeds = sorted({int(key.rpartition("/")[2]) for key in found})
        self.seeds = {
            name: [
                seed
                for seed in seeds
                if all(f"{name}/{method}/{seed}" in found for method in METHODS)
            ]
            for name in (*SETS, *BESIDE, *RESPLIT)
        }
        self.names = [name for name, done in self.seeds.items() if done]
        self.counted = [name for name in self.names if name in SETS]

    def values(self, name: str, method: str, what: str = "error") -> np.ndarray:
        """A figure for each seed."""
        return np.array([self.found[f"{name}/{method}/{s}"][what] for s in self.seeds[name]])

    def mean(self, name: str, method: str, what: str = "error") -> float:
        """The mean of a figure over the seeds."""
        return float(self.values(name, method, what).mean())

    def not_worse(self, method: str, names: Sequence[str]) -> tuple[int, list[str]]:
        """The number of sets on which our mean error is not larger, and the other sets.

        Means of the same number of wrong rows may differ in their last digit.
        """
        worse = [
            name for name in names if self.mean(name, OURS) > (1 + 1e-9) * self.mean(name, method)
        ]
        return len(names) - len(worse), worse

    def standard_error(self, name: str) -> float:
        """The standard error of the MLP's test error: over seeds for numbers, rows for classes."""
        if name in NUMBERS:
            values = self.values(name, MLP)
            return float(np.std(values) / np.sqrt(len(values)))
        share = self.mean(name, MLP) / 100
        return 100 * float(np.sqrt(share * (1 - share) / self.values(name, MLP, "test rows")[0]))

    def judgement(self) -> str:
        """The goals and the results."""
        sentences = []
        for method, goal in GOALS.items():
            count, worse = self.not_worse(method, self.counted)
            where = f"; worse on {', '.join(worse)}" if worse else ""
            sentences.append(
                f"Better than or equal to {method} on {count} of {len(self.counted)} sets "
                f"(goal: {goal}){where}."
            )
        wrong = [name for name in self.counted if self.mean(name, MLP)]  # else there is no ratio
        if wrong:
            ratio = np.mean([self.mean(name, OURS) / self.mean(name, MLP) for name in wrong])
            without = [name for name in self.counted if name not in wrong]
            where = f", without {', '.join(without)}, where it makes no errors" if without else ""
            sentences.append(
                f"Mean error ratio to the MLP's defaults {ratio:.3f}{where} (goal: 0.9)."
            )
        far = [
            name
            for name in self.counted
            if self.mean(name, OURS) > self.mean(name, MLP) + 2 * self.standard_error(name)
        ]
        sentences.append(
            f"Worse than the MLP's defaults by more than two standard errors of its test set on "
            f"{', '.join(far) or 'none'} (goal: none)."
        )
        if others := [name for name in self.names if name in RESPLIT]:
            counts = (f"{self.not_worse(m, others)[0]} for {m}" for m in GOALS)
            sentences.append(
                f"On other splits, likewise, of {len(others)} sets of Proben1: {', '.join(counts)}."
            )
        return " ".join(sentences)


def chosen(names: Iterable[str]) -> str:
    """The candidates that predicted, alone or together, the most frequent first."""
    kinds, counts = np.unique([*names], return_counts=True)
    return ", ".join(kinds[np.argsort(-counts, kind="stable")])


def row(errors: Errors, name: str) -> list[str]:
    """The error and seconds of every method on a set, with the smallest error in bold."""
    means = [errors.mean(name, method) for method in METHODS]
    cells = []
    for method, mean in zip(METHODS, means, strict=True):
        text = f"{mean:.3f}" if name in NUMBERS else f"{mean:.2f} %"
        text = f"**{text}**" if mean == min(means) else text
        cells.append(f"{text}, {errors.mean(name, method, 'seconds'):.1f} s")
    label = name if name in SETS else f"({name})"
    picked = chosen(errors.values(name, OURS, "chosen"))
    return [label, str(len(errors.seeds[name])), *cells, picked]


def table(found: Mapping[str, Figures]) -> Table:
    """A row for each set."""
    errors = Errors(found)
    return Table(
        "The estimators beside scikit-learn's",
        "Test error in per cent, or RMSE, and CPU seconds to fit: means over seeds, each with its "
        "own split if there is no official one. All options are defaults. gene1 and thyroid1, "
        "which favour trees, are not counted, nor are the rows of Proben1's sets on other splits, "
        "drawn at random, beside which the official ones can be seen: the test rows of a split are "
        "few. The weight decay in small tables and the prior of the temperature were chosen on "
        "random splits of training rows. The last column says which candidates of ours "
        f"predicted together, the most frequent combination first. {errors.judgement()}",
        ["set", "seeds", *METHODS, "candidates of ours"],
        [row(errors, name) for name in errors.names],
    )


OPTIONS = (
    *("hidden_layer_sizes", "n_members", "n_folds", "candidates", "rows", "dropout"),
    *("learning_rate", "weight_decay", "batch_size", "max_epochs", "patience"),
)
RECIPE = {
    "options": {name: ours.TabularMLPClassifier().get_params()[name] for name in OPTIONS},
    "batches": (tabular.BATCHES, tabular.BATCH_SIZES),
    "epochs": (tabular.EPOCHS, tabular.STEPS),
    "patience": (tabular.PATIENCE, tabular.WAITED),
    "average": (candidate.AVERAGED, candidate.LEAST_DECAY),
    "together": joining.MOST_JOINED,
    "plain": (candidates.Scaled.times_decay, candidates.Scaled.most_rows),
    "temperature": tabular_classifier.PRIOR,
    "linear": candidates.Linear.times_rate,
    "long": (
        candidates.Long.times_members,
        candidates.Long.most_epochs,
        candidates.Long.most_steps,
    ),
}

SECTION = Section(
    "eighteen sets and two more by the estimators and by scikit-learn's: hours; --seeds 10",
    repr(RECIPE),
    SMALL_TO_LARGE,
    tasks,
    table,
)
