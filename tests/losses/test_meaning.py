"""The meaning of outputs: averages over networks, noise, intervals and densities."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

import mlpgrad as mg
from tests.kinds import every, every_loss, subclasses

RNG = np.random.default_rng(0)


def several(cls, count=4):
    """A loss, outputs of a few networks, and a target converted by `cast`."""
    loss, prediction, target = cls.example()
    changes = RNG.normal(size=(count, *prediction.shape))
    if loss.expects_probabilities:
        softened = np.exp(changes) * prediction
        total = softened.sum(axis=-1, keepdims=True) if cls is mg.CrossEntropy else 1 + softened
        return loss, softened / total, loss.cast(target, np.dtype(float))
    return loss, prediction + changes, loss.cast(target, np.dtype(float))


def says(loss, prediction):
    """The outputs as probabilities, classes and numbers, as far as the loss defines them."""
    if not loss.classifies:
        return [loss.numbers(prediction)]
    found = [loss.classes(prediction)]
    if not isinstance(loss, mg.Hinge):  # classes without probabilities
        found.append(loss.probabilities(prediction))
    return found


@every_loss
def test_networks_that_agree_say_together_what_each_says(cls):
    loss, predictions, _ = several(cls)
    together = loss.averaged(np.stack([predictions[0]] * 3))
    assert together.shape == predictions[0].shape
    for ours, theirs in zip(says(loss, together), says(loss, predictions[0]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@every_loss
def test_several_networks_say_together_the_mean_of_probabilities_or_numbers(cls):
    loss, predictions, _ = several(cls)
    together, each = says(loss, loss.averaged(predictions))[-1], says(loss, predictions)[-1]
    if isinstance(loss, mg.Hinge):
        together, each = loss.averaged(predictions), predictions
    np.testing.assert_allclose(together, each.mean(axis=0), rtol=1e-12)


@every_loss
def test_an_average_keeps_the_dtype(cls):
    loss, predictions, _ = several(cls)
    assert loss.averaged(predictions.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("cls", [mg.SigmoidCrossEntropy, mg.SoftmaxCrossEntropy])
def test_sure_networks_are_averaged_without_overflow(cls):
    sure = np.array([[[1e4, -1e4]], [[-1e4, 1e4]]], np.float32)
    assert np.isfinite(cls().averaged(sure)).all()
    np.testing.assert_allclose(cls().probabilities(cls().averaged(sure)), [[0.5, 0.5]], rtol=1e-6)


def test_the_noise_of_a_mixture_of_normal_laws_is_its_variance():
    # independent: numbers drawn from the mixture
    loss = mg.GaussianNLL()
    outputs = np.array([[[1.0, 0.2]], [[3.0, -1.0]], [[-2.0, 1.0]]])
    drawn = [RNG.normal(m, np.exp(s / 2), 400_000) for ((m, s),) in outputs]
    together = loss.averaged(outputs)
    np.testing.assert_allclose(loss.numbers(together), np.mean(drawn), atol=0.02)
    np.testing.assert_allclose(loss.noise(together), np.var(drawn), rtol=0.01)


def test_predicted_variances_have_the_floor_that_the_loss_has():
    assert mg.GaussianNLL(epsilon=0.01).noise(np.array([[0.0, -1e3]])).item() == pytest.approx(0.01)


DENSITIES = {
    mg.GaussianNLL: lambda z, t: stats.norm.logpdf(t, z[:, :2], np.exp(z[:, 2:] / 2)).sum(axis=-1),
    mg.Poisson: lambda z, t: stats.poisson.logpmf(t, np.exp(z)).sum(axis=-1),
    mg.SigmoidCrossEntropy: lambda z, t: stats.bernoulli.logpmf(t, 1 / (1 + np.exp(-z))).sum(-1),
    mg.BinaryCrossEntropy: lambda p, t: stats.bernoulli.logpmf(t, p).sum(axis=-1),
    mg.SoftmaxCrossEntropy: lambda z, t: np.log(
        np.take_along_axis(np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True), t, -1)[:, 0]
    ),
    mg.CrossEntropy: lambda p, t: np.log(np.take_along_axis(p, t, -1)[:, 0]),
}


@pytest.mark.parametrize("cls", DENSITIES, ids=lambda cls: cls.__name__)
def test_densities_are_those_of_scipy(cls):
    loss, predictions, target = several(cls)
    for prediction in predictions:
        found = loss.log_density(prediction, target, loss.noise(prediction))
        np.testing.assert_allclose(found, DENSITIES[cls](prediction, target), rtol=1e-10)
    together = loss.log_density(predictions, target, loss.noise(predictions))
    assert together.shape == predictions.shape[:2]


def test_rows_of_probabilities_are_targets_too():
    loss, z = mg.SoftmaxCrossEntropy(), np.array([[0.3, -1.0, 2.0]])
    certain = [loss.log_density(z, np.array([[k]]), None)[0] for k in range(3)]
    mixed = loss.log_density(z, np.array([[0.2, 0.3, 0.5]]), None)[0]
    assert mixed == pytest.approx(np.dot([0.2, 0.3, 0.5], certain))


def test_other_losses_on_numbers_have_the_normal_density_of_a_given_noise():
    loss, target = mg.Huber(), np.array([[1.0, 2.0]])
    found = loss.log_density(np.zeros((1, 2)), target, np.array([4.0, 0.25]))
    np.testing.assert_allclose(found, stats.norm.logpdf([1, 2], 0, [2, 0.5]).sum())
    with pytest.raises(TypeError, match="Huber does not predict noise"):
        loss.log_density(np.zeros((1, 2)), target, None)


@pytest.mark.parametrize("more", [1 + 1e-7, 1.01, 3.0, 1e4])
def test_counts_that_scatter_more_have_the_negative_binomial_density(more):
    rate, target = np.array([[0.01], [5.0], [300.0]]), np.array([[0.0], [7.0], [250.0]])
    found = mg.Poisson().log_density(np.log(rate), target, more * rate)
    expected = stats.nbinom.logpmf(target, rate / (more - 1), 1 / more)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    counts = np.arange(20_000.0)[:, None]
    density = np.exp(mg.Poisson().log_density(np.log(rate[1]), counts, more * rate[1]))
    assert density.sum() == pytest.approx(1, abs=0.1 if more > 100 else 1e-6)


# intervals


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_intervals_of_numbers_are_normal(level):
    low, high = mg.MeanSquaredError().interval(np.array([[1.0]]), np.array([[4.0]]), level)
    np.testing.assert_allclose([low.item(), high.item()], stats.norm.interval(level, 1, 2))


def test_intervals_of_counts_are_those_of_poisson_and_of_negative_binomial_laws():
    mean = np.array([[0.3, 4.0, 4.0]])
    low, high = mg.Poisson().interval(mean, np.array([[0.3, 4.0, 9.0]]), 0.9)
    np.testing.assert_array_equal(low[0, :2], stats.poisson.ppf(0.05, mean[0, :2]))
    np.testing.assert_array_equal(high[0, :2], stats.poisson.ppf(0.95, mean[0, :2]))
    # independent: counts whose rates have a gamma law of mean 4 and variance 5
    counts = RNG.poisson(RNG.gamma(16 / 5, 5 / 4, 200_000))
    np.testing.assert_array_equal([low[0, 2], high[0, 2]], np.quantile(counts, [0.05, 0.95]))


@pytest.mark.parametrize("mean", [0.0, 1e-300, 9e8, 2e9, 1e13, 1e38, 1e300])
@pytest.mark.parametrize("more", [1.0, 4.0])
def test_intervals_of_any_rate_are_numbers(mean, more):
    low, high = mg.Poisson().interval(np.array([[mean]]), np.array([[more * mean]]), 0.95)
    half = 1.96 * np.sqrt(more * mean)
    bounds = [max(mean - half, 0), mean + half]
    np.testing.assert_allclose([low.item(), high.item()], bounds, rtol=1e-6, atol=1e-9)


def test_a_quantile_loss_gives_the_bounds_of_its_levels_in_order():
    loss = mg.Quantile([0.9, 0.5, 0.1])
    outputs = np.array([[3.0, 2.0, 1.0, 5.0, 6.0, 7.0]])  # the levels of the second target cross
    low, high = loss.predicted_interval(outputs, 0.8)
    assert (low.tolist(), high.tolist()) == ([[1, 5]], [[3, 7]])


@pytest.mark.parametrize("levels", [[0.1, 0.5, 0.9], 0.5])
def test_a_level_that_was_not_trained_is_refused_with_what_fits(levels):
    with pytest.raises(ValueError, match=r"expects the levels 0.025 and 0.975, got Quantile") as e:
        mg.Quantile(levels).predicted_interval(np.zeros((1, 3)), 0.95)
    assert ("interval=0.8 fits" in str(e.value)) == (levels != 0.5)
    fix = str(e.value).split("train with ")[1]
    eval(fix, {"Quantile": mg.Quantile}).predicted_interval(np.zeros((1, 3)), 0.95)


# uncertain outputs


def test_uncertain_outputs_make_uncertain_numbers():
    # independent: numbers of outputs that are drawn
    root = 0.03 * RNG.normal(size=(4, 4))
    outputs = np.array([0.5, 2.0, -1.0, 3.0])
    drawn = outputs + RNG.normal(size=(200_000, 4)) @ root.T
    for loss in (mg.MeanSquaredError(), mg.Poisson(), mg.GaussianNLL()):
        found = loss.variance_of_numbers(outputs[None], (root @ root.T)[None])
        np.testing.assert_allclose(found[0], loss.numbers(drawn).var(axis=0), rtol=0.05)


@pytest.mark.parametrize(
    ("z", "variance"), [*itertools.product([-2.0, 0.5, 4.0], [0.1, 1.0, 10.0, 100.0])]
)
def test_a_moderated_logit_gives_the_expected_probability(z, variance):
    loss = mg.SigmoidCrossEntropy()
    moderated = loss.probabilities(loss.moderated(np.array([[z]]), np.array([[[variance]]])))
    expected, _ = integrate.quad(
        lambda u: stats.norm.pdf(u, z, variance**0.5) / (1 + np.exp(-u)), z - 90, z + 90
    )
    assert moderated.item() == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("deviation", "most"), [(0, 1e-12), (0.3, 0.002), (1, 0.004), (3, 0.008), (10, 0.02)]
)
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_moderated_logits_of_a_softmax_give_the_expected_probabilities(classes, deviation, most):
    loss, rng = mg.SoftmaxCrossEntropy(), np.random.default_rng(classes)
    z = (1 + deviation) * rng.normal(size=(4, 5, classes))
    roots = deviation / classes**0.5 * rng.normal(size=(*z.shape, classes))
    moderated = loss.probabilities(loss.moderated(z, roots @ roots.mT))
    half = rng.normal(size=(50_000, classes, 1))
    for index in np.ndindex(z.shape[:-1]):
        moves = (roots[index] @ half)[..., 0]
        drawn = [loss.probabilities(z[index] + sign * moves).mean(axis=0) for sign in (1, -1)]
        np.testing.assert_allclose(moderated[index], sum(drawn) / 2, atol=most)


def test_an_unbounded_covariance_leaves_the_probabilities_unknown():
    covariance = np.stack([np.eye(3), np.full((3, 3), np.inf), np.full((3, 3), np.nan)])
    known = np.isfinite(mg.SoftmaxCrossEntropy().moderated(np.ones((3, 3)), covariance))
    assert known.all(axis=1).tolist() == [True, False, False]


def test_two_classes_are_one_difference():
    covariance = np.array([[[2.0, 0.5], [0.5, 1.0]]])
    two, one = mg.SoftmaxCrossEntropy(), mg.SigmoidCrossEntropy()
    ours = two.probabilities(two.moderated(np.array([[0.3, 1.5]]), covariance))[0, 1]
    theirs = one.probabilities(one.moderated(np.array([[1.2]]), np.array([[[2.0]]]))).item()
    assert ours == pytest.approx(theirs, rel=1e-12)
    shifted = two.moderated(np.array([[0.3, 1.5]]), covariance + 100)  # moves both logits equally
    assert two.probabilities(shifted)[0, 1] == pytest.approx(ours, rel=1e-10)


@every([cls for cls in subclasses(mg.Loss) if cls.curvature_root is not mg.Loss.curvature_root])
def test_a_loss_is_its_log_likelihood_but_for_factor_and_constant(cls):
    loss, prediction, target = cls.example()
    target = loss.cast(np.asarray(target), np.dtype(float))
    loss.forward(prediction, target)
    scale = loss.likelihood_scale(prediction.shape[-1])
    found = loss.log_constant(target) - loss.losses(prediction, target) / scale
    variance = None
    if loss.leaves_noise_open:
        variance = np.ones(prediction.shape)
        found -= prediction.shape[-1] / 2 * np.log(2 * np.pi)
    np.testing.assert_allclose(found, loss.log_density(prediction, target, variance))
