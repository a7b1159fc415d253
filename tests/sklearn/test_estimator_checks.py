"""The estimators pass all checks that scikit-learn has for estimators."""

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from mlpgrad.sklearn import MLPClassifier, MLPRegressor

ESTIMATORS = [
    *(MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)),
    *(MLPClassifier(solver="lbfgs", max_iter=100), MLPRegressor(solver="lbfgs", max_iter=100)),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed to converge")
@parametrize_with_checks(ESTIMATORS)
def test_every_check_passes(estimator, check):
    check(estimator)
