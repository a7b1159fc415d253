"""Class weights of the estimators where rows lack a class or have weights of their own."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_iris

from mlpgrad.sklearn import MLPClassifier, TabularMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

FLOWERS, SPECIES = load_iris(return_X_y=True)
LABELS = np.c_[SPECIES == 1, FLOWERS[:, 0] > 6].astype(int)
COUNTS = np.random.default_rng(0).integers(0, 4, len(FLOWERS))
TABULAR = {"candidates": ["plain"], "max_epochs": 3, "n_members": 2, "random_state": 0}


def classifier(**options):
    return MLPClassifier((5,), max_iter=5, random_state=0, **options)


@pytest.mark.parametrize("call", ["partial_fit", "early_stopping", "warm_start"])
@pytest.mark.parametrize("labels", ["numbers", "text"])
def test_factors_of_classes_that_the_rows_lack_are_no_error(call, labels):
    y = SPECIES if labels == "numbers" else np.array(["a", "b", "c"])[SPECIES]
    weights = {y[-1]: 5.0}
    if call == "partial_fit":
        found = classifier(class_weight=weights)
        found.partial_fit(FLOWERS[:100], y[:100], classes=np.unique(y))  # without the third
        expected = classifier().partial_fit(FLOWERS[:100], y[:100], np.ones(100), np.unique(y))
        np.testing.assert_array_equal(found.coefs_[0], expected.coefs_[0])
    elif call == "early_stopping":
        for seed in range(4):  # the only row of the third class may be held out
            options = {"class_weight": weights, "early_stopping": True, "validation_fraction": 0.5}
            classifier(**options).set_params(random_state=seed).fit(FLOWERS[:101], y[:101])
    else:
        found = classifier(class_weight=weights, warm_start=True).fit(FLOWERS, y)
        found.fit(FLOWERS[::7], y[::7])


def test_a_label_that_no_row_of_a_batch_has_is_no_error():
    weights = [{1: 2.0}, {0: 3.0, 1: 1.0}]
    few = np.flatnonzero(LABELS[:, 0] == 0)[:20]
    found = classifier(class_weight=weights).partial_fit(FLOWERS[few], LABELS[few], classes=[0, 1])
    expected = classifier().partial_fit(
        FLOWERS[few], LABELS[few], np.where(LABELS[few, 1], 1.0, 3.0), classes=[0, 1]
    )
    np.testing.assert_array_equal(found.coefs_[0], expected.coefs_[0])


@pytest.mark.parametrize("target", [SPECIES, LABELS], ids=["classes", "labels"])
def test_balanced_counts_a_row_of_weight_2_as_two_rows(target):
    options = {"solver": "lbfgs", "class_weight": "balanced"}
    weighted = classifier(**options).fit(FLOWERS, target, COUNTS.astype(float))
    repeated = classifier(**options).fit(FLOWERS.repeat(COUNTS, 0), target.repeat(COUNTS, 0))
    np.testing.assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-6)
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], rtol=1e-5, atol=1e-6)


def test_balanced_of_a_table_counts_a_row_of_weight_2_as_two_rows():
    weights = COUNTS + 0.5
    totals = np.bincount(SPECIES, weights)
    factors = weights.sum() / (3 * totals)
    found, expected = (
        TabularMLPClassifier(**TABULAR, class_weight=class_weight).fit(FLOWERS, SPECIES, weights)
        for class_weight in ("balanced", dict(enumerate(factors)))
    )
    np.testing.assert_allclose(found.predict_proba(FLOWERS), expected.predict_proba(FLOWERS))


def test_a_column_of_labels_may_have_class_weights():
    weights = {0: 1.0, 1: 2.0, 2: 1.0}
    with pytest.warns(UserWarning, match="column-vector"):
        found = TabularMLPClassifier(**TABULAR, class_weight=weights).fit(FLOWERS, SPECIES[:, None])
    expected = TabularMLPClassifier(**TABULAR, class_weight=weights).fit(FLOWERS, SPECIES)
    np.testing.assert_array_equal(found.predict_proba(FLOWERS), expected.predict_proba(FLOWERS))


def test_the_held_out_rows_are_not_counted_by_balanced():
    x, y = FLOWERS[20:], SPECIES[20:]
    weights = len(y) / (3 * np.bincount(y))
    options = {"early_stopping": True, "batch_size": 7}
    found, expected = (
        classifier(class_weight=class_weight, **options).fit(
            x, y, validation_data=(FLOWERS, SPECIES)
        )
        for class_weight in ("balanced", dict(enumerate(weights)))
    )
    np.testing.assert_allclose(found.coefs_[0], expected.coefs_[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, "2"])
@pytest.mark.parametrize("kind", [MLPClassifier, TabularMLPClassifier])
def test_factors_that_are_not_finite_numbers_are_refused(kind, value):
    with pytest.raises(ValueError, match="class_weight expects finite numbers >= 0, got"):
        kind(class_weight={0: value, 1: 1.0, 2: 1.0}).fit(FLOWERS, SPECIES)


def test_class_weights_that_leave_out_every_class_are_refused():
    for classifier in (MLPClassifier, TabularMLPClassifier):
        with pytest.raises(
            ValueError, match=r"class_weight expects a number above 0|positive weig"
        ):
            classifier(class_weight={0: 0, 1: 0, 2: 0}).fit(FLOWERS, SPECIES)


@pytest.mark.parametrize("weights", [[1, 2, 3], [{0: 1, 1: 2}]], ids=str)
def test_lists_are_for_several_labels(weights):
    with pytest.raises(ValueError, match=r"class_weight expects a dict, such as \{0: 1.0"):
        classifier(class_weight=weights).fit(FLOWERS, SPECIES)
    with pytest.raises(ValueError, match="class_weight expects a list of 2 dicts, one for each"):
        classifier(class_weight=weights).fit(FLOWERS, LABELS)


def test_partial_fit_cannot_balance_rows_that_it_does_not_see():
    with pytest.raises(ValueError, match="partial_fit does not support class_weight='balanced'"):
        classifier(class_weight="balanced").partial_fit(FLOWERS, SPECIES, classes=[0, 1, 2])
