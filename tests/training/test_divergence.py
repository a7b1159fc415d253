"""After a divergence the restored weights are usable, and the advice works."""

import threading

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training.divergence import COPY_PERIOD
from tests.kinds import OPTIMIZERS, example
from tests.training.test_ranks import Queues

R = np.random.default_rng(0)
X = R.normal(size=(512, 4))
Y = X @ R.normal(size=(4, 1))


def network(activation=mg.ReLU, dtype="float32", size=None, loss=mg.MeanSquaredError):
    layers = [mg.Dense(4, 16), activation(), mg.Dense(16, 1)]
    return mg.Sequential(layers, loss=loss(), random_state=0, dtype=dtype, ensemble_size=size)


def diverge(model, optimizer, epochs=20, **options):
    """The DivergenceError of a training, or None."""
    try:
        model.fit(X, Y, optimizer=optimizer, epochs=epochs, verbose=0, **options)
    except mg.DivergenceError as error:
        return error
    return None


def assert_sane(model, start):
    """Check that loss and gradient are finite, and the loss is not far above the initial one."""
    assert np.isfinite(model.params).all()
    loss = model.backpropagate(X, Y)
    assert np.isfinite(model.grads).all()
    assert (np.asarray(loss) <= 20 * np.asarray(start)).all()


@pytest.mark.filterwarnings("ignore:layer 1 ")  # such rates kill units or saturate them
@pytest.mark.filterwarnings("ignore:training ended with the same output")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", [mg.ReLU, mg.Tanh, mg.Identity])
def test_one_can_go_on_with_a_lower_rate(activation, dtype):
    diverged = 0
    for cls in OPTIMIZERS:
        for rate in (3.0, 1e8):
            model, optimizer = network(activation, dtype), example(cls)
            optimizer.learning_rate = rate
            start = model.evaluate(X, Y)["loss"]
            if diverge(model, optimizer, epochs=8) is None:
                continue
            diverged += 1
            assert_sane(model, start)
            twin = model.copy()
            optimizer.learning_rate = 1e-3
            assert diverge(model, optimizer, epochs=8) is None, (cls, rate)
            assert diverge(twin, mg.SGD(1e-3), epochs=8) is None, (cls, rate)
            assert model.evaluate(X, Y)["loss"] < 2 * start
    assert diverged >= 4


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_optimizer_begins_anew(momentum):
    model, optimizer = network(), mg.SGD(1e3, momentum=momentum)
    assert diverge(model, optimizer) is not None
    assert optimizer.steps == 0
    twin = model.copy()
    optimizer.learning_rate = 0.01
    diverge(model, optimizer, epochs=2)
    diverge(twin, mg.SGD(0.01, momentum=momentum), epochs=2)
    np.testing.assert_array_equal(model.params, twin.params)


def test_a_slow_divergence_does_not_carry_the_copy_along():
    model = mg.Sequential([mg.Dense(4, 1)], loss=mg.MeanSquaredError(), random_state=0)
    start = model.evaluate(X, Y)["loss"]
    # the largest curvature is 2 * |eigenvalue| / O; the rate is a little above its limit
    limit = 1 / np.linalg.eigvalsh(X.T @ X / len(X)).max()
    error = diverge(model, mg.SGD(1.05 * limit), epochs=5000, batch_size=512)
    assert error.epoch > 10 * COPY_PERIOD
    assert_sane(model, start)


class Poison(mg.Callback):
    """Makes the weights infinite at a step, and keeps those from before each step."""

    def __init__(self, step):
        self.step = step

    def on_train_begin(self, logs=None):
        self.kept = []

    def on_train_batch_begin(self, batch, logs):
        self.kept.append(self.model.params.copy())
        if len(self.kept) > self.step:
            self.model.params = np.inf


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("noise", ["normal", "rare outliers"])
def test_the_copy_is_not_old_where_single_batches_differ(batch_size, noise):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 4))
    y = x[:, :1] + rng.normal(size=(400, 1))
    if noise == "rare outliers":
        y[::50] += 30
    model, poison = network(), Poison(3000 // batch_size)
    with pytest.raises(mg.DivergenceError):
        model.fit(
            x, y, optimizer=mg.SGD(1e-4), epochs=20, batch_size=batch_size, callbacks=[poison],
            verbose=0,
        )  # fmt: skip
    ages = [age for age, kept in enumerate(reversed(poison.kept)) if (kept == model.params).all()]
    assert ages
    assert min(ages) <= 6 * COPY_PERIOD


def test_losses_below_zero_are_followed():
    def loss():
        return mg.GaussianNLL()

    layers = [mg.Dense(4, 2)]
    model = mg.Sequential(layers, loss=loss(), random_state=0)
    poison = Poison(2000)
    with pytest.raises(mg.DivergenceError):
        model.fit(X, 0.001 * Y, optimizer=mg.Adam(0.01), epochs=200, callbacks=[poison], verbose=0)
    ages = [age for age, kept in enumerate(reversed(poison.kept)) if (kept == model.params).all()]
    assert min(ages) <= 6 * COPY_PERIOD


@pytest.mark.parametrize("threads", [False, True])
def test_each_member_has_a_copy_of_its_own(threads, monkeypatch):
    if threads:
        from mlpgrad.training import minibatch

        monkeypatch.setattr(minibatch, "shares", lambda *_: [slice(0, 1), slice(1, 3)])
    model = network(size=3)
    start = model.evaluate(X, Y)["loss"]
    rates = [1e-3, 1e6, 0.2]
    callbacks = [mg.Callback()]  # the workers are new in each epoch
    error = diverge(model, mg.SGD(rates), epochs=200, callbacks=callbacks)
    assert error is not None
    assert_sane(model, start)
    assert model.evaluate(X, Y)["loss"][0] <= start[0]
    assert diverge(model, mg.SGD(1e-3)) is None


def test_a_divergence_over_several_epochs_in_threads_goes_back_to_sane_weights(monkeypatch):
    from mlpgrad.training import minibatch

    monkeypatch.setattr(minibatch, "shares", lambda *_: [slice(0, 1), slice(1, 2)])
    layers = [mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0, ensemble_size=2)
    start = model.evaluate(X, Y)["loss"]
    limit = 1 / np.linalg.eigvalsh(X.T @ X / len(X)).max()
    callbacks = [mg.Callback()]
    error = diverge(model, mg.SGD(1.3 * limit), epochs=900, batch_size=256, callbacks=callbacks)
    assert error.epoch > 20
    assert_sane(model, start)


def test_weights_that_are_wrong_from_the_start_are_called_so():
    model = network()
    model.params = 1e30
    with pytest.raises(mg.DivergenceError, match="this training already give it; make a new model"):
        model.fit(X, Y, optimizer=mg.SGD(1e-3), verbose=0)
    assert (model.params == np.float32(1e30)).all()


def test_what_callbacks_put_in_place_at_the_end_is_sane_too():
    model = network()
    start = model.evaluate(X, Y)["loss"]
    callbacks = [mg.ExponentialMovingAverage(0.9), mg.EarlyStopping(99, monitor="loss")]
    assert diverge(model, mg.SGD(10.0), callbacks=callbacks) is not None
    assert_sane(model, start)
    model, start = network(), start
    assert diverge(model, mg.SGD(10.0), callbacks=callbacks[:1]) is not None
    assert_sane(model, start)


def test_ranks_go_back_to_the_same_weights():
    queues, models = Queues(2), [network(), network()]
    start = models[0].evaluate(X, Y)["loss"]

    def train(rank):
        rows = slice(rank, None, 2)
        with pytest.raises(mg.DivergenceError):
            models[rank].fit(
                X[rows] * (1 + 3 * rank), Y[rows], optimizer=mg.SGD(0.5), epochs=50, verbose=0,
                communicator=queues.rank(rank),
            )  # fmt: skip

    threads = [threading.Thread(target=train, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(models[0].params, models[1].params)
    assert_sane(models[0], start)


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"monitor": "loss"},
        {"monitor": "val_r2"},
        {"validation_data": (X[:50], Y[:50])},
    ],
    ids=["val_loss", "loss", "val_r2", "own rows"],
)
@pytest.mark.parametrize("order", ["alone", "average first", "average last"])
def test_early_stopping_keeps_no_useless_weights(size, options, order):
    """The best epoch of a training that diverges may be far above the initial weights."""
    stopping, average = mg.EarlyStopping(5, **options), mg.ExponentialMovingAverage(0.9)
    callbacks = {"alone": [stopping], "average first": [average, stopping]}
    layers = [mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0, ensemble_size=size)
    start = model.evaluate(X, Y)["loss"]
    error = diverge(
        model, mg.SGD(2.0), validation_data=(X, Y), metrics=[mg.R2()],
        callbacks=callbacks.get(order, [stopping, average]),
    )  # fmt: skip
    assert error.epoch > 0  # so that there is a best epoch
    assert (stopping.best_epoch >= np.zeros(size or 1)).all()
    assert_sane(model, start)


def test_early_stopping_keeps_its_best_weights_where_they_are_better():
    model = network()
    model.fit(X, Y, optimizer=mg.Adam(0.01), epochs=3, verbose=0)
    before = model.evaluate(X, Y)["loss"]

    class Jump(mg.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 4:
                self.optimizer.learning_rate = 1e10

    stopping = mg.EarlyStopping(9)
    error = diverge(model, mg.SGD(0.01), validation_data=(X, Y), callbacks=[stopping, Jump()])
    assert error.epoch >= 4
    assert stopping.best_epoch == 3
    assert model.evaluate(X, Y)["loss"] == pytest.approx(stopping.best[0])
    assert stopping.best[0] < before
