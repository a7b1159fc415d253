"""Options of the pair that scikit-learn's does not have; for defaults see test_dropin.py."""

import ast
import re

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification

import mlpgrad as mg
from mlpgrad.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer", "ignore:lbfgs failed to converge"
)

FLOWERS, SPECIES = load_iris(return_X_y=True)
FLOWERS = (FLOWERS - FLOWERS.mean(axis=0)) / FLOWERS.std(axis=0)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)


def classifier(**options):
    options = {"max_iter": 30, "random_state": 0, "learning_rate_init": 0.01, **options}
    return MLPClassifier((16, 16), **options)


def regressor(**options):
    options = {"max_iter": 60, "random_state": 0, "learning_rate_init": 0.01, **options}
    return MLPRegressor(hidden_layer_sizes=(16, 16), **options)


# the network


class Bump(mg.Activation):
    """A user-defined activation: a = exp(-z^2)."""

    def apply(self, z, out):
        np.exp(-z * z, out)

    def slope(self, z, a, out):
        out[...] = -2 * z * a


def test_hidden_layers_consist_of_what_the_options_say():
    options = {"activation": [mg.GELU(), "tanh"], "dropout": 0.1, "normalization": "batch"}
    model = classifier(**options, residual=True).fit(FLOWERS, SPECIES).model_
    assert [type(layer) for layer in model.layers] == [
        *(mg.Dense, mg.BatchNorm, mg.GELU, mg.Dropout, mg.Residual, mg.Dense)
    ]
    assert [type(layer) for layer in model.layers[4].layers] == [
        *(mg.Dense, mg.BatchNorm, mg.Tanh, mg.Dropout)
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"activation": Bump()},
        {"activation": ["relu", mg.SiLU()]},
        {"activation": ["logistic", "tanh"]},
        {"normalization": "layer"},
        {"normalization": "batch", "residual": True, "n_members": 3},
        {"dropout": 0.2, "n_members": 2},
        {"solver": mg.NAdam(mg.CosineDecay(0.02, steps=30))},
        {"solver": mg.NAdam(mg.CosineDecay(0.02))},
        {"solver": mg.RMSprop(0.01)},
        {"label_smoothing": 0.1},
        {"class_weight": "balanced"},
        {"loss": mg.SoftmaxCrossEntropy(0.2)},
        {"loss": mg.SoftmaxFocal()},
        {"solver": "lbfgs", "n_members": 2},
    ],
    ids=str,
)
def test_every_option_learns_and_gives_the_same_again(options):
    first = classifier(**options).fit(FLOWERS, SPECIES)
    again = clone(first).fit(FLOWERS, SPECIES)
    assert first.score(FLOWERS, SPECIES) > 0.85
    np.testing.assert_array_equal(first.model_.params, again.model_.params)
    np.testing.assert_array_equal(first.predict_proba(FLOWERS), again.predict_proba(FLOWERS))


def test_activations_are_as_many_as_hidden_layers():
    with pytest.raises(ValueError, match="one for each of 2 hidden layers, got 3"):
        classifier(activation=["relu"] * 3).fit(FLOWERS, SPECIES)
    with pytest.raises(ValueError, match=r"got 'gelu'"):
        classifier(activation=["relu", "gelu"]).fit(FLOWERS, SPECIES)


# ensembles


def test_members_are_networks_of_their_own_and_their_probabilities_are_averaged():
    several = classifier(n_members=3).fit(FLOWERS, SPECIES)
    assert [array.shape for array in several.coefs_] == [(3, 4, 16), (3, 16, 16), (3, 16, 3)]
    each = several.model_.predict_proba(FLOWERS)
    np.testing.assert_allclose(several.predict_proba(FLOWERS), each.mean(axis=0), atol=1e-12)
    assert np.abs(each[0] - each[1]).max() > 0.01
    single = MLPClassifier((16, 16), max_iter=30, random_state=0, learning_rate_init=0.01)
    start = several.set_params(max_iter=1, learning_rate_init=1e-300).fit(FLOWERS, SPECIES)
    first = single.set_params(max_iter=1, learning_rate_init=1e-300).fit(FLOWERS, SPECIES)
    np.testing.assert_array_equal(start.coefs_[0][0], first.coefs_[0])


def test_a_member_trains_as_it_would_alone():
    weights = np.random.default_rng(0).uniform(0.5, 2, len(FLOWERS))
    options = {"n_members": 2, "alpha": 0.5, "shuffle": False, "batch_size": 40}
    pair = classifier(**options, max_iter=1, learning_rate_init=1e-300).fit(FLOWERS, SPECIES)
    pair.set_params(max_iter=10, learning_rate_init=0.01, warm_start=True)
    starts = [[array[i].copy() for array in pair.coefs_] for i in (0, 1)]
    biases = [[array[i].copy() for array in pair.intercepts_] for i in (0, 1)]
    pair.fit(FLOWERS, SPECIES, sample_weight=weights)
    for member in (0, 1):
        alone = classifier(**{**options, "n_members": 1}, warm_start=True, max_iter=10)
        alone.max_iter = 1
        alone.set_params(learning_rate_init=1e-300).fit(FLOWERS, SPECIES)
        alone.coefs_, alone.intercepts_ = starts[member], biases[member]
        alone.set_params(max_iter=10, learning_rate_init=0.01)
        alone.fit(FLOWERS, SPECIES, sample_weight=weights)
        for array, of_both in zip(alone.coefs_, pair.coefs_, strict=True):
            np.testing.assert_allclose(array, of_both[member], atol=1e-12)


def test_members_learn_from_a_sparse_input():
    sparse = scipy.sparse.csr_matrix(FLOWERS)
    a, b = (classifier(n_members=2).fit(x, SPECIES) for x in (FLOWERS, sparse))
    np.testing.assert_allclose(a.predict_proba(sparse), b.predict_proba(FLOWERS), atol=1e-10)


def test_members_have_several_labels_and_counts():
    texts, labels = make_multilabel_classification(n_samples=100, random_state=0)
    found = classifier(n_members=2, max_iter=100).fit(texts, labels)
    each = found.model_.predict_proba(texts)
    np.testing.assert_allclose(found.predict_proba(texts), each.mean(axis=0), atol=1e-12)
    counts = regressor(n_members=2, loss="poisson").fit(PATIENTS * 10, SPECIES.repeat(3)[:442])
    rates = np.exp(counts.model_.predict(PATIENTS * 10))[..., 0]
    np.testing.assert_allclose(counts.predict(PATIENTS * 10), rates.mean(axis=0))


# losses


@pytest.mark.parametrize(
    "loss",
    ["huber", "absolute_error", "gaussian_nll", mg.Quantile([0.1, 0.5, 0.9]), mg.Huber(0.5)],
    ids=str,
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_every_loss_on_numbers_learns(loss, outputs):
    y = np.column_stack([PROGRESS, -2 * PROGRESS]) if outputs == 2 else PROGRESS
    found = regressor(loss=loss, target_scaling="standard").fit(PATIENTS * 20, y)
    assert found.predict(PATIENTS * 20).shape == ((442, 2) if outputs == 2 else (442,))
    assert found.score(PATIENTS * 20, y) > 0.4


def test_a_classifier_takes_a_loss_for_one_output():
    found = classifier(loss=mg.Hinge()).fit(FLOWERS, SPECIES == 1)
    assert found.score(FLOWERS, SPECIES == 1) > 0.85
    with pytest.raises(TypeError, match="Hinge does not define probabilities"):
        found.predict_proba(FLOWERS)


def test_class_weights_multiply_the_rows_weights():
    weight = {0: 3.0, 1: 1.0, 2: 0.5}
    a = classifier(class_weight=weight).fit(FLOWERS, SPECIES)
    b = classifier().fit(FLOWERS, SPECIES, sample_weight=[weight[k] for k in SPECIES])
    np.testing.assert_array_equal(a.model_.params, b.model_.params)


def test_held_out_rows_do_not_see_class_weights():
    x, y = FLOWERS[::2], SPECIES[::2]
    options = {"stop_on_loss": True, "max_iter": 1, "learning_rate_init": 1e-300}
    held_out = FLOWERS[1::2], SPECIES[1::2]
    losses = [
        classifier(**options, class_weight=weight).fit(x, y, validation_data=held_out)
        for weight in (None, {0: 100.0, 1: 1.0, 2: 1.0})
    ]
    assert losses[0].validation_losses_ == losses[1].validation_losses_


# stopping


def test_stopping_on_the_loss_restores_the_weights_of_the_lowest():
    found = regressor(stop_on_loss=True, target_scaling="standard", max_iter=300, tol=0)
    found.fit(PATIENTS * 20, PROGRESS)
    assert found.n_iter_ < 300
    assert min(found.validation_losses_) == found.best_validation_losses_[0]
    assert (
        found.validation_losses_.index(min(found.validation_losses_)) + 1 == found.best_epochs_[0]
    )
    assert found.n_iter_ == found.best_epochs_[0] + found.n_iter_no_change + 1
    assert found.best_loss_ is None
    assert found.validation_scores_ is None


def test_own_rows_decide_when_to_stop():
    held_out = PATIENTS[300:] * 20, PROGRESS[300:]
    options = {"target_scaling": "standard", "max_iter": 300}
    found = regressor(stop_on_loss=True, **options)
    found.fit(PATIENTS[:300] * 20, PROGRESS[:300], validation_data=held_out)
    deviation = PROGRESS[:300].std()
    scaled = (found.predict(held_out[0]) - held_out[1]) / deviation
    assert found.best_validation_losses_[0] == pytest.approx(0.5 * np.square(scaled).mean())
    scored = regressor(early_stopping=True, **options)
    scored.fit(PATIENTS[:300] * 20, PROGRESS[:300], validation_data=held_out)
    assert scored.best_validation_score_ == pytest.approx(scored.score(*held_out))


def test_each_member_has_the_best_weights_of_its_own():
    held_out = PATIENTS[300:] * 20, PROGRESS[300:]
    found = regressor(stop_on_loss=True, target_scaling="standard", max_iter=200, n_members=4)
    found.fit(PATIENTS[:300] * 20, PROGRESS[:300], validation_data=held_out)
    errors = found.model_.predict(held_out[0])[..., 0] - held_out[1]
    losses = 0.5 * np.square(errors / PROGRESS[:300].std()).mean(axis=-1)
    np.testing.assert_allclose(found.best_validation_losses_, losses)
    assert len(set(found.best_epochs_.tolist())) > 1


def test_refitting_trains_on_all_rows_for_the_best_number_of_epochs():
    found = regressor(stop_on_loss=True, refit=True, target_scaling="standard", max_iter=200)
    found.fit(PATIENTS * 20, PROGRESS)
    assert found.n_iter_ == len(found.loss_curve_) == found.best_epochs_[0]
    assert found.t_ == found.n_iter_ * len(PATIENTS)


def test_options_that_contradict_one_another_are_refused():
    for options, message in [
        ({"early_stopping": True, "stop_on_loss": True}, "choose one"),
        ({"refit": True}, "refit=True needs early_stopping=True or stop_on_loss=True"),
        ({"n_members": 0}, "n_members"),
    ]:
        with pytest.raises(ValueError, match=message):
            classifier(**options).fit(FLOWERS, SPECIES)
    with pytest.raises(ValueError, match="validation_data needs"):
        classifier().fit(FLOWERS, SPECIES, validation_data=(FLOWERS, SPECIES))
    with pytest.raises(ValueError, match="does not support stop_on_loss"):
        classifier(stop_on_loss=True).partial_fit(FLOWERS, SPECIES, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="whose targets are counts"):
        regressor(loss="poisson", target_scaling="standard").fit(FLOWERS, SPECIES)


# numbers and their uncertainty


def test_scaling_the_targets_does_not_change_their_unit():
    y = 1e4 + 1e3 * PROGRESS
    found = regressor(target_scaling="standard").fit(PATIENTS * 20, y)
    assert found.score(PATIENTS * 20, y) > 0.5
    again = regressor(target_scaling="standard").fit(PATIENTS * 20, PROGRESS)
    np.testing.assert_allclose(found.predict(PATIENTS), 1e4 + 1e3 * again.predict(PATIENTS))


@pytest.mark.parametrize("unit", [1e-170, 1e-30, 1e150, 1e170])
def test_targets_are_scaled_whatever_their_unit(unit):
    options = {"target_scaling": "standard", "n_members": 2, "max_iter": 5}
    weights = 1 + np.arange(len(PATIENTS)) % 3
    plain = regressor(**options).fit(PATIENTS, PROGRESS, weights)
    scaled = regressor(**options).fit(PATIENTS, PROGRESS * unit, weights)
    np.testing.assert_allclose(scaled.predict(PATIENTS), plain.predict(PATIENTS) * unit, rtol=1e-9)


def test_noise_is_predicted_in_the_unit_of_the_target():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2000, 1))
    y = 100 * (x[:, 0] + (0.1 + 0.4 * (x[:, 0] > 0)) * rng.normal(size=2000))
    options = {"max_iter": 100, "target_scaling": "standard"}
    found = regressor(loss="gaussian_nll", **options).fit(x, y)
    std = found.predict_std(x)
    assert 7 < std[x[:, 0] < -0.2].mean() < 14
    assert 40 < std[x[:, 0] > 0.2].mean() < 60
    low, high = found.predict_interval(x, coverage=0.9)
    assert 0.87 < ((low < y) & (y < high)).mean() < 0.93
    quantiles = regressor(loss=mg.Quantile([0.05, 0.5, 0.95]), **options).fit(x, y)
    low, high = quantiles.predict_interval(x, coverage=0.9)
    assert 0.85 < ((low < y) & (y < high)).mean() < 0.95


def test_members_differ_where_there_are_no_data():
    x = np.linspace(-1, 1, 100)[:, None]
    found = regressor(n_members=5).fit(x, x[:, 0] ** 2)
    inside, outside = found.predict_std([[0.5]]), found.predict_std([[4.0]])
    assert outside > 5 * inside


def test_advice_about_uncertainty_works_in_the_words_of_the_estimator():
    X, y = PATIENTS, PROGRESS
    with pytest.raises(ValueError, match="is known, got") as caught:
        regressor(dropout=0.1, max_iter=2).fit(X, y).predict_std(X)
    advice = str(caught.value).partition("; ")[2]
    assert not re.search(r"ensemble_size|GaussianNLL|(?<![.\w])model\.", advice)
    calls = re.findall(r"(?:call|set) (.+?\))(?:,|$)", advice)
    assert len(calls) == 3
    for call in calls:
        estimator = regressor(dropout=0.1, max_iter=2).fit(X, y)
        exec(call, {"estimator": estimator, "X": X, "y": y, "mg": mg})
        assert "samples" in call or (estimator.predict_std(X) > 0).all()
    options = re.findall(r"(n_members|loss)=([\w']+)", advice)
    assert len(options) == 2
    for name, value in options:
        found = regressor(**{name: ast.literal_eval(value)}, max_iter=2).fit(X, y)
        assert (found.predict_std(X) > 0).all()


# callbacks


def test_callbacks_of_ours_are_called():
    class Seen(mg.Callback):
        def __init__(self):
            self.epochs_seen, self.batches = [], 0

        def on_epoch_end(self, epoch, logs):
            self.epochs_seen.append((epoch, sorted(logs)))
            self.model.stop_training = epoch == 4

        def on_train_batch_end(self, batch, logs):
            self.batches += 1

    for solver, batches in (("adam", 5 * 3), ("lbfgs", 0)):
        seen = Seen()
        found = classifier(callbacks=[seen], batch_size=50, solver=solver).fit(FLOWERS, SPECIES)
        assert [epoch for epoch, _ in seen.epochs_seen] == [0, 1, 2, 3, 4]
        assert seen.batches == batches
        assert found.n_iter_ == 5
        assert "loss" in seen.epochs_seen[0][1]


def test_progress_is_shown_on_stderr(capsys):
    classifier(progress=True, max_iter=3).fit(FLOWERS, SPECIES)
    shown = capsys.readouterr()
    assert "loss" in shown.err
    assert shown.out == ""


def test_a_schedule_goes_on_after_a_reset_in_a_callback():
    rates = []

    class Resets(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            rates.append(self.optimizer.current_learning_rate)
            if epoch == 3:
                self.optimizer.reset()

    solver = mg.Adam(mg.CosineDecay(0.02))
    options = {"solver": solver, "max_iter": 8, "batch_size": 30, "callbacks": [Resets()]}
    classifier(**options).fit(FLOWERS, SPECIES)
    assert rates == [mg.CosineDecay(0.02, 40)(steps) for steps in range(4, 40, 5)]
