"""Batches from an iterable: of unknown number, iterated each epoch, checked like arrays."""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training import choose_step
from mlpgrad.training.step import LayerStep

X, Y = mg.datasets.moons(90, noise=0.1, random_state=0)


def model(size=None):
    layers = [mg.Dense(2, 6), mg.Tanh(), mg.Dense(6, 1)]
    return mg.Sequential(
        layers, loss=mg.SigmoidCrossEntropy(), dtype="float64", random_state=0, ensemble_size=size
    )


class Reader:
    """Yields the rows in order, in batches of 16."""

    def __init__(self, weights=None, fails_at=None):
        self.weights, self.fails_at, self.begun = weights, fails_at, 0

    def __iter__(self):
        self.begun += 1
        for number, start in enumerate(range(0, len(X), 16)):
            if number == self.fails_at:
                raise OSError("the disk is gone")
            rows = slice(start, start + 16)
            parts = (X[rows], Y[rows])
            yield parts if self.weights is None else (*parts, self.weights[rows])


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_stream_trains_as_the_same_batches_of_arrays(size, weighted):
    weights = np.linspace(0.5, 1.5, len(X)) if weighted else None  # their mean is 1, as in arrays
    streamed, plain = model(size), model(size)
    reader = Reader(weights)
    history = streamed.fit(reader, optimizer=mg.Adam(0.01), epochs=3, verbose=0)
    expected = plain.fit(
        X, Y, optimizer=mg.Adam(0.01), epochs=3, batch_size=16, shuffle=False, verbose=0,
        sample_weight=weights,
    )  # fmt: skip
    np.testing.assert_array_equal(streamed.params, plain.params)
    np.testing.assert_array_equal(history["loss"], expected["loss"])
    assert reader.begun == 3


def test_validation_and_early_stopping_serve_a_stream():
    network = model()
    stopping = mg.EarlyStopping(2)
    history = network.fit(
        Reader(), optimizer=mg.SGD(30.0), epochs=200, validation_data=(X, Y),
        callbacks=[stopping], metrics=[mg.Accuracy()], verbose=0,
    )  # fmt: skip
    assert history.epochs < 200
    assert {"accuracy", "val_loss", "val_accuracy"} <= set(history)
    assert network.evaluate(X, Y)["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-12)


def test_a_generator_serves_for_one_epoch():
    network = model()
    history = network.fit(iter(Reader()), optimizer=mg.Adam(), epochs=1, verbose=0)
    assert history.epochs == 1
    with pytest.raises(ValueError, match=r"__iter__ ended before .* iterated only once"):
        network.fit(iter(Reader()), optimizer=mg.Adam(), epochs=2, verbose=0)


def test_a_reader_that_fails_is_named_with_the_place():
    with pytest.raises(RuntimeError, match="reader Reader failed at batch 3: OSError: the disk"):
        model().fit(Reader(fails_at=2), optimizer=mg.Adam(), verbose=0)


def test_a_reader_that_ends_at_once_is_named():
    class Nothing:
        def __iter__(self):
            return iter(())

    with pytest.raises(ValueError, match="reader Nothing ended before its first batch"):
        model().fit(Nothing(), optimizer=mg.Adam(), verbose=0)


@pytest.mark.parametrize("item", [X[:4], (X[:4],), "xy", {"x": X[:4], "y": Y[:4]}])
def test_what_is_no_batch_is_told_with_its_place(item):
    class Odd:
        def __iter__(self):
            yield X[:4], Y[:4]
            yield item

    with pytest.raises(TypeError, match=r"Odd expects to yield .* at batch 2"):
        model().fit(Odd(), optimizer=mg.Adam(), verbose=0)


def test_the_data_of_a_batch_are_checked():
    class Wide:
        def __iter__(self):
            yield np.ones((4, 3)), Y[:4]

    with pytest.raises(ValueError, match="batch 1 of the reader Wide: x expects 2 features"):
        model().fit(Wide(), optimizer=mg.Adam(), verbose=0)
    weights = np.where(np.arange(len(X)) == 40, -1.0, 1.0)
    with pytest.raises(ValueError, match=r"batch 3 of the reader Reader: .*sample_weight\[8\]"):
        model().fit(Reader(weights), optimizer=mg.Adam(), verbose=0)
    text = [(X[:4], Y[:4]), (X[:4].astype(str), Y[:4])]
    with pytest.raises(TypeError, match="batch 2 of the reader list: x expects numbers"):
        model().fit(text, optimizer=mg.Adam(), verbose=0)


@pytest.mark.parametrize(
    "option", [{"validation_split": 0.2}, {"class_weight": "balanced"}, {"sample_weight": Y}]
)
def test_a_stream_cannot_be_split_or_weighted_as_a_whole(option):
    with pytest.raises(ValueError, match="cannot be split"):
        model().fit(Reader(), optimizer=mg.Adam(), verbose=0, **option)


def test_batches_of_different_sizes_are_trained_on():
    class Uneven:
        def __iter__(self):
            for rows in (slice(0, 5), slice(5, 40), slice(40, 41), slice(41, 90)):
                yield X[rows], Y[rows]

    network, loop, optimizer = model(), model(), mg.Adam(0.01)
    network.fit(Uneven(), optimizer=mg.Adam(0.01), epochs=4, verbose=0)
    for _ in range(4):
        for x, y in Uneven():
            loop.backpropagate(x, y)
            optimizer.step(loop.params, loop.grads)
    np.testing.assert_allclose(network.params, loop.params, rtol=1e-12)


@pytest.mark.parametrize("order", [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
def test_weights_may_come_with_some_batches_only(order, monkeypatch):
    class Some:
        def __iter__(self):
            for start, weighted in zip(range(0, 90, 30), order, strict=True):
                rows = slice(start, start + 30)
                yield (X[rows], Y[rows], np.full(30, 5.0)) if weighted else (X[rows], Y[rows])

    recorded, plain = model(), model()
    recorded.fit(Some(), optimizer=mg.SGD(0.1), epochs=3, verbose=0)
    monkeypatch.setattr(choose_step, "STEPS", [LayerStep])
    plain.fit(Some(), optimizer=mg.SGD(0.1), epochs=3, verbose=0)
    assert recorded.params.tobytes() == plain.params.tobytes()


def test_a_reader_is_begun_once_for_each_reading():
    class Counted:
        begun = 0

        def __iter__(self):
            self.begun += 1
            return iter([(X[:32], Y[:32]), (X[32:64], Y[32:64])])

    reader, callback = Counted(), mg.EarlyStopping(9, monitor="loss")
    model().fit(reader, optimizer=mg.SGD(0.1), epochs=4, callbacks=[callback], verbose=0)
    assert reader.begun == 8  # trains, and evaluates the weights after the epoch


@pytest.mark.parametrize("way", ["steps", "recorded"])
@pytest.mark.parametrize("size", [None, 3])
def test_weights_of_0_in_all_batches_are_refused(size, way, monkeypatch):
    if way == "steps":
        monkeypatch.setattr(choose_step, "STEPS", [LayerStep])
    with pytest.raises(ValueError, match="the reader Reader yielded weights of 0 only in an epoch"):
        model(size).fit(Reader(np.zeros(len(X))), optimizer=mg.Adam(0.01), epochs=3, verbose=0)
    some = np.arange(len(X)) > 80  # in the last batches only
    model(size).fit(Reader(some), optimizer=mg.Adam(0.01), epochs=2, verbose=0)


def test_a_member_whose_weights_are_all_0_is_named():
    weights = np.ones((3, len(X)))
    weights[1] = 0
    with pytest.raises(ValueError, match="weights of 0 only of member 1 in an epoch"):
        model(3).fit([(X, Y, weights)], optimizer=mg.Adam(0.01), epochs=3, verbose=0)
