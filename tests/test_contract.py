"""The promises of every class of every kind, and those of layers and losses.

The classes are discovered, so that new ones are tested as well. The promises of the other kinds
are in the files beside this one.
"""

import copy
import gc
import pickle
import tracemalloc

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import (
    BATCH,
    ENSEMBLE,
    EVERY_CLASS,
    FEATURES,
    KINDS,
    LAYERS,
    LOSSES,
    OPTIMIZERS,
    every,
    every_case,
    every_dtype,
    every_layer,
    every_loss,
    example,
    loss_case,
    one_and_many,
    subclasses,
)

every_class = every(EVERY_CLASS)


def central_differences(f, at, h=1e-6):
    """The gradient of a scalar function by coordinates, as an independent oracle."""
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += h
        down[index] -= h
        gradient[index] = (f(up) - f(down)) / (2 * h)
    return gradient


def steps(model, x, y):
    """Value, parameter gradient and input gradient, each from the same generator state."""
    with model.same_randomness():
        value = model.backpropagate(x, y)
    grads = model.grads.copy()
    with model.same_randomness():
        return np.array(value), grads, model.input_gradient(x, y)


# every kind


def test_something_is_discovered():
    assert {mg.Dense, mg.BatchNorm, mg.ReLU, mg.Residual, mg.Dropout} <= set(LAYERS)
    assert {mg.HalfSquaredError, mg.SoftmaxCrossEntropy} <= set(LOSSES)
    assert {mg.SGD, mg.Adam, mg.Rprop} <= set(OPTIMIZERS)
    rest = {mg.L1, mg.OneCycle, mg.R2, mg.LayerSignals, mg.LivePlot, mg.ModelCheckpoint}
    assert rest <= set(EVERY_CLASS)


def unexported(classes):
    return {cls.__name__ for cls in classes} - set(mg.__all__)


def test_every_class_is_exported():
    missing = unexported([*KINDS.values(), *EVERY_CLASS])
    assert not missing, f"add {sorted(missing)} to __all__ in the __init__ of their folder"


def test_a_new_class_is_found_and_missed():
    before = subclasses(mg.Penalty)

    class New(mg.Penalty):
        __module__ = "mlpgrad.somewhere"

        def __init__(self, first, second):
            super().__init__(first)

    assert New in subclasses(mg.Penalty)
    assert unexported([New]) == {"New"}
    with pytest.raises(pytest.fail.Exception, match=r"New.example\(\) raises .* write this class"):
        example(New)
    del New
    gc.collect()
    assert subclasses(mg.Penalty) == before


@every_class
def test_an_example_is_a_new_instance_of_the_class(cls):
    made = example(cls)
    assert type(made) is cls
    assert example(cls) is not made


@every_class
def test_repr_can_be_pasted(cls):
    made = example(cls)
    assert repr(made).startswith(f"{cls.__name__}(")
    assert len(repr(made)) < 200
    if cls is mg.Elementwise:
        return  # holds functions, which cannot be saved
    again = eval(repr(made), {name: getattr(mg, name) for name in mg.__all__})
    assert type(again) is cls
    assert repr(again) == repr(made)


@every_class
def test_a_configuration_makes_an_equal_object(cls):
    made = example(cls)
    again = cls(**made.config())
    for twin in (again, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert type(twin) is cls
        assert repr(twin) == repr(made)
        assert twin.config().keys() == made.config().keys()


@every_class
def test_an_unknown_option_names_the_nearest(cls):
    with pytest.raises(TypeError, match=f"{cls.__name__} has no option 'epsillon'"):
        cls(epsillon=1)


# layers and losses


@every_case
@every_dtype
@one_and_many
def test_shapes_and_dtypes(case, cls, dtype, size):
    model, x, y = case(cls, dtype, size)
    lead = () if size is None else (size,)
    prediction = model.predict(x)
    value, grads, input_gradient = steps(model, x, y)
    # a first layer without parameters or randomness gets the shared input once for all members
    assert prediction.shape[-2:] == (len(x), model.out_features or FEATURES)
    assert prediction.shape[:-2] == lead
    assert value.shape == lead
    assert grads.shape == model.params.shape
    assert input_gradient.shape == (*lead, *x.shape)
    assert {prediction.dtype, grads.dtype, input_gradient.dtype} == {np.dtype(dtype)}


@every_case
def test_gradients_equal_central_differences(case, cls):
    model, x, y = case(cls)
    _, grads, input_gradient = steps(model, x, y)
    objective = model.objective(x, y)
    numeric = central_differences(lambda params: objective(params)[0], model.params)
    np.testing.assert_allclose(grads, numeric, rtol=1e-6, atol=1e-8)

    def value_at(inputs):
        return model.objective(inputs, y)(model.params)[0]

    np.testing.assert_allclose(
        input_gradient, central_differences(value_at, x), rtol=1e-6, atol=1e-8
    )


@every_case
@one_and_many
def test_float32_equals_its_float64_twin(case, cls, size):
    model, x, y = case(cls, np.float32, size)
    x = x.astype(np.float32)
    twin = model.lifted(np.float64)
    for ours, theirs in zip(steps(model, x, y), steps(twin, x, y), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


@every_case
def test_an_ensemble_equals_a_loop_over_its_members(case, cls):
    model, x, y = case(cls, size=ENSEMBLE)
    members = [model.member(i) for i in range(ENSEMBLE)]
    together = steps(model, x, y)
    apart = [steps(member, x, y) for member in members]
    for whole, parts in zip(together, zip(*apart, strict=True), strict=True):
        np.testing.assert_allclose(whole, np.stack(parts), rtol=1e-12, atol=1e-12)
    loop = [member.predict(x) for member in members]
    np.testing.assert_allclose(model.predict(x), np.stack(loop), rtol=1e-12, atol=1e-12)


@every_case
def test_a_shared_input_equals_a_tiled_one(case, cls):
    model, x, y = case(cls, size=ENSEMBLE)
    shared = steps(model, x, y)
    tiled = steps(model, np.tile(x, (ENSEMBLE, 1, 1)), np.tile(y, (ENSEMBLE, 1, 1)))
    for ours, theirs in zip(shared, tiled, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@every_case
@one_and_many
def test_non_contiguous_input(case, cls, size):
    model, x, y = case(cls, size=size)
    expected = steps(model, x, y)
    wide = np.zeros((2 * len(x), FEATURES + 3))
    wide[::2, 3:] = x
    reversed_rows = x[::-1].copy()[::-1]
    for view in (wide[::2, 3:], np.asfortranarray(x), reversed_rows):
        for ours, theirs in zip(steps(model, view, y), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@every_case
@one_and_many
def test_a_batch_of_one_and_a_short_last_batch(case, cls, size):
    model, x, y = case(cls, size=size)
    for rows in (slice(0, 1), slice(0, 3), slice(None), slice(0, 3), slice(0, 1)):
        fresh, _, _ = case(cls, size=size)
        for ours, theirs in zip(
            steps(model, x[rows], y[rows]), steps(fresh, x[rows], y[rows]), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


@every_case
@one_and_many
def test_forward_does_not_change_its_input(case, cls, size):
    model, x, y = case(cls, size=size)
    before = x.copy(), y.copy(), model.params.copy()
    steps(model, x, y)
    model.predict(x)
    for now, then in zip((x, y, model.params), before, strict=True):
        np.testing.assert_array_equal(now, then)


@every_case
@one_and_many
def test_no_allocation_grows(case, cls, size):
    model, x, y = case(cls, np.float32, size)
    arrays = model._cast(x, y, None)

    def run(count):
        for _ in range(count):
            model._step(*arrays)

    run(20)
    grown = []
    tracemalloc.start()
    run(5)
    for _ in range(3):  # a thread of the test runner may allocate meanwhile, but not each time
        before = tracemalloc.get_traced_memory()[0]
        run(50)
        grown.append(tracemalloc.get_traced_memory()[0] - before)
    tracemalloc.stop()
    assert min(grown) < 512


@every_case
@one_and_many
def test_copies_share_memory_with_their_own_params(case, cls, size):
    model, x, y = case(cls, size=size)
    model.backpropagate(x, y)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.copy()):
        np.testing.assert_array_equal(twin.params, model.params)
        for slot in twin.parameters:
            assert np.shares_memory(slot.layer.params[slot.kind], twin.params)
            assert np.shares_memory(slot.layer.grads[slot.kind], twin.grads)
            assert not np.shares_memory(slot.layer.params[slot.kind], model.params)
        for slot in twin.statistics:
            assert np.shares_memory(slot.layer.state[slot.kind], twin.state)
        for ours, theirs in zip(steps(twin, x, y), steps(model, x, y), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@every_layer
def test_the_checker_agrees_on_layers(cls):
    model = mg.Sequential(
        [mg.Dense(4, FEATURES), cls.example()], loss=mg.HalfSquaredError(), random_state=0
    )
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(BATCH, 4)), rng.normal(size=(BATCH, model.out_features))
    report = mg.check_gradients(model, x, y, seed=0)
    assert report, str(report)


@every_loss
def test_the_checker_agrees_on_losses(cls):
    report = mg.check_gradients(*loss_case(cls), seed=0)
    assert report, str(report)
