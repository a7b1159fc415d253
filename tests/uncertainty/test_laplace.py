"""Laplace approximations agree with closed forms, and are part of a model's answers."""

import copy
import pickle

import numpy as np
import pytest
from scipy import integrate, optimize, stats

import mlpgrad as mg
from tests.kinds import every_dtype

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ [[1.0], [-2.0], [0.5]] + 0.3 + 0.4 * RNG.normal(size=(60, 1))
DESIGN = np.hstack([X, np.ones((60, 1))])  # the order of the parameters of a Dense layer
NEW = RNG.normal(size=(7, 3)) * 3


def linear(alpha, variance, loss=None, **options):
    """A linear model at the posterior mean of Bayesian linear regression."""
    model = mg.Sequential(
        [mg.Dense(3, 1)], loss=loss or mg.MeanSquaredError(), dtype="float64", **options
    )
    precision = DESIGN.T @ DESIGN / variance + alpha * np.eye(4)
    model.params = np.linalg.solve(precision, DESIGN.T @ Y[:, 0] / variance)
    return model, precision


def network(loss=None, outputs=1, x=X, y=Y, epochs=60, **options):
    layers = [mg.Dense(x.shape[1], 6), mg.Tanh(), mg.Dense(6, outputs)]
    loss = loss or mg.MeanSquaredError()
    model = mg.Sequential(layers, loss=loss, random_state=0, **options)
    model.fit(x, y, optimizer=mg.Adam(0.03), epochs=epochs, verbose=0)
    return model


# a linear model, with closed forms


@pytest.mark.parametrize("loss", [mg.MeanSquaredError(), mg.HalfSquaredError()], ids=repr)
@pytest.mark.parametrize("layers", ["all", "last"])
def test_of_a_linear_model_it_is_bayesian_linear_regression(loss, layers):
    model, precision = linear(alpha=2.0, variance=0.25, loss=loss)
    found = model.laplace(X, Y, prior_precision=2.0, noise=0.5, layers=layers)
    new = np.hstack([NEW, np.ones((7, 1))])
    mean, std = model.predict(NEW, std=True)
    variance = np.einsum("ni,ij,nj->n", new, np.linalg.inv(precision), new)
    np.testing.assert_allclose(mean[:, 0], new @ model.params, rtol=1e-12)
    np.testing.assert_allclose(std[:, 0] ** 2, 0.25 + variance, rtol=1e-12)
    # the evidence is the density of all targets under their joint normal law
    joint = stats.multivariate_normal(cov=0.25 * np.eye(60) + DESIGN @ DESIGN.T / 2.0)
    assert found.log_evidence == pytest.approx(joint.logpdf(Y[:, 0]), rel=1e-10)
    effective = np.trace(np.linalg.solve(precision, DESIGN.T @ DESIGN / 0.25))
    assert found.effective_parameters == pytest.approx(effective, rel=1e-10)


def test_prior_and_noise_are_those_of_the_largest_evidence():
    # at the weights for these values; another method finds the maximum
    def negative_evidence(logs):
        alpha, variance = np.exp(logs)
        cov = variance * np.eye(60) + DESIGN @ DESIGN.T / alpha
        return -stats.multivariate_normal(cov=cov).logpdf(Y[:, 0])

    best = optimize.minimize(negative_evidence, [0.0, 0.0], method="Nelder-Mead", tol=1e-10)
    alpha, variance = np.exp(best.x)
    model, _ = linear(alpha, variance)
    found = model.laplace(X, Y)
    assert found.prior_precision == pytest.approx(alpha, rel=1e-3)
    assert found.noise**2 == pytest.approx(variance, rel=1e-3)
    assert found.log_evidence == pytest.approx(-best.fun, rel=1e-6)


@pytest.mark.parametrize("method", ["laplace", "bayes"])
@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("size", [None, 2])
def test_the_evidence_is_in_the_units_of_the_targets(method, targets, size):
    # a network that scales its targets, and one that is given scaled targets
    y = 1000 * np.hstack([Y, RNG.normal(size=Y.shape) / 7])[:, :targets] + 50
    weights, deviations = (np.arange(60) % 3 > 0) * 1.0, []
    models = []
    for scaling in ("standard", None):
        model = mg.Sequential(
            [mg.Dense(3, targets)], loss=mg.HalfSquaredError(), dtype="float64", random_state=0,
            target_scaling=scaling, ensemble_size=size,
        )  # fmt: skip
        if scaling:
            model.fit_scaling(X, y, sample_weight=weights)
            scaled, deviations = model.cast_target(y), np.atleast_2d(model.state[..., -targets:])
        data = (X, y if scaling else np.reshape(scaled, (-1, 60, targets))[0])
        method_ = mg.Adam(0.1) if method == "laplace" else mg.LevenbergMarquardt()
        epochs = 5 if method == "laplace" else 20
        history = model.fit(
            *data, optimizer=method_, epochs=epochs, sample_weight=weights, verbose=0, shuffle=False
        )
        if method == "laplace":
            model.laplace(*data, sample_weight=weights)
        models.append((model.uncertainty.log_evidence, history.get("log_evidence", [0])))
    (own, logged), (of_scaled, logged_scaled) = models
    units = 40 * np.log(deviations[0]).sum()
    np.testing.assert_allclose(own, of_scaled - units, rtol=1e-6)
    if method == "bayes":
        np.testing.assert_allclose(logged[-1], logged_scaled[-1] - units, rtol=1e-6)


@pytest.mark.parametrize("weights", [None, np.r_[np.zeros(20), np.full(40, 3.0)]])
def test_the_evidence_of_counts_is_that_of_their_law(weights):
    # the logarithms of factorials, too: otherwise it says nothing beside other networks
    counts = np.random.default_rng(1).poisson(np.exp(1 + 0.5 * X[:, 0]))
    model = mg.Sequential(
        [mg.Dense(3, 1, bias=False)], loss=mg.Poisson(), dtype="float64", random_state=0
    )
    x, kept = (
        np.hstack([np.ones((60, 1)), X[:, :1], X[:, :1] ** 2]),
        slice(0 if weights is None else 20, None),
    )
    model.fit(
        x, counts, sample_weight=weights, optimizer=mg.LevenbergMarquardt(), epochs=100, verbose=0
    )
    found = model.uncertainty
    covariance = found.factor @ found.factor.T
    log_prior = stats.norm.logpdf(model.params, scale=found.prior_precision**-0.5).sum()
    law = stats.poisson(np.exp(x[kept] @ model.params))
    occam = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    expected = law.logpmf(counts[kept]).sum() + log_prior + occam
    assert found.log_evidence == pytest.approx(expected, rel=1e-9)


def test_only_proportions_of_weights_matter_and_rows_of_weight_0_are_left_out():
    weights = RNG.integers(0, 4, 60) / 4
    kept = weights > 0
    model, expected = linear(1.0, 0.2)[0], linear(1.0, 0.2)[0]
    found = model.laplace(X, Y, sample_weight=weights * 7)
    expected.laplace(X[kept], Y[kept], sample_weight=weights[kept])
    np.testing.assert_allclose(found.factor, expected.uncertainty.factor, rtol=1e-10)
    assert found.log_evidence == pytest.approx(expected.uncertainty.log_evidence)
    # a row of weight w counts as w / mean(w) rows
    scaled = (weights / weights[kept].mean())[:, None] * DESIGN
    precision = DESIGN.T @ scaled / found.noise**2 + found.prior_precision * np.eye(4)
    np.testing.assert_allclose(found.factor @ found.factor.T, np.linalg.inv(precision), rtol=1e-9)


@pytest.mark.parametrize("method", ["laplace", "bayes"])
def test_the_evidence_counts_rows_and_not_their_weights(method):
    # one data set, as weights, as 1000 times these weights, and as rows that are repeated
    counts = np.arange(60) % 4  # 1, 2 and 3 each for 15 rows
    x, y = np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=0)
    found = []
    for data in ((X, Y, counts), (X, Y, 1000 * counts), (x, y, None)):
        model = linear(1.0, 0.2)[0]
        if method == "laplace":
            model.laplace(data[0], data[1], sample_weight=data[2])
        else:
            model.fit(
                data[0], data[1], sample_weight=data[2],
                optimizer=mg.LevenbergMarquardt(groups="layers"), epochs=200, verbose=0,
            )  # fmt: skip
        found.append((model.uncertainty, model))
    (weighted, model), (scaled, _), (repeated, _) = found
    np.testing.assert_allclose(scaled.factor, weighted.factor, rtol=1e-6)
    assert scaled.log_evidence == pytest.approx(weighted.log_evidence)
    # 45 rows whose weights have the mean 1, and 90 rows
    rows = DESIGN * np.sqrt(counts / 2)[:, None]
    errors = rows @ model.params - np.sqrt(counts / 2) * Y[:, 0]
    precision = rows.T @ rows / weighted.noise**2 + weighted.prior_precision * np.eye(4)
    covariance = weighted.factor @ weighted.factor.T
    np.testing.assert_allclose(covariance, np.linalg.inv(precision), rtol=1e-6)
    left = 45 - weighted.effective_parameters
    assert weighted.noise**2 == pytest.approx(np.square(errors).sum() / left, rel=1e-3)
    assert repeated.noise < 0.99 * weighted.noise
    assert repeated.log_evidence < 1.5 * weighted.log_evidence


# classification


def logistic(loss, outputs):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 1))
    y = (rng.random(300) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(int)
    model = mg.Sequential([mg.Dense(1, outputs, bias=False)], loss=loss, dtype="float64")
    return model, x, y


def test_of_a_logistic_regression_it_is_nearly_the_posterior():
    model, x, y = logistic(mg.SigmoidCrossEntropy(), 1)

    def log_joint(w):  # one weight, integrated numerically
        z = np.outer(x[:, 0], np.atleast_1d(w))
        data = (y[:, None] * z - np.logaddexp(0, z)).sum(axis=0)
        return data + stats.norm.logpdf(w, 0, 0.5**-0.5)

    best = optimize.minimize_scalar(lambda w: -log_joint(w)[0])
    model.params = [best.x]
    found = model.laplace(x, y, prior_precision=0.5)
    area, _ = integrate.quad(lambda w: np.exp(log_joint(w)[0] + best.fun), 0, 5)
    assert found.log_evidence == pytest.approx(np.log(area) - best.fun, abs=0.01)
    assert found.noise is None
    for at in (0.3, 3.0, 30.0):
        expected, _ = integrate.quad(
            lambda w, at=at: np.exp(log_joint(w)[0] + best.fun) / (1 + np.exp(-at * w)), 0, 5
        )
        assert model.predict_proba([[at]]).item() == pytest.approx(expected / area, abs=0.01)


def test_two_softmax_outputs_are_one_sigmoid():
    one, x, y = logistic(mg.SigmoidCrossEntropy(), 1)
    two, _, _ = logistic(mg.SoftmaxCrossEntropy(), 2)
    one.params, two.params = [1.5], [-0.75, 0.75]  # the prior of the difference has half of alpha
    one.laplace(x, y, prior_precision=1.0)
    two.laplace(x, y, prior_precision=2.0)
    far = np.linspace(-4, 4, 9)[:, None]
    np.testing.assert_allclose(two.predict_proba(far)[:, 1:], one.predict_proba(far), rtol=1e-10)


@pytest.mark.parametrize(
    ("loss", "outputs"), [(mg.SigmoidCrossEntropy(), 1), (mg.SoftmaxCrossEntropy(), 2)], ids=repr
)
@pytest.mark.parametrize("size", [None, 3])
def test_probabilities_are_less_sure_away_from_the_data(loss, outputs, size):
    x, y = mg.datasets.moons(80, noise=0.2, random_state=0)
    model = network(loss, outputs, x, y, dtype="float64", ensemble_size=size)
    far = 20 * RNG.normal(size=(50, 2))
    before, classes = model.predict_proba(far), model.predict_classes(far)
    model.laplace(x, y)
    after = model.predict_proba(far)
    assert after.shape == before.shape
    assert abs(after - 0.5).mean() < abs(before - 0.5).mean() - 0.02
    if outputs == 2:
        np.testing.assert_allclose(after.sum(axis=-1), 1)
    np.testing.assert_array_equal(model.predict_classes(far), classes)
    chosen = after[..., 0] > 0.5 if outputs == 1 else after.argmax(axis=-1)
    np.testing.assert_array_equal(classes, chosen)
    average = model.predict_proba(far, average=True)
    np.testing.assert_allclose(average, after.mean(axis=0) if size else after)
    p = model.predict_proba(x, average=True)
    hit = np.where(y[:, None] == 1, p, 1 - p)[:, 0] if outputs == 1 else p[np.arange(80), y]
    assert model.log_likelihood(x, y) == pytest.approx(np.log(hit).mean())


# networks


def test_variances_are_those_of_the_linearised_outputs():
    model = network(dtype="float64", outputs=2, y=np.hstack([Y, Y**2]))
    found = model.laplace(X, np.hstack([Y, Y**2]), prior_precision=1.0)
    jacobian, noise = model.jacobian(X), np.square(found.noise)
    precision = np.einsum("nki,k,nkj->ij", jacobian, 1 / noise, jacobian)
    posterior = np.linalg.inv(precision + np.eye(model.params.size))
    np.testing.assert_allclose(found.factor @ found.factor.T, posterior, rtol=1e-9, atol=1e-12)
    at = model.jacobian(NEW)
    variance = np.einsum("nki,ij,nkj->nk", at, posterior, at)
    np.testing.assert_allclose(model.predict(NEW, std=True).std ** 2, noise + variance, rtol=1e-9)


def test_the_last_layer_is_a_linear_model_of_its_inputs():
    model = network(dtype="float64")
    features = np.tanh(X @ model.layers[0].params.weights + model.layers[0].params.bias)
    head = mg.Sequential([mg.Dense(6, 1)], loss=mg.MeanSquaredError(), dtype="float64")
    head.params = model.params[-7:]
    ours, theirs = model.laplace(X, Y, layers="last"), head.laplace(features, Y)
    assert repr(ours) != repr(theirs)  # "last" and "all"
    np.testing.assert_allclose(ours.factor, theirs.factor, rtol=1e-10)
    assert ours.log_evidence == pytest.approx(theirs.log_evidence)
    np.testing.assert_allclose(
        model.predict(X, std=True).std, head.predict(features, std=True).std, rtol=1e-10
    )


@every_dtype
@pytest.mark.parametrize("layers", ["all", "last"])
def test_an_ensemble_is_the_mixture_of_its_members(layers, dtype):
    model = network(ensemble_size=3, dtype=dtype)
    found = model.laplace(X, Y, layers=layers)
    means, variances = [], []
    for i in range(3):
        member = model.member(i)
        assert member.uncertainty.effective_parameters == found.effective_parameters[i]
        mean, std = member.predict(NEW, std=True)
        means.append(mean)
        variances.append(std.astype(float) ** 2)
        alone = member.copy()
        assert alone.laplace(X, Y, layers=layers).log_evidence == pytest.approx(
            found.log_evidence[i], rel=1e-6
        )
    mean, std = result = model.predict(NEW, std=True)
    expected = np.mean(variances, axis=0) + np.var(np.asarray(means, float), axis=0)
    np.testing.assert_allclose(mean, np.mean(means, axis=0), rtol=1e-5)
    np.testing.assert_allclose(std**2, expected, rtol=1e-4)
    assert result.includes_noise
    assert std.dtype == dtype


def test_members_may_have_rows_of_their_own():
    model = network(ensemble_size=2, dtype="float64", epochs=5)
    x, y = np.stack([X, X[::-1] * 2]), np.stack([Y, 3 * Y])
    weights = RNG.random((2, 60))
    found = model.laplace(x, y, sample_weight=weights)
    alone = model.member(1).laplace(x[1], y[1], sample_weight=weights[1])
    np.testing.assert_allclose(found.factor[1], alone.factor, rtol=1e-10)
    assert model.predict(x, std=True).std.shape == (60, 1)


def test_other_layers_are_part_of_it():
    inner = [mg.Dense(6, 6), mg.Tanh()]
    layers = [mg.Dense(3, 6), mg.BatchNorm(6), mg.Residual(inner), mg.Dropout(0.2), mg.Dense(6, 1)]
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), dtype="float64", random_state=0)
    model.fit(X, Y, optimizer=mg.Adam(0.02), epochs=20, verbose=0)
    found = model.laplace(X, Y, prior_precision=1.0, noise=0.3)
    jacobian = model.jacobian(X)[:, 0]
    posterior = np.linalg.inv(jacobian.T @ jacobian / 0.09 + np.eye(model.params.size))
    np.testing.assert_allclose(found.factor @ found.factor.T, posterior, rtol=1e-8, atol=1e-10)
    both = model.predict(X, std=True, samples=20)  # dropout replaces the posterior
    spread = model.predict(X, samples=20)[..., 0].var(axis=0)
    np.testing.assert_allclose(both.std[:, 0] ** 2, spread + 0.09, rtol=1e-9)


def test_intervals_cover_what_they_say():
    rng = np.random.default_rng(3)
    x = rng.uniform(-2, 2, (150, 1))
    y = np.sin(2 * x) + 0.2 * rng.normal(size=x.shape)
    model = network(x=x, y=y, epochs=600, dtype="float64")
    found = model.laplace(x, y)
    assert found.noise == pytest.approx(0.2, abs=0.03)
    new = rng.uniform(-2, 2, (4000, 1))
    targets = np.sin(2 * new) + 0.2 * rng.normal(size=new.shape)
    for level in (0.5, 0.9, 0.95):
        low, high = model.predict(new, interval=level)
        assert ((low < targets) & (targets < high)).mean() == pytest.approx(level, abs=0.04)
    near, far = model.predict([[0.0], [6.0]], std=True).std[:, 0]
    assert far > 1.5 * near


def test_other_units_of_the_target_are_only_other_units():
    # not for the prior, whose precision is given
    model = network(dtype="float64")
    other = model.copy()
    last = other.layers[2].params
    last.weights[...], last.bias[...] = 100 * last.weights, 100 * last.bias
    model.laplace(X, Y, layers="last", prior_precision=1.0)
    other.laplace(X, 100 * Y, layers="last", prior_precision=1e-4)
    np.testing.assert_allclose(
        other.predict(NEW, std=True), [100 * part for part in model.predict(NEW, std=True)]
    )
    expected = model.log_likelihood(X, Y) - np.log(100)
    assert other.log_likelihood(X, 100 * Y) == pytest.approx(expected)


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("layers", ["all", "last"])
def test_scaled_targets_are_answered_in_their_own_unit(size, layers):
    y = np.hstack([1e5 * Y + 3e5, 1e-3 * X[:, :1]])
    inner = [mg.Standardize(3), mg.Dense(3, 5), mg.BatchNorm(5), mg.Tanh(), mg.Dense(5, 2)]
    options = {"loss": mg.MeanSquaredError(), "dtype": "float64", "ensemble_size": size}
    model = mg.Sequential(inner, target_scaling="standard", random_state=0, **options)
    model.fit(X, y, optimizer=mg.Adam(0.01), epochs=30, verbose=0)
    by_hand = mg.Sequential(copy.deepcopy(inner), random_state=0, **options)
    by_hand.params, kept = model.params, by_hand.state.shape[-1]
    by_hand.state = model.state[..., :kept]
    mean, deviation = y.mean(axis=0), y.std(axis=0)
    scaled = (y - mean) / deviation
    ours, theirs = model.laplace(X, y, layers=layers), by_hand.laplace(X, scaled, layers=layers)
    np.testing.assert_allclose(ours.factor, theirs.factor, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        model.predict(NEW, std=True).std, by_hand.predict(NEW, std=True).std * deviation, rtol=1e-6
    )
    expected = by_hand.log_likelihood(X, scaled) - np.log(deviation).sum()
    assert model.log_likelihood(X, y) == pytest.approx(expected)


# storage with the model


@every_dtype
@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("layers", ["all", "last"])
def test_it_is_kept_in_copies_and_files(tmp_path, dtype, size, layers):
    model = network(ensemble_size=size, dtype=dtype, epochs=2)
    model.laplace(X, Y, layers=layers)
    model.save(tmp_path / "model.npz")
    for twin in (mg.load(tmp_path / "model.npz"), pickle.loads(pickle.dumps(model)), model.copy()):
        assert repr(twin.uncertainty) == repr(model.uncertainty)
        np.testing.assert_array_equal(twin.predict(NEW, std=True), model.predict(NEW, std=True))
        assert twin.log_likelihood(X, Y) == model.log_likelihood(X, Y)
        np.testing.assert_array_equal(twin.uncertainty.log_evidence, model.uncertainty.log_evidence)
    lifted = model.lifted("longdouble")
    np.testing.assert_allclose(lifted.predict(NEW, std=True), model.predict(NEW, std=True), 1e-4)
    assert copy.deepcopy(model).uncertainty is model.uncertainty
    assert model.copy().tiled(2).uncertainty is None if size is None else True


def test_members_in_another_order_have_none():
    model = network(ensemble_size=2, epochs=1)
    model.laplace(X, Y)
    assert model.members([0, 1]).predict(NEW, std=True).includes_noise
    for other in ([1, 0], [0, 0], [1]):
        assert model.members(other).uncertainty is None


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize(
    ("layers", "parameters", "targets"),
    [("all", 30, 1), ("all", 7, 1), ("last", 31, 1), ("last", 6, 1), ("all", 31, 2)],
)
def test_one_of_another_shape_is_refused(layers, parameters, targets, size, tmp_path):
    model = mg.Sequential(
        [mg.Dense(3, 6), mg.Tanh(), mg.Dense(6, 1)], loss=mg.MeanSquaredError(), ensemble_size=size
    )
    lead = () if size is None else (size,)
    root = np.broadcast_to(np.eye(parameters), (*lead, parameters, parameters))
    model.uncertainty = mg.Laplace(root, layers=layers, noise=np.ones((*lead, targets)))
    for use in (
        lambda: model.predict(X, std=True),
        lambda: model.log_likelihood(X, Y),
        lambda: model.save(tmp_path / "model.npz"),
    ):
        with pytest.raises(ValueError, match=r"another network.*needs \(.*; call model\.laplace"):
            use()
    right = 31 if layers == "all" else 7
    root = np.broadcast_to(np.eye(right), (*lead, right, right))
    model.uncertainty = mg.Laplace(root, layers=layers, noise=np.ones((*lead, 1)))
    assert model.predict(X, std=True).std.shape == (60, 1)


@pytest.mark.parametrize("noise", [1.0, np.ones((2, 1))], ids=repr)
def test_noise_is_that_of_each_target(noise):
    with pytest.raises(ValueError, match=r"Laplace: noise expects .* of shape \(T,\)"):
        mg.Laplace(np.eye(3), noise=noise)
    with pytest.raises(ValueError, match="Laplace: factor expects finite numbers of shape"):
        mg.Laplace(np.diag([1.0, np.nan]), noise=[1.0])


@pytest.mark.parametrize("size", [None, 2])
def test_a_loaded_one_gives_the_same_bits(size, tmp_path):
    model = network(
        outputs=2, y=np.hstack([Y, Y**2]), epochs=2, dtype="float64", ensemble_size=size
    )
    model.laplace(X, np.hstack([Y, Y**2]))
    model.save(tmp_path / "model.npz")
    loaded = mg.load(tmp_path / "model.npz")
    for other in (loaded, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(
            other.predict(NEW, std=True).std, model.predict(NEW, std=True).std
        )


def test_it_belongs_to_its_weights():
    model = network(epochs=2)
    model.laplace(X, Y)
    model.params = model.params * 1.01
    with pytest.raises(ValueError, match=r"weights or .* changed .* model\.laplace\(x, y\) again"):
        model.predict(X, std=True)
    model.laplace(X, Y)
    assert model.predict(X, std=True).includes_noise
    model.fit(X, Y, optimizer=mg.SGD(0.01), epochs=1, verbose=0)
    assert model.uncertainty is None
    other = mg.Sequential([mg.Dense(3, 1)], loss=mg.MeanSquaredError())
    other.uncertainty = network(epochs=1).laplace(X, Y)
    with pytest.raises(ValueError, match="belongs to another network"):
        other.predict(X, std=True)


class Scaled(mg.Layer):
    """An option of a user's class, an array, acts in predictions."""

    def __init__(self, factors):
        self.factors = factors

    def __repr__(self):
        return f"Scaled at {np.random.default_rng().random()}"

    def forward(self, x):
        return x * self.factors

    def backward(self, delta):
        return delta * self.factors


OTHER_OPTIONS = [
    (mg.LeakyReLU(), "negative_slope", 0.3),
    (mg.ELU(), "alpha", 0.5),
    (mg.Elementwise(np.tanh, lambda a: 1 - a * a), "function", np.sin),
    (mg.LayerNorm(6), "epsilon", 0.1),
    (mg.BatchNorm(6), "epsilon", 0.1),
    (mg.Residual([mg.LeakyReLU()]), "layers.negative_slope", 0.3),
    (Scaled(np.ones(6)), "factors", np.full(6, 2.0)),
]


NAMES = [f"{type(layer).__name__}-{option}" for layer, option, _ in OTHER_OPTIONS]


@pytest.mark.parametrize(("layer", "option", "other"), OTHER_OPTIONS, ids=NAMES)
@pytest.mark.parametrize("method", ["laplace", "bayes"])
def test_it_belongs_to_the_options_of_its_layers(layer, option, other, method):
    layers = [mg.Dense(3, 6), copy.deepcopy(layer), mg.Dropout(0.1), mg.Dense(6, 1)]
    if method == "bayes":
        layers.pop(2)
        if layers[1].mixes_samples:
            return
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0, dtype="float64")
    if method == "laplace":
        model.laplace(X, Y)
    else:
        model.fit(X, Y, optimizer=mg.LevenbergMarquardt(), epochs=3, verbose=0)
    before = model.predict(X, std=True)
    for twin in (model.copy(), model.lifted(np.float32)):
        np.testing.assert_allclose(twin.predict(X, std=True).std, before.std, rtol=1e-3)
    changed = model.layers[1]
    if "." in option:
        changed, option = changed.layers[0], option.partition(".")[2]
    setattr(changed, option, other)
    assert (model.predict(X) != before.mean).any()
    with pytest.raises(ValueError, match=r"options of the layers have changed .* again"):
        model.predict(X, std=True)


def test_a_rate_of_dropout_does_not_act_in_predictions():
    layers = [mg.Dense(3, 6), mg.Tanh(), mg.Dropout(0.1), mg.Dense(6, 1)]
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
    model.laplace(X, Y)
    before = model.predict(X, std=True)
    model.layers[2].drop_probability = 0.5
    np.testing.assert_array_equal(model.predict(X, std=True), before)


def test_a_file_that_could_not_be_read_is_not_written(tmp_path):
    model = network()
    model.laplace(X, Y)
    model.save(tmp_path / "model.npz")
    before = (tmp_path / "model.npz").read_bytes()
    model.params *= 1.01
    with pytest.raises(ValueError, match=r"weights or .* have changed .*uncertainty = None"):
        model.save(tmp_path / "model.npz")
    assert (tmp_path / "model.npz").read_bytes() == before
    model.uncertainty = None  # as the message advises
    model.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(mg.load(tmp_path / "model.npz").params, model.params)


def test_a_fit_changes_neither_weights_nor_later_training():
    trained = []
    for ask in (False, True):
        model = network(epochs=2)
        if ask:
            model.laplace(X, Y)
            model.predict(X, std=True)
        model.fit(X, Y, optimizer=mg.Adam(0.01), epochs=2, verbose=0)
        trained.append(model.params.copy())
    np.testing.assert_array_equal(*trained)


# errors


@pytest.mark.parametrize(
    ("loss", "outputs", "match"),
    [
        (mg.Huber(), 1, "train with one of these"),
        (mg.GaussianNLL(), 2, "it predicts the noise itself"),
        (mg.Poisson(), 1, "it predicts the noise itself"),
        (mg.Hinge(), 1, "train with one of these"),
        (mg.SigmoidFocal(), 1, "train with one of these"),
        (mg.SoftmaxFocal(), 2, "train with one of these"),
    ],
    ids=repr,
)
def test_losses_that_it_cannot_serve_are_refused(loss, outputs, match):
    model = mg.Sequential([mg.Dense(3, outputs)], loss=loss)
    y = np.arange(60) % 2
    with pytest.raises(TypeError, match=match):
        model.laplace(X, y)


def test_too_many_parameters_are_refused_with_numbers_and_what_to_do():
    model = mg.Sequential([mg.Dense(3, 500_000), mg.Dense(500_000, 1)], loss=mg.MeanSquaredError())
    with pytest.raises(ValueError, match=r'[\d,]+ GiB.*layers="last", which needs [\d,.]+ GiB'):
        model.laplace(X, Y)
    with pytest.raises(ValueError, match=r"GiB; train an ensemble \(ensemble_size=5\)"):
        model.laplace(X, Y, layers="last")


def test_wrong_options_are_refused():
    model, _ = linear(1.0, 1.0)
    with pytest.raises(ValueError, match="layers expects 'all' or 'last', got 'first'"):
        model.laplace(X, Y, layers="first")
    for name in ("prior_precision", "noise"):
        with pytest.raises(ValueError, match=rf"{name} expects a number in \(0"):
            model.laplace(X, Y, **{name: 0})
    both = mg.Sequential([mg.Dense(3, 2)], loss=mg.MeanSquaredError())
    with pytest.raises(ValueError, match="noise expects a model with a single numeric target"):
        both.laplace(X, np.hstack([Y, Y]), noise=1.0)
    with pytest.raises(ValueError, match=r"with parameters.*mg\.Noise"):
        mg.Sequential([mg.Identity()], loss=mg.MeanSquaredError()).laplace(Y, Y)
    with pytest.raises(ValueError, match="fits all targets exactly"):
        model.laplace(X, model.predict(X))


def test_a_curvature_that_is_no_number_is_refused():
    model, _ = linear(1.0, 1.0)
    for curvature, alpha in ((np.full((4, 4), np.nan), 1.0), (np.eye(4), 0.0)):
        with pytest.raises(ValueError, match="finite curvature and a positive prior precision"):
            mg.Laplace.from_curvature(model, curvature, prior_precision=alpha)
    with pytest.raises(ValueError, match="positive definite"):
        mg.Laplace.from_curvature(model, -2 * np.eye(4), prior_precision=1.0)


@pytest.mark.parametrize("noise", [None, 1.0])
@pytest.mark.parametrize(
    ("loss", "size"),
    [
        *((mg.MeanSquaredError(), size) for size in (np.nan, np.inf, 1e200)),
        (mg.SigmoidCrossEntropy(), np.nan),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_of_a_diverged_training_are_refused(loss, size, noise):
    model = mg.Sequential([mg.Dense(3, 4), mg.ReLU(), mg.Dense(4, 1)], loss=loss, dtype="float64")
    model.params = np.full(model.params.size, size)
    with pytest.raises(ValueError, match=r"a trained model.*train it again"):
        model.laplace(X, Y > 0, noise=noise if loss.leaves_noise_open else None)


def test_a_given_noise_is_in_the_unit_of_the_target():
    options = {"loss": mg.MeanSquaredError(), "dtype": "float64", "target_scaling": "standard"}
    model = mg.Sequential([mg.Dense(3, 1)], random_state=0, **options)
    model.fit(X, 1e4 * Y, optimizer=mg.Adam(0.05), epochs=50, verbose=0)
    model.laplace(X, 1e4 * Y, noise=5e3)
    assert model.predict(X, std=True).std.min() == pytest.approx(5e3, rel=0.1)


def test_a_warning_of_the_structure_is_not_repeated():
    with pytest.warns(mg.TrainingWarning):
        model = mg.Sequential(
            [mg.Dense(2, 3), mg.ReLU(), mg.Dense(3, 1), mg.ReLU()], loss=mg.SigmoidCrossEntropy()
        )
    x, y = mg.datasets.xor()
    model.laplace(x, y)  # warnings are errors
    assert model.predict_proba(x).shape == (4, 1)
