"""Weights that a model cannot hold are refused, and leave the model as it was."""

import warnings

import numpy as np
import pytest

import mlpgrad as mg

LARGE = {"float16": 1e5, "float32": 1e300, "float64": np.longdouble("1e400")}


def made(dtype, members):
    model = mg.Sequential(
        [mg.Dense(2, 3), mg.BatchNorm(3), mg.Dense(3, 1)],
        loss=mg.MeanSquaredError(),
        dtype=dtype,
        ensemble_size=members,
        random_state=0,
    )
    model.backpropagate(np.ones((4, 2)), np.ones(4))
    return model


def with_one(shape, number):
    """Ones, and a number at the last place."""
    array = np.ones(shape, np.result_type(type(number), np.float64))
    array.reshape(-1)[-1] = number
    return array


def set_by_name(name):
    def assign(model, number):
        weights = {key: array + 1 for key, array in model.get_weights().items()}
        model.set_weights(weights | {name: with_one(weights[name].shape, number)})

    return assign


ASSIGNED = {
    name: lambda model, number, name=name: setattr(
        model, name, with_one(getattr(model, name).shape, number)
    )
    for name in ("params", "grads", "state")
}
ASSIGNED |= {
    name: set_by_name(name)
    for name in ("layers[0].weights", "layers[2].bias", "layers[1].running_mean")
}


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("dtype", LARGE)
@pytest.mark.parametrize("name", ASSIGNED)
def test_a_number_too_large_for_the_model(name, dtype, members):
    model = made(dtype, members)
    arrays = model.params, model.grads, model.state
    before = [array.copy() for array in arrays]
    with pytest.raises(ValueError, match=r"expects numbers that .* can hold") as said:
        ASSIGNED[name](model, LARGE[dtype])
    assert str(said.value).startswith(name)
    for array, kept in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_infinite_weights_are_not_too_large():
    model = made("float32", None)
    model.params = with_one(model.params.shape, np.inf)
    assert np.isinf(model.params).sum() == 1


@pytest.mark.parametrize("name", ["params", "state"])
def test_a_copy_in_a_dtype_that_cannot_hold_the_weights(name):
    model = made("float64", None)
    setattr(model, name, with_one(getattr(model, name).shape, 1e300))
    with pytest.raises(ValueError, match=f"lifted: {name} expects numbers that float32 can hold"):
        model.lifted(np.float32)
    twin = model.lifted(np.float64)
    assert not np.may_share_memory(twin.params, model.params)
    np.testing.assert_array_equal(getattr(twin, name), getattr(model, name))


def test_imaginary_parts_of_0_are_dropped_and_others_are_not_lost_in_silence():
    model = made("float64", None).lifted(np.complex128)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.lifted(float).params.dtype == np.float64
    model.params = model.params + 1j
    with pytest.warns(np.exceptions.ComplexWarning):
        model.lifted(float)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (lambda: mg.Dense(2, 3, initializer=mg.Constant(1e300)), r"Constant\(1e\+300\) for layers"),
        (lambda: mg.Standardize(2, mean=[1e300, 0], deviation=[1, 1]), r"layers\[0\].mean"),
    ],
)
def test_the_message_about_initial_values_names_no_private_class(layer, named):
    with pytest.raises(ValueError, match=rf"^{named}.* expects numbers that float32 can hold"):
        mg.Sequential([layer()], loss=mg.MeanSquaredError())
