"""Compiled fits of the pair give scikit-learn's numbers, too, and end as NumPy's do."""

import ctypes
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("llvmlite")

import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.datasets import load_diabetes, load_iris

import mlpgrad as mg
import mlpgrad.sklearn as ours
from mlpgrad.sklearn import compiled
from mlpgrad.sklearn.stochastic import Epochs
from mlpgrad.training.compiled.epoch import ROW
from mlpgrad.training.compiled.program import Program

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

FLOWERS, SPECIES = load_iris(return_X_y=True)
FLOWERS = (FLOWERS - FLOWERS.mean(axis=0)) / FLOWERS.std(axis=0)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
SGD = {"solver": "sgd", "learning_rate_init": 0.1, "tol": 1e-3}


@pytest.fixture(autouse=True)
def always(monkeypatch):
    monkeypatch.setenv("MLPGRAD_COMPILED", "1")


def classifier(**options):
    return ours.MLPClassifier((12, 6), **{"max_iter": 40, "random_state": 3, **options})


CASES = {
    "whole": ("MLPClassifier", FLOWERS, SPECIES, {"alpha": 0.1}),
    "last batch is smaller": ("MLPClassifier", FLOWERS, SPECIES, {"batch_size": 32, "alpha": 0.1}),
    "in columns": ("MLPClassifier", np.asfortranarray(FLOWERS), SPECIES, {"batch_size": 32}),
    "two classes": ("MLPClassifier", FLOWERS, SPECIES == 1, {"activation": "tanh"}),
    "labels": ("MLPClassifier", FLOWERS, np.eye(3, dtype=int)[SPECIES], {"activation": "logistic"}),
    "in order": ("MLPClassifier", FLOWERS, SPECIES, {"shuffle": False, "batch_size": 40}),
    "score": ("MLPRegressor", PATIENTS, PROGRESS, {"early_stopping": True}),
    "invscaling": ("MLPClassifier", FLOWERS, SPECIES, {**SGD, "learning_rate": "invscaling"}),
    "adaptive": ("MLPClassifier", FLOWERS, SPECIES, {**SGD, "learning_rate": "adaptive"}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_compiled_fit_is_theirs(case):
    kind, x, y, options = CASES[case]
    options = {"hidden_layer_sizes": (12, 6), "max_iter": 80, "random_state": 3, **options}
    a, b = (getattr(module, kind)(**options).fit(x, y) for module in (theirs, ours))
    assert b.history_.compiled
    assert b.model_.compiled_because is None
    assert a.n_iter_ == b.n_iter_
    assert a.t_ == b.t_
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-12)
    for p, q in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_allclose(q, p, atol=1e-12)


@pytest.mark.parametrize("size", [150, 75])
def test_the_rows_of_a_batch_of_all_rows_are_copied_once(size, monkeypatch):
    orders, train = [], Program.train

    def spied(program, rows, *counts):
        order = (ctypes.c_int64 * len(ROW)).from_address(rows)[ROW.index("order")]
        orders.append(bool(order))
        return train(program, rows, *counts)

    monkeypatch.setattr(Program, "train", spied)
    classifier(batch_size=size, max_iter=4).fit(FLOWERS, SPECIES)
    assert orders == [True, True] + [size == 75] * 3  # the first step is a check


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.2, "normalization": "batch", "batch_size": 40},
        {"activation": [mg.GELU(), mg.SiLU()], "residual": True, "label_smoothing": 0.1},
        {"solver": mg.AdamW(mg.CosineDecay(0.02, steps=160)), "batch_size": 40},
        {"stop_on_loss": True, "refit": True},
    ],
    ids=str,
)
def test_a_compiled_fit_is_that_of_numpy(options, monkeypatch):
    found = classifier(**options).fit(FLOWERS, SPECIES)
    monkeypatch.setenv("MLPGRAD_COMPILED", "0")
    expected = classifier(**options).fit(FLOWERS, SPECIES)
    assert found.history_.compiled
    assert not expected.history_.compiled
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(found.model_.params, expected.model_.params, atol=1e-11)
    np.testing.assert_allclose(found.model_.state, expected.model_.state, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [150, 40, 7, 1])
def test_weights_are_divided_by_their_sum_in_a_batch_as_theirs(size, dtype):
    weights = np.random.default_rng(0).uniform(0.1, 5, len(FLOWERS))
    options = {**SGD, "alpha": 0.0, "batch_size": size, "max_iter": 5, "random_state": 3}
    tolerance = 1e-12 if dtype is np.float64 else 1e-4
    options["learning_rate_init"] = 0.001 * size**0.5
    for y in (SPECIES, SPECIES == 1, np.eye(3, dtype=int)[SPECIES], FLOWERS[:, 0]):
        kind = "MLPRegressor" if y.dtype == float else "MLPClassifier"
        pair = [getattr(module, kind)(**options) for module in (theirs, ours)]
        a, b = (one.fit(FLOWERS.astype(dtype), y, sample_weight=weights) for one in pair)
        assert b.history_.compiled
        np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=tolerance)


def test_compiled_weights_may_be_those_of_classes_or_0(monkeypatch):
    found = []
    weights = np.where(np.arange(150) < 80, 0.0, 2.0)  # whole batches of weight 0
    for compiles in "10":
        monkeypatch.setenv("MLPGRAD_COMPILED", compiles)
        options = {"alpha": 0.0, "batch_size": 40, "shuffle": False, "class_weight": {1: 3, 2: 5}}
        found.append(classifier(**options).fit(FLOWERS, SPECIES, sample_weight=weights))
        assert found[-1].history_.compiled == (compiles == "1")
    np.testing.assert_allclose(*(one.loss_curve_ for one in found), rtol=1e-12)
    np.testing.assert_allclose(*(one.model_.params for one in found), atol=1e-11)


def test_many_calls_make_the_steps_of_one(monkeypatch):
    whole = classifier(batch_size=10).fit(FLOWERS, SPECIES)
    monkeypatch.setattr(compiled, "WORK", 20 * whole.model_.params.size)
    monkeypatch.setattr(compiled, "STEPS_AHEAD", 7)
    pieces = classifier(batch_size=10).fit(FLOWERS, SPECIES)
    np.testing.assert_array_equal(pieces.model_.params, whole.model_.params)


def test_where_the_loss_overflows_numpy_goes_on():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in (theirs, ours):
            wild = module.MLPRegressor(
                solver="sgd", learning_rate_init=1e6, batch_size=20, max_iter=5, random_state=0
            )
            with pytest.raises(ValueError, match="non-finite parameter weights"):
                wild.fit(PATIENTS * 100, PROGRESS)
            assert wild.n_iter_ == 5
    assert wild.history_.compiled


def test_what_is_not_compiled_says_why():
    for options, x, weights, reason in [
        ({}, scipy.sparse.csr_array(FLOWERS), None, "sparse"),
        ({}, FLOWERS, np.ones(150), "weights of a batch"),
        ({"callbacks": [mg.Callback()]}, FLOWERS, None, "callbacks"),
        ({"n_members": 2}, FLOWERS, None, "several members"),
    ]:
        found = classifier(max_iter=2, **options).fit(x, SPECIES, sample_weight=weights)
        assert reason in found.model_.compiled_because
        assert not found.history_.compiled
    unpenalised = classifier(max_iter=2, alpha=0.0)
    assert unpenalised.fit(FLOWERS, SPECIES, sample_weight=np.ones(150)).history_.compiled
    once = classifier().partial_fit(FLOWERS, SPECIES, classes=[0, 1, 2])
    assert "partial_fit" in once.model_.compiled_because


def test_compiling_is_chosen_by_the_work_that_was_asked_for(monkeypatch):
    monkeypatch.delenv("MLPGRAD_COMPILED")
    short = classifier(max_iter=5).fit(FLOWERS, SPECIES)
    assert "less time than compiling" in short.model_.compiled_because
    long = classifier(max_iter=10_000, n_iter_no_change=1, tol=1.0).fit(FLOWERS, SPECIES)
    assert long.history_.compiled


def test_the_layers_hold_the_last_step():
    found = classifier(max_iter=1, batch_size=50).fit(FLOWERS, SPECIES)
    assert found.model_.layers[0].outputs.shape == (50, 12)


class Ending(mg.Schedule):
    """A schedule without a learning rate from some step on."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, steps):
        if steps >= self.steps:
            raise RuntimeError(f"no rate at step {steps}")
        return 0.01


@pytest.mark.parametrize("steps", [1, 5, 12, 13, 24])
def test_a_schedule_that_fails_ends_the_training_at_that_step(steps, monkeypatch):
    found, train = [], Epochs.train

    def seen(method, session):
        """In the first epoch, the fit leaves no network behind."""
        found.append((session.network, method.optimizer))
        train(method, session)

    monkeypatch.setattr(Epochs, "train", seen)
    for compiles in ("1", "0"):
        monkeypatch.setenv("MLPGRAD_COMPILED", compiles)
        fitted = classifier(solver=mg.Adam(Ending(steps)), batch_size=12)
        with pytest.raises(RuntimeError, match=f"no rate at step {steps}$"):
            fitted.fit(FLOWERS, SPECIES)
        network, optimizer = found[-1]
        assert (network.compiled_because is None) == (compiles == "1")
        assert optimizer.steps == steps
    np.testing.assert_allclose(found[0][0].params, found[1][0].params, atol=1e-12)
