"""Options of the pair that scikit-learn's does not have, several at once and with every solver."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification

import mlpgrad as mg
from mlpgrad.sklearn import MLPClassifier, MLPRegressor
from tests.sklearn import samples
from tests.sklearn.samples import FLOWERS, NAMES, PROGRESS, SPECIES

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer", "ignore:lbfgs failed to converge"
)

PATIENTS = samples.PATIENTS * 20
TEXTS, LABELS = make_multilabel_classification(n_samples=150, random_state=0)

ALL = {
    "n_members": 3,
    "stop_on_loss": True,
    "refit": True,
    "dropout": 0.1,
    "normalization": "batch",
    "residual": True,
    "activation": [mg.GELU(), "tanh"],
}
CLASSES = {**ALL, "class_weight": "balanced", "label_smoothing": 0.05}
SCALED = {**ALL, "target_scaling": "standard"}
BOTH = np.column_stack([PROGRESS, -PROGRESS])
CASES = {
    "classes": (MLPClassifier, FLOWERS, NAMES, CLASSES),
    "two classes": (MLPClassifier, FLOWERS, NAMES == "setosa", CLASSES),
    "labels": (
        *(MLPClassifier, TEXTS, LABELS),
        {**CLASSES, "class_weight": [{0: 1, 1: 2}] * 5},
    ),
    "sparse": (MLPClassifier, scipy.sparse.csr_array(FLOWERS), NAMES, CLASSES),
    "score": (
        *(MLPClassifier, FLOWERS, NAMES),
        {**CLASSES, "stop_on_loss": False, "early_stopping": True},
    ),
    "focal": (
        *(MLPClassifier, FLOWERS, NAMES),
        {**CLASSES, "label_smoothing": 0.0, "loss": mg.SoftmaxFocal()},
    ),
    "schedule": (
        *(MLPClassifier, FLOWERS, NAMES),
        {**CLASSES, "solver": mg.AdamW(mg.OneCycle(0.02))},
    ),
    "a rate for each": (
        *(MLPClassifier, FLOWERS, NAMES),
        {**CLASSES, "solver": mg.NAdam([0.01, 0.02, 0.03])},
    ),
    "numbers": (MLPRegressor, PATIENTS, PROGRESS, SCALED),
    "two numbers": (MLPRegressor, PATIENTS, BOTH, {**SCALED, "loss": "gaussian_nll"}),
    "quantiles": (
        *(MLPRegressor, PATIENTS, BOTH),
        {**SCALED, "loss": mg.Quantile([0.05, 0.5, 0.95])},
    ),
    "counts": (MLPRegressor, PATIENTS, np.round(PROGRESS / 30), {**ALL, "loss": "poisson"}),
    "lbfgs": (
        *(MLPClassifier, FLOWERS, NAMES),
        {"solver": "lbfgs", "n_members": 2, "class_weight": "balanced", "callbacks": []},
    ),
    "newton": (
        *(MLPClassifier, FLOWERS, NAMES),
        {"solver": mg.TrustNewton(), "n_members": 2, "class_weight": "balanced", "alpha": 0.1},
    ),
    "levenberg": (
        *(MLPRegressor, PATIENTS, BOTH),
        {"solver": mg.LevenbergMarquardt(), "activation": "tanh", "target_scaling": "standard"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_everything_at_once_works_and_is_kept(case):
    kind, x, y, options = CASES[case]
    estimator = kind(hidden_layer_sizes=(8, 8), max_iter=30, random_state=0)
    estimator.set_params(learning_rate_init=0.01, **options)
    if case in ("newton", "levenberg"):
        estimator.set_params(activation="tanh", hidden_layer_sizes=(4,), max_iter=8)
    rng = np.random.default_rng(0)
    order, weights = rng.permutation(len(y)), rng.uniform(0.5, 2, len(y))
    x, y = x[order], y[order]
    trained, held_out = slice(0, len(y) * 4 // 5), slice(len(y) * 4 // 5, None)
    stops = estimator.early_stopping or estimator.stop_on_loss
    extra = {"validation_data": (x[held_out], y[held_out], weights[held_out])} if stops else {}
    fit = (x[trained], y[trained], weights[trained])
    found = clone(estimator).fit(*fit, **extra).predict(x)
    again = estimator.fit(*fit, **extra)
    np.testing.assert_array_equal(again.predict(x), found)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(again)).predict(x), found)
    assert repr(clone(again).get_params()) == repr(again.get_params())
    assert again.score(x, y) > {"labels": 0.1, "score": 0.6, "counts": 0.2}.get(case, 0.4)
    if stops:
        epochs = again.best_epochs_
        assert again.n_iter_ == np.median(epochs)
        assert len(again.loss_curve_) == again.n_iter_


# methods that see all rows


def test_a_minimizer_finds_the_minimum_of_scikit_learns_objective():
    options = {"hidden_layer_sizes": (3,), "activation": "tanh", "alpha": 1.0, "random_state": 0}
    weights = np.random.default_rng(0).uniform(0.5, 2, 150)
    y = (FLOWERS[:, 2] > 0) * 1.0
    found = [
        MLPRegressor(**options, solver=solver, max_iter=3000, tol=1e-7)
        .fit(FLOWERS, y, sample_weight=weights)
        .loss_
        for solver in ("lbfgs", mg.TrustNewton())
    ]
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def test_a_method_leaves_no_penalty_and_offers_no_partial_fit():
    found = MLPRegressor(hidden_layer_sizes=(4,), activation="tanh", solver=mg.LBFGS(), max_iter=5)
    assert found.fit(PATIENTS, PROGRESS).model_.penalties == ()
    assert found.n_iter_ == 5
    assert not hasattr(found, "partial_fit")
    assert found.model_.dtype == np.float64
    with pytest.raises(TypeError, match="needs dense data"):
        found.fit(scipy.sparse.csr_array(PATIENTS), PROGRESS)


def test_evidence_gives_intervals():
    found = MLPRegressor(hidden_layer_sizes=(4,), activation="tanh", target_scaling="standard")
    found.set_params(solver=mg.LevenbergMarquardt(), max_iter=30, random_state=0)
    low, high = found.fit(PATIENTS, PROGRESS).predict_interval(PATIENTS, coverage=0.9)
    assert 0.85 < ((low < PROGRESS) & (high > PROGRESS)).mean() < 0.95


# what is refused, and says what to do


@pytest.mark.parametrize("solver", ["lbfgs", mg.LBFGS()], ids=str)
def test_held_out_rows_need_epochs(solver):
    for options, named in [
        ({"stop_on_loss": True}, "stop_on_loss=True"),
        ({"early_stopping": True, "refit": True}, "refit=True"),
    ]:
        with pytest.raises(ValueError, match=f"{named} needs a solver with epochs"):
            MLPClassifier((4,), solver=solver, **options).fit(FLOWERS, NAMES)
    scored = MLPClassifier((4,), solver="lbfgs", early_stopping=True)
    with pytest.raises(ValueError, match="validation_data needs a solver with epochs"):
        scored.fit(FLOWERS, NAMES, validation_data=(FLOWERS, NAMES))


def test_held_out_rows_have_known_classes():
    stopping = MLPClassifier((4,), stop_on_loss=True)
    for kept in (SPECIES < 1.5, SPECIES < 0.5):  # two classes of three; one
        with pytest.raises(ValueError, match="`y` has classes not in"):
            stopping.fit(FLOWERS[kept], NAMES[kept], validation_data=(FLOWERS, NAMES))
    with pytest.raises(ValueError, match=r"expects \(X, y\) or \(X, y, sample_weight\)"):
        stopping.fit(FLOWERS, NAMES, validation_data=FLOWERS)


@pytest.mark.parametrize("stops", ["early_stopping", "stop_on_loss"])
def test_held_out_rows_have_the_shape_of_the_training_rows(stops):
    for y, held_out in ((PROGRESS, BOTH), (BOTH, PROGRESS)):
        estimator = MLPRegressor(hidden_layer_sizes=(4,), **{stops: True})
        with pytest.raises(ValueError, match=r"validation_data has \d outputs, y has \d"):
            estimator.fit(PATIENTS, y, validation_data=(PATIENTS, held_out))
        with pytest.raises(ValueError, match="inconsistent numbers of samples: "):
            estimator.fit(PATIENTS, y, validation_data=(PATIENTS, y[1:]))


@pytest.mark.parametrize("form", [np.array, np.float64, scipy.sparse.csr_matrix])
def test_held_out_rows_do_not_decide_the_precision(form):
    x, y = PATIENTS.astype(np.float32), PROGRESS
    estimator = MLPRegressor(hidden_layer_sizes=(4,), stop_on_loss=True, refit=True, max_iter=3)
    estimator.fit(x, y, validation_data=(form(PATIENTS[:20]), y[:20]))
    assert estimator.coefs_[0].dtype == np.float32


def test_a_callback_is_an_object():
    with pytest.raises(TypeError, match="got the function print"):
        MLPClassifier((4,), callbacks=[print]).fit(FLOWERS, NAMES)


def test_an_interval_of_other_quantiles_is_refused_by_the_name_of_the_option():
    found = MLPRegressor(hidden_layer_sizes=(4,), loss=mg.Quantile([0.1, 0.9]), max_iter=2)
    found.fit(PATIENTS, PROGRESS).predict_interval(PATIENTS, coverage=0.8)
    with pytest.raises(ValueError, match=r"coverage=0\.8 fits"):
        found.predict_interval(PATIENTS, coverage=0.9)


def test_uncertainty_for_a_sparse_input_is_that_for_a_dense_one(monkeypatch):
    found = MLPRegressor(hidden_layer_sizes=(4,), n_members=2, max_iter=5, random_state=0)
    found.fit(scipy.sparse.csr_array(PATIENTS), PROGRESS)
    monkeypatch.setattr("mlpgrad.sklearn.regressor.MADE_DENSE", 1000)  # in five pieces
    for kind in (scipy.sparse.csr_array, scipy.sparse.csc_array):
        x = kind(PATIENTS)
        np.testing.assert_allclose(found.predict_std(x), found.predict_std(PATIENTS))
        np.testing.assert_allclose(found.predict_interval(x), found.predict_interval(PATIENTS))


def test_a_callback_can_be_pickled_after_lbfgs():
    found = MLPClassifier((4,), solver="lbfgs", callbacks=[mg.Callback()], max_iter=3)
    found.fit(FLOWERS, NAMES)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict(FLOWERS), found.predict(FLOWERS))
