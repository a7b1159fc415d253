"""A fit that is refused leaves an estimator of the drop-in pair as it was."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.exceptions import NotFittedError

import mlpgrad as mg
from mlpgrad.sklearn import MLPClassifier, MLPRegressor
from tests.sklearn.samples import FLOWERS, SPECIES

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")


class Fails(mg.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        raise RuntimeError("this callback fails")


ROWS = len(FLOWERS)
NARROW, OTHERS = FLOWERS[:, :3], np.where(SPECIES == 1, 7, 9)
REFUSED = {
    "all weights 0": ({}, {"sample_weight": np.zeros(ROWS)}),
    "a negative weight": ({}, {"sample_weight": np.r_[-1.0, np.ones(ROWS - 1)]}),
    "an infinite weight": ({}, {"sample_weight": np.full(ROWS, np.inf)}),
    "weights for three rows": ({}, {"sample_weight": np.ones(3)}),
    "a target too few": ({}, {"y": OTHERS[1:]}),
    "an unknown activation": ({"activation": ["gelu", "relu"]}, {}),
    "a loss on probabilities": ({"loss": mg.BinaryCrossEntropy()}, {}),
    "one row held out": ({"early_stopping": True, "validation_fraction": 0.001}, {}),
    "wide rows held out": ({"stop_on_loss": True}, {"validation_data": (FLOWERS, OTHERS)}),
    "contradicting options": ({"early_stopping": True, "stop_on_loss": True}, {}),
    "a callback that fails": ({"callbacks": [Fails()]}, {}),
    "a callback that fails in L-BFGS": ({"callbacks": [Fails()], "solver": "lbfgs"}, {}),
    "sparse rows": ({"solver": mg.LevenbergMarquardt()}, {"X": scipy.sparse.csr_array(NARROW)}),
}
"""Options and arguments of a fit that raises an error."""


def refuse(estimator, case):
    options, given = REFUSED[case]
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        estimator.set_params(**options).fit(**{"X": NARROW, "y": OTHERS, **given})


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_refused_fit_leaves_what_was_learned(kind, warm_start, case):
    estimator = kind(hidden_layer_sizes=(4, 3), max_iter=3, random_state=0, warm_start=warm_start)
    estimator.fit(FLOWERS, SPECIES)
    before, prediction = vars(estimator).copy(), estimator.predict(FLOWERS)
    refuse(estimator, case)
    estimator.set_params(**{name: before[name] for name in REFUSED[case][0]})
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is before[name] for name in before)
    np.testing.assert_array_equal(estimator.predict(FLOWERS), prediction)


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_after_a_refused_first_fit_nothing_predicts(kind, case):
    estimator = kind(hidden_layer_sizes=(4, 3), max_iter=3, random_state=0)
    refuse(estimator, case)
    with pytest.raises(NotFittedError):
        estimator.predict(NARROW)


def test_classes_of_a_refused_partial_fit_do_not_predict():
    estimator = MLPClassifier((4, 3))
    with pytest.raises(ValueError, match="has classes not in"):
        estimator.partial_fit(FLOWERS, SPECIES, classes=[0, 1])
    with pytest.raises(NotFittedError):
        estimator.predict(FLOWERS)


def test_the_epochs_before_an_error_are_kept():
    class Later(mg.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("this callback fails")

    estimator = MLPRegressor(hidden_layer_sizes=(4,), callbacks=[Later()])
    with pytest.raises(RuntimeError):
        estimator.fit(FLOWERS, SPECIES)
    assert len(estimator.loss_curve_) == estimator.n_iter_ == 2
