"""Derivatives, compared with those of torch.func (`python tests/golden/make_derivatives.py`)."""

import json
from pathlib import Path

import numpy as np
import pytest

import mlpgrad as mg

PATH = Path(__file__).parent.parent / "golden" / "derivatives.json"
GOLDEN = json.loads(PATH.read_text())


def model_of(golden):
    """The network with the parameters that PyTorch has drawn, its data, and a vector."""
    layers, widths = [], golden["widths"]
    for width, following, activation in zip(
        widths, widths[1:], [*golden["activations"], None], strict=False
    ):
        layers.append(mg.Dense(width, following))
        if activation is not None:
            layers.append(eval(activation, vars(mg).copy()))
    penalties = [mg.L2(golden["penalty"])]
    loss = eval(golden["loss"], vars(mg).copy())
    model = mg.Sequential(layers, loss=loss, penalties=penalties, dtype="float64")
    model.params = golden["params"]
    return model, *(np.array(golden[name]) for name in ("x", "y", "v"))


@pytest.mark.parametrize("name", GOLDEN)
def test_derivatives_are_those_of_torch(name):
    golden = GOLDEN[name]
    model, x, y, v = model_of(golden)
    value = model.backpropagate(x, y)
    rows = model.per_example_gradients(x, y)
    found = {
        "value": value,
        "gradient": model.grads,
        "per_example_gradients": rows,
        "hessian_vector_product": model.hessian_vector_product(x, y, v),
        "jacobian": model.jacobian(x),
        "input_jacobian": model.jacobian(x, to="inputs"),
    }
    for key, array in found.items():
        expected = np.array(golden[key])
        error = np.abs(array - expected).max() / np.abs(expected).max()
        assert error < 1e-12, (key, error)
    norms = np.linalg.norm(golden["per_example_gradients"], axis=-1)
    np.testing.assert_allclose(model.per_example_gradient_norms(x, y), norms, rtol=1e-12)


def test_every_network_and_loss_is_there():
    assert len(GOLDEN) == 7
