"""What every Layer, Activation, Loss and Optimizer promises, for each class that exists.

The classes are discovered, not listed: a new one is tested by being there.
"""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

import mlpgrad as mg

ENSEMBLE = 3
FEATURES, BATCH = 5, 6
DTYPES = [np.float32, np.float64]
SIZES = [None, ENSEMBLE]


def subclasses(base):
    """Every public class below `base` that the package defines, in a fixed order."""
    found, waiting = set(), [base]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            waiting.append(cls)
            if cls.__module__.startswith("mlpgrad.") and not cls.__name__.startswith("_"):
                found.add(cls)
    abstract = {mg.Activation}
    return sorted(found - abstract, key=lambda cls: cls.__name__)


LAYERS = subclasses(mg.Layer)
LOSSES = subclasses(mg.Loss)
OPTIMIZERS = subclasses(mg.Optimizer)

every_layer = pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.__name__)
every_loss = pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.__name__)
every_optimizer = pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda cls: cls.__name__)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
one_and_many = pytest.mark.parametrize("size", SIZES, ids=["one", "ensemble"])


def layer_case(cls, dtype=np.float64, size=None):
    """A model around a layer's example, with parameters off their initial values, and data."""
    model = mg.Sequential(
        [cls.example()], loss=mg.HalfSquaredError(), dtype=dtype, random_state=0, ensemble_size=size
    )
    rng = np.random.default_rng(1)
    model.params = model.params + 0.3 * rng.normal(size=model.params.shape)
    x = rng.normal(size=(BATCH, FEATURES))
    return model, x, rng.normal(size=(BATCH, model.out_features or FEATURES))


def loss_case(cls, dtype=np.float64, size=None):
    """A Dense layer (and a Softmax where the loss wants probabilities) under a loss's example."""
    loss, prediction, target = cls.example()
    layers = [mg.Dense(FEATURES, prediction.shape[-1])]
    if loss.expects_probabilities:
        layers.append(mg.Softmax() if cls is mg.CrossEntropy else mg.Sigmoid())
    model = mg.Sequential(layers, loss=loss, dtype=dtype, random_state=0, ensemble_size=size)
    x = np.random.default_rng(1).normal(size=(len(prediction), FEATURES))
    return model, x, target


CASES = [pytest.param(layer_case, cls, id=cls.__name__) for cls in LAYERS]
CASES += [pytest.param(loss_case, cls, id=cls.__name__) for cls in LOSSES]
every_case = pytest.mark.parametrize(("case", "cls"), CASES)


def central_differences(f, at, h=1e-6):
    """The gradient of a scalar function, coordinate by coordinate: the independent oracle."""
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += h
        down[index] -= h
        gradient[index] = (f(up) - f(down)) / (2 * h)
    return gradient


def steps(model, x, y):
    """Value, parameter gradient, and input gradient, each from the same generator state."""
    with model.same_randomness():
        value = model.backpropagate(x, y)
    grads = model.grads.copy()
    with model.same_randomness():
        return np.array(value), grads, model.input_gradient(x, y)


def test_something_is_discovered():
    assert {mg.Dense, mg.BatchNorm, mg.ReLU, mg.Residual, mg.Dropout} <= set(LAYERS)
    assert {mg.HalfSquaredError, mg.SoftmaxCrossEntropy} <= set(LOSSES)
    assert {mg.SGD, mg.Adam, mg.Rprop} <= set(OPTIMIZERS)


def test_every_class_is_exported():
    bases = [mg.Layer, mg.Loss, mg.Optimizer, mg.Initializer, mg.Penalty, mg.Metric, mg.Callback]
    bases.append(mg.Schedule)
    missing = {cls.__name__ for base in bases for cls in subclasses(base)} - set(mg.__all__)
    assert missing == set()


@every_case
@every_dtype
@one_and_many
def test_shapes_and_dtypes(case, cls, dtype, size):
    model, x, y = case(cls, dtype, size)
    lead = () if size is None else (size,)
    prediction = model.predict(x)
    value, grads, input_gradient = steps(model, x, y)
    # a first layer without parameters or randomness sees the shared input once for all members
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
    tracemalloc.start()
    run(5)
    before = tracemalloc.get_traced_memory()[0]
    run(50)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 512


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


@pytest.mark.parametrize("cls", [*LAYERS, *LOSSES, *OPTIMIZERS], ids=lambda cls: cls.__name__)
def test_repr_can_be_pasted(cls):
    example = cls.example()
    made = example[0] if isinstance(example, tuple) else example
    assert repr(made).startswith(f"{cls.__name__}(")
    assert len(repr(made)) < 200
    if cls is mg.Elementwise:
        return  # holds functions, which have no text
    assert repr(eval(repr(made), vars(mg))) == repr(made)


@pytest.mark.parametrize("cls", [*LAYERS, *LOSSES, *OPTIMIZERS], ids=lambda cls: cls.__name__)
def test_an_unknown_option_names_the_nearest(cls):
    with pytest.raises(TypeError, match=f"{cls.__name__} has no option 'epsillon'"):
        cls(epsillon=1)


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


# optimizers


def descend(optimizer, size, dtype, count=20):
    """Train a little network on fixed data."""
    model = mg.Sequential(
        [mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 2)],
        loss=mg.HalfSquaredError(),
        dtype=dtype,
        random_state=0,
        ensemble_size=size,
    )
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    first = model.backpropagate(x, y)
    for _ in range(count):
        model.backpropagate(x, y)
        optimizer.step(model.params, model.grads)
    return model, first, model.backpropagate(x, y)


@every_optimizer
@every_dtype
@one_and_many
def test_an_optimizer_reduces_the_loss_in_place(cls, dtype, size):
    model, first, last = descend(cls.example(), size, dtype)
    assert (np.asarray(last) < np.asarray(first)).all()
    assert model.params.dtype == dtype
    assert np.shares_memory(model.layers[0].params.weights, model.params)


@every_optimizer
def test_an_optimizer_steps_an_ensemble_as_a_loop(cls):
    rng = np.random.default_rng(3)
    params = rng.normal(size=(ENSEMBLE, 17))
    rows = params.copy()
    together, apart = cls.example(), [cls.example() for _ in range(ENSEMBLE)]
    for _ in range(30):
        grads = rng.normal(size=params.shape)
        together.step(params, grads.copy())
        for optimizer, row, grad in zip(apart, rows, grads, strict=True):
            optimizer.step(row, grad.copy())
    np.testing.assert_allclose(params, rows, rtol=1e-12, atol=1e-12)


@every_optimizer
def test_an_optimizer_continues_after_deepcopy_and_pickle(cls):
    rng = np.random.default_rng(4)
    params, optimizer = rng.normal(size=9), cls.example()
    for grads in rng.normal(size=(5, 9)):
        optimizer.step(params, grads)
    runs = []
    for twin in (optimizer, copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        values = params.copy()
        for grads in np.random.default_rng(5).normal(size=(5, 9)):
            twin.step(values, grads)
        runs.append(values)
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


@every_optimizer
def test_training_an_ensemble_equals_a_loop_over_its_members(cls):
    # no bias in front of BatchNorm, which cancels it: its gradient is nothing but rounding, and
    # half of the optimizers blow that up to whole steps
    first = mg.Dense(3, 6, bias=False)
    ensemble = mg.Sequential(
        [first, mg.BatchNorm(6), mg.ReLU(), mg.Dropout(0.3), mg.Dense(6, 2)],
        loss=mg.SoftmaxCrossEntropy(),
        penalties=[mg.L2(1e-3)],
        dtype=np.float64,
        random_state=0,
        ensemble_size=ENSEMBLE,
    )
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
    members = [ensemble.member(i) for i in range(ENSEMBLE)]
    options = {"epochs": 3, "batch_size": 8, "verbose": 0, "validation_split": 0.2}
    together = ensemble.fit(x, y, optimizer=cls.example(), **options)
    for i, member in enumerate(members):
        history = member.fit(x, y, optimizer=cls.example(), **options)
        np.testing.assert_allclose(ensemble.params[i], member.params, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(ensemble.state[i], member.state, rtol=1e-12, atol=1e-12)
        for name in ("loss", "val_loss", "val_accuracy"):
            np.testing.assert_allclose(
                [values[i] for values in together[name]], history[name], rtol=1e-12, atol=1e-12
            )
