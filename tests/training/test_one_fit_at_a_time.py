"""A model, an optimizer and a callback take part in one fit at a time, from its first line on."""

import threading

import numpy as np
import pytest

import mlpgrad as mg

X, Y = mg.datasets.moons(64, random_state=0)


def moons(seed=0, **options):
    layers = [mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)]
    return mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=seed, **options)


def fit(model, callbacks=(), x=X, epochs=3):
    return model.fit(x, Y, optimizer=mg.SGD(0.1), epochs=epochs, callbacks=callbacks, verbose=0)


def in_thread(do):
    """Call a function in another thread; return its result or error."""
    found = []

    def call():
        try:
            found.append(do())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(30)
    assert found, "it waits for ever"
    return found[0]


class Rows:
    """Rows that call a function while they are converted, in the preparation of a fit."""

    def __init__(self, rows, call):
        self.rows, self.call = rows, call

    def __array__(self, dtype=None, copy=None):
        self.call()
        return self.rows


REFUSED = [X[:, :1], X]  # by the first layer, or not at all


@pytest.mark.parametrize("rows", REFUSED, ids=["wrong width", "right width"])
def test_another_thread_cannot_begin_during_the_preparation_of_a_fit(rows):
    model, alone, found = moons(), moons(), []
    given = Rows(rows, lambda: found.append(in_thread(lambda: fit(model))))
    if rows is X:
        fit(model, x=given)
        fit(alone)
    else:
        with pytest.raises(ValueError, match="2 features"):
            fit(model, x=given)
    assert "being fitted by another thread" in str(found[0])
    np.testing.assert_array_equal(model.params, alone.params)
    fit(model)  # and it can be fitted again


@pytest.mark.parametrize("rows", REFUSED, ids=["wrong width", "right width"])
def test_a_fit_refused_in_its_preparation_leaves_that_of_another_thread_alone(rows):
    model, alone, found = moons(), moons(), []

    class Refused(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            found.append(in_thread(lambda: fit(model, x=rows)))

    fit(model, [Refused()])
    fit(alone)
    assert all("being fitted by another thread" in str(error) for error in found)
    np.testing.assert_array_equal(model.params, alone.params)


def test_the_scaling_is_not_fitted_while_another_thread_fits_it_or_the_model():
    model = mg.Sequential([mg.Standardize(2), mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy())
    found = []
    given = Rows(X, lambda: found.append(in_thread(lambda: model.fit_scaling(X + 1))))
    model.fit_scaling(given)
    given.call = lambda: found.append(in_thread(lambda: fit(model)))
    model.fit_scaling(given)
    given.call = lambda: found.append(in_thread(lambda: model.fit_scaling(X + 1)))
    fit(model, x=given)
    assert ["being fitted by another thread" in str(error) for error in found] == [True] * 3
    np.testing.assert_allclose(model.layers[0].state.mean, X.mean(axis=0), rtol=1e-6)


CALLBACKS = {
    "EarlyStopping": lambda: mg.EarlyStopping(3),
    "ExponentialMovingAverage": lambda: mg.ExponentialMovingAverage(0.9),
    "one of the user": mg.Callback,
}


@pytest.mark.parametrize("elsewhere", [in_thread, lambda do: do()], ids=["thread", "same thread"])
@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_in_a_second_fit_is_refused(name, elsewhere):
    shared, found = CALLBACKS[name](), []
    model, other, alone = moons(), moons(1), moons()
    before = other.params.copy()

    class Second(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            try:
                found.append(elsewhere(lambda: fit(other, [mg.Callback(), shared])))
            except RuntimeError as error:
                found.append(error)

    fit(model, [shared, Second()])
    fit(alone, [CALLBACKS[name]()])
    assert [isinstance(error, RuntimeError) for error in found] == [True] * 3
    assert "takes part in a fit that has not ended; give each fit callbacks of its own" in str(
        found[0]
    )
    np.testing.assert_array_equal(model.params, alone.params)
    np.testing.assert_array_equal(other.params, before)
    fit(other, [shared])  # afterwards it is free


def test_a_thread_may_fit_what_it_reads_itself():
    model = moons()

    class Fits(mg.Metric):
        name = "fits"

        def values(self, prediction, target, loss):
            fit(model)
            return np.zeros(len(target))

    with model.reading():
        fit(model)
    assert model.evaluate(X, Y, metrics=[Fits()])["fits"] == 0
