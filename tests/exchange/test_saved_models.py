"""Files saved by earlier versions load, and the models compute the same results.

Their classes are found by name, wherever they have moved. If a test fails here, the code must
change, never the files.
"""

from pathlib import Path

import numpy as np
import pytest

import mlpgrad as mg
from tests.golden.make_saved_models import computed

GOLDEN = Path(__file__).parents[1] / "golden"
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}

FILES = [f"model-format-{version}{kind}" for version in (1, 2) for kind in ("", "-float64")]
each_file = pytest.mark.parametrize("name", FILES)


def loaded(name):
    """The model in a file, with its inputs, targets and expected results."""
    with np.load(GOLDEN / f"{name}.expected.npz") as stored:
        expected = dict(stored)
    return mg.load(GOLDEN / f"{name}.npz"), expected.pop("x"), expected.pop("y"), expected


@each_file
def test_a_file_computes_what_it_did(name):
    model, x, y, expected = loaded(name)
    tolerance = TOLERANCE[model.dtype.name]
    results = computed(model, x, y)
    assert results.keys() == expected.keys()
    assert results["prediction"].dtype == expected["prediction"].dtype
    for what, result in results.items():
        np.testing.assert_allclose(result, expected[what], tolerance, tolerance, err_msg=what)


@each_file
def test_training_goes_on(name):
    results = []
    for _ in range(2):
        model, x, y, _ = loaded(name)
        before = model.evaluate(x, y)["loss"]
        model.fit(x, y, optimizer=mg.Adam(0.02), epochs=100, batch_size=5, verbose=0)
        assert np.all(model.evaluate(x, y)["loss"] < before)
        results.append(model.params)
    np.testing.assert_array_equal(*results)  # random generators continue where they were


def test_options_that_only_training_uses_are_read():
    ensemble, network = (loaded(name)[0] for name in ("model-format-1", "model-format-1-float64"))
    assert ensemble.layers[1].momentum == 0.2
    assert ensemble.layers[4].drop_probability == 0.25
    assert isinstance(ensemble.layers[7].initializer, mg.LeCunUniform)
    assert ensemble.layers[5].initializer.gain == 0.9
    assert network.layers[6].initializer.value == np.float32(0.3)
    assert network.layers[11].drop_probability == 0.1


def test_scalings_classes_and_names_of_columns_are_read():
    ensemble, x, y, _ = loaded("model-format-2")
    network = loaded("model-format-2-float64")[0]
    assert ensemble.target_scaling == "standard"
    weights = ensemble.get_weights()
    np.testing.assert_allclose(weights["layers[0].mean"], [x.mean(axis=0)] * 3, rtol=1e-5)
    np.testing.assert_allclose(weights["target.mean"], [y.mean(axis=0)] * 3, rtol=1e-6)
    assert network.classes_.tolist() == ["ant", "bee", "cat"]
    assert set(network.predict_classes(x)) <= {"ant", "bee", "cat"}
    assert ensemble.feature_names_ == network.feature_names_ == ("a", "b", "c", "d")


def test_every_version_of_the_format_has_its_files():
    from mlpgrad.exchange.npz import VERSION

    assert {int(name.split("-")[2]) for name in FILES} == {*range(1, VERSION + 1)}


def test_a_users_class_of_the_same_name_is_not_mistaken_for_one_that_has_moved():
    class Tanh(mg.Activation):
        """A user's class with the name of one of mlpgrad's, whose module was another earlier."""

    layers = [layer for layer in loaded("model-format-1")[0].layers if "Tanh" in repr(layer)]
    assert layers
    assert not any(isinstance(layer, Tanh) for layer in layers)
