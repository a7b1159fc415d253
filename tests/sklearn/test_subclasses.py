"""Users derive classes from the estimators, with constructors and methods of their own."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

import mlpgrad.sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

FLOWERS, SPECIES = load_iris(return_X_y=True)
FAST = {
    **{name: {"max_iter": 3} for name in ("MLPClassifier", "MLPRegressor")},
    **{
        name: {"candidates": ("plain",), "max_epochs": 2, "n_members": 2}
        for name in ("TabularMLPClassifier", "TabularMLPRegressor")
    },
}


def derived(base):
    """A class with fewer parameters than its base and one of its own, as users write it."""

    class Scaled(base):
        def __init__(self, factor=1.0, hidden_layer_sizes=(4,)):
            options = FAST.get(base.__name__, {})
            super().__init__(hidden_layer_sizes=hidden_layer_sizes, random_state=0, **options)
            self.factor = factor

        def fit(self, X, y):
            return super().fit(X * self.factor, y)

        def predict(self, X):
            return super().predict(X * self.factor)

    return Scaled


@pytest.mark.parametrize("name", ours.__all__)
def test_a_subclass_may_have_a_constructor_of_its_own(name):
    kind = derived(getattr(ours, name))
    estimator = clone(kind(factor=2.0)).fit(FLOWERS, SPECIES)
    assert estimator.get_params() == {"factor": 2.0, "hidden_layer_sizes": (4,)}
    base = getattr(ours, name)((4,), random_state=0, **FAST[name])
    if name == "MLPRegressor":
        base = ours.MLPRegressor(hidden_layer_sizes=(4,), random_state=0, max_iter=3)
    expected = base.fit(FLOWERS * 2, SPECIES).predict(FLOWERS * 2)
    np.testing.assert_array_equal(estimator.predict(FLOWERS), expected)
    found = GridSearchCV(kind(), {"factor": [1.0, 2.0]}, cv=2).fit(FLOWERS, SPECIES)
    assert set(found.best_params_) == {"factor"}


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_a_subclass_behaves_as_one_of_theirs(name):
    found = []
    for module in (theirs, ours):
        estimator = derived(getattr(module, name))(factor=0.5).fit(FLOWERS, SPECIES)
        found.append((estimator.get_params(), estimator.loss_curve_, estimator.n_iter_))
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12)
    assert found[0][2] == found[1][2]
