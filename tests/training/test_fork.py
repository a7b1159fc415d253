"""A process that is forked while other threads use a model goes on alone, and waits for none."""

import faulthandler
import os
import threading
import time
import warnings
from contextlib import ExitStack

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad._core.cached import Cached
from mlpgrad._core.options import assignments
from mlpgrad.network import fitting

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")

X, Y = mg.datasets.moons(32, random_state=0)
SECONDS = 20


def moons():
    layers = [mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)]
    return mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0)


def fit(model, optimizer=None, epochs=1, **options):
    options = {"optimizer": optimizer or mg.SGD(0.1), "epochs": epochs, "verbose": 0} | options
    return model.fit(X, Y, **options)


def in_child(do):
    """Call a function in a forked process, and check that it returns True."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python, or a library, warns of other threads
        child = os.fork()
    if not child:
        faulthandler.dump_traceback_later(SECONDS, exit=True)  # in the place where it waits
        try:
            os._exit(0 if do() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Halves(mg.SGD):
    """Adds 1 to all parameters: to one half of them at once, to the other half later."""

    go, middle = threading.Event(), threading.Event()

    def step(self, params, grads):
        self.steps += 1
        half = len(params) // 2
        params[:half] += 1
        if self.steps == 3:
            self.middle.set()
            self.go.wait(SECONDS)
        params[half:] += 1


@pytest.fixture
def fitting_thread(monkeypatch):
    """A model and its optimizer in a fit of another thread, in the middle of a step."""
    monkeypatch.setattr(Halves, "go", threading.Event())
    monkeypatch.setattr(Halves, "middle", threading.Event())
    model, optimizer = moons(), Halves(0.1)
    options = {"epochs": 2, "batch_size": 8}
    thread = threading.Thread(target=lambda: fit(model, optimizer, **options), daemon=True)
    thread.start()
    assert Halves.middle.wait(SECONDS)
    threading.Timer(0.2, Halves.go.set).start()
    yield model, optimizer
    Halves.go.set()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert not fitting._running
    assert not fitting._optimizers
    assert steps_of(model) == {8}  # the fork changed nothing here


def steps_of(model):
    """Return the steps that the parameters have made."""
    return {*(model.params - moons().params).round(3).tolist()}


def test_a_forked_process_has_the_weights_of_one_step(fitting_thread):
    model, _ = fitting_thread
    in_child(lambda: len(steps_of(model)) == 1 and steps_of(model) != {0})


def test_a_forked_process_can_use_what_another_thread_fitted(fitting_thread):
    model, optimizer = fitting_thread

    def use():
        kept = np.array_equal(model.predict(X), model.copy().predict(X))
        optimizer.reset()
        return kept and fit(model, optimizer).epochs == 1

    in_child(use)


def test_a_forked_process_waits_for_no_reader_gradient_or_assignment():
    model, held, release = moons(), threading.Event(), threading.Event()

    def hold():
        with model.reading(), model._alone(), assignments.lock:
            held.set()
            release.wait(SECONDS)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert held.wait(SECONDS)

    def use():
        model.backpropagate(X, Y)
        model.loss.label_smoothing = 0.1
        return fit(model).epochs == 1

    try:
        in_child(use)
    finally:
        release.set()
        thread.join(SECONDS)
    fit(model)


def test_a_process_is_forked_between_the_draws_of_other_threads():
    model, held = moons(), threading.Event()
    generators = [model.rng, *model.rngs, model.stream("any")]
    drawn = []

    def draw():
        with ExitStack() as stack:
            for rng in generators:
                stack.enter_context(rng.bit_generator.lock)
            held.set()
            time.sleep(0.1)
            drawn.append(True)

    thread = threading.Thread(target=draw, daemon=True)
    thread.start()
    assert held.wait(SECONDS)
    in_child(lambda: drawn == [True] and all(0 <= rng.random() < 1 for rng in generators))
    thread.join(SECONDS)
    assert fit(model).epochs == 1


def test_a_callback_may_fork():
    results = []

    class Forks(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            in_child(lambda: fit(self.model).epochs == 1 and fit(moons()).epochs == 1)
            results.append(epoch)

    model, alone = moons(), moons()
    fit(model, callbacks=[Forks()], epochs=2)
    fit(alone, epochs=2)
    assert results == [0, 1]
    np.testing.assert_array_equal(model.params, alone.params)


class Answer:
    """An object whose attribute takes until `go` to compute, the first time."""

    go, inside = threading.Event(), threading.Event()

    @Cached
    def value(self):
        if not self.inside.is_set():
            self.inside.set()
            self.go.wait(SECONDS)
        return [42]


def test_an_attribute_that_another_thread_computes_meanwhile_is_computed_in_the_child():
    thread = threading.Thread(target=lambda: Answer().value, daemon=True)
    thread.start()
    assert Answer.inside.wait(SECONDS)
    in_child(lambda: Answer().value == [42])
    Answer.go.set()
    thread.join(SECONDS)


def test_threads_that_compute_an_attribute_at_the_same_time_have_the_same_result():
    class Pair:
        both = threading.Barrier(2)

        @Cached
        def value(self):
            self.both.wait(SECONDS)
            return object()

    pair, found = Pair(), []
    threads = [threading.Thread(target=lambda: found.append(pair.value)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert found[0] is found[1] is pair.value
