"""Threads that read a model while another thread fits it see the weights of one step."""

import copy
import pickle
import sys
import threading
import time

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training import choose_step, minibatch
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.step import LayerStep
from mlpgrad.training.worker import Worker

pytestmark = pytest.mark.slow

X, Y = mg.datasets.moons(64, random_state=0)


@pytest.fixture(autouse=True)
def _threads_change_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def moons(size=None, **options):
    layers = [mg.Dense(2, 8), mg.BatchNorm(8), mg.Tanh(), mg.Dense(8, 1)]
    options = {"loss": mg.SigmoidCrossEntropy(), "penalties": [mg.L2(0.01)]} | options
    return mg.Sequential(layers, random_state=0, ensemble_size=size, dtype=np.float64, **options)


class Reader(threading.Thread):
    """Calls a function repeatedly until it is stopped, and keeps the results and an error."""

    def __init__(self, function):
        super().__init__()
        self.function, self.results, self.error, self.stopped = function, [], None, False
        self.start()

    def run(self):
        try:
            while not self.stopped:
                self.results.append(self.function())
        except BaseException as error:
            self.error = error

    def stop(self):
        self.stopped = True
        self.join(30)
        assert not self.is_alive(), "it waits for ever"
        if self.error is not None:
            raise self.error
        return self.results


WAYS = {
    "recorded": (RecordedStep, [], None),
    "plain": (LayerStep, [], None),
    "recorded-ensemble": (RecordedStep, [], 3),
    "plain-ensemble": (LayerStep, [], 3),
    "threads-ensemble": (RecordedStep, [slice(0, 1), slice(1, 3)], 3),
}


@pytest.fixture(params=WAYS)
def size(request, monkeypatch):
    """All ways of training, of one network or of an ensemble; returns the number of members."""
    step, parts, size = WAYS[request.param]
    monkeypatch.setattr(RecordedStep, "serves", lambda *_: True)
    monkeypatch.setattr(choose_step, "STEPS", [step])
    monkeypatch.setattr(minibatch, "shares", lambda *_: parts)
    return size


def moments(monkeypatch, model):
    """Collects the bytes of the parameters and statistics of each member after each step."""
    found = [set() for _ in range(model.ensemble_size or 1)]
    places = range(len(found))

    def keep(network, members):
        for place, params, state in zip(
            members, np.atleast_2d(network.params), np.atleast_2d(network.state), strict=True
        ):
            found[place].add(params.tobytes() + state.tobytes())

    make = Worker.__init__

    def watched(worker, network, optimizer, step, **options):
        make(worker, network, optimizer, step, **options)
        update, members = step.update, places[options.get("members") or slice(None)]
        keep(network, members)

        def noted():
            update()
            keep(network, members)

        step.update = noted

    monkeypatch.setattr(Worker, "__init__", watched)
    return found


def read_copy(model, folder):
    copied = model.copy()
    return copied.params, copied.state


def read_snapshot(model, folder):
    taken = model.snapshot()
    return taken["params"], taken["state"]


def read_saved(model, folder):
    path = folder / f"{threading.get_ident()}.npz"
    model.save(path)
    loaded = mg.load(path)
    return loaded.params, loaded.state


def read_weights(model, folder):
    other = moons(model.ensemble_size)
    other.set_weights(model.get_weights())
    return other.params, other.state


class Begins(np.ndarray):
    """Parameters in whose first copy another thread begins to fit."""

    begin = None

    def copy(self):
        return self._then_begin(super().copy())

    def astype(self, dtype, copy=True):
        return self._then_begin(super().astype(dtype, copy=copy))

    def __deepcopy__(self, memo):
        return self._then_begin(super().__deepcopy__(memo))

    def _then_begin(self, copied):
        if type(self).begin is not None:
            begin, type(self).begin = type(self).begin, None
            begin()
        return copied


def read_member(model, folder):
    part = model.member(0) if model.ensemble_size else model.lifted(np.float64)
    return part.params, part.state


def read_pickled(model, folder):
    loaded = pickle.loads(pickle.dumps(model))
    return loaded.params, loaded.state


@pytest.mark.parametrize(
    "read", [read_copy, read_snapshot, read_weights, read_member, read_pickled]
)
@pytest.mark.parametrize("members", [None, 3])
def test_no_fit_begins_between_the_copies_of_a_reader(read, members, monkeypatch, tmp_path):
    model = moons(members)
    params, state = model.params.copy(), model.state.copy()
    if read is read_member and members:
        params, state = params[0], state[0]
    fit = threading.Thread(target=lambda: model.fit(X, Y, optimizer=mg.SGD(0.1), verbose=0))

    def begin():
        fit.start()
        fit.join(0.2)  # enough for a fit that does not wait

    model._params = model._params.view(Begins)
    monkeypatch.setattr(Begins, "begin", begin)
    found = read(model, tmp_path)
    fit.join()
    np.testing.assert_array_equal(found[0], params)
    np.testing.assert_array_equal(found[1], state)
    assert not np.array_equal(model.state, state)


@pytest.mark.parametrize("read", [read_copy, read_snapshot, read_saved, read_weights])
def test_every_copy_is_of_one_moment(read, size, monkeypatch, tmp_path):
    model = moons(size)
    known = moments(monkeypatch, model)
    known_at_first = moons(size)
    readers = [Reader(lambda: read(model, tmp_path)) for _ in range(2)]
    adam, fits = mg.Adam(0.05), 0
    while fits < 2 or min(len(reader.results) for reader in readers) < 4:
        assert all(reader.is_alive() for reader in readers)
        model.fit(X, Y, optimizer=adam, epochs=20, batch_size=16, verbose=0)
        fits += 1
    results = [result for reader in readers for result in reader.stop()]
    for params, state in results:
        for place, one in enumerate(zip(np.atleast_2d(params), np.atleast_2d(state), strict=True)):
            first = np.atleast_2d(known_at_first.params)[place].tobytes()
            assert b"".join(map(np.ndarray.tobytes, one)) in known[place] or (
                one[0].tobytes() == first
            )


def test_every_prediction_and_evaluation_is_of_one_moment(size, monkeypatch):
    model, alone = moons(size), moons(size)
    known = moments(monkeypatch, model)
    readers = [Reader(lambda: model.predict(X)) for _ in range(2)]
    readers.append(Reader(lambda: model.evaluate(X, Y)["loss"]))
    options, adam, its_adam = {"epochs": 20, "batch_size": 16}, mg.Adam(0.05), mg.Adam(0.05)
    fits = 0
    while fits < 2 or min(len(reader.results) for reader in readers) < 4:
        assert all(reader.is_alive() for reader in readers)
        model.fit(X, Y, optimizer=adam, verbose=0, **options)
        fits += 1
    found = [reader.stop() for reader in readers]
    for _ in range(fits):
        alone.fit(X, Y, optimizer=its_adam, verbose=0, **options)
    np.testing.assert_array_equal(model.params, alone.params)  # readers change nothing
    predictions, losses = [], []
    one = moons()
    for kept in known:
        predictions.append(set())
        losses.append(set())
        for raw in kept:
            values = np.frombuffer(raw)
            one.params, one.state = np.split(values, [one.params.size])
            predictions[-1].add(one.predict(X).round(6).tobytes())
            losses[-1].add(round(one.evaluate(X, Y)["loss"], 6))
    for prediction in found[0] + found[1]:
        for place, member in enumerate(prediction.reshape(-1, *prediction.shape[-2:])):
            assert member.round(6).tobytes() in predictions[place]
    for loss in found[2]:
        for place, member in enumerate(np.atleast_1d(loss)):
            assert round(float(member), 6) in losses[place]


def test_a_callback_may_wait_for_another_thread_that_predicts():
    seen = []

    class Waits(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            reader = threading.Thread(target=lambda: seen.append(self.model.predict(X)))
            reader.start()
            reader.join(30)
            np.testing.assert_array_equal(seen[-1], self.model.predict(X))

        def on_train_batch_end(self, batch, logs):
            self.on_epoch_end(0, logs)

    moons().fit(X, Y, optimizer=mg.SGD(0.1), epochs=3, callbacks=[Waits()], verbose=0)
    assert len(seen) == 3 * 2 + 3


def test_batches_may_wait_for_another_thread_that_predicts():
    model, seen = moons(), []

    class Batches:
        def __iter__(self):
            for start in (0, 32):
                reader = threading.Thread(target=lambda: seen.append(model.predict(X)))
                reader.start()
                reader.join(30)
                yield X[start : start + 32], Y[start : start + 32]

    model.fit(Batches(), optimizer=mg.SGD(0.1), epochs=3, verbose=0)
    assert len(seen) >= 6


def during_a_fit(model, optimizer, do):
    """Call a function in another thread in the middle of a fit, and return its error."""
    errors = []

    class Calls(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            def call():
                try:
                    do()
                except RuntimeError as error:
                    errors.append(str(error))

            thread = threading.Thread(target=call)
            thread.start()
            thread.join(30)

    model.fit(X, Y, optimizer=optimizer, epochs=1, callbacks=[Calls()], verbose=0)
    return errors


def test_a_second_fit_of_a_model_or_with_an_optimizer_is_refused():
    model, adam = moons(), mg.Adam()
    options = {"epochs": 1, "verbose": 0}
    refused = during_a_fit(model, adam, lambda: model.fit(X, Y, optimizer=mg.SGD(0.1), **options))
    assert "this model is being fitted by another thread" in refused[0]
    refused = during_a_fit(model, adam, lambda: model.backpropagate(X, Y))
    assert "this model is being fitted by another thread" in refused[0]
    adam.reset()
    refused = during_a_fit(model, adam, lambda: moons().fit(X, Y, optimizer=adam, **options))
    assert "is in use by a fit that has not ended" in refused[0]
    model.fit(X, Y, optimizer=adam, **options)  # both can be used again


def test_a_fit_within_a_callback_of_the_same_model_goes_on():
    class Fits(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.fit(X, Y, optimizer=mg.SGD(0.01), epochs=1, verbose=0)
            self.model.predict(X)

    model = moons()
    model.fit(X, Y, optimizer=mg.SGD(0.1), epochs=3, callbacks=[Fits()], verbose=0)
    assert model._fitting is None


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_epoch_end"])
@pytest.mark.parametrize("make", [mg.Adam, mg.LBFGS, mg.TrustNewton, mg.LevenbergMarquardt])
@pytest.mark.parametrize("other", [False, True])
def test_a_fit_within_a_callback_needs_its_own_optimizer(make, hook, other):
    def network():
        return mg.Sequential([mg.Dense(2, 1)], loss=mg.HalfSquaredError(), random_state=0)

    optimizer, model = make(), network()

    def fits(*_):
        inner = network() if other else model
        inner.fit(X, Y, optimizer=optimizer, epochs=1, verbose=0)

    again = mg.Callback()
    setattr(again, hook, fits)
    with pytest.raises(RuntimeError, match="in use by a fit that has not ended; give each fit"):
        model.fit(X, Y, optimizer=optimizer, epochs=2, callbacks=[again], verbose=0)
    model.fit(X, Y, optimizer=optimizer, epochs=1, verbose=0)


class Smooth(mg.L2):
    """Keeps something between `value` and `slope`."""

    def value(self, params):
        self._doubled = 2 * params
        return super().value(params)

    def slope(self, params, out):
        np.multiply(self._doubled, 0.5 * self.strength, out)


def test_models_that_share_a_loss_and_penalties_train_as_with_their_own():
    loss, penalty = mg.SigmoidCrossEntropy(0.1), Smooth(0.01)
    shared = [moons(loss=loss, penalties=[penalty]) for _ in range(4)]
    own = moons(loss=mg.SigmoidCrossEntropy(0.1), penalties=[Smooth(0.01)])

    def fit(model):
        model.fit(X, Y, optimizer=mg.Adam(0.05), epochs=20, batch_size=8, verbose=0)

    threads = [threading.Thread(target=fit, args=(model,)) for model in shared]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fit(own)
    for model in shared:
        assert model.loss is loss
        np.testing.assert_array_equal(model.params, own.params)
    loss.label_smoothing, penalty.strength = 0.4, 0.5
    own.loss.label_smoothing, own.penalties[0].strength = 0.4, 0.5
    for model in shared:
        assert model.backpropagate(X, Y) == own.backpropagate(X, Y)
        np.testing.assert_array_equal(model.grads, own.grads)


def test_gradients_of_one_model_from_several_threads_are_those_of_each_batch():
    model = moons()
    batches = [(X[start : start + 8], Y[start : start + 8]) for start in range(0, 64, 8)]
    expected = [model.backpropagate(*batch) for batch in batches]
    readers = [Reader(lambda: [model.backpropagate(*batch) for batch in batches]) for _ in range(4)]
    while min(len(reader.results) for reader in readers) < 5:
        assert all(reader.is_alive() for reader in readers)
    for reader in readers:
        assert all(result == expected for result in reader.stop())


class Restless(threading.Thread):
    """Assigns and deletes attributes of objects until it is stopped."""

    def __init__(self, *things):
        super().__init__()
        self.things, self.stopped = things, False
        self.start()

    def run(self):
        names = [f"_kept_{number}" for number in range(8)]
        while not self.stopped:
            for thing in self.things:
                for name in names:
                    setattr(thing, name, 0)
                for name in names:
                    delattr(thing, name)

    def stop(self):
        self.stopped = True
        self.join()


def shared_objects():
    metric, schedule = mg.Accuracy(), mg.ExponentialDecay(0.1, 0.9)
    return mg.SigmoidCrossEntropy(), Smooth(0.01), metric, schedule


def fit_with(loss, penalty, metric, schedule):
    model, options = moons(loss=loss, penalties=[penalty]), {"epochs": 2, "verbose": 0}
    model.fit(X, Y, optimizer=mg.SGD(schedule), metrics=[metric], batch_size=8, **options)


USES = {
    "fit": fit_with,
    "fit by L-BFGS": lambda loss, penalty, *_: mg.Sequential(
        [mg.Dense(2, 1)], loss=loss, penalties=[penalty]
    ).fit(X, Y, optimizer=mg.LBFGS(), epochs=2, verbose=0),
    "copies of a model": lambda loss, penalty, *_: moons(loss=loss, penalties=[penalty]).copy(),
    "copies": lambda *things: copy.deepcopy(things),
    "pickles": lambda *things: pickle.dumps(things),
}


@pytest.mark.parametrize("use", USES)
def test_objects_can_be_used_while_another_thread_changes_their_attributes(use):
    things, until = shared_objects(), time.monotonic() + 1
    restless = Restless(*things)
    try:
        while time.monotonic() < until:
            USES[use](*things)
    finally:
        restless.stop()
