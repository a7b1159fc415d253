"""The Gauss-Newton matrix of an objective, compared with a dense Jacobian by complex steps."""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.derivatives.gauss_newton import GaussNewton
from mlpgrad.derivatives.objective import Objective
from mlpgrad.losses.curvature import multinomial_root
from tests.kinds import LOSSES, every

CURVED = [
    cls for cls in LOSSES if cls.curvature_root is not mg.Loss.curvature_root
]  # the losses that second-order methods take


@every(CURVED)
def test_the_root_is_that_of_the_second_derivative(cls):
    loss, prediction, target = cls.example()
    outputs = prediction.shape[-1]
    root = loss.curvature_root(prediction, loss.cast(target, prediction.dtype))
    hessian = np.empty((*prediction.shape, outputs))
    for column in range(outputs):  # a complex step through the slopes is exact to rounding
        moved = prediction.astype(complex)
        moved[:, column] += 1e-30j
        loss.forward(moved, loss.cast(target, moved.dtype))
        slopes = np.empty_like(moved)
        loss.slopes(moved, loss.cast(target, moved.dtype), slopes)
        hessian[..., column] = slopes.imag / 1e-30
    np.testing.assert_allclose(root @ root.mT, hessian, rtol=1e-12, atol=1e-15)


def test_a_loss_without_a_known_root_says_what_to_use():
    with pytest.raises(TypeError, match=r"MeanAbsoluteError has no known curvature.*HalfSquared"):
        mg.MeanAbsoluteError().curvature_root(np.ones((2, 1)), np.ones((2, 1)))


@pytest.mark.parametrize(
    "p", [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1e-200, 1 - 1e-16, 1e-16]]
)
def test_the_root_of_sure_probabilities_is_finite(p):
    root = multinomial_root(np.array([p]))[0]
    np.testing.assert_allclose(root @ root.T, np.diag(p) - np.outer(p, p), atol=1e-15)


def network(loss, *, outputs=3, size=None, penalties=()):
    layers = [mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 3), mg.LayerNorm(3), mg.Dense(3, outputs)]
    return mg.Sequential(
        layers, loss=loss, dtype="float64", random_state=0, ensemble_size=size, penalties=penalties
    )


def jacobian(model, x):
    """d(outputs)/d(params) `(B, O, P)` by complex steps, independent of the library."""
    twin = model.lifted(np.complex128)
    columns = []
    for index in range(model.params.size):
        moved = model.params.astype(complex)
        moved[index] += 1e-30j
        twin.params = moved
        columns.append(twin.predict(x).imag / 1e-30)
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("rows_at_once", [None, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "loss", [mg.HalfSquaredError(), mg.MeanSquaredError(), mg.SoftmaxCrossEntropy()],
    ids=lambda loss: type(loss).__name__,
)  # fmt: skip
def test_normal_equations_are_those_of_a_dense_jacobian(loss, weighted, rows_at_once):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(7, 2)), rng.normal(size=(7, 3))
    if isinstance(loss, mg.SoftmaxCrossEntropy):
        y = rng.integers(0, 3, 7)
    weights = rng.uniform(0, 2, 7) if weighted else None
    model = network(loss, penalties=[mg.L2(0.3)])
    objective = Objective(model, *model.checked(x, y, weights), batch_size=rows_at_once)
    value, grads, matrix = objective.normal_equations(model.params)
    assert value == pytest.approx(model.backpropagate(x, y, sample_weight=weights), rel=1e-13)
    np.testing.assert_allclose(grads, model.grads, rtol=1e-11, atol=1e-14)
    j, z = jacobian(model, x), model.predict(x)
    if isinstance(loss, mg.SoftmaxCrossEntropy):
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        h = np.einsum("bi,ij->bij", p, np.eye(3)) - np.einsum("bi,bj->bij", p, p)
    else:
        h = np.tile(np.eye(3), (7, 1, 1)) * (2 / 3 if isinstance(loss, mg.MeanSquaredError) else 1)
    share = np.full(7, 1 / 7) if weights is None else weights / weights.sum()
    expected = np.einsum("b,bip,bij,bjq->pq", share, j, h, j)
    for slot in model.parameters:
        if slot.kind == "weights":
            expected[range(slot.start, slot.stop), range(slot.start, slot.stop)] += 0.3
    np.testing.assert_allclose(matrix, expected, rtol=1e-10, atol=1e-13)


def test_an_ensemble_has_the_matrix_of_each_member():
    rng = np.random.default_rng(1)
    x, y, weights = rng.normal(size=(7, 2)), rng.normal(size=(7, 3)), rng.uniform(0, 2, (2, 7))
    model = network(mg.HalfSquaredError(), size=2)
    objective = Objective(model, *model.checked(x, y, weights), batch_size=4)
    matrices = objective.normal_equations(model.params)[2]
    for index in range(2):
        alone = model.member(index)
        rows = alone.checked(x, y, weights[index])
        expected = Objective(alone, *rows).normal_equations(alone.params)[2]
        np.testing.assert_allclose(matrices[index], expected, rtol=1e-12)


def test_memory_does_not_grow_with_the_rows():
    model = network(mg.HalfSquaredError())
    assert GaussNewton(model).rows_at_once * model.params.size <= 1 << 21


def test_a_penalty_that_is_not_smooth_is_refused_by_name():
    model = network(mg.HalfSquaredError(), penalties=[mg.L1(0.1)])
    objective = Objective(model, *model.checked(np.ones((2, 2)), np.ones((2, 3)), None))
    with pytest.raises(TypeError, match=r"L1\(0.1\) has no curvature.*use L2"):
        objective.normal_equations(model.params)
