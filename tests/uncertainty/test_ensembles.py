"""Answers of an ensemble: mean, deviation, intervals, probabilities, and its own figures."""

import numpy as np
import pytest
from scipy import stats

import mlpgrad as mg
from tests.kinds import every_dtype

X, Y = mg.datasets.regression(80, random_state=0)
Y = Y.reshape(-1, 1) / Y.std()
POINTS, LABELS = mg.datasets.moons(60, noise=0.2, random_state=0)


def trained(loss, x=X, y=Y, outputs=1, size=4, **options):
    layers = [mg.Dense(x.shape[1], 8), mg.Tanh(), mg.Dense(8, outputs)]
    model = mg.Sequential(layers, loss=loss, random_state=0, ensemble_size=size, **options)
    model.fit(x, y, optimizer=mg.Adam(0.02), epochs=5, verbose=0)
    return model


# mean, standard deviation and intervals


def test_without_a_known_noise_it_is_the_spread_of_the_members():
    model = trained(mg.MeanSquaredError(), dtype="float64")
    members = model.predict(X)
    assert members.shape == (4, 80, 1)
    mean, std = found = model.predict(X, std=True)
    np.testing.assert_allclose(mean, members.mean(axis=0))
    np.testing.assert_allclose(std, members.std(axis=0))
    low, high = interval = model.predict(X, interval=0.9)
    np.testing.assert_allclose([low, high], stats.norm.interval(0.9, mean, std))
    assert (found.includes_noise, interval.includes_noise) == (False, False)


@pytest.mark.parametrize("size", [None, 4])
def test_a_predicted_noise_is_included(size):
    model = trained(mg.GaussianNLL(), outputs=2, size=size, dtype="float64")
    outputs = np.atleast_3d(model.predict(X)) if size else model.predict(X)[None]
    means, variances = outputs[..., :1], np.exp(outputs[..., 1:])
    mean, std = found = model.predict(X, std=True)
    np.testing.assert_allclose(mean, means.mean(axis=0))
    np.testing.assert_allclose(std**2, variances.mean(axis=0) + means.var(axis=0))
    assert found.includes_noise
    assert model.predict(X, interval=0.5).includes_noise


def test_counts_have_the_noise_of_counts():
    model = trained(mg.Poisson(), y=np.abs(Y).round(), size=None, dtype="float64")
    mean, std = model.predict(X, std=True)
    np.testing.assert_allclose(std**2, mean)
    low, high = model.predict(X, interval=0.9)
    np.testing.assert_array_equal([low, high], stats.poisson.interval(0.9, mean))


@pytest.mark.parametrize("size", [None, 4])
def test_quantiles_are_intervals_of_their_levels(size):
    model = trained(mg.Quantile([0.1, 0.5, 0.9]), outputs=3, size=size, dtype="float64")
    outputs = model.predict(X) if size is None else model.predict(X).mean(axis=0)
    low, high = found = model.predict(X, interval=0.8)
    np.testing.assert_allclose(low[:, 0], np.minimum(outputs[:, 0], outputs[:, 2]))
    np.testing.assert_allclose(high[:, 0], np.maximum(outputs[:, 0], outputs[:, 2]))
    assert found.includes_noise
    with pytest.raises(ValueError, match=r"interval=0\.8 fits"):
        model.predict(X, interval=0.95)


@every_dtype
@pytest.mark.parametrize("loss", [mg.MeanSquaredError(), mg.GaussianNLL()], ids=repr)
def test_an_interval_holds_the_mean_and_widens_with_its_level(loss, dtype):
    model = trained(loss, outputs=1 + isinstance(loss, mg.GaussianNLL), dtype=dtype)
    mean, std = model.predict(X, std=True)
    assert (std >= 0).all()
    assert {mean.dtype, std.dtype} == {np.dtype(dtype)}
    width = np.zeros_like(mean)
    for level in (1e-9, 0.1, 0.5, 0.95, 1 - 1e-9):
        low, high = model.predict(X, interval=level)
        assert low.dtype == high.dtype == dtype
        assert ((low <= mean) & (mean <= high)).all()
        assert (high - low >= width).all()
        width = high - low
    assert (width > 5 * std).all()


def test_other_units_of_the_target_are_only_other_units():
    model = trained(mg.GaussianNLL(), outputs=2, dtype="float64")
    other = model.copy()
    weights, bias = other.layers[2].params.weights, other.layers[2].params.bias
    weights[..., 0] *= 1000
    bias[..., 0] = bias[..., 0] * 1000 + 7
    bias[..., 1] += 2 * np.log(1000)
    for ask in ({"std": True}, {"interval": 0.9}):
        a, b = (1000 * part for part in model.predict(X, **ask))
        np.testing.assert_allclose(other.predict(X, **ask), [a + 7, b + 7 * ("interval" in ask)])
    shifted = 1000 * Y + 7
    expected = model.log_likelihood(X, Y) - np.log(1000)
    assert other.log_likelihood(X, shifted) == pytest.approx(expected)


def test_an_interval_covers_what_it_says_where_the_law_is_true():
    # three constant networks with their noise: the law is a known mixture of normal laws
    model = mg.Sequential([mg.Dense(1, 2)], loss=mg.GaussianNLL(), ensemble_size=3, random_state=0)
    model.layers[0].params.weights[...] = 0
    model.layers[0].params.bias[...] = [[0.0, 0.0], [0.5, 0.4], [-0.3, 0.1]]
    rng = np.random.default_rng(1)
    m, s = model.predict(np.zeros((1, 1)))[rng.integers(0, 3, 20_000), 0].T
    drawn = m + np.exp(s / 2) * rng.normal(size=20_000)
    for level in (0.5, 0.9, 0.95):
        low, high = model.predict(np.zeros((1, 1)), interval=level)
        assert ((low < drawn) & (drawn < high)).mean() == pytest.approx(level, abs=0.015)


# errors


def test_one_network_that_knows_no_noise_says_what_to_do():
    model = trained(mg.MeanSquaredError(), size=None)
    for ask in ({"std": True}, {"interval": 0.9}):
        with pytest.raises(
            ValueError, match=r"model\.laplace.*ensemble_size=5.*GaussianNLL.*mg.Noise.fit"
        ):
            model.predict(X, **ask)
    with pytest.raises(ValueError, match=r"log_likelihood expects the noise.*mg.Noise.fit"):
        model.log_likelihood(X, Y)
    model.uncertainty = mg.Noise.fit(model, X, Y)
    assert model.predict(X, std=True).includes_noise
    model.laplace(X, Y)
    assert np.isfinite(model.log_likelihood(X, Y))


def test_only_ways_that_are_open_are_advised():
    layers = [mg.Dense(5, 4), mg.Dropout(0.1), mg.Dense(4, 1)]
    dropping = mg.Sequential(layers, loss=mg.Huber(), random_state=0)
    with pytest.raises(ValueError, match="got one network with Huber") as told:
        dropping.predict(X, std=True)
    assert "give samples=100" in str(told.value)
    assert "laplace" not in str(told.value)
    assert dropping.predict(X, std=True, samples=100).std.min() > 0
    with pytest.raises(ValueError, match="log_likelihood expects") as told:
        dropping.log_likelihood(X, Y)
    assert "samples" not in str(told.value)
    dropping.uncertainty = mg.Noise.fit(dropping, X, Y)
    assert np.isfinite(dropping.log_likelihood(X, Y))


def test_a_fit_that_is_refused_forgets_nothing():
    model = trained(mg.MeanSquaredError(), size=None)
    found = model.laplace(X, Y)
    with pytest.raises(ValueError, match="same number of samples"):
        model.fit(X, Y[:-1], optimizer=mg.Adam(), verbose=0)
    assert model.uncertainty is found


def test_classes_have_probabilities_and_no_standard_deviation():
    model = trained(mg.SigmoidCrossEntropy(), POINTS, LABELS)
    with pytest.raises(TypeError, match=r"predict_proba\(x, average=True\)"):
        model.predict(POINTS, std=True)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, "0.9", np.nan])
def test_a_level_is_between_0_and_1(level):
    with pytest.raises(ValueError, match=r"interval expects a number in \(0, 1\)"):
        trained(mg.MeanSquaredError()).predict(X, interval=level)


def test_one_question_at_a_time():
    with pytest.raises(TypeError, match="expects std or interval, got both"):
        trained(mg.MeanSquaredError()).predict(X, std=True, interval=0.9)


# classes


@pytest.mark.parametrize(
    ("loss", "outputs"), [(mg.SigmoidCrossEntropy(), 1), (mg.SoftmaxCrossEntropy(), 2)], ids=repr
)
def test_probabilities_are_averaged(loss, outputs):
    model = trained(loss, POINTS, LABELS, outputs, dtype="float64")
    each = model.predict_proba(POINTS)
    assert each.shape == (4, 60, outputs)
    mean = model.predict_proba(POINTS, average=True)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-12)
    chosen = mean[:, 0] > 0.5 if outputs == 1 else mean.argmax(axis=1)
    np.testing.assert_array_equal(model.predict_classes(POINTS, average=True), chosen)
    assert model.predict_classes(POINTS).shape == (4, 60)


def test_the_column_of_a_binary_model_is_the_probability_of_class_1():
    model = trained(mg.SigmoidCrossEntropy(), POINTS, LABELS, size=None)
    p = model.predict_proba(POINTS)
    assert p.shape == (60, 1)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-model.predict(POINTS))), rtol=1e-5)
    both = np.hstack([1 - p, p])
    np.testing.assert_array_equal(both.argmax(axis=1), model.predict_classes(POINTS))


def test_an_average_of_one_network_is_that_network():
    model = trained(mg.SigmoidCrossEntropy(), POINTS, LABELS, size=None, dtype="float64")
    one, average = model.predict_proba(POINTS), model.predict_proba(POINTS, average=True)
    np.testing.assert_allclose(average, one)


# figures of the ensemble


def test_an_ensemble_is_measured_as_a_whole_too():
    model = trained(mg.SoftmaxCrossEntropy(), POINTS, LABELS, 2, dtype="float64")
    found = model.evaluate(POINTS, LABELS, metrics=[mg.Accuracy(), mg.LogLoss(), mg.AUC()])
    together = {name for name in found if name.startswith("ensemble_")}
    assert together == {f"ensemble_{name}" for name in ("loss", "accuracy", "log_loss", "auc")}
    p = model.predict_proba(POINTS, average=True)
    surprise = -np.log(p[np.arange(60), LABELS]).mean()
    assert found["ensemble_loss"] == pytest.approx(surprise)
    assert found["ensemble_log_loss"] == pytest.approx(surprise)
    assert found["ensemble_accuracy"] == (p.argmax(axis=1) == LABELS).mean()
    assert found["accuracy"].shape == (4,)
    assert model.log_likelihood(POINTS, LABELS) == pytest.approx(-surprise)


def test_numbers_are_measured_by_the_mean_of_the_members():
    model = trained(mg.MeanSquaredError(), penalties=[mg.L2(0.1)], dtype="float64")
    weights = np.arange(80.0)
    metrics = [mg.RootMeanSquared(), mg.R2()]
    found = model.evaluate(X, Y, sample_weight=weights, metrics=metrics)
    squares = np.square(model.predict(X).mean(axis=0) - Y)[:, 0]
    expected = np.average(squares, weights=weights)
    assert found["ensemble_root_mean_squared_error"] ** 2 == pytest.approx(expected)
    assert found["ensemble_loss"] == pytest.approx(expected)  # without penalties
    assert found["ensemble_r2"] > found["r2"].mean()


def test_members_with_data_of_their_own_have_no_figures_together():
    model = trained(mg.MeanSquaredError())
    own = np.stack([Y] * 4)
    assert set(model.evaluate(X, own)) == {"loss", "r2"}
    assert set(model.evaluate(np.stack([X] * 4), Y)) == {"loss", "r2"}
    assert set(model.member(0).evaluate(X, Y)) == {"loss", "r2"}


def test_training_records_what_it_did():
    model = trained(mg.MeanSquaredError())
    history = model.fit(
        X, Y, optimizer=mg.SGD(0.01), epochs=1, validation_data=(X, Y), metrics=[mg.R2()], verbose=0
    )
    assert not [name for name in history if "ensemble" in name]


# likelihoods


@pytest.mark.parametrize("size", [None, 4])
def test_the_likelihood_of_a_mixture_is_the_mean_of_densities(size):
    model = trained(mg.GaussianNLL(), outputs=2, size=size, dtype="float64")
    outputs = model.predict(X) if size else model.predict(X)[None]
    density = stats.norm.pdf(Y[:, 0], outputs[..., 0], np.exp(outputs[..., 1] / 2)).mean(axis=0)
    assert model.log_likelihood(X, Y) == pytest.approx(np.log(density).mean())
    weights = np.arange(80.0)
    expected = np.average(np.log(density), weights=weights)
    assert model.log_likelihood(X, Y, sample_weight=weights) == pytest.approx(expected)


def test_members_are_judged_together_by_the_same_targets_and_weights():
    model = trained(mg.GaussianNLL(), outputs=2)
    weights = np.arange(80.0)
    expected = model.log_likelihood(X, Y, sample_weight=weights)
    for_each = np.stack([Y] * 4), np.stack([weights] * 4)
    found = model.log_likelihood(X, for_each[0], sample_weight=for_each[1])
    assert found == pytest.approx(expected)
    for_each[1][2] *= weights
    with pytest.raises(ValueError, match=r"weights that are the same .* model\.member\(i\)"):
        model.log_likelihood(X, Y, sample_weight=for_each[1])
    for_each[0][1] += 1
    with pytest.raises(ValueError, match="targets that are the same"):
        model.log_likelihood(X, for_each[0])
    with pytest.raises(ValueError, match="targets that are the same"):
        mg.Noise.fit(trained(mg.MeanSquaredError()), X, for_each[0])


def test_a_margin_is_no_probability():
    model = trained(mg.Hinge(), POINTS, LABELS)
    with pytest.raises(TypeError, match="Hinge does not define probabilities"):
        model.log_likelihood(POINTS, LABELS)
