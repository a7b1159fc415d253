"""What happens to an estimator that is changed after a fit: options, parameters, rows, weights."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn import neural_network as theirs
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning

import mlpgrad as mg
from mlpgrad.sklearn import MLPClassifier, MLPRegressor, TabularMLPClassifier
from mlpgrad.sklearn.tabular_classifier import PRIOR

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

FLOWERS, SPECIES = load_iris(return_X_y=True)
FLOWERS = (FLOWERS - FLOWERS.mean(axis=0)) / FLOWERS.std(axis=0)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
PROGRESS = (PROGRESS - PROGRESS.mean()) / PROGRESS.std()


def classifier(**options):
    options = {"hidden_layer_sizes": (8, 8), "max_iter": 20, "learning_rate_init": 0.01} | options
    return MLPClassifier(random_state=0, **options)


def regressor(**options):
    options = {"hidden_layer_sizes": (8, 8), "max_iter": 20, "learning_rate_init": 0.01} | options
    return MLPRegressor(random_state=0, **options)


def weights_of(estimator):
    return np.concatenate([array.ravel() for array in estimator.coefs_])


# options


@pytest.mark.parametrize(
    "built",
    [
        {"normalization": "batch"},
        {"normalization": "layer", "residual": True},
        {"normalization": "batch", "n_members": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("changed", [{"dropout": 0.1}, {"label_smoothing": 0.1}], ids=str)
def test_an_option_that_changes_no_prediction_leaves_all_that_was_learned(built, changed):
    estimator = classifier(**built).fit(FLOWERS, SPECIES)
    before = estimator.predict_proba(FLOWERS), estimator.loss_
    estimator.set_params(**changed)
    np.testing.assert_array_equal(estimator.predict_proba(FLOWERS), before[0])
    estimator.set_params(warm_start=True, max_iter=1).fit(FLOWERS, SPECIES)
    assert estimator.loss_ < 1.5 * before[1] + 0.2  # 1.1 at first


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_sparse_rows_after_dense_ones_go_on_with_what_was_learned(normalization):
    dense, mixed = (classifier(normalization=normalization).fit(FLOWERS, SPECIES) for _ in "ab")
    dense.partial_fit(FLOWERS, SPECIES)
    mixed.partial_fit(scipy.sparse.csr_matrix(FLOWERS), SPECIES)
    np.testing.assert_allclose(mixed.loss_, dense.loss_, rtol=1e-9)


@pytest.mark.parametrize("loss", ["gaussian_nll", mg.Quantile([0.05, 0.5, 0.95])], ids=str)
@pytest.mark.parametrize("use", ["predict", "fit"])
def test_a_loss_with_another_number_of_outputs_needs_a_new_fit(loss, use):
    estimator = regressor(warm_start=True).fit(PATIENTS, PROGRESS).set_params(loss=loss)
    with pytest.raises(ValueError, match=r"outputs, but the network was fitted with 1; fit a new"):
        estimator.predict(PATIENTS) if use == "predict" else estimator.fit(PATIENTS, PROGRESS)


@pytest.mark.parametrize("losses", [("squared_error", "poisson"), ("poisson", "huber")])
def test_a_loss_of_logarithms_changes_predictions_only_by_a_fit(losses):
    estimator = regressor(loss=losses[0]).fit(PATIENTS, PROGRESS**2)
    before, activation = estimator.predict(PATIENTS), estimator.out_activation_
    estimator.set_params(loss=losses[1])
    np.testing.assert_array_equal(estimator.predict(PATIENTS), before)
    assert estimator.out_activation_ == activation
    assert estimator.fit(PATIENTS, PROGRESS**2).out_activation_ != activation


def test_what_a_warm_start_cannot_change_is_refused():
    estimator = regressor(warm_start=True).fit(PATIENTS, PROGRESS)
    with pytest.raises(ValueError, match="y has 2 outputs, but MLPRegressor was fitted with 1"):
        estimator.fit(PATIENTS, np.c_[PROGRESS, PROGRESS])
    before = estimator.predict(PATIENTS)
    estimator.set_params(target_scaling="standard")
    np.testing.assert_array_equal(estimator.predict(PATIENTS), before)
    with pytest.raises(ValueError, match="target_scaling='standard' cannot follow None"):
        estimator.fit(PATIENTS, PROGRESS)
    estimator = regressor(warm_start=True).fit(PATIENTS, PROGRESS)
    estimator.set_params(hidden_layer_sizes=(8,))
    for call in (estimator.fit, estimator.partial_fit):  # theirs fails inside
        with pytest.raises(ValueError, match=r"sizes=\(8,\) cannot follow 2 hidden layers"):
            call(PATIENTS, PROGRESS)


def test_lbfgs_goes_on_in_double_precision_as_theirs():
    found = []
    for kind in (theirs.MLPRegressor, MLPRegressor):
        options = {"hidden_layer_sizes": (8,), "random_state": 0, "warm_start": True, "tol": 0}
        estimator = kind(max_iter=1, **options).fit(PATIENTS.astype(np.float32), PROGRESS)
        estimator.set_params(solver="lbfgs", max_iter=20).fit(PATIENTS, PROGRESS)
        found.append(estimator)
    assert {array.dtype for array in found[1].coefs_ + found[1].intercepts_} == {np.dtype(float)}
    assert found[1].loss_ == pytest.approx(found[0].loss_, rel=1e-5)


def test_a_warm_start_with_another_way_of_stopping_begins_its_records():
    estimator = classifier(warm_start=True, max_iter=5).fit(FLOWERS, SPECIES)
    estimator.set_params(stop_on_loss=True).fit(FLOWERS, SPECIES)
    assert len(estimator.validation_losses_) == 5
    estimator.set_params(stop_on_loss=False, early_stopping=True).fit(FLOWERS, SPECIES)
    assert len(estimator.validation_scores_) == 5
    estimator.set_params(early_stopping=False).fit(FLOWERS, SPECIES)
    assert estimator.best_loss_ == min(estimator.loss_curve_[-5:])
    assert len(estimator.loss_curve_) == 20


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_new_fit_has_no_records_of_the_rows_that_another_held_out(solver):
    estimator = classifier(stop_on_loss=True).fit(FLOWERS, SPECIES)
    estimator.set_params(stop_on_loss=False, solver=solver).fit(FLOWERS, SPECIES)
    records = {"validation_losses_", "best_validation_losses_", "best_epochs_"}
    assert not vars(estimator).keys() & records


def test_label_smoothing_of_a_loss_that_is_an_object_is_refused():
    with pytest.raises(ValueError, match=r"label_smoothing=0.3 has no effect on a loss that is an"):
        classifier(loss=mg.SoftmaxCrossEntropy(), label_smoothing=0.3).fit(FLOWERS, SPECIES)


# parameters


def pruned(estimator):
    (a, b), (c, d) = estimator.coefs_, estimator.intercepts_
    estimator.coefs_, estimator.intercepts_ = (a[:, 2:5].copy(), b[2:5].copy()), (c[2:5].copy(), d)
    return estimator


@pytest.mark.parametrize("go_on", [None, "fit"])
def test_assigned_parameters_may_have_fewer_hidden_units_as_theirs(go_on):
    options = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, "warm_start": True}
    found = []
    for kind in (theirs.MLPRegressor, MLPRegressor):
        estimator = pruned(kind(**options).fit(PATIENTS, PROGRESS))
        if go_on:
            estimator.coefs_, estimator.intercepts_ = [*estimator.coefs_], [*estimator.intercepts_]
            estimator.fit(PATIENTS, PROGRESS)
        found.append(estimator.predict(PATIENTS))
    np.testing.assert_allclose(*found, rtol=1e-10)


def test_partial_fit_goes_on_with_fewer_hidden_units():
    estimator = pruned(regressor(hidden_layer_sizes=(8,)).partial_fit(PATIENTS, PROGRESS))
    estimator.partial_fit(PATIENTS, PROGRESS)
    assert [array.shape for array in estimator.coefs_] == [(10, 3), (3, 1)]


@pytest.mark.parametrize("shape", [(1, 8), (10, 1), (10,), ()], ids=str)
def test_assigned_parameters_that_do_not_fit_are_refused(shape):
    estimator = regressor(hidden_layer_sizes=(8,)).fit(PATIENTS, PROGRESS)
    estimator.coefs_[0] = np.ones(shape)
    with pytest.raises(ValueError, match=r"(coefs_|intercepts_) expects arrays of the shapes"):
        estimator.predict(PATIENTS)


def test_predictions_follow_an_assigned_array():
    estimator = regressor(hidden_layer_sizes=()).fit(PATIENTS, PROGRESS)
    own = np.zeros((10, 1))
    estimator.coefs_[0] = own
    assert np.ptp(estimator.predict(PATIENTS)) == 0
    own[0] = 1
    np.testing.assert_allclose(np.diff(estimator.predict(PATIENTS)), np.diff(PATIENTS[:, 0]))


# sample weights


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("exponent", [-140, -100, 100, 120, 900])
def test_a_common_factor_of_the_weights_has_no_effect_without_l2(exponent, solver, dtype):
    rng = np.random.default_rng(0)
    weights, x = rng.uniform(0.5, 2, len(SPECIES)), FLOWERS.astype(dtype)
    curves = []
    for factor in (1.0, 2.0**exponent):
        estimator = classifier(alpha=0, solver=solver, max_iter=5)
        curves.append(estimator.fit(x, SPECIES, weights * factor).loss_)
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-6)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, float])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_weights_of_every_type_are_taken_alike(solver, dtype):
    weights = (np.arange(len(SPECIES)) % 3 > 0).astype(dtype)
    found, expected = (
        classifier(solver=solver, max_iter=5).fit(FLOWERS, SPECIES, sample_weight=given)
        for given in (weights, weights.astype(float))
    )
    np.testing.assert_array_equal(weights_of(found), weights_of(expected))


@pytest.mark.parametrize("weight", [2e36, 1e-36])
def test_extreme_weights_are_as_theirs_in_float32(weight):
    weights, x = np.full(len(SPECIES), weight), FLOWERS.astype(np.float32)
    options = {"max_iter": 5, "random_state": 0, "alpha": 1e-40 if weight < 1 else 1e30}
    curves = [
        kind((8,), **options).fit(x, SPECIES, sample_weight=weights).loss_curve_
        for kind in (theirs.MLPClassifier, MLPClassifier)
    ]
    np.testing.assert_allclose(*curves, rtol=1e-3)


@pytest.mark.parametrize("kind", [classifier, TabularMLPClassifier])
def test_negative_class_weights_are_refused(kind):
    with pytest.raises(ValueError, match=r"expects finite numbers >= 0, got -3\.0"):
        kind(class_weight={0: -3.0, 1: 1, 2: 1}).fit(FLOWERS, SPECIES)


# held-out rows and callbacks


@pytest.mark.parametrize("how", ["early_stopping", "stop_on_loss"])
def test_refit_keeps_the_records_of_the_held_out_rows(how):
    records = "validation_scores_", "validation_losses_", "best_validation_losses_", "best_epochs_"
    plain, again = (
        classifier(refit=refit, **{how: True}).fit(FLOWERS, SPECIES) for refit in (False, True)
    )
    for name in records:
        np.testing.assert_array_equal(getattr(plain, name, ()), getattr(again, name, ()))
    assert again.n_iter_ == int(np.median(again.best_epochs_))


@pytest.mark.parametrize("weighted", [False, True])
def test_refit_trains_on_the_validation_rows_that_were_given(weighted):
    held = FLOWERS[::3], SPECIES[::3], *([np.ones(50)] if weighted else [])
    estimator = classifier(stop_on_loss=True, refit=True)
    estimator.fit(scipy.sparse.csr_matrix(FLOWERS), SPECIES, validation_data=held)
    assert estimator.t_ == 200 * estimator.n_iter_


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_refit_without_a_best_epoch_says_so():
    estimator = regressor(early_stopping=True, refit=True, max_iter=3)
    with pytest.warns(ConvergenceWarning, match="No epoch improved the held-out rows"):
        estimator.fit(PATIENTS, PROGRESS * 1e200)
    assert len(estimator.validation_scores_) == estimator.n_iter_ > 0


@pytest.mark.parametrize("how", [{}, {"early_stopping": True}, {"stop_on_loss": True}], ids=str)
def test_averaged_weights_are_those_that_are_held_out_and_kept(how):
    average = mg.ExponentialMovingAverage(0.9)
    own = FLOWERS[::3], SPECIES[::3]
    given = {"validation_data": own} if how else {}
    plain = classifier(**how).fit(FLOWERS, SPECIES, **given)
    averaged = classifier(callbacks=[average], **how).fit(FLOWERS, SPECIES, **given)
    assert not np.allclose(weights_of(plain), weights_of(averaged))
    if how == {"stop_on_loss": True}:
        log_loss = -np.log(averaged.predict_proba(own[0])[np.arange(50), own[1]]).mean()
        np.testing.assert_allclose(averaged.best_validation_losses_, log_loss, rtol=1e-12)
    if how == {"early_stopping": True}:
        assert averaged.score(*own) == averaged.best_validation_score_


def test_a_callback_that_waits_for_validation_data_is_refused():
    waiting = mg.ReduceOnPlateau(monitor="val_loss")
    with pytest.raises(ValueError, match="the callbacks of an estimator see no val_loss"):
        classifier(stop_on_loss=True, callbacks=[waiting]).fit(FLOWERS, SPECIES)
    own = mg.EarlyStopping(3, monitor="val_loss", validation_data=(FLOWERS, SPECIES))
    classifier(callbacks=[own]).fit(FLOWERS, SPECIES)


@pytest.mark.parametrize("solver", ["adam", "lbfgs", mg.LBFGS()], ids=str)
def test_the_loss_of_several_members_is_their_mean(solver):
    one, four = (classifier(solver=solver, max_iter=1, n_members=n) for n in (1, 4))
    assert four.fit(FLOWERS, SPECIES).loss_ < 2 * one.fit(FLOWERS, SPECIES).loss_
    assert np.mean(four.history_["loss"][-1]) == pytest.approx(four.loss_, rel=1e-3)


class Interrupt(mg.Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("solver", ["adam", "lbfgs", mg.LBFGS()], ids=str)
@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.filterwarnings("ignore:Training interrupted")
def test_an_interrupt_in_a_callback_ends_the_training(solver, epoch):
    estimator = classifier(solver=solver, callbacks=[Interrupt(epoch)]).fit(FLOWERS, SPECIES)
    assert estimator.n_iter_ == epoch
    assert np.isfinite(estimator.predict_proba(FLOWERS)).all()


# the pair for tables


@pytest.mark.parametrize(("members", "folds"), [(5, 5), (6, 3), (5, 2)])
def test_the_temperature_is_that_of_the_probabilities_that_are_served(members, folds):
    labels = SPECIES == 1
    estimator = TabularMLPClassifier(
        *[(8,)],
        n_members=members,
        n_folds=folds,
        candidates=["plain"],
        rows="folds",
        max_epochs=30,
        random_state=0,
    ).fit(FLOWERS, labels)
    logits = estimator.model_.predict(FLOWERS)[..., 0].astype(float)
    served = 1 / (1 + np.exp(-logits))
    left_out = np.arange(members)[:, None] % folds == estimator.folds_
    expected = np.average(served, axis=0, weights=left_out)
    np.testing.assert_allclose(estimator.oof_prediction_[:, 1], expected, atol=1e-6)

    def surprise(factor):
        p = np.average(1 / (1 + np.exp(-logits * factor)), axis=0, weights=left_out)
        prior = (np.log(estimator.temperature_ / factor) / PRIOR) ** 2 / 2
        return -np.log(np.where(labels, p, 1 - p)).mean() + prior / len(labels)

    assert surprise(1) <= min(surprise(0.99), surprise(1.01)) + 1e-9
