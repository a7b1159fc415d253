"""`Loss.forward` and `Layer.forward` called directly: wrong shapes raise, and never broadcast."""

import warnings

import numpy as np
import pytest
import scipy.sparse

import mlpgrad as mg
from benchmarks.fuzz import judge
from tests.kinds import LOSSES, every, example, subclasses

LAYERS = subclasses(mg.Layer)


def told(function, *arguments, **options):
    """The message of the library's own error; other errors and warnings fail."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(Exception) as info:  # noqa: PT011  # judged below
            function(*arguments, **options)
    kind, place = judge(info.value, caught)
    assert kind == "own error", f"{kind} in {place}: {info.value!r}"
    return str(info.value)


JUNK = {
    "nothing": None,
    "text": "abc",
    "a number": 1.5,
    "a list": [[1.0, 2.0, 3.0]] * 4,
    "a scalar": np.float64(2.0),
    "texts": np.full((4, 3), "a"),
    "objects": np.full((4, 3), None),
    "dates": np.zeros((4, 3), "M8[s]"),
    "sparse": scipy.sparse.csr_matrix(np.eye(4, 3)),
    "empty": np.zeros((0, 3)),
    "one axis": np.zeros(4),
    "four axes": np.zeros((2, 2, 4, 3)),
    "too few rows": np.zeros((1, 3)),
    "too many rows": np.zeros((5, 3)),
    "too wide": np.zeros((4, 7)),
}


@every(LOSSES)
@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("argument", ["prediction", "target", "weights"])
def test_a_loss_takes_no_junk(cls, argument, used):
    for name, junk in JUNK.items():
        if argument == "weights" and junk is None:
            continue
        loss, prediction, target = cls.example()
        given = {"prediction": prediction, "target": loss.cast(target, prediction.dtype)}
        if (argument, name) == ("prediction", "too wide") and given["target"].shape[-1] == 1:
            continue  # classes of a wider network
        if used:
            loss.forward(**given, weights=np.ones((len(prediction), 1)))
        assert " expects " in told(loss.forward, **given | {argument: junk}), name
        again = loss.forward(**given)  # the refused call leaves nothing behind
        np.testing.assert_array_equal(again, example_of(cls).forward(**given))


def example_of(cls):
    return cls.example()[0]


@every(LOSSES)
def test_shapes_that_numpy_would_broadcast_are_refused(cls):
    loss, prediction, target = cls.example()
    target = loss.cast(target, prediction.dtype)
    rows = len(prediction)
    for wrong in (target[:1], target[0], target[None].repeat(2, 0), target.repeat(2, 0)):
        assert f"got {wrong.shape}" in told(loss.forward, prediction, wrong)
    if target.shape[-1] > 1 and not loss.classifies:
        assert "expects target" in told(loss.forward, prediction, target[:, :1])
    for wrong in (np.ones(rows), np.ones((1, rows)), np.ones((rows, 2)), np.ones((1, 1))):
        assert "weights of shape" in told(loss.forward, prediction, target, wrong)


def test_a_row_against_a_column():
    loss = mg.MeanSquaredError()
    message = told(loss.forward, np.zeros((1, 3)), np.ones((4, 1)))
    assert "target of shape (1, 3) for a prediction of shape (1, 3), got (4, 1)" in message


@every(LOSSES)
def test_backward_of_a_loss_comes_after_forward(cls):
    assert "call forward first" in told(example_of(cls).backward)


def with_model(layer):
    """A layer that belongs to a model."""
    mg.Sequential([layer], loss=mg.HalfSquaredError(), random_state=0)
    return layer


@every(LAYERS)
def test_a_layer_takes_batches_of_its_width(cls):
    layer = with_model(example(cls))
    for shape in ((5,), (), (2, 4, 5), (0, 5), *(((4, 6),) if layer.in_features else ())):
        message = told(layer.forward, np.ones(shape, np.float32))
        assert f"got {shape}" in message
    for _ in range(2):
        assert np.isfinite(layer.forward(np.ones((4, 5), np.float32))).all()


@every(LAYERS)
def test_a_layer_with_parameters_belongs_to_a_model(cls):
    layer = example(cls)
    if layer.parameters() or layer.statistics():
        message = told(layer.forward, np.ones((4, 5), np.float32))
        assert "put it into one" in message or "belongs to a model" in message


@every(LAYERS)
def test_backward_of_a_layer_comes_after_forward(cls):
    layer = with_model(example(cls))
    if layer.parameters() or not layer.state:  # other layers do not need a batch
        assert "call forward first" in told(layer.backward, np.ones((4, 5), np.float32))


class Own(mg.Loss):
    """A user's loss with its own kind of targets."""

    def cast(self, target, dtype):
        assert len(target), "there is always a row"
        return np.sign(target).astype(np.int8)

    def losses(self, prediction, target):
        return np.abs(prediction - target).sum(axis=-1)

    def slopes(self, prediction, target, out):
        np.sign(prediction - target, out)


def test_a_cast_of_ones_own_decides_the_dtype_of_targets():
    x = np.arange(8.0)[:, None] + 0.1
    model = mg.Sequential([mg.Dense(1, 1)], loss=Own(), random_state=0)
    model.fit(x, x, optimizer=mg.SGD(0.01), epochs=3, batch_size=3, verbose=0)
    assert mg.check_gradients(model, x, x)
    assert "got (3, 1)" in told(Own().forward, x, x[:3])
