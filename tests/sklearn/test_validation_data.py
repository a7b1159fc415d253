"""The user's validation rows are checked as those of `fit` are."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_iris

from mlpgrad.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

FLOWERS, SPECIES = load_iris(return_X_y=True)
LABELS = np.c_[SPECIES == 1, FLOWERS[:, 0] > 6, FLOWERS[:, 1] > 3].astype(int)
OPTIONS = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


@pytest.mark.parametrize("how", ["early_stopping", "stop_on_loss"])
@pytest.mark.parametrize(
    ("kind", "y", "wrong", "error", "says"),
    [
        (MLPRegressor, FLOWERS[:, 0], SPECIES.astype("M8[D]"), TypeError, "expects numbers"),
        (MLPRegressor, FLOWERS[:, 0], np.where(SPECIES, np.nan, 1), ValueError, "NaN"),
        (MLPRegressor, FLOWERS[:, 0], FLOWERS[:, :2], ValueError, "2 outputs, y has 1"),
        (MLPClassifier, SPECIES, SPECIES + 1, ValueError, "classes not in"),
        (MLPClassifier, SPECIES, LABELS, ValueError, "several labels for each row, but"),
        (MLPClassifier, LABELS, SPECIES, ValueError, "one class for each row, but MLPClassifier"),
        (MLPClassifier, LABELS, LABELS[:, :2], ValueError, "mismatch with the labels"),
    ],
)
def test_other_targets_than_those_of_fit_are_refused(how, kind, y, wrong, error, says):
    with pytest.raises(error, match=says):
        kind(**OPTIONS, **{how: True}).fit(FLOWERS, y, validation_data=(FLOWERS, wrong))


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("how", ["early_stopping", "stop_on_loss"])
def test_a_single_row_has_no_score(how, kind):  # R^2 is NaN: the initial weights were restored
    with pytest.raises(ValueError, match="validation_data has 1 row; give at least 2"):
        kind(**OPTIONS, **{how: True}).fit(
            FLOWERS, SPECIES, validation_data=(FLOWERS[:1], SPECIES[:1])
        )


def test_classes_cannot_follow_labels_in_a_warm_start():  # they became columns of labels
    estimator = MLPClassifier(**OPTIONS, warm_start=True).fit(FLOWERS, LABELS)
    with pytest.raises(ValueError, match="one class for each row, but MLPClassifier was fitted"):
        estimator.fit(FLOWERS, SPECIES)
