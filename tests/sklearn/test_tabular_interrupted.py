"""Ctrl-C ends the whole fit of the pair for tables, and leaves an estimator that is not fitted."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import NotFittedError

from mlpgrad.sequential import Sequential
from mlpgrad.sklearn import TabularMLPClassifier, TabularMLPRegressor
from mlpgrad.sklearn.candidates import ByEvidence

X = np.random.default_rng(0).normal(size=(60, 2))
ESTIMATORS = {
    "plain": (TabularMLPRegressor, ["plain", "quantile"]),
    "evidence": (TabularMLPRegressor, ["plain", "evidence"]),
    "classes": (TabularMLPClassifier, ["plain", "quantile"]),
}


@pytest.mark.parametrize("last", [1, 2, 3])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_ctrl_c_in_any_training_ends_the_fit(name, last, monkeypatch):
    monkeypatch.setattr(ByEvidence, "iterations", 3)
    cls, candidates = ESTIMATORS[name]
    options = {"hidden_layer_sizes": (4,), "max_epochs": 3, "n_members": 2, "n_folds": 2}
    estimator = cls(**options, candidates=candidates, rows="all", random_state=0)
    target = X[:, 0] > 0 if cls is TabularMLPClassifier else X[:, 0]
    estimator.fit(X, target)
    fit, trainings = Sequential.fit, []

    def interrupted(model, *args, **kwargs):
        history = fit(model, *args, **kwargs)
        trainings.append(model)
        history.interrupted = len(trainings) == last
        return history

    monkeypatch.setattr(Sequential, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, target)
    assert len(trainings) == last
    with pytest.raises(NotFittedError):
        estimator.predict(X)
    monkeypatch.setattr(Sequential, "fit", fit)
    estimator.fit(X, target).predict(X)
