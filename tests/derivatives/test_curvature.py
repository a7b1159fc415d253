"""Curvature operators, compared with matrices from Jacobians and second differences."""

import copy
import pickle

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator, cg, eigsh, svds

import mlpgrad as mg
from mlpgrad.derivatives.modes import set_mode
from mlpgrad.derivatives.objective import Objective
from tests.derivatives.cases import between_case, every_case, modes, penalised
from tests.kinds import FEATURES, LOSSES, every_loss, layer_case, loss_case, one_and_many

LIKELIHOODS = {
    *(mg.HalfSquaredError, mg.MeanSquaredError, mg.SoftmaxCrossEntropy, mg.CrossEntropy),
    *(mg.SigmoidCrossEntropy, mg.BinaryCrossEntropy, mg.Poisson, mg.GaussianNLL),
}


def penalty_hessian(model):
    """The Hessian of L2(0.3) on weights and gains."""
    diagonal = np.zeros(model.params.shape[-1])
    for slot in model.parameters:
        if slot.kind in ("weights", "gain"):
            diagonal[slot.start : slot.stop] = 0.3
    return np.diag(diagonal)


def curvature_of_loss(model, x, y, weights):
    """d2 L / d(output)2 for each row as `(B, O, O)`, by second differences of the loss."""
    prediction, loss = model.predict(x), model.loss.reader()
    target = loss.cast(model.checked(x, y, None)[1], np.dtype(np.float64))
    h, outputs = 1e-5, prediction.shape[-1]

    def slopes(moved):
        loss.forward(moved, target, None if weights is None else weights[:, None])
        return loss.backward().copy()

    columns = [
        (slopes(prediction + h * unit) - slopes(prediction - h * unit)) / (2 * h)
        for unit in np.eye(outputs)
    ]
    return np.stack(columns, axis=-1)


def gauss_newton(model, x, y, weights=None):
    jacobian = model.jacobian(x)
    of_loss = curvature_of_loss(model, x, y, weights)
    return np.einsum("bop,boq,bqr->pr", jacobian, of_loss, jacobian) + penalty_hessian(model)


@every_case
@one_and_many
def test_the_gauss_newton_matrix_is_made_of_jacobians(case, cls, size):
    model, x, y = penalised(case, cls, size)
    weights = np.linspace(0.2, 2, len(x))
    options = {"training": modes(cls)[0], "sample_weight": weights, "batch_size": 4}
    found = model.curvature(x, y, kind="gauss_newton", **options).todense()
    members = [model] if size is None else [model.member(i) for i in range(size)]
    width = model.params.shape[-1]
    for i, member in enumerate(members):
        block = found[i * width : (i + 1) * width, i * width : (i + 1) * width]
        expected = gauss_newton(member, x, y, weights)
        np.testing.assert_allclose(block, expected, rtol=1e-5, atol=1e-7)
    assert np.count_nonzero(found) <= len(members) * width**2


@every_case
@one_and_many
def test_the_hessian_is_a_matrix_of_differences(case, cls, size):
    model, x, y = penalised(case, cls, size)
    training = modes(cls)[0]
    found = model.hessian(x, y, training=training)
    twin = model.copy()
    set_mode(twin, training)
    h = 1e-5
    for column in range(model.params.shape[-1]):
        sides = []
        for sign in (1, -1):
            params = model.params.copy()
            params[..., column] += sign * h
            twin.params = params
            twin.backpropagate(x, y)
            sides.append(twin.grads.copy())
        expected = (sides[0] - sides[1]) / (2 * h)
        np.testing.assert_allclose(found[..., column], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(found, found.mT)


IN_OWN_UNITS = [cls for cls in LOSSES if not (cls.example()[0].classifies or cls.fixed_unit)]


@pytest.mark.parametrize("cls", IN_OWN_UNITS)
@one_and_many
def test_scaled_targets_have_the_curvature_of_the_scaled_problem(cls, size):
    plain, x, y = loss_case(cls, size=size)
    own = 5 + 20 * y
    options = plain.config() | {"layers": [mg.Dense(FEATURES, plain.out_features)]}
    model = mg.Sequential(**options | {"target_scaling": "standard"})
    model.fit_scaling(x, own)
    model.params = plain.params
    scaled = (own - own.mean(axis=0)) / own.std(axis=0)
    for kind in ("hessian", "gauss_newton", *(["fisher"] if cls in LIKELIHOODS else [])):
        found, expected = (
            one.curvature(x, target, kind).todense()
            for one, target in ((model, own), (plain, scaled))
        )
        np.testing.assert_allclose(found, expected, atol=1e-10, err_msg=kind)


class LogarithmOfTarget(mg.GaussianNLL):
    """A loss that takes the logarithms of its targets, which must be taken once."""

    def cast(self, target, dtype):
        return np.log(target).astype(dtype)


@pytest.mark.filterwarnings("ignore::mlpgrad.TrainingWarning")
def test_a_target_is_converted_once():
    model, x, y = loss_case(mg.GaussianNLL)
    expected = model.curvature(x, y, "gauss_newton").todense()
    model.loss = LogarithmOfTarget()
    found = model.curvature(x, np.exp(y), "gauss_newton").todense()
    np.testing.assert_allclose(found, expected, atol=1e-8)


@every_loss
def test_a_loss_is_a_likelihood_or_says_that_it_is_not(cls):
    model, x, y = loss_case(cls)
    if cls in LIKELIHOODS:
        assert model.curvature(x, y, kind="fisher").shape == 2 * (model.params.size,)
    else:
        with pytest.raises(TypeError, match=f"{cls.__name__} is not a negative log likelihood"):
            model.curvature(x, y, kind="fisher")


def test_something_is_a_likelihood():
    assert set(LOSSES) > LIKELIHOODS


def covariance_of_gradients(model, x, laws):
    """E[g g^T] over the gradients of samples; `laws` yields pairs of targets and probabilities."""
    total = 0.0
    for target, probability in laws:
        gradients = model.per_example_gradients(x, target)
        total = total + np.einsum("bp,bq,b->pq", gradients, gradients, probability) / len(x)
    return total


@pytest.mark.parametrize("loss", [mg.SoftmaxCrossEntropy(), mg.CrossEntropy()], ids=str)
def test_the_fisher_matrix_of_classes_is_the_covariance_of_gradients(loss):
    layers = [mg.Dense(2, 3), mg.Tanh(), mg.Dense(3, 3)]
    layers += [mg.Softmax()] if loss.expects_probabilities else []
    model = mg.Sequential(layers, loss=loss, dtype="float64", random_state=0)
    x = np.random.default_rng(0).normal(size=(7, 2))
    p = model.predict_proba(x)
    laws = [(np.full(7, k), p[:, k]) for k in range(3)]
    found = model.curvature(x, np.zeros(7, int), kind="fisher").todense()
    np.testing.assert_allclose(found, covariance_of_gradients(model, x, laws), atol=1e-12)


@pytest.mark.parametrize("loss", [mg.SigmoidCrossEntropy(), mg.BinaryCrossEntropy()], ids=str)
def test_the_fisher_matrix_of_two_classes_is_the_covariance_of_gradients(loss):
    layers = [mg.Dense(2, 3), mg.Tanh(), mg.Dense(3, 1)]
    layers += [mg.Sigmoid()] if loss.expects_probabilities else []
    model = mg.Sequential(layers, loss=loss, dtype="float64", random_state=0)
    x = np.random.default_rng(0).normal(size=(7, 2))
    p = np.asarray(model.loss.probabilities(model.predict(x)))[:, 0]
    laws = [(np.zeros(7), 1 - p), (np.ones(7), p)]
    found = model.curvature(x, np.zeros(7), kind="fisher").todense()
    np.testing.assert_allclose(found, covariance_of_gradients(model, x, laws), atol=1e-12)


def test_the_fisher_matrix_of_a_normal_law_is_the_covariance_of_gradients():
    layers = [mg.Dense(2, 3), mg.Tanh(), mg.Dense(3, 2)]
    model = mg.Sequential(layers, loss=mg.GaussianNLL(), dtype="float64", random_state=0)
    x = np.random.default_rng(0).normal(size=(7, 2))
    mean, log_variance = model.predict(x).T
    nodes, shares = np.polynomial.hermite_e.hermegauss(8)
    shares = shares / shares.sum()
    laws = [
        (mean + node * np.exp(log_variance / 2), np.full(7, share))
        for node, share in zip(nodes, shares, strict=True)
    ]
    found = model.curvature(x, np.zeros(7), kind="fisher").todense()
    np.testing.assert_allclose(found, covariance_of_gradients(model, x, laws), atol=1e-12)
    assert np.linalg.eigvalsh(found)[0] > -1e-12  # unlike those of the Hessian


def moons(**options):
    x, y = mg.datasets.moons(60, noise=0.1, random_state=0)
    layers = [mg.Dense(2, 6), mg.Tanh(), mg.Dense(6, 1)]
    options = {"loss": mg.SigmoidCrossEntropy(), "dtype": "float64", "random_state": 0} | options
    return mg.Sequential(layers, **options), x, y


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton", "fisher"])
def test_scipy_s_solvers_take_it(kind):
    model, x, y = moons(penalties=[mg.L2(0.1, kinds=("weights", "bias"))])
    operator = model.curvature(x, y, kind=kind)
    dense = operator.todense()
    np.testing.assert_allclose(dense, dense.T)
    v = np.random.default_rng(0).normal(size=(len(dense), 3))
    np.testing.assert_allclose(operator @ v, dense @ v, atol=1e-12)
    np.testing.assert_allclose(operator.H @ v, dense @ v, atol=1e-12)
    np.testing.assert_allclose(operator.T @ v[:, 0], dense @ v[:, 0], atol=1e-12)
    np.testing.assert_allclose((aslinearoperator(dense) + operator) @ v, 2 * dense @ v, atol=1e-12)
    values = eigsh(operator, k=3, which="LA", return_eigenvectors=False)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(dense)[-3:], rtol=1e-9)
    singular = svds(operator, k=2, return_singular_vectors=False)
    np.testing.assert_allclose(
        np.sort(singular), np.sort(abs(np.linalg.eigvalsh(dense)))[-2:], rtol=1e-7
    )
    if kind != "hessian":
        solution, failed = cg(operator, v[:, 0], rtol=1e-12)
        assert not failed
        np.testing.assert_allclose(dense @ solution, v[:, 0], atol=1e-9)


def test_later_changes_of_the_model_do_not_act_on_it():
    model, x, y = moons()
    operator = model.curvature(x, y)
    before = operator.todense()
    model.params = 0
    model.loss = mg.HalfSquaredError()
    np.testing.assert_array_equal(operator.todense(), before)


def test_a_broken_layer_is_served_by_differences_in_each_kind():
    class Cubed(mg.Activation):
        def apply(self, z, out):
            out[...] = np.abs(z) ** 3

        def slope(self, z, a, out):
            out[...] = 3 * np.abs(z) * z

    layers = [mg.Dense(2, 4), Cubed(), mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=0)
    x, y = np.random.default_rng(0).normal(size=(9, 2)), np.ones(9)
    operator = model.curvature(x, y, kind="gauss_newton")
    with pytest.warns(mg.TrainingWarning, match=r"Cubed\(\) cannot be differentiated"):
        found = operator.todense()
    jacobian = model.jacobian(x)[:, 0]
    np.testing.assert_allclose(found, jacobian.T @ jacobian / 9, rtol=1e-6, atol=1e-8)


def test_what_is_too_large_says_how_much_it_needs():
    model = mg.Sequential([mg.Dense(500, 600)], loss=mg.HalfSquaredError(), random_state=0)
    x, y = np.zeros((2, 500)), np.zeros((2, 600))
    with pytest.raises(ValueError, match=r"need 67\d GiB.*use model.curvature\(x, y\) with"):
        model.hessian(x, y)
    many = np.broadcast_to(np.zeros(500), (1 << 17, 500))
    with pytest.raises(ValueError, match=r"Jacobians of shape .* need .* GiB.*fewer samples"):
        model.jacobian(many)


def test_bad_arguments_are_answered():
    model, x, y = layer_case(mg.Dense)
    with pytest.raises(ValueError, match="kind expects one of 'hessian', 'gauss_newton', 'fisher'"):
        model.curvature(x, y, kind="newton")
    with pytest.raises(ValueError, match="batch_size expects an int >= 1"):
        model.curvature(x, y, batch_size=0)


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton", "fisher"])
@one_and_many
def test_complex_vectors_are_multiplied_in_both_parts(kind, size):
    model, x, y = penalised(between_case, mg.Tanh, size)
    curvature, rng = model.curvature(x, y, kind), np.random.default_rng(0)
    vector = rng.normal(size=model.params.size) + 1j * rng.normal(size=model.params.size)
    expected = curvature.todense() @ vector
    np.testing.assert_allclose(curvature @ vector, expected, atol=1e-12)
    np.testing.assert_allclose((2j * curvature) @ vector, 2j * expected, atol=1e-12)


@pytest.mark.parametrize("rows_at_once", [1, 7, 8192])
def test_the_rows_at_once_change_no_number_whatever_the_type_of_the_weights(rows_at_once):
    model, _, _ = penalised(between_case, mg.Tanh)
    rng = np.random.default_rng(0)
    x, y, weights = rng.normal(size=(500, 5)), rng.normal(size=(500, 2)), rng.uniform(size=500)
    loss = model.backpropagate(x, y, sample_weight=weights.astype(np.float32).astype(float))
    rows = model.checked(x, y, weights.astype(np.float32))
    objective = Objective(model, *rows, batch_size=rows_at_once)
    value, grads = objective.value_and_grads(model.params)
    np.testing.assert_allclose([value, objective.value(model.params)], loss, rtol=1e-13)
    np.testing.assert_allclose(grads, model.grads, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton", "fisher"])
@pytest.mark.parametrize("through", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_of_the_operator_gives_the_same_products(kind, through):
    model, x, y = loss_case(mg.SoftmaxCrossEntropy)
    operator = model.curvature(x, y, kind=kind)
    vector = np.random.default_rng(0).normal(size=operator.shape[1])
    copied = through(operator)
    copied = pickle.loads(copied) if isinstance(copied, bytes) else copied
    np.testing.assert_array_equal(copied @ vector, operator @ vector)
