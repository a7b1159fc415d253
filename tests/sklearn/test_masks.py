"""What a mask hides is never used, by the estimators as by everything else in the library."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_iris

import mlpgrad.sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

FLOWERS, SPECIES = load_iris(return_X_y=True)
ONES = np.ones(len(FLOWERS))


def hidden(array, at):
    mask = np.zeros(array.shape, bool)
    mask[at] = True
    return np.ma.array(array, mask=mask)


def estimator(name, **options):
    tabular = {"candidates": ["plain"], "max_epochs": 1, "n_members": 2}
    fast = tabular if name.startswith("Tabular") else {"hidden_layer_sizes": (4,), "max_iter": 2}
    return getattr(ours, name)(random_state=0, **fast, **options)


@pytest.mark.parametrize("name", ours.__all__)
def test_data_with_hidden_values_are_refused(name):
    x, y, weights = hidden(FLOWERS, (3, 1)), hidden(SPECIES, 2), hidden(ONES, 5)
    for arguments, place in (
        ((x, SPECIES), r"X\[3, 1\]"),
        ((FLOWERS, y), r"y\[2\]"),
        ((FLOWERS, SPECIES, weights), r"sample_weight\[5\]"),
    ):
        with pytest.raises(ValueError, match=rf"masked array with a masked value at {place}"):
            estimator(name).fit(*arguments)
    found = estimator(name).fit(np.ma.array(FLOWERS), SPECIES)  # hides nothing
    methods = "predict", "predict_proba", "predict_std", "predict_interval"
    for method in (getattr(found, method) for method in methods if hasattr(found, method)):
        with pytest.raises(ValueError, match="X is a masked array with a masked value at"):
            method(x)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_validation_data_and_batches_with_hidden_values_are_refused(name):
    stops = estimator(name, stop_on_loss=True)
    with pytest.raises(ValueError, match=r"masked value at y\[2\]"):
        stops.fit(FLOWERS, SPECIES, validation_data=(FLOWERS, hidden(SPECIES, 2)))
    classes = {"classes": [0, 1, 2]} if name == "MLPClassifier" else {}
    with pytest.raises(ValueError, match=r"masked value at X\[0, 0\]"):
        estimator(name).partial_fit(hidden(FLOWERS, (0, 0)), SPECIES, **classes)


def test_folds_with_hidden_values_are_refused():
    folds = np.arange(len(FLOWERS)) % 2
    with pytest.raises(ValueError, match=r"masked value at folds\[7\]"):
        estimator("TabularMLPClassifier").fit(FLOWERS, SPECIES, folds=hidden(folds, 7))
