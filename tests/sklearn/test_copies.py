"""Copies of an estimator of the drop-in pair, made after options or parameters were assigned."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

import mlpgrad as mg
from mlpgrad.sklearn import MLPRegressor
from tests.sklearn.samples import PATIENTS, PROGRESS

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def pickled(estimator):
    return pickle.loads(pickle.dumps(estimator))


def fitted():
    return MLPRegressor(hidden_layer_sizes=(8,), max_iter=5, random_state=0).fit(PATIENTS, PROGRESS)


def halved(estimator):
    estimator.coefs_ = [array * 0.5 for array in estimator.coefs_]


def pruned(estimator):
    (a, b), (c, d) = estimator.coefs_, estimator.intercepts_
    estimator.coefs_, estimator.intercepts_ = [a[:, 2:5], b[2:5]], [c[2:5], d]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize("assign", [None, halved, pruned])
@pytest.mark.parametrize(
    "changed",
    [
        {"loss": "gaussian_nll"},
        {"loss": mg.SigmoidCrossEntropy()},
        {"activation": ["relu", "relu"]},
        {"hidden_layer_sizes": (0,)},
        {"solver": "unknown"},
    ],
    ids=str,
)
def test_an_estimator_can_be_copied_whatever_its_options_are(changed, assign, copied):
    estimator, same = fitted(), fitted()
    if assign is not None:
        assign(estimator)
        assign(same)
    network, options = estimator.model_, estimator.get_params()
    again = copied(estimator.set_params(**changed))
    assert estimator.model_ is network
    expected = same.predict(PATIENTS)
    for one in (again, estimator):
        np.testing.assert_array_equal(one.set_params(**options).predict(PATIENTS), expected)


def test_a_copy_goes_on_as_the_estimator_itself():
    estimator = fitted()
    for assign in (None, halved, None):
        if assign is not None:
            assign(estimator)
        again = pickled(estimator)
        for one in (again, estimator):
            one.partial_fit(PATIENTS, PROGRESS)
        np.testing.assert_array_equal(again.coefs_[0], estimator.coefs_[0])
        estimator = again


def test_arrays_that_were_assigned_are_followed_in_a_copy():
    estimator = fitted()
    halved(estimator)
    again = pickled(estimator)
    again.coefs_[-1][...] = 0
    assert np.ptp(again.predict(PATIENTS)) == 0 < np.ptp(estimator.predict(PATIENTS))
