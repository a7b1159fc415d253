"""The pair gives scikit-learn's numbers for the same seed, with three documented exceptions."""

import inspect
import pickle
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_digits, make_multilabel_classification

import mlpgrad as mg
import mlpgrad.sklearn as ours
from mlpgrad.sklearn.gradient import BatchGradient
from mlpgrad.training import recording
from tests.sklearn import samples
from tests.sklearn.samples import FLOWERS, NAMES, PATIENTS, SPECIES

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer", "ignore:lbfgs failed to converge"
)

PROGRESS = samples.PROGRESS / 100
DIGITS, FIGURES = (array[:500] for array in load_digits(return_X_y=True))
DIGITS = DIGITS / 16  # theirs clips logits above 36 in the reported loss
TEXTS, LABELS = make_multilabel_classification(n_samples=120, random_state=0)
WEIGHTS = np.random.default_rng(0).uniform(0, 2, len(FLOWERS))


def both(kind, x, y, sample_weight=None, **options):
    """Fit their estimator and ours alike."""
    options = {"random_state": 3, "hidden_layer_sizes": (12, 6), **options}
    pair = [getattr(module, kind)(**options) for module in (theirs, ours)]
    return [estimator.fit(x, y, sample_weight=sample_weight) for estimator in pair]


def furthest(a, b):
    """The largest difference between the parameters of two estimators."""
    pairs = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    return max(abs(p - q).max() for p, q in pairs)


SGD = {"solver": "sgd", "learning_rate_init": 0.1, "max_iter": 80}
CASES = {
    "adam": ("MLPClassifier", FLOWERS, NAMES, {"max_iter": 150, "learning_rate_init": 0.01}),
    "last batch of one row": ("MLPClassifier", FLOWERS[:129], NAMES[:129], {"batch_size": 32}),
    "weights": ("MLPClassifier", FLOWERS, NAMES, {"sample_weight": WEIGHTS, "batch_size": 20}),
    "two classes": ("MLPClassifier", FLOWERS, SPECIES == 1, {"activation": "tanh"}),
    "several labels": ("MLPClassifier", TEXTS, LABELS, {"activation": "logistic"}),
    "linear": ("MLPClassifier", DIGITS, FIGURES, {"activation": "identity", "max_iter": 20}),
    "no hidden layer": ("MLPClassifier", FLOWERS, NAMES, {"hidden_layer_sizes": ()}),
    "in order": ("MLPClassifier", FLOWERS, NAMES, {"shuffle": False, "batch_size": 40}),
    "strong L2": ("MLPClassifier", FLOWERS, NAMES, {"alpha": 3.0, "batch_size": 40}),
    "csr": ("MLPClassifier", scipy.sparse.csr_matrix(DIGITS), FIGURES, {"max_iter": 15}),
    "csc": ("MLPClassifier", scipy.sparse.csc_array(DIGITS), FIGURES, {"max_iter": 15}),
    "score": ("MLPClassifier", FLOWERS, SPECIES == 1, {"early_stopping": True, "max_iter": 60}),
    "score of three": ("MLPClassifier", FLOWERS, NAMES, {"early_stopping": True}),
    "numbers": ("MLPRegressor", PATIENTS, PROGRESS, {}),
    "counts": ("MLPRegressor", PATIENTS, PROGRESS.round(), {"loss": "poisson"}),
    "score of numbers": ("MLPRegressor", PATIENTS, PROGRESS, {"early_stopping": True}),
    **{
        f"sgd {rate}, Nesterov {nesterov}": (
            *("MLPClassifier", FLOWERS, NAMES),
            {**SGD, "learning_rate": rate, "nesterovs_momentum": nesterov, "tol": 1e-3},
        )
        for rate in ("constant", "invscaling", "adaptive")
        for nesterov in (True, False)
    },
    "sgd without momentum": ("MLPRegressor", PATIENTS, PROGRESS, {**SGD, "momentum": 0}),
}


def kind_of(value):
    """The type of an attribute, of its elements, and of those of an array."""
    if isinstance(value, list):
        return list, {kind_of(element) for element in value}
    return type(value), getattr(value, "dtype", None)


@pytest.mark.parametrize("case", CASES)
def test_fitted_attributes_have_the_same_types(case):
    kind, x, y, options = CASES[case]
    for solver in {options.get("solver", "adam"), "lbfgs"}:
        a, b = both(kind, x, y, **{**options, "max_iter": 3, "solver": solver})
        public = [name for name in vars(a) if name.endswith("_") and not name.startswith("_")]
        assert {n: kind_of(vars(a)[n]) for n in public} == {n: kind_of(vars(b)[n]) for n in public}


@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_same_training(case):
    kind, x, y, options = CASES[case]
    a, b = both(kind, x, y, **{"max_iter": 40, **options})
    assert a.n_iter_ == b.n_iter_
    assert a.t_ == b.t_
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-12)
    assert furthest(a, b) < 1e-12
    for name in ("best_loss_", "best_validation_score_", "validation_scores_"):
        if getattr(a, name) is None:
            assert getattr(b, name) is None
        else:
            np.testing.assert_allclose(getattr(b, name), getattr(a, name), rtol=1e-12)
    if kind == "MLPClassifier":
        np.testing.assert_array_equal(b.predict(x), a.predict(x))
        np.testing.assert_allclose(b.predict_proba(x), a.predict_proba(x), atol=1e-12)
    else:
        np.testing.assert_allclose(b.predict(x), a.predict(x), atol=1e-12)


def test_initial_weights_are_the_same_for_every_activation():
    for activation in ("identity", "logistic", "tanh", "relu"):
        options = {"activation": activation, "max_iter": 1, "learning_rate_init": 1e-300}
        assert furthest(*both("MLPRegressor", PATIENTS, PROGRESS, **options)) == 0


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_lbfgs_takes_the_same_way(kind, activation):
    x, y = (FLOWERS, NAMES) if kind == "MLPClassifier" else (PATIENTS * 20, PROGRESS)
    options = {"solver": "lbfgs", "activation": activation, "hidden_layer_sizes": (20,)}
    for iterations in (5, 20, 50):
        a, b = both(kind, x, y, max_iter=iterations, alpha=0.1, **options)
        assert a.n_iter_ == b.n_iter_ == iterations
        assert abs(a.loss_ - b.loss_) < 1e-8
    x, y = FLOWERS[:, :2], FLOWERS[:, 2]
    options |= {"hidden_layer_sizes": (3,), "alpha": 1.0, "max_iter": 5000, "tol": 1e-6}
    a, b = both("MLPRegressor", x, y, **options)
    assert abs(a.loss_ - b.loss_) < 1e-6


def test_lbfgs_strays_no_further_than_theirs_does_by_rounding():
    # the line search doubles any difference every few iterations
    options = {"solver": "lbfgs", "activation": "tanh", "hidden_layer_sizes": (20,)}
    x, strays, by_rounding = PATIENTS * 20, [], []
    for seed in range(3):
        options |= {"max_iter": 100, "random_state": seed}
        a, b = both("MLPRegressor", x, PROGRESS, **options)
        moved = theirs.MLPRegressor(**options).fit(np.nextafter(x, np.inf), PROGRESS)
        strays.append(abs(a.loss_ - b.loss_))
        by_rounding.append(abs(a.loss_ - moved.loss_))
    assert max(strays) < 10 * max(by_rounding)


@pytest.mark.parametrize("case", ["adam", "numbers", "counts", "sgd constant, Nesterov True"])
def test_single_precision_is_close(case):
    kind, x, y, options = CASES[case]
    a, b = both(kind, x.astype(np.float32), y, **{**options, "max_iter": 40})
    assert {array.dtype for array in b.coefs_ + b.intercepts_} == {np.dtype(np.float32)}
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-3)
    assert furthest(a, b) < 1e-3


def test_warm_starts_and_partial_fits_go_on_alike():
    options = {"random_state": 0, "max_iter": 5, "warm_start": True, "solver": "sgd"}
    pair = [module.MLPClassifier(**options) for module in (theirs, ours)]
    for _ in range(3):
        a, b = (estimator.fit(FLOWERS, NAMES) for estimator in pair)
        np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-12)
    pair = [module.MLPClassifier(random_state=0) for module in (theirs, ours)]
    for start in range(0, 150, 30):
        rows = slice(start, start + 30)
        a, b = (e.partial_fit(FLOWERS[rows], NAMES[rows], classes=np.unique(NAMES)) for e in pair)
    assert a.t_ == b.t_ == 150
    assert furthest(a, b) < 1e-12


def test_parameters_and_defaults_are_theirs_and_only_more_by_keyword():
    for name in ("MLPClassifier", "MLPRegressor"):
        a, b = (inspect.signature(getattr(module, name)) for module in (theirs, ours))
        shared = [p.replace(annotation=p.empty) for p in b.parameters.values()][: len(a.parameters)]
        assert shared == list(a.parameters.values())
        further = list(b.parameters.values())[len(a.parameters) :]
        assert all(p.kind is p.KEYWORD_ONLY for p in further)


def test_attributes_of_a_fit_are_theirs():
    for kind, y in (("MLPClassifier", NAMES), ("MLPRegressor", SPECIES)):
        for solver in ("adam", "lbfgs"):
            a, b = both(kind, FLOWERS, y, max_iter=2, solver=solver)
            missing = {name for name in vars(a) if name.endswith("_")} - set(vars(b))
            assert missing == set()


def test_what_is_printed_is_theirs(capsys):
    printed = []
    for module in (theirs, ours):
        options = {**SGD, "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2}
        options |= {"verbose": True, "max_iter": 25, "random_state": 0}
        module.MLPClassifier(**options).fit(FLOWERS, NAMES)
        module.MLPClassifier(**options, early_stopping=True).fit(FLOWERS, NAMES)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "Setting learning rate" in printed[0]


# parameters that are assigned


def test_predictions_follow_assigned_weights():
    a, b = both("MLPRegressor", PATIENTS, PROGRESS, max_iter=3)
    rng = np.random.default_rng(0)
    for change in ("list", "element", "in place"):
        arrays = [rng.normal(size=array.shape) for array in a.coefs_]
        for estimator in (a, b):
            if change == "list":
                estimator.coefs_ = [array.copy() for array in arrays]
            elif change == "element":
                estimator.coefs_[1] = arrays[1].copy()
                estimator.intercepts_[0] = arrays[0][0].copy()
            else:
                estimator.coefs_[0][...] = arrays[0]
        np.testing.assert_allclose(b.predict(PATIENTS), a.predict(PATIENTS), rtol=1e-10)
    again = pickle.loads(pickle.dumps(b))
    np.testing.assert_array_equal(again.predict(PATIENTS), b.predict(PATIENTS))
    again.coefs_[0][...] = 0
    assert np.ptp(again.predict(PATIENTS)) < 1e-12 < np.ptp(b.predict(PATIENTS))


def test_a_pickled_estimator_holds_its_weights_once():
    _, b = both("MLPRegressor", PATIENTS, PROGRESS, max_iter=3, hidden_layer_sizes=(1000,))
    b._optimizer.reset()
    nbytes = sum(array.nbytes for array in b.coefs_ + b.intercepts_)
    assert len(pickle.dumps(b)) < 1.5 * nbytes


def test_a_clone_knows_nothing():
    _, b = both("MLPRegressor", PATIENTS, PROGRESS, max_iter=3)
    assert not hasattr(clone(b), "coefs_")


# sparse input


def test_a_sparse_input_is_never_made_dense():
    places = np.arange(2000), np.arange(2000) * 10
    x = scipy.sparse.csc_matrix((np.ones(2000), places), shape=(2000, 20_000))
    y = np.arange(2000) % 2
    for options in ({"max_iter": 2}, {"max_iter": 2, "solver": "lbfgs"}):
        estimator = ours.MLPClassifier(hidden_layer_sizes=(1,), **options)
        tracemalloc.start()
        try:
            estimator.fit(x, y).predict(x)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < x.shape[0] * x.shape[1] * 8 / 4


def test_who_has_learnt_from_one_form_predicts_from_the_other():
    sparse = scipy.sparse.csr_matrix(DIGITS)
    options = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
    a = ours.MLPClassifier(**options).fit(DIGITS, FIGURES)
    b = ours.MLPClassifier(**options).fit(sparse, FIGURES)
    for estimator in (a, b):
        dense, of_sparse = estimator.predict_proba(DIGITS), estimator.predict_proba(sparse)
        np.testing.assert_allclose(of_sparse, dense, atol=1e-12)
    np.testing.assert_allclose(b.predict_proba(sparse), a.predict_proba(sparse), atol=1e-12)


# three exceptions


def test_the_gradient_of_several_outputs_belongs_to_its_value():
    targets = np.column_stack([PROGRESS, -PROGRESS])
    pair = both("MLPRegressor", PATIENTS, targets, solver="lbfgs", max_iter=1, alpha=0)
    network = pair[1].model_
    data = (PATIENTS, targets, None)
    gradient = BatchGradient(network, 0.3)
    value = gradient(*data)
    found = network.grads.copy()
    prediction = network.predict(PATIENTS)
    squares = 0.5 * np.square(prediction - targets).mean()
    penalty = 0.15 * sum(np.square(w).sum() for w in pair[1].coefs_) / len(PATIENTS)
    assert value == pytest.approx(squares + penalty, rel=1e-12)

    def objective(params):
        network.params = params
        return gradient(*data)

    start = network.params.copy()
    for direction in np.random.default_rng(0).normal(size=(3, start.size)):
        step = 1e-6 * direction
        slope = (objective(start + step) - objective(start - step)) / 2e-6
        assert slope == pytest.approx(found @ direction, rel=1e-6)
    # theirs is twice as large, so the step from the same weights differs
    a, b = both(
        "MLPRegressor", PATIENTS, targets, **{**SGD, "alpha": 0, "momentum": 0, "max_iter": 1}
    )
    start = theirs.MLPRegressor(random_state=3, hidden_layer_sizes=(12, 6), max_iter=1)
    start.set_params(learning_rate_init=1e-300).fit(PATIENTS, targets)
    assert a.loss_curve_[0] != pytest.approx(b.loss_curve_[0], rel=1e-6)
    halved = theirs.MLPRegressor(random_state=3, hidden_layer_sizes=(12, 6))
    halved.set_params(
        **{**SGD, "alpha": 0, "momentum": 0, "max_iter": 1, "learning_rate_init": 0.05}
    )
    assert furthest(halved.fit(PATIENTS, targets), b) < 1e-12


def test_the_log_loss_is_not_clipped():
    x, y = np.array([[1.0], [-1.0]]), np.array([0, 1])
    reported = []
    for module in (theirs, ours):
        estimator = module.MLPClassifier((1,), "identity", alpha=0, max_iter=1, random_state=0)
        estimator.fit(x, y)
        sign = np.sign(estimator.coefs_[0] * estimator.coefs_[1]).item()
        estimator.coefs_[0][...], estimator.coefs_[1][...] = sign, 100 * sign * sign
        estimator.intercepts_[0][...] = estimator.intercepts_[1][...] = 0
        estimator.coefs_[0][...] = 1
        estimator.partial_fit(x, y)  # the wrong answer with a logit of 100
        reported.append(estimator.loss_)
    assert reported[0] == pytest.approx(36.04, abs=0.01)
    assert reported[1] == pytest.approx(100)


def test_no_estimator_offers_partial_fit_with_lbfgs():
    assert hasattr(theirs.MLPRegressor(solver="lbfgs"), "partial_fit")
    for cls in (ours.MLPRegressor, ours.MLPClassifier):
        assert hasattr(cls(), "partial_fit")
        assert not hasattr(cls(solver="lbfgs"), "partial_fit")


# what scikit-learn does not have


def test_the_network_can_be_checked_and_saved(tmp_path):
    _, b = both("MLPClassifier", FLOWERS, SPECIES, max_iter=5)
    assert mg.check_gradients(b.model_, FLOWERS[:20], SPECIES[:20])
    assert b.history_["loss"] == b.loss_curve_
    b.model_.save(tmp_path / "model.npz")
    loaded = mg.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.predict_classes(FLOWERS), b.predict(FLOWERS))


def test_steps_are_recorded_where_there_are_many_those_of_the_last_batch_too():
    network = ours.MLPRegressor(max_iter=1).fit(PATIENTS, PROGRESS).model_
    gradient = BatchGradient(network, 1.0, steps=lambda rows: 1000)
    for rows in (200, 42):
        gradient(PATIENTS[:rows], PROGRESS[:rows, None], None)
        assert gradient._by_rows[rows].recording is not None


@pytest.mark.parametrize("rows", [200, 21])
def test_the_layers_hold_the_last_step_whose_batch_may_be_smaller(rows, monkeypatch):
    monkeypatch.setattr(recording, "LARGE", 0)  # all batches are read in place
    options = {"solver": "sgd", "learning_rate_init": 1e-9, "max_iter": 300, "tol": 0}
    options |= {"batch_size": rows, "shuffle": False, "n_iter_no_change": np.inf}
    for members in (1, 2):
        estimator = ours.MLPRegressor(n_members=members, hidden_layer_sizes=(4,), **options)
        estimator.fit(PATIENTS, PROGRESS, sample_weight=WEIGHTS[0] * np.ones(len(PATIENTS)))
        last = PATIENTS[len(PATIENTS) // rows * rows :]
        first, *others = estimator.model_.layers
        np.testing.assert_array_equal(first.inputs.reshape(-1, *last.shape)[-1], last)
        assert {layer.outputs.shape[-2] for layer in (first, *others)} == {len(last)}


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_a_batch_of_all_rows_is_read_where_it_is(kind, monkeypatch):
    copied, reading = [], recording.Recording.reading

    def spied(steps, x, *others):
        found = reading(steps, x, *others)
        copied.append(found is steps.copied or not np.shares_memory(x, data))
        return found

    monkeypatch.setattr(recording, "LARGE", 0)
    monkeypatch.setattr(recording.Recording, "reading", spied)
    monkeypatch.setenv("MLPGRAD_COMPILED", "0")
    data, y = (FLOWERS, SPECIES) if kind == "MLPClassifier" else (PATIENTS, PROGRESS)
    options = {"batch_size": len(data), "max_iter": 300, "n_iter_no_change": 300}
    a, b = both(kind, data, y, **options)
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-12)
    assert copied == [False] * 300
