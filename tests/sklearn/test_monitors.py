"""What scikit-learn's callbacks see of a fit: tasks, data, and an estimator that is ready."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")

from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.metrics import make_scorer, mean_squared_error

import mlpgrad as mg
from mlpgrad.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

FLOWERS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2, len(FLOWERS))
TARGETS = {
    "numbers of classes": (MLPClassifier, SPECIES),
    "names of classes": (MLPClassifier, NAMES),
    "names of two classes": (MLPClassifier, np.where(SPECIES == 1, "yes", "no")),
    "labels": (MLPClassifier, np.c_[SPECIES == 1, FLOWERS[:, 0] > 6].astype(int)),
    "numbers": (MLPRegressor, FLOWERS[:, 0]),
    "rows of numbers": (MLPRegressor, FLOWERS[:, :2]),
}
OPTIONS = [
    {},
    {"solver": "lbfgs"},
    {"solver": mg.LevenbergMarquardt()},
    {"early_stopping": True, "learning_rate_init": 0.3},
    {"stop_on_loss": True, "learning_rate_init": 0.3, "n_members": 2},
    {"early_stopping": True, "refit": True},
    {"callbacks": [mg.ExponentialMovingAverage(0.9)]},
]


class Calls:
    """A callback that remembers its calls."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context):
        self.calls.append(f"end {context.task_name}")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_a_monitor_scores_the_fitted_estimator_on_the_targets_of_the_user(target, options):
    kind, y = TARGETS[target]
    scorer = make_scorer(mean_squared_error) if kind is MLPRegressor else "accuracy"
    monitor = ScoringMonitor(scoring={"score": scorer} if kind is MLPRegressor else [scorer])
    estimator = kind(hidden_layer_sizes=(4,), max_iter=6, random_state=0, **options)
    estimator.set_callbacks(monitor).fit(FLOWERS, y)
    root, *epochs = monitor.get_logs().data
    [name] = {"score", "accuracy"} & set(root)
    if kind is MLPClassifier:
        assert root[name] == estimator.score(FLOWERS, y)
    else:
        assert root[name] == pytest.approx(mean_squared_error(y, estimator.predict(FLOWERS)))
    assert len(epochs) >= estimator.n_iter_
    if "early_stopping" not in options and "stop_on_loss" not in options:
        assert epochs[-1][name] == pytest.approx(root[name])


def test_a_monitor_gets_the_weights_of_the_user_without_class_weights():
    monitor = ScoringMonitor(scoring=["accuracy"])
    options = {"class_weight": {0: 1, 1: 9, 2: 1}, "max_iter": 4, "random_state": 0}
    estimator = MLPClassifier((4,), **options).set_callbacks(monitor)
    estimator.fit(FLOWERS, SPECIES)
    assert monitor.get_logs().data[0]["accuracy"] == estimator.score(FLOWERS, SPECIES)
    estimator.fit(FLOWERS, SPECIES, WEIGHTS)
    expected = estimator.score(FLOWERS, SPECIES, WEIGHTS)
    assert monitor.get_logs().data[0]["accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_fit_is_one_task_that_is_set_up_once(options):
    calls = Calls()
    estimator = MLPClassifier((4,), max_iter=6, random_state=0, **options).set_callbacks(calls)
    estimator.fit(FLOWERS, SPECIES)
    assert calls.calls[:2] == ["setup", "begin fit"]
    assert calls.calls[-2:] == ["end fit", "teardown"]
    epochs = calls.calls[2:-2]
    assert epochs == ["begin epoch", "end epoch"] * (len(epochs) // 2)
    assert not hasattr(estimator, "_fit_task")


def test_a_fit_that_fails_leaves_nothing_behind():
    calls = Calls()
    estimator = MLPRegressor(hidden_layer_sizes=(4,), max_iter=6, learning_rate_init=1e300)
    with pytest.raises(ValueError, match="non-finite"):
        estimator.set_callbacks(calls).fit(FLOWERS * 1e200, FLOWERS[:, 0])
    assert calls.calls[-1] == "teardown"
    assert not hasattr(estimator, "_fit_task")


class Ends(Calls):
    """Ends a fit after three epochs."""

    def __init__(self):
        super().__init__()
        self.probabilities = []

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        super().on_fit_task_end(estimator, context)
        self.probabilities.append(fitted_estimator.predict_proba(X)[:, 0].copy())
        return len(self.probabilities) == 3


def test_a_callback_ends_a_fit_and_sees_the_estimator_of_each_epoch():
    calls, ends = Calls(), Ends()
    MLPClassifier(solver="lbfgs", max_iter=2).set_callbacks(calls).fit(FLOWERS, SPECIES)
    assert calls.calls.count("begin epoch") == calls.calls.count("end epoch") == 2
    found = MLPClassifier(random_state=0).set_callbacks(ends).fit(FLOWERS, SPECIES)
    assert found.n_iter_ == 3
    epochs = ["begin epoch", "end epoch"] * 3
    assert ends.calls == ["setup", "begin fit", *epochs, "end fit", "teardown"]
    np.testing.assert_array_equal(ends.probabilities[-1], found.predict_proba(FLOWERS)[:, 0])
    assert np.abs(ends.probabilities[0] - ends.probabilities[1]).max() > 0
