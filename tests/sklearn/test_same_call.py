"""The pair does what scikit-learn's does for the same call, with whatever people give it."""

import re
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import pandas as pd
import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.datasets import make_multilabel_classification

import mlpgrad.sklearn as ours
from tests.sklearn import samples
from tests.sklearn.samples import FLOWERS, NAMES, PATIENTS, SPECIES

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer", "ignore:lbfgs failed to converge"
)

PROGRESS = samples.PROGRESS / 100
TEXTS, LABELS = make_multilabel_classification(n_samples=100, random_state=0)
FEW = np.where(np.abs(FLOWERS) > 0.5, FLOWERS, 0)


def furthest(a, b):
    """The largest difference between the parameters of two estimators."""
    pairs = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    return max(abs(p - q).max() for p, q in pairs)


def answers(module, kind, x, y, **options):
    """What a fit says: predictions and records, or the error; and its warnings."""
    weights = options.pop("sample_weight", None)
    options = {"hidden_layer_sizes": (8,), "max_iter": 6, "random_state": 0, **options}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fitted = getattr(module, kind)(**options).fit(x, y, sample_weight=weights)
            found = [fitted.predict(x), fitted.loss_, fitted.n_iter_, fitted.t_]
            found += [fitted.classes_, fitted.predict_proba(x)] if kind == "MLPClassifier" else []
        except (ValueError, TypeError, ZeroDivisionError) as error:
            found = [type(error), str(error)]
    told = {(w.category, re.sub(r"\d+\.\d+", "", str(w.message))) for w in caught}
    return found, {each for each in told if each[0] is not RuntimeWarning}


INPUTS = {
    **{
        f"{form}_{kind}": getattr(scipy.sparse, f"{form}_{kind}")(FEW)
        for form in ("csr", "csc", "coo", "lil", "dok", "bsr")
        for kind in ("matrix", "array")
    },
    "sparse float32": scipy.sparse.csr_array(FEW.astype("f4")),
    "sparse ints": scipy.sparse.csr_array(FEW.astype(int)),
    "sparse gap": scipy.sparse.csr_array(np.where(FEW > 2, np.nan, FEW)),
    "frame": pd.DataFrame(FLOWERS, columns=list("abcd")),
    "frame without names": pd.DataFrame(FLOWERS),
    "frame with some names": pd.DataFrame(FLOWERS, columns=[0, "a", 1, "b"]),
    "list": FLOWERS.tolist(),
    "objects": FLOWERS.astype(object),
    "float16": FLOWERS.astype("f2"),
    "ints": (10 * FLOWERS).astype(int),
    "booleans": FLOWERS > 0,
    "long doubles": FLOWERS.astype("g"),
    "complex": FLOWERS.astype(complex),
    "gap": np.where(FLOWERS > 2, np.nan, FLOWERS),
    "by column": np.asfortranarray(FLOWERS),
    "backwards": FLOWERS[::-1, ::-1],
    "one axis": FLOWERS[:, 0],
    "three axes": FLOWERS[:, :, None],
    "fewer rows": FLOWERS[:100],
    "no rows": FLOWERS[:0],
}
TARGETS = {
    "names": NAMES,
    "object names": NAMES.astype(object),
    "object numbers": SPECIES.astype(object),
    "booleans": SPECIES == 1,
    "floats": SPECIES.astype(float),
    "numbers with fractions": SPECIES + 0.5,
    "negative": 2 * SPECIES - 3,
    "uint8": SPECIES.astype("u1"),
    "column": SPECIES[:, None],
    "list": NAMES.tolist(),
    "one class": np.zeros(150, int),
    "mixed": np.array([1, "a"] * 75, dtype=object),
    "two columns of classes": np.column_stack([SPECIES, SPECIES]),
    "labels": np.eye(3, dtype=int)[SPECIES],
    "sparse labels": scipy.sparse.csr_matrix(np.eye(3, dtype=int)[SPECIES]),
    "boolean labels": np.eye(3, dtype=bool)[SPECIES],
    "a label that all have": np.column_stack([SPECIES == 0, np.ones(150, int)]).astype(int),
    "category": pd.Series(NAMES).astype("category"),
    "nullable text": pd.Series(NAMES).astype("string"),
    "nullable numbers": pd.Series(SPECIES).astype("Int64"),
    "nullable booleans": pd.Series(SPECIES == 1).astype("boolean"),
    "none": None,
}
WEIGHTS = {
    "some zeros": np.where(np.arange(150) % 3, 1.0, 0.0),
    "all zeros": np.zeros(150),
    "ints": np.arange(150),
    "list": [2.0] * 150,
    "a number": 2.0,
    "too few": np.ones(3),
    "a column": np.ones((150, 1)),
    "gap": np.full(150, np.nan),
}
OTHERS = {
    "multilabel": ("MLPClassifier", TEXTS, LABELS, {}),
    "multilabel, score": ("MLPClassifier", TEXTS, LABELS, {"early_stopping": True}),
    "score by weight": (
        *("MLPClassifier", FLOWERS, NAMES),
        {"early_stopping": True, "sample_weight": np.arange(150.0)},
    ),
    "score of counts": (
        *("MLPRegressor", FLOWERS, SPECIES),
        {"early_stopping": True, "loss": "poisson", "sample_weight": np.arange(150.0)},
    ),
    "too few rows to score": ("MLPRegressor", FLOWERS[:10], SPECIES[:10], {"early_stopping": True}),
    "a rare class": ("MLPClassifier", FLOWERS[:51], SPECIES[:51], {"early_stopping": True}),
    "few calls": ("MLPRegressor", FLOWERS, SPECIES, {"solver": "lbfgs", "max_fun": 4}),
    "a large batch": ("MLPRegressor", FLOWERS, SPECIES, {"batch_size": 1000}),
    "never ending": ("MLPRegressor", FLOWERS, SPECIES, {"n_iter_no_change": np.inf, "tol": 9.0}),
}


def check_same(kind, x, y, **options):
    (a, told), (b, ours_told) = (answers(m, kind, x, y, **options) for m in (theirs, ours))
    assert told == ours_told
    assert len(a) == len(b)
    for expected, found in zip(a, b, strict=True):
        if isinstance(expected, np.ndarray) and expected.dtype.kind == "f":
            assert found.dtype == expected.dtype
            close = 1e-4 if found.dtype == np.float32 else 1e-9
            np.testing.assert_allclose(found, expected, atol=close)
        elif scipy.sparse.issparse(expected):
            np.testing.assert_array_equal(found.toarray(), expected.toarray())
        elif isinstance(expected, float):
            assert found == pytest.approx(expected, rel=1e-4, nan_ok=True)
        else:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("given", INPUTS)
def test_the_same_input(given):
    check_same("MLPRegressor", INPUTS[given], SPECIES)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("given", TARGETS)
def test_the_same_classes(given, solver):
    check_same("MLPClassifier", FLOWERS, TARGETS[given], solver=solver)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("given", WEIGHTS)
def test_the_same_weights(given, kind):
    check_same(kind, FLOWERS, SPECIES, sample_weight=WEIGHTS[given], batch_size=30)


@pytest.mark.parametrize("given", OTHERS)
def test_the_same_options(given):
    kind, x, y, options = OTHERS[given]
    check_same(kind, x, y, **options)


def message(call, *args, **options):
    """The text of the error that a call raises."""
    with pytest.raises(ValueError, match=r"\w") as error:
        call(*args, **options)
    return str(error.value)


def test_the_same_errors_of_partial_fits():
    found = []
    for module in (theirs, ours):
        classifier = module.MLPClassifier((4,), random_state=0)
        told = [message(classifier.partial_fit, FLOWERS, SPECIES)]
        told += [message(classifier.partial_fit, FLOWERS, SPECIES, classes=[0, 1])]
        classifier = module.MLPClassifier((4,), random_state=0)
        classifier.partial_fit(FLOWERS, SPECIES % 2, classes=[0, 1])
        told += [message(classifier.partial_fit, FLOWERS, SPECIES)]
        told += [message(classifier.partial_fit, FLOWERS, SPECIES % 2, classes=[0, 1, 2])]
        frame = pd.DataFrame(FLOWERS, columns=list("abcd"))
        regressor = module.MLPRegressor(hidden_layer_sizes=(4,)).partial_fit(frame, SPECIES)
        for columns in (list("dcba"), list("abc")):
            told += [message(regressor.predict, frame[columns])]
            told += [message(regressor.partial_fit, frame[columns], SPECIES)]
        found.append(told)
    assert found[0] == found[1]


# options that change between fits


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_warm_start_takes_changed_options_and_another_form_of_input(solver):
    forms = [PATIENTS, scipy.sparse.csr_array(PATIENTS), PATIENTS]
    found = []
    for module in (theirs, ours):
        options = {"solver": solver, "warm_start": True, "max_iter": 5, "random_state": 0}
        estimator = module.MLPRegressor(hidden_layer_sizes=(8,), **options)
        for form, activation in zip(forms, ("relu", "tanh", "logistic"), strict=True):
            estimator.set_params(activation=activation, alpha=0.1).fit(form, PROGRESS)
        estimator.set_params(activation="identity")
        found.append((estimator, estimator.predict(PATIENTS)))
    assert furthest(found[0][0], found[1][0]) < 1e-9
    np.testing.assert_allclose(found[1][1], found[0][1], atol=1e-9)


def test_partial_fits_take_changed_options_and_another_form_of_input():
    options = {"hidden_layer_sizes": (8,), "random_state": 0}
    pair = [module.MLPRegressor(**options) for module in (theirs, ours)]
    for estimator in pair:
        estimator.partial_fit(PATIENTS, PROGRESS)
        estimator.set_params(activation="tanh").partial_fit(PATIENTS, PROGRESS)
        estimator.partial_fit(scipy.sparse.csr_matrix(PATIENTS), PROGRESS)
    assert furthest(*pair) < 1e-12
    again = pair[1].set_params(solver="lbfgs", max_iter=2).fit(PATIENTS, PROGRESS)
    again.set_params(solver="adam").partial_fit(PATIENTS, PROGRESS)  # a new network and optimizer


def test_a_rebuilt_network_keeps_the_scaling_of_its_targets():
    for members in (1, 2):
        found = ours.MLPRegressor(
            hidden_layer_sizes=(8,), target_scaling="standard", n_members=members, random_state=0
        )
        found.set_params(max_iter=5, warm_start=True).fit(PATIENTS, 1000 + PROGRESS)
        before = found.predict(PATIENTS)
        after = found.set_params(dropout=0.5).predict(PATIENTS)
        np.testing.assert_array_equal(after, before)


def test_predictions_have_the_wider_type_of_weights_and_input():
    for types in (("f4", "f4"), ("f4", "f8"), ("f8", "f4"), ("f4", "f2"), ("f4", "i8")):
        found = []
        for module in (theirs, ours):
            options = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
            classifier = module.MLPClassifier(**options).fit(FLOWERS.astype(types[0]), SPECIES)
            regressor = module.MLPRegressor(**options).fit(FLOWERS.astype(types[0]), SPECIES)
            x = FLOWERS.astype(types[1])
            found.append([classifier.predict_proba(x), regressor.predict(x)])
        for expected, ours_ in zip(*found, strict=True):
            assert ours_.dtype == expected.dtype
            np.testing.assert_allclose(ours_, expected, atol=1e-5)


def test_hidden_layer_sizes_are_whole_numbers():
    for module, words in ((theirs, "as an integer"), (ours, "expects whole numbers")):
        with pytest.raises(TypeError, match=words):
            module.MLPRegressor(hidden_layer_sizes=(3.5,)).fit(PATIENTS, PROGRESS)
        with pytest.raises(ValueError, match=r"must be > 0, got \[3, 0\]"):
            module.MLPRegressor(hidden_layer_sizes=(3, 0)).fit(PATIENTS, PROGRESS)
