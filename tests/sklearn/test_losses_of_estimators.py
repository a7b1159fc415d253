"""Every loss as an option of the drop-in pair: it fits the targets, or `fit` says what does."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_iris

from mlpgrad.sklearn import MLPClassifier, MLPRegressor
from tests.kinds import every_loss, example

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

FLOWERS, SPECIES = load_iris(return_X_y=True)
TARGETS = {
    "two classes": SPECIES > 0,
    "three classes": np.array(["a", "b", "c"])[SPECIES],
    "labels": np.c_[SPECIES == 1, FLOWERS[:, 0] > 6].astype(int),
    "numbers": FLOWERS[:, 0],
    "rows of numbers": FLOWERS[:, :2],
}
OPTIONS = {"hidden_layer_sizes": (8,), "max_iter": 60, "learning_rate_init": 0.02}


def fitted(kind, loss, y):
    return kind(loss=loss, random_state=0, **OPTIONS).fit(FLOWERS[:, 1:], y)


@every_loss
@pytest.mark.parametrize("target", TARGETS)
def test_a_loss_fits_the_targets_or_is_refused_before_training(cls, target):
    loss, y = example(cls), TARGETS[target]
    kind = MLPRegressor if "numbers" in target else MLPClassifier
    suits = loss.classifies == (kind is MLPClassifier) and not loss.expects_probabilities
    if suits and kind is MLPClassifier:
        one_class = np.ndim(loss.classes(np.zeros((1, 3)))) == 1
        suits = one_class == (target == "three classes")
    if not suits:
        with pytest.raises(ValueError, match=r"loss expects a loss .*such as mlpgrad"):
            fitted(kind, loss, y)
        return
    estimator = fitted(kind, loss, y)
    prediction = estimator.predict(FLOWERS[:, 1:])
    assert prediction.shape == y.shape
    if kind is MLPClassifier:
        assert estimator.score(FLOWERS[:, 1:], y) > 0.5
    else:
        assert np.abs(prediction - y).mean() < 2


@pytest.mark.parametrize("given", [(3.5,), ["a"], (3, None), [[3], [4, 5]], {4: 1}], ids=str)
def test_sizes_of_layers_that_are_not_whole_numbers_are_shown(given):
    with pytest.raises(TypeError, match="hidden_layer_sizes expects whole numbers such as"):
        MLPRegressor(hidden_layer_sizes=given).fit(FLOWERS, SPECIES)
