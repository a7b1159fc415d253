"""Levenberg-Marquardt steps agree with closed forms, MATLAB's rule, and single members."""

import copy

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.derivatives.objective import Objective
from mlpgrad.training.second_order import part, teams
from mlpgrad.training.second_order.evidence import groups_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = np.sin(X.sum(axis=1, keepdims=True)) + 0.1 * RNG.normal(size=(40, 1))
BOTH = ("weights", "bias")


def network(size=None, *, dtype="float64", outputs=1, loss=None, **options):
    layers = [mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, outputs)]
    loss = loss or mg.HalfSquaredError()
    return mg.Sequential(
        layers, loss=loss, dtype=dtype, random_state=0, ensemble_size=size, **options
    )


def fit(model, epochs=10, x=X, y=Y, fit_options=None, **options):
    method = mg.LevenbergMarquardt(**options)
    history = model.fit(x, y, optimizer=method, epochs=epochs, verbose=0, **(fit_options or {}))
    return history, method


@pytest.mark.parametrize("kind", [mg.HalfSquaredError, mg.MeanSquaredError])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_step_on_a_linear_model_is_ridge_regression(kind, weighted):
    y = np.hstack([Y, Y**2])
    weights = RNG.uniform(0, 2, 40) if weighted else np.ones(40)
    model = mg.Sequential(
        [mg.Dense(3, 2)], loss=kind(), dtype="float64", random_state=0,
        penalties=[mg.L2(0.1, kinds=BOTH)],
    )  # fmt: skip
    options = {"sample_weight": weights} if weighted else {}
    fit(model, 1, y=y, regularisation=None, mu=1e-14, fit_options=options)
    rows, share = np.c_[X, np.ones(40)], weights / weights.sum()
    matrix = rows.T @ (share[:, None] * rows)  # 2 / O is 1 for two outputs, also in the mean
    expected = np.linalg.solve(matrix + 0.1 * np.eye(4), rows.T @ (share[:, None] * y))
    np.testing.assert_allclose(model.params.reshape(4, 2), expected, rtol=1e-11)


def outputs_and_jacobian(params, x):
    """A 3-4-1 tanh network and its dense Jacobian, written by hand."""
    w, b, v = params[:12].reshape(3, 4), params[12:16], params[16:20]
    a = np.tanh(x @ w + b)
    d = (1 - a * a) * v
    first = x[:, :, None] * d[:, None, :]
    return a @ v + params[20], np.c_[first.reshape(-1, 12), d, a, np.ones(len(x))]


def trainlm(params, x, y, epochs, mu=1e-3, decrease=0.1, increase=10.0, max_mu=1e10):
    """MATLAB's rule, by its documentation: X <- X - (J'J + mu I)^-1 J'E."""
    path = []
    for _ in range(epochs):
        out, j = outputs_and_jacobian(params, x)
        error = out - y
        while mu <= max_mu:
            step = -np.linalg.solve(j.T @ j + mu * np.eye(len(params)), j.T @ error)
            moved = outputs_and_jacobian(params + step, x)[0] - y
            if (moved**2).mean() < (error**2).mean():
                params, mu = params + step, max(mu * decrease, 1e-20)
                break
            mu *= increase
        path.append((params, mu))
    return path


def test_the_values_of_mu_of_matlab_give_its_steps():
    matlab = {"mu": 1e-3, "decrease": 0.1, "increase": 10.0, "max_mu": 1e10}
    for seed in range(3):
        start = np.random.default_rng(seed).normal(size=21)
        for epoch, (params, mu) in enumerate(trainlm(start, X, Y[:, 0], 8), 1):
            model = network(loss=mg.MeanSquaredError(), penalties=[])
            model.params = start
            history, _ = fit(model, epoch, regularisation=None, **matlab)
            np.testing.assert_allclose(model.params, params, rtol=1e-6, atol=1e-8)
            assert history["mu"][-1] == pytest.approx(mu)


def test_a_refused_step_costs_no_new_matrix(monkeypatch):
    matrices, values = [], []
    for name, calls in (("normal_equations", matrices), ("value", values)):
        whole = getattr(Objective, name)
        monkeypatch.setattr(
            Objective, name, lambda self, p, w=whole, c=calls: c.append(1) or w(self, p)
        )
    model = network()
    model.params = 3 * RNG.normal(size=21)
    history, _ = fit(model, 12, regularisation=None, mu=1e-8)
    assert len(matrices) == history.epochs == 12
    assert len(values) > 12
    assert (np.diff(history["loss"]) < 0).all()


def linear(size=None):
    layers = [mg.Dense(3, 1, bias=False)]
    return mg.Sequential(
        layers, loss=mg.MeanSquaredError(), dtype="float64", random_state=0, ensemble_size=size
    )


def test_the_evidence_of_a_linear_model_is_that_of_scikit_learn_and_the_closed_form():
    from scipy.stats import multivariate_normal

    linear_model = pytest.importorskip("sklearn.linear_model")
    y = X @ [1.0, -0.5, 0.0] + 0.3 * RNG.normal(size=40)
    model = linear()
    history, method = fit(model, 300, y=y, groups="all", mu=1e-10)
    none = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0.0)
    other = linear_model.BayesianRidge(fit_intercept=False, tol=1e-12, max_iter=1000, **none)
    other.fit(X, y)
    np.testing.assert_allclose(model.params, other.coef_, rtol=1e-4)
    alpha, beta = float(method.state.alpha[0, 0]), float(method.state.beta[0])
    assert alpha == pytest.approx(other.lambda_, rel=1e-3)
    assert beta == pytest.approx(other.alpha_, rel=1e-3)
    law = multivariate_normal(np.zeros(40), np.eye(40) / beta + X @ X.T / alpha)
    assert history["log_evidence"][-1] == pytest.approx(law.logpdf(y), rel=1e-6)
    gamma = np.trace(beta * X.T @ X @ np.linalg.inv(beta * X.T @ X + alpha * np.eye(3)))
    assert history["effective_parameters"][-1] == pytest.approx(gamma, rel=1e-3)
    assert history["noise"][-1] == pytest.approx(beta**-0.5, rel=1e-12)


def test_an_input_that_says_nothing_decays_by_a_group_of_its_own():
    y = np.sin(2 * X[:, :1]) + 0.05 * RNG.normal(size=(40, 1))
    model = network()
    _, method = fit(model, 100, y=y, groups="inputs")
    assert method.group_names[:3] == [f"layers[0].weights[{i}]" for i in range(3)]
    alpha = dict(zip(method.group_names, method.state.alpha[0], strict=True))
    assert min(alpha[method.group_names[1]], alpha[method.group_names[2]]) > (
        30 * alpha[method.group_names[0]]
    )


@pytest.mark.parametrize("first", [mg.LayerNorm(3), mg.Embedding(3, {2: 4}, 2)], ids=repr)
def test_inputs_are_those_of_the_first_weights_whatever_layer_is_before(first):
    first = copy.deepcopy(first)
    width = first.out_features or 3
    model = mg.Sequential(
        [first, mg.Dense(width, 5), mg.Tanh(), mg.Dense(5, 1)],
        loss=mg.MeanSquaredError(), dtype="float64", random_state=0,
    )  # fmt: skip
    groups = groups_of(model, "inputs")
    for slot in model.parameters:
        own = groups.of[slot.start : slot.stop].reshape(slot.shape)
        names = np.array(groups.names)[own]
        if slot.name == "layers[1].weights":
            rows = [[f"layers[1].weights[{i}]"] * 5 for i in range(width)]
            np.testing.assert_array_equal(names, rows)
        else:
            assert (names == slot.name).all()
    np.testing.assert_array_equal(groups.sizes, np.bincount(groups.of))


@pytest.mark.parametrize("groups", ["all", "layers", "inputs"])
def test_groups_cover_each_parameter_once(groups):
    _, method = fit(network(), 3, groups=groups)
    assert len(method.group_names) == {"all": 3, "layers": 4, "inputs": 6}[groups]
    assert method.state.gamma.sum() <= 21


@pytest.mark.parametrize("together", [0, 1 << 17], ids=["threads", "one part"])
@pytest.mark.parametrize("regularisation", ["bayes", None])
def test_an_ensemble_is_its_members_trained_alone(together, regularisation, monkeypatch):
    monkeypatch.setattr(teams, "TOGETHER", together)
    monkeypatch.setattr(teams, "THREAD_WORK", 0)
    monkeypatch.setattr(teams, "threads", lambda: 2)
    model = network(3)
    weights = RNG.uniform(0, 2, (3, 40)) * (RNG.uniform(size=(3, 40)) > 0.2)
    alone = [model.member(i) for i in range(3)]
    options = {"regularisation": regularisation}
    history, _ = fit(model, 60, fit_options={"sample_weight": weights}, **options)
    for i, member in enumerate(alone):
        own, _ = fit(member, 60, fit_options={"sample_weight": weights[i]}, **options)
        np.testing.assert_allclose(model.params[i], member.params, rtol=1e-5, atol=1e-7)
        ended = own.epochs - 1
        assert history["loss"][ended][i] == pytest.approx(own["loss"][-1], rel=1e-8)


def test_finished_members_leave_the_others_alone(monkeypatch):
    sizes = []
    whole = part.Part.iterate
    monkeypatch.setattr(
        part.Part, "iterate", lambda self, *a: sizes.append(len(self.members)) or whole(self, *a)
    )
    history, method = fit(linear(3), 200, y=X @ [1.0, 2.0, 3.0], regularisation=None, mu=1e-6)
    assert method.state.finished.all()
    assert history.epochs < 30
    assert sizes[0] == 3


def test_a_model_of_single_precision_is_lifted_while_it_trains():
    single, double = network(dtype="float32"), network()
    double.params = single.params
    histories = [fit(model, 15)[0] for model in (single, double)]
    assert single.dtype == np.float32
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-5)
    np.testing.assert_array_equal(single.params, double.params.astype(np.float32))


def test_weights_are_repetitions_and_their_size_does_not_matter():
    counts = RNG.integers(0, 4, 40)
    model, repeated, larger, kept = (network() for _ in range(4))
    options = {"regularisation": None}
    rows = np.repeat(np.arange(40), counts)
    present, share = (counts > 0).sum(), counts.sum()
    fit(model, 8, fit_options={"sample_weight": counts}, **options)
    # mu is relative to a sum over rows, and there are more rows
    fit(repeated, 8, x=X[rows], y=Y[rows], mu=share / present, **options)
    np.testing.assert_allclose(model.params, repeated.params, rtol=1e-8)
    fit(larger, 8, fit_options={"sample_weight": 1000.0 * counts}, **options)
    np.testing.assert_allclose(larger.params, model.params, rtol=1e-9)
    some = counts > 0
    fit(kept, 8, x=X[some], y=Y[some])
    model.params = network().params
    fit(model, 8, fit_options={"sample_weight": some.astype(float)})
    np.testing.assert_allclose(model.params, kept.params, rtol=1e-7)


@pytest.mark.parametrize("rows_at_once", [1, 7, 40])
def test_blocks_of_rows_change_nothing(rows_at_once):
    model, whole = network(2), network(2)
    fit(model, 6, fit_options={"batch_size": rows_at_once})
    fit(whole, 6)
    np.testing.assert_allclose(model.params, whole.params, rtol=1e-8)


def test_target_scaling_is_as_if_the_targets_were_scaled_beforehand():
    scaled = network(target_scaling="standard")
    by_hand = network()
    fit(scaled, 20, y=500 + 30 * Y)
    fit(by_hand, 20, y=(Y - Y.mean()) / Y.std())
    expected = 500 + 30 * (by_hand.predict(X) * Y.std() + Y.mean())
    np.testing.assert_allclose(scaled.predict(X), expected, rtol=1e-8)


CLASSES = (Y[:, 0] > 0).astype(int) + (X[:, 0] > 0.5)


@pytest.mark.parametrize("kind", ["sigmoid", "softmax", "poisson"])
def test_for_linear_logits_the_matrix_is_the_hessian_and_newton_converges(kind):
    loss, outputs, y = {
        "sigmoid": (mg.SigmoidCrossEntropy(), 1, CLASSES > 0),
        "softmax": (mg.SoftmaxCrossEntropy(), 3, CLASSES),
        "poisson": (mg.Poisson(), 1, CLASSES),
    }[kind]
    model = mg.Sequential(
        [mg.Dense(3, outputs)], loss=loss, dtype="float64", random_state=0,
        penalties=[mg.L2(0.01, kinds=BOTH)],
    )  # fmt: skip
    fit(model, 10, y=y, regularisation=None, mu=1e-10)
    model.backpropagate(X, y)
    assert np.abs(model.grads).max() < 1e-11


def test_the_evidence_serves_classes_too():
    model = network(outputs=3, loss=mg.SoftmaxCrossEntropy())
    history, method = fit(model, 40, y=CLASSES)
    assert "noise" not in history
    assert (method.state.beta == 1).all()
    assert 0 < history["effective_parameters"][-1] < model.params.size
    assert model.evaluate(X, CLASSES)["accuracy"] > np.bincount(CLASSES).max() / 40 + 0.15


def test_xor_is_solved_outright():
    x, y = mg.datasets.xor()
    model = mg.Sequential(
        [mg.Dense(2, 2), mg.Sigmoid(), mg.Dense(2, 1)],
        loss=mg.HalfSquaredError(), random_state=0, ensemble_size=10,
    )  # fmt: skip
    with pytest.warns(mg.TrainingWarning, match="4 training targets cannot determine 9"):
        fit(model, 100, x=2.0 * x - 1, y=2.0 * y - 1, regularisation=None)
    assert (np.abs(model.predict(2.0 * x - 1)[..., 0] - (2.0 * y.ravel() - 1)) < 0.1).all()


def test_the_law_of_the_weights_of_a_linear_model_is_the_closed_form():
    y = X @ [1.0, -0.5, 0.2] + 0.3 * RNG.normal(size=40)
    model = linear()
    _, method = fit(model, 100, y=y, groups="all", mu=1e-10)
    alpha, beta = float(method.state.alpha[0, 0]), float(method.state.beta[0])
    precision = beta * X.T @ X + alpha * np.eye(3)
    variance = np.einsum("bi,ij,bj->b", X, np.linalg.inv(precision), X) + 1 / beta
    std = model.predict(X, std=True)[1]
    np.testing.assert_allclose(std[:, 0], np.sqrt(variance), rtol=1e-4)
    np.testing.assert_allclose(model.params, beta * np.linalg.solve(precision, X.T @ y), rtol=1e-4)


@pytest.mark.parametrize("size", [None, 2])
def test_the_law_of_the_weights_is_that_of_a_laplace_approximation(size):
    model = mg.Sequential(  # without biases there is one decay, as in laplace
        [mg.Dense(3, 4, bias=False), mg.Tanh(), mg.Dense(4, 1, bias=False)],
        loss=mg.HalfSquaredError(), dtype="float64", random_state=0, ensemble_size=size,
        target_scaling="standard",
    )  # fmt: skip
    fit(model, 300, y=100 + 20 * Y)
    inputs = np.linspace(-2, 2, 15).reshape(5, 3)
    _, std = model.predict(inputs, std=True)
    found, likelihood = model.uncertainty, model.log_likelihood(X, 100 + 20 * Y)
    other = model.laplace(X, 100 + 20 * Y)  # finds decay and noise by another method
    np.testing.assert_allclose(found.noise, other.noise, rtol=1e-2)
    np.testing.assert_allclose(found.log_evidence, other.log_evidence, atol=0.5)
    model.uncertainty = other
    np.testing.assert_allclose(std, model.predict(inputs, std=True)[1], rtol=0.05)
    assert likelihood == pytest.approx(model.log_likelihood(X, 100 + 20 * Y), abs=0.05)


def test_the_law_belongs_to_the_weights_that_early_stopping_has_put_back():
    model = network(3)
    stop = [mg.EarlyStopping(3)]
    fit(model, 60, fit_options={"folds": True, "callbacks": stop})
    _, std = model.predict(X, std=True)
    assert np.isfinite(std).all()
    assert model.uncertainty.log_evidence.shape == (3,)


@pytest.mark.parametrize("size", [None, 2])
def test_counts_scatter_by_their_law_and_by_the_uncertainty_of_their_rate(size):
    # independent: rates of weights that are drawn from the posterior
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(40, 1)), np.array([[0.0], [3.0]])
    counts = rng.poisson(np.exp([3.0, 1.0] + 0.5 * x))
    model = mg.Sequential(
        [mg.Dense(1, 2)], loss=mg.Poisson(), dtype="float64", random_state=0, ensemble_size=size
    )
    fit(model, 60, x=x, y=counts)
    one = model if size is None else model.member(1)
    root = one.uncertainty.factor
    drawn = one.params + rng.normal(size=(100_000, 4)) @ root.T
    rates = np.exp(
        np.einsum("bi,dio->dbo", new, drawn[:, :2].reshape(-1, 1, 2)) + drawn[:, None, 2:]
    )
    mean, std = model.predict(new, std=True)
    np.testing.assert_allclose(std, np.sqrt((rates + (rates - mean) ** 2).mean(axis=0)), rtol=0.1)
    measured = rng.poisson(rates[:20_000])
    low, high = model.predict(new, interval=0.9)
    inside = ((low <= measured) & (measured <= high)).mean(axis=0)
    assert (abs(inside - 0.9) < 0.05).all()
    far = np.full((2000, 1), 3.0), measured[:2000, 1]
    likelihood, model.uncertainty = model.log_likelihood(*far), None
    assert likelihood > model.log_likelihood(*far) + 0.1


def test_classes_have_a_law_of_the_weights_too(tmp_path):
    model = network(outputs=3, loss=mg.SoftmaxCrossEntropy())
    fit(model, 40, y=CLASSES)
    assert model.uncertainty.noise is None
    surer = model.predict_proba(X).max(axis=-1).mean()
    assert np.isfinite(model.log_likelihood(X, CLASSES))
    model.save(tmp_path / "model.npz")
    again = mg.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.uncertainty.factor, model.uncertainty.factor)
    assert 0.4 < surer < 1


def test_without_the_evidence_nothing_is_said_of_the_weights():
    model = network()
    fit(model, 5, regularisation=None)
    assert model.uncertainty is None
