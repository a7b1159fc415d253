"""Errors about numbers that float32 cannot hold advise what an estimator can do."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from mlpgrad.sklearn import MLPRegressor, TabularMLPClassifier, TabularMLPRegressor

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X[:, 0] + 2
WEIGHTS = np.ones(60)
FAST = {"candidates": ["plain"], "max_epochs": 1, "n_members": 2, "random_state": 0}
FITS = {
    "large targets": lambda: TabularMLPRegressor(**FAST).fit(X, Y * 1e300),
    "small targets": lambda: TabularMLPRegressor(**FAST).fit(X, Y * 1e-300),
    "large weights": lambda: TabularMLPClassifier(**FAST).fit(X, Y > 2, WEIGHTS * 1e300),
    "small weights": lambda: TabularMLPClassifier(**FAST).fit(X, Y > 2, WEIGHTS * 1e-300),
}


@pytest.mark.parametrize("fit", FITS)
def test_tabular_estimators_have_no_dtype_to_choose(fit):
    with pytest.raises(ValueError, match="float32 can hold") as caught:
        FITS[fit]()
    assert "dtype" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_the_dtype_of_the_drop_in_pair_is_that_of_the_input():
    options = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
    scaled = MLPRegressor(**options, target_scaling="standard")
    with pytest.raises(ValueError, match=r"or fit with X\.astype\('float64'\)"):
        scaled.fit(X.astype("float32"), Y * 1e-300)
    assert np.isfinite(scaled.fit(X.astype("float64"), Y * 1e-300).predict(X)).all()
    normal = MLPRegressor(**options, loss="gaussian_nll").fit(X.astype("float32"), Y)
    with pytest.raises(ValueError, match=r"or fit with X\.astype\('float64'\)"):
        normal.predict_std(X * 1e300)
