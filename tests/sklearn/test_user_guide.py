"""The statements of scikit-learn's user guide hold for our pair, in the order of the guide."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy.special import expit, softmax
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    make_moons,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpgrad.sklearn import MLPClassifier, MLPRegressor
from mlpgrad.training.recording import Trial

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer", "ignore:lbfgs failed to converge"
)

MOONS, HALVES = make_moons(200, noise=0.1, random_state=0)
FLOWERS, SPECIES = load_iris(return_X_y=True)


def g(network, x):
    """The guide's f(x) = W2 g(W1^T x + b1) + b2, by the public attributes, with tanh for g."""
    for weights, bias in zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True):
        x = np.tanh(x @ weights + bias)
    return x @ network.coefs_[-1] + network.intercepts_[-1]


# Multi-layer Perceptron


def test_it_learns_a_function_that_is_not_linear():
    network = MLPClassifier((20,), solver="lbfgs", random_state=0).fit(MOONS, HALVES)
    linear = LogisticRegression().fit(MOONS, HALVES)
    assert network.score(MOONS, HALVES) > 0.99 > linear.score(MOONS, HALVES)


def test_weights_at_index_i_are_those_between_layers_i_and_i_plus_1():
    network = MLPClassifier((7, 5), max_iter=2).fit(FLOWERS, SPECIES)
    assert [a.shape for a in network.coefs_] == [(4, 7), (7, 5), (5, 3)]
    assert [a.shape for a in network.intercepts_] == [(7,), (5,), (3,)]


def test_it_learns_on_line():
    network = MLPClassifier((20,), learning_rate_init=0.05, random_state=0)
    for _ in range(12):
        for start in range(0, 200, 20):
            rows = slice(start, start + 20)
            network.partial_fit(MOONS[rows], HALVES[rows], classes=[0, 1])
    assert network.score(MOONS, HALVES) > 0.95


def test_other_initial_weights_lead_to_another_local_minimum():
    losses = [
        MLPClassifier((3,), solver="lbfgs", random_state=seed, max_iter=500)
        .fit(MOONS, HALVES)
        .loss_
        for seed in range(4)
    ]
    assert max(losses) > 1.1 * min(losses)


# Classification


def test_the_first_example():
    x, y = [[0.0, 0.0], [1.0, 1.0]], [0, 1]
    network = MLPClassifier(
        solver="lbfgs", alpha=1e-5, hidden_layer_sizes=(5, 2), random_state=1
    ).fit(x, y)
    assert network.predict([[2.0, 2.0], [-1.0, -2.0]]).tolist() == [1, 0]
    assert [coef.shape for coef in network.coefs_] == [(2, 5), (5, 2), (2, 1)]
    expected = [[1.967e-04, 9.998e-01]] * 2
    found = network.predict_proba([[2.0, 2.0], [1.0, 2.0]])
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_the_example_of_several_labels():
    x, y = [[0.0, 0.0], [1.0, 1.0]], [[0, 1], [1, 1]]
    network = MLPClassifier(
        solver="lbfgs", alpha=1e-5, hidden_layer_sizes=(15,), random_state=1
    ).fit(x, y)
    assert network.predict([[1.0, 2.0]]).tolist() == [[1, 1]]
    assert network.predict([[0.0, 0.0]]).tolist() == [[0, 1]]


def test_several_labels_pass_through_the_logistic_function_and_are_rounded():
    y = np.column_stack([SPECIES == 0, SPECIES > 0, SPECIES == 2]).astype(int)
    network = MLPClassifier((6,), "tanh", max_iter=50, random_state=0).fit(FLOWERS, y)
    probabilities = expit(g(network, FLOWERS))
    np.testing.assert_allclose(network.predict_proba(FLOWERS), probabilities, atol=1e-12)
    np.testing.assert_array_equal(network.predict(FLOWERS), probabilities >= 0.5)


# Regression


def test_numbers_have_no_output_activation_and_may_be_several():
    x, y = load_diabetes(return_X_y=True)
    several = np.column_stack([y, -y])
    network = MLPRegressor(hidden_layer_sizes=(6,), activation="tanh", max_iter=20, random_state=0)
    network.fit(x, several)
    assert network.out_activation_ == "identity"
    np.testing.assert_allclose(network.predict(x), g(network, x))


# Regularization


def test_a_larger_alpha_gives_smaller_weights():
    sizes = []
    for alpha in (1e-5, 1.0, 100.0):
        network = MLPClassifier((10,), solver="lbfgs", alpha=alpha, random_state=0)
        network.fit(MOONS, HALVES)
        sizes.append(sum(np.square(weights).sum() for weights in network.coefs_))
    assert sizes[0] > sizes[1] > sizes[2]


def test_a_larger_alpha_gives_the_regressor_smaller_weights():
    sizes = []
    for alpha in (1e-5, 1.0, 100.0):
        network = MLPRegressor(hidden_layer_sizes=(10,), solver="lbfgs", alpha=alpha)
        network.set_params(random_state=0).fit(MOONS, MOONS[:, 0] ** 2)
        sizes.append(sum(np.square(weights).sum() for weights in network.coefs_))
    assert sizes[0] > sizes[1] > sizes[2]


# Algorithms


def start_of(**options):
    """A network with its initial weights, and the same after a step on all rows."""
    options = {"hidden_layer_sizes": (5,), "activation": "tanh", "random_state": 0, **options}
    options |= {"max_iter": 1, "batch_size": 150, "warm_start": True}
    network = MLPRegressor(**{**options, "learning_rate_init": 1e-300}).fit(FLOWERS, SPECIES)
    before = [array.copy() for array in network.coefs_ + network.intercepts_]
    network.set_params(learning_rate_init=options["learning_rate_init"])
    network.fit(FLOWERS, SPECIES)
    return before, network.coefs_ + network.intercepts_


def test_gradient_descent_subtracts_the_gradient_of_loss_and_penalty():
    alpha, rate = 3.0, 0.01
    before, after = start_of(solver="sgd", momentum=0.0, alpha=alpha, learning_rate_init=rate)
    w1, w2, b1, b2 = before
    hidden = np.tanh(FLOWERS @ w1 + b1)
    error = (hidden @ w2 + b2)[:, 0] - SPECIES
    first = error[:, None] * w2[:, 0] * (1 - hidden**2)
    slopes = [FLOWERS.T @ first, hidden.T @ error[:, None], first.sum(axis=0), error.sum()]
    slopes = [slope / len(FLOWERS) for slope in slopes]
    for weights, slope in zip(before[:2], slopes, strict=False):
        slope += alpha / len(FLOWERS) * weights
    for old, new, slope in zip(before, after, slopes, strict=True):
        np.testing.assert_allclose(new, old - rate * slope, rtol=1e-12)


def test_adam_adjusts_the_step_of_each_parameter():
    before, after = start_of(solver="adam", activation="identity", learning_rate_init=0.01)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(np.abs(new - old), 0.01, rtol=1e-3)


def test_l_bfgs_supports_no_on_line_learning():
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    for solver in ("sgd", "adam"):
        assert hasattr(MLPClassifier(solver=solver), "partial_fit")


# Complexity


@pytest.mark.parametrize("n", [50, 150])
@pytest.mark.parametrize(("m", "h", "k", "o"), [(4, 10, 1, 1), (2, 30, 3, 2), (30, 10, 2, 5)])
def test_the_products_of_an_iteration_are_as_many_as_the_guide_says(n, m, h, k, o):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, m)), rng.normal(size=(n, o))
    fitted = MLPRegressor(hidden_layer_sizes=(h,) * k, max_iter=1).fit(x, y.squeeze())
    network = fitted.model_
    calls = Trial(network.copy(), x, y, None).calls
    products = [call.inputs for call in calls if call.name == "dot" and call.inputs[0].ndim == 2]
    count = sum(a.size * b.shape[-1] for a, b in products if b.ndim == 2)
    formula = n * (m * h + (k - 1) * h * h + h * o)
    assert 2 * formula < count < 3.5 * formula  # forward, and once or twice backward


# Mathematical formulation


def test_two_classes_pass_through_the_logistic_function_more_through_a_softmax():
    two = MLPClassifier((6,), "tanh", max_iter=50, random_state=0).fit(FLOWERS, SPECIES > 0)
    probabilities = expit(g(two, FLOWERS)[:, 0])
    np.testing.assert_allclose(two.predict_proba(FLOWERS)[:, 1], probabilities, atol=1e-12)
    np.testing.assert_array_equal(two.predict(FLOWERS), probabilities >= 0.5)
    three = MLPClassifier((6,), "tanh", max_iter=50, random_state=0).fit(FLOWERS, SPECIES)
    shares = softmax(g(three, FLOWERS), axis=1)
    np.testing.assert_allclose(three.predict_proba(FLOWERS), shares, atol=1e-12)
    np.testing.assert_array_equal(three.predict(FLOWERS), shares.argmax(axis=1))


def test_the_losses_are_those_of_the_guide():
    alpha, n = 0.7, len(FLOWERS)
    options = {"solver": "lbfgs", "alpha": alpha, "activation": "tanh", "random_state": 0}
    two = MLPClassifier((4,), max_iter=5, **options).fit(FLOWERS, SPECIES > 0)
    p, y = expit(g(two, FLOWERS)[:, 0]), SPECIES > 0
    penalty = alpha / (2 * n) * sum(np.square(w).sum() for w in two.coefs_)
    entropy = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert two.loss_ == pytest.approx(entropy + penalty, rel=1e-12)
    one = MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, **options).fit(FLOWERS, SPECIES)
    penalty = alpha / (2 * n) * sum(np.square(w).sum() for w in one.coefs_)
    squares = np.square(g(one, FLOWERS)[:, 0] - SPECIES).sum() / (2 * n)
    assert one.loss_ == pytest.approx(squares + penalty, rel=1e-12)


def test_it_stops_at_the_last_iteration_or_where_the_loss_hardly_improves():
    assert MLPClassifier(max_iter=7).fit(FLOWERS, SPECIES).n_iter_ == 7
    stopped = MLPClassifier(tol=0.05, n_iter_no_change=3, random_state=0).fit(FLOWERS, SPECIES)
    curve = np.array(stopped.loss_curve_)
    assert stopped.n_iter_ < 200
    # the last four epochs: none is better by tol than the best before it
    best = np.minimum.accumulate(curve)
    assert (curve[-4:] > best[-5:-1] - 0.05).all()


# Tips on practical use


def test_it_is_sensitive_to_the_scaling_of_features():
    x, y = load_breast_cancer(return_X_y=True)
    options = {"random_state": 0, "max_iter": 40}
    raw = MLPClassifier(**options).fit(x[:400], y[:400])
    scaled = make_pipeline(StandardScaler(), MLPClassifier(**options)).fit(x[:400], y[:400])
    assert scaled.score(x[400:], y[400:]) > raw.score(x[400:], y[400:])


def test_alpha_is_found_by_a_grid_search():
    network = MLPClassifier((4,), solver="lbfgs", max_iter=30, random_state=0)
    search = GridSearchCV(network, {"alpha": 10.0 ** -np.arange(1, 7)}, cv=2).fit(MOONS, HALVES)
    assert search.best_params_["alpha"] in 10.0 ** -np.arange(1, 7)


def test_l_bfgs_is_better_on_small_data():
    x = StandardScaler().fit_transform(FLOWERS)
    losses = {
        solver: MLPClassifier((10,), solver=solver, random_state=0).fit(x, SPECIES).loss_
        for solver in ("lbfgs", "adam", "sgd")
    }
    assert losses["lbfgs"] < losses["adam"] < losses["sgd"]


def test_adam_is_robust_and_sgd_can_be_better_with_a_tuned_rate():
    x, y = load_digits(return_X_y=True)
    x, y, x_test, y_test = x[:1000] / 16, y[:1000], x[1000:] / 16, y[1000:]
    adam = MLPClassifier(random_state=0, max_iter=60).fit(x, y)
    assert adam.score(x_test, y_test) > 0.9
    sgd = {"solver": "sgd", "momentum": 0.9, "max_iter": 60, "random_state": 0}
    losses = [
        MLPClassifier(**sgd, learning_rate_init=rate).fit(x, y).loss_ for rate in (0.001, 0.3)
    ]
    assert losses[0] > adam.loss_ > losses[1]


def test_iterating_oneself_with_a_warm_start():
    network = MLPClassifier((15,), random_state=1, max_iter=1, warm_start=True)
    losses = [network.fit(MOONS, HALVES).loss_ for _ in range(10)]
    assert losses == sorted(losses, reverse=True)
    assert network.loss_curve_ == losses
