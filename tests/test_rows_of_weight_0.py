"""A row of weight 0 leaves no trace, whatever it holds: not even where it overflows."""

import numpy as np
import pytest

import mlpgrad as mg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
SIGNAL = X @ RNG.normal(size=(3, 2))
HEAVY = SIGNAL + 0.1 * RNG.standard_t(2, size=(40, 2))
LOSSES = {
    "squared error": (mg.MeanSquaredError, HEAVY[:, :1], 1e200),
    "squared errors": (mg.HalfSquaredError, HEAVY, 1e200),
    "counts": (mg.Poisson, RNG.poisson(np.exp(0.3 * SIGNAL)).astype(float), 1e300),
    "labels": (mg.SigmoidCrossEntropy, (HEAVY > 0).astype(float), 1.0),
    "classes": (mg.SoftmaxCrossEntropy, HEAVY.argmax(axis=1)[:, None], 1),
}
ROWS = {
    "with": (slice(None), np.append(np.ones(40), 0.0)),
    "without": (slice(40), None),
}
every_loss = pytest.mark.parametrize("name", LOSSES)
pytestmark = pytest.mark.filterwarnings("error")


def data(name):
    """Inputs and targets whose last row, of weight 0, is far from all others."""
    _, y, far = LOSSES[name]
    return np.vstack([X, [[1e3, -1e3, 1e3]]]), np.vstack([y, np.full(y.shape[1], far)])


def both(name, do, **options):
    """What `do(model, x, y, **weights)` returns with that row and without it."""
    x, y = data(name)
    for rows, weights in ROWS.values():
        model = mg.Sequential(
            [mg.Dense(3, 2 if name == "classes" else y.shape[1])], loss=LOSSES[name][0](),
            dtype="float64", random_state=0, **options,
        )  # fmt: skip
        yield do(model, x[rows], y[rows], sample_weight=weights)


def fitted(method):
    def fit(model, x, y, sample_weight):
        model.fit(x, y, sample_weight=sample_weight, optimizer=method(), epochs=40, verbose=0)
        return model.params

    return fit


def posterior(model, x, y, sample_weight):
    """The posterior after a fit with the evidence, and the law of its predictions."""
    fitted(mg.LevenbergMarquardt)(model, x, y, sample_weight)
    found = model.uncertainty
    return [*map(np.ravel, (found.factor, found.kurtosis, found.log_evidence))]


def approximated(model, x, y, sample_weight):
    fitted(mg.LBFGS)(model, x[:40], y[:40], None)
    found = model.laplace(x, y, sample_weight=sample_weight)
    return [*map(np.ravel, (found.factor, found.kurtosis, found.log_evidence))]


def density(model, x, y, sample_weight):
    if model.loss.leaves_noise_open:
        model.uncertainty = mg.Noise(1.0, kurtosis=2.0)
    return [[model.log_likelihood(x, y, sample_weight=sample_weight)]]


def curvature(kind):
    def dense(model, x, y, sample_weight):
        return model.curvature(x, y, kind, sample_weight=sample_weight).todense()

    return dense


ANSWERS = {
    "LevenbergMarquardt": fitted(mg.LevenbergMarquardt),
    "LBFGS": fitted(mg.LBFGS),
    "TrustNewton": fitted(mg.TrustNewton),
    "posterior": posterior,
    "Laplace": approximated,
    "likelihood": density,
    **{kind: curvature(kind) for kind in ("hessian", "gauss_newton", "fisher")},
}


PAIRS = [(name, answer) for name in LOSSES for answer in ANSWERS]
PAIRS.remove(("counts", "Laplace"))  # which a Laplace approximation does not take


@pytest.mark.parametrize(("name", "answer"), PAIRS)
def test_it_changes_no_answer(name, answer):
    with np.errstate(all="ignore"):
        found, expected = (np.concatenate(each, axis=None) for each in both(name, ANSWERS[answer]))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@every_loss
def test_members_may_leave_out_different_rows(name):
    x, y = data(name)
    x[-1], y[-1] = 300.0, y[0]  # at first, the rates of counts of the first member overflow
    weights = np.ones((2, 41))
    weights[0, -1] = weights[1, 0] = 0
    model = mg.Sequential(
        [mg.Dense(3, 2 if name == "classes" else y.shape[1])], loss=LOSSES[name][0](),
        dtype="float64", ensemble_size=2, random_state=0, penalties=[mg.L2(1e-2)],
    )  # fmt: skip
    model.params = np.outer([3.0, 0.0], np.ones(model.params.shape[1]))
    alone = [model.member(i) for i in range(2)]
    options = {"epochs": 40, "verbose": 0}
    method = mg.LevenbergMarquardt(regularisation=None)
    model.fit(x, y, sample_weight=weights, optimizer=method, **options)
    for member, counts, params in zip(alone, weights > 0, model.params, strict=True):
        member.fit(x[counts], y[counts], optimizer=method, **options)
        np.testing.assert_allclose(member.params, params, rtol=1e-6, atol=1e-8)
