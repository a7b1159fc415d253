"""Threads that train an ensemble give the same result as one thread, with all options."""

import os
import threading

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training import minibatch
from mlpgrad.training import threads as members
from mlpgrad.training.worker import Worker
from tests.kinds import every_case, every_optimizer

TWO = [slice(0, 2), slice(2, 5)]
X, Y = mg.datasets.moons(90, random_state=0)


@pytest.fixture
def ran_in(monkeypatch):
    """Records the threads that trained a part."""
    seen = set()
    run = Worker.run

    def watched(worker, batches):
        seen.add(threading.get_ident())
        run(worker, batches)

    monkeypatch.setattr(Worker, "run", watched)
    return seen


@pytest.fixture
def in_threads(monkeypatch, ran_in):
    """Train an ensemble of five in one thread or in two, even if it is small."""

    def train(model, *data, threads=2, **options):
        monkeypatch.setattr(minibatch, "shares", lambda *_: TWO if threads == 2 else [])
        options = {"epochs": 3, "batch_size": 7, "verbose": 0} | options
        ran_in.clear()
        history = model.fit(*data, **options)
        assert len(ran_in) == threads
        return history

    return train


def moons(**options):
    layers = [mg.Dense(2, 6), mg.Tanh(), mg.Dense(6, 1)]
    options = {"loss": mg.SigmoidCrossEntropy(), "random_state": 0, "ensemble_size": 5} | options
    return mg.Sequential(layers, **options)


def assert_alike(train, make, x, y, optimizer=mg.Adam, callbacks=tuple, **options):
    """Weights and optimizer state are the same to the last bit with one thread and with two.

    The reported losses are products of BLAS, which may sum in another order.
    """
    results, losses = [], []
    for threads in (1, 2):
        model, used = make(), optimizer()
        kept = {"optimizer": used, "callbacks": callbacks(), "threads": threads}
        history = train(model, x, y, **kept, **options)
        shown = [getattr(layer, name) for layer in model.layers for name in ("inputs", "delta")]
        results.append([model.params, model.grads, model.state, *used.state.values(), *shown])
        results[-1].append(np.array(history["learning_rate"]))
        losses.append(np.array(history["loss"]))
        assert used.steps == len(losses[0]) * -(-len(x) // options.get("batch_size", 7))
    np.testing.assert_allclose(*losses, rtol=1e-6)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@every_case
def test_every_layer_and_loss_trains_alike(case, cls, in_threads):
    _, x, y = case(cls, np.float32, 5)
    if vars(cls).get("repeatable"):
        x, y = np.concatenate([x, x[::-1] / 2, x]), np.concatenate([y, y[::-1], y])
        assert_alike(in_threads, lambda: case(cls, np.float32, 5)[0], x, y)


@every_optimizer
def test_every_optimizer_trains_alike(cls, in_threads):
    assert_alike(in_threads, moons, X, Y, cls.example)


SCHEDULES = {
    "number": 0.05,
    "each its own": [0.1, 0.05, 0.02, 0.01, 0.005],
    "schedule": mg.ExponentialDecay(0.1, 0.9),
    "schedules": lambda step: np.array([0.1, 0.2, 0.3, 0.4, 0.5]) / (1 + step),
}


@pytest.mark.parametrize("rate", SCHEDULES.values(), ids=SCHEDULES)
def test_rates_reach_their_networks(rate, in_threads):
    assert_alike(in_threads, moons, X, Y, lambda: mg.SGD(rate, momentum=0.9))


def test_options_of_training_hold(in_threads):
    weights = np.linspace(0, 1, 5 * len(X)).reshape(5, -1)
    own = np.stack([X + i for i in range(5)])
    assert_alike(in_threads, moons, X, Y, sample_weight=weights[0])
    assert_alike(in_threads, moons, X, Y, shuffle=False, batch_size=100)
    bounded = {"weight_decay": 0.1, "clip_norm": 0.01, "max_norm": 0.5}
    assert_alike(in_threads, moons, X, Y, lambda: mg.Adam(0.1, **bounded))
    results = []
    for threads in (1, 2):
        model = moons()
        options = {"threads": threads, "sample_weight": weights, "optimizer": mg.Adam()}
        in_threads(model, own, Y, **options)
        results.append(model.params)
    np.testing.assert_array_equal(*results)


def test_callbacks_between_epochs_hold(in_threads):
    class Change(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.layers[1].negative_slope = 0.1 * epoch
            self.optimizer.beta1 = 0.5
            self.optimizer.learning_rate = 0.1 / (2 + epoch)

    def make():
        layers = [mg.Dense(2, 6), mg.LeakyReLU(), mg.Dense(6, 1)]
        return mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0, ensemble_size=5)

    assert_alike(in_threads, make, X, Y, callbacks=lambda: [Change()])


def test_training_goes_on_where_it_was(in_threads):
    results = []
    for threads in ((1, 1), (2, 2), (1, 2), (2, 1)):
        model, optimizer = moons(), mg.Adam(0.05)
        for count in threads:
            in_threads(model, X, Y, optimizer=optimizer, threads=count)
        results.append(model.params)
        assert optimizer.steps == 2 * 3 * 13
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize("network", [1, 3])
def test_divergence_of_one_network_is_found_and_the_weights_are_finite(network, in_threads):
    rates = np.full(5, 0.01)
    rates[network] = 1e30
    model = moons(loss=mg.MeanSquaredError())
    with pytest.raises(mg.DivergenceError, match=r"epoch 1, batch [23]:") as caught:
        in_threads(model, X, Y, optimizer=mg.SGD(rates))
    assert np.isfinite(model.params).all()
    assert caught.value.batch in (1, 2)


def test_an_error_in_a_thread_is_raised(in_threads):
    class OnlyHere(mg.SGD):
        """Fails outside the main thread."""

        def step(self, params, grads):
            if threading.current_thread() is not threading.main_thread():
                raise MemoryError("not here")
            super().step(params, grads)

    with pytest.raises(MemoryError, match="not here"):
        in_threads(moons(), X, Y, optimizer=OnlyHere(0.1))


def test_ctrl_c_ends_training_with_all_networks_at_the_same_step(in_threads, press_ctrl_c):
    def rate(step):
        if step == 20 and threading.current_thread() is threading.main_thread():
            press_ctrl_c()
        return 0.1

    model, optimizer = moons(), mg.SGD(rate)
    history = in_threads(model, X, Y, optimizer=optimizer, epochs=50)
    assert history.interrupted
    assert optimizer.steps == 26
    other = moons()
    in_threads(other, X, Y, optimizer=mg.SGD(0.1), epochs=2, threads=1)
    np.testing.assert_array_equal(model.params, other.params)


def test_what_looks_at_every_batch_is_called_in_one_thread(monkeypatch, ran_in):
    monkeypatch.setattr(minibatch, "shares", lambda *_: TWO)

    class Counts(mg.Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs):
            Counts.batches += 1

    options = {"epochs": 2, "batch_size": 7, "verbose": 0}
    moons().fit(X, Y, optimizer=mg.SGD(0.1), callbacks=[Counts()], **options)
    assert Counts.batches == 26
    moons().fit(X, Y, optimizer=mg.SGD(0.1), metrics=[mg.Accuracy()], **options)
    assert ran_in == {threading.get_ident()}


def big(networks=64, width=32, **options):
    layers = [mg.Dense(width, width), mg.Tanh(), mg.Dense(width, width), mg.Tanh()]
    options = {"loss": mg.MeanSquaredError(), "ensemble_size": networks} | options
    return mg.Sequential(layers, **options)


def test_threads_are_for_much_work_in_many_networks(monkeypatch):
    monkeypatch.setattr(members, "threads", lambda: 3)
    adam = mg.Adam()
    assert members.shares(big(), adam, 32) == [slice(0, 21), slice(21, 42), slice(42, 64)]
    assert len(members.shares(big(), adam, 16)) == 2
    assert members.shares(big(), adam, 2) == []
    assert members.shares(big(None), adam, 1 << 12) == []
    assert members.shares(big(8, 256), adam, 32) == []  # BLAS uses threads for such products
    monkeypatch.setattr(members, "threads", lambda: 1)
    assert members.shares(big(), adam, 32) == []


def test_a_class_that_has_not_said_so_is_not_put_in_threads(monkeypatch):
    monkeypatch.setattr(members, "threads", lambda: 2)

    class Own(mg.Adam):
        """May have state outside of arrays."""

    class OwnPenalty(mg.L2):
        pass

    assert members.shares(big(), mg.Adam(), 32)
    assert members.shares(big(penalties=[mg.L2(0.1), mg.L1(0.1)]), mg.Adam(), 32)
    assert not members.shares(big(), Own(), 32)
    assert not members.shares(big(penalties=[OwnPenalty(0.1)]), mg.Adam(), 32)


def test_the_environment_limits_the_threads(monkeypatch):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert members.threads() == 3
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert members.threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert members.threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert members.threads() == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    assert members.threads() == members.THREADS
