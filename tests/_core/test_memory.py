"""Arrays that begin with a cache line."""

import pickle

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad._core.memory import LINE, address, aligned, aligned_copy, owner, view_in


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (5, 7)])
@pytest.mark.parametrize("dtype", [bool, np.float32, np.float64, complex])
def test_zeros_of_a_shape_that_begin_with_a_line(shape, dtype):
    for _ in range(20):  # the memory behind them begins at various places
        array = aligned(shape, dtype)
        assert address(array) % LINE == 0
        np.testing.assert_array_equal(array, np.zeros(shape, dtype), strict=True)
        assert owner(array) is array
        array[...] = 1
        assert (pickle.loads(pickle.dumps(array)) == 1).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_view_in_a_copy_is_the_same_part(order):
    array = np.array(np.arange(24.0).reshape(4, 6), order=order)
    assert owner(array) is array
    for part in (array, array[1:, ::2], array.T[3], array[2, 5:6]):
        copy = aligned_copy(array)
        np.testing.assert_array_equal(copy, array)
        found = view_in(copy, part)
        np.testing.assert_array_equal(found, part, strict=True)
        assert owner(found) is copy


def test_parameters_gradients_and_states_begin_with_a_line():
    model = mg.Sequential([mg.Dense(3, 5), mg.BatchNorm(5)], loss=mg.MeanSquaredError())
    rule = mg.Adam()
    model.fit(np.ones((4, 3)), np.ones((4, 5)), optimizer=rule, epochs=1, verbose=0)
    arrays = [model.params, model.grads, model.state, *rule.state.values()]
    assert {address(array) % LINE for array in arrays} == {0}
    assert address(model.copy().params) % LINE == 0
