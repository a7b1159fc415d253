"""Compiled training gives the same results, for every class and every option of `fit`."""

import functools
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import FEATURES, LAYERS, LOSSES, OPTIMIZERS, layer_case, loss_case

pytest.importorskip("llvmlite", reason="the extra `compiled` is not installed")

from mlpgrad._core.arrays import LONG
from mlpgrad.optimizers.scalars import scalars_ahead
from mlpgrad.training import choose_compiled
from mlpgrad.training.batches import SEVERAL, Minibatches
from mlpgrad.training.compiled import machine, program
from mlpgrad.training.compiled.functions import FUNCTIONS

NOT_COVERED = {
    "Elementwise": "does not declare that its calls can be repeated",
    "Embedding": "is not compiled",
    "RAdam": "does not declare that its calls can be repeated",
}
"""Classes that are trained by NumPy's steps, with the reason in `compiled_because`."""

BOUNDS = {np.float32: 2e-5, np.float64: 1e-11}
DTYPES = [
    np.float32,
    pytest.param(np.float64, marks=pytest.mark.slow),
]
SIZES = [None, pytest.param(3, marks=pytest.mark.slow)]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
one_and_many = pytest.mark.parametrize("size", SIZES, ids=["one", "ensemble"])


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keep the machine code of the tests out of the user's cache."""
    monkeypatch.setenv(machine.CACHE, "")


def trained(make, x, y, optimizer, compiled, **options):
    model = make()
    options = {"epochs": 3, "verbose": 0} | options
    history = model.fit(x, y, optimizer=optimizer(), compiled=compiled, **options)
    return model, history


def assert_trains_alike(name, make, x, y, optimizer, bound, **options):
    """A compiled training gives the same result as NumPy's, or the class is listed above."""
    plain, one = trained(make, x, y, optimizer, False, **options)
    reason = NOT_COVERED.get(name)
    if reason is not None and "repeated" in reason:
        with pytest.raises(ValueError, match=reason):
            trained(make, x, y, optimizer, True, **options)
        return
    quick, other = trained(make, x, y, optimizer, True, **options)
    assert (quick.compiled_because or "").endswith(reason or "")
    assert (quick.compiled_because is None) == (reason is None)
    np.testing.assert_allclose(quick.params, plain.params, rtol=bound, atol=bound)
    np.testing.assert_allclose(quick.state, plain.state, rtol=bound, atol=bound)
    np.testing.assert_allclose(other["loss"], one["loss"], rtol=bound)


def case_of(cls, dtype, size):
    """A network with parameters around an example of a class, and 50 rows."""
    case = layer_case if cls in LAYERS else loss_case
    _, x, y = case(cls, dtype, size)
    x, y = (np.concatenate([part(a) for part in PARTS])[:50] for a in (x, y))

    def make():
        model = case(cls, dtype, size)[0]
        if model.params.size:
            return model
        layers = [mg.Dense(FEATURES, FEATURES), cls.example()]
        options = {"dtype": dtype, "ensemble_size": size, "random_state": 0}
        return mg.Sequential(layers, loss=mg.HalfSquaredError(), **options)

    return make, x, y


PARTS = [lambda a: a, lambda a: a[::-1], lambda a: a] * 5


@pytest.mark.parametrize("cls", [*LAYERS, *LOSSES], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@every_dtype
@one_and_many
def test_every_layer_and_loss(cls, dtype, size, weighted):
    make, x, y = case_of(cls, dtype, size)
    options = {"sample_weight": np.linspace(0, 2, 50)} if weighted else {}
    rule = functools.partial(mg.Adam, 1e-3)
    bound = BOUNDS[dtype]
    assert_trains_alike(cls.__name__, make, x, y, rule, bound, batch_size=4, **options)


CHANGED = {"clip_norm": 0.1, "clip_value": 0.05, "max_norm": 0.9, "weight_decay": 0.1}


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("options", [{}, CHANGED], ids=["", "clipped"])
@every_dtype
@one_and_many
def test_every_optimizer(cls, options, dtype, size):
    x, y = mg.datasets.moons(100, noise=0.1, random_state=0)

    def make():
        layers = [mg.Dense(2, 5), mg.Tanh(), mg.Dense(5, 3)]
        kept = {"dtype": dtype, "ensemble_size": size, "random_state": 0}
        return mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy(), **kept)

    bound = 10 * BOUNDS[dtype]
    rule = functools.partial(cls, 0.01, **options)
    assert_trains_alike(cls.__name__, make, x, y, rule, bound, batch_size=8)


@pytest.mark.parametrize("loss", [mg.SoftmaxCrossEntropy, mg.SoftmaxFocal, mg.CrossEntropy])
@pytest.mark.parametrize("others", [0.0, 0.1], ids=["one-hot", "probabilities"])
@one_and_many
def test_targets_in_rows(loss, others, size):
    x, labels = MOONS
    y = np.where(labels[:, None] == np.arange(3), 1 - 2 * others, others)

    def make():
        layers = [mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 3)]
        layers += [mg.Softmax()] * (loss is mg.CrossEntropy)
        return mg.Sequential(layers, loss=loss(), random_state=0, ensemble_size=size)

    assert_trains_alike("", make, x, y, lambda: mg.Adam(1e-3), BOUNDS[np.float32], batch_size=16)


@pytest.mark.parametrize("penalty", [mg.L1(0.1), mg.L2(0.1)], ids=repr)
@one_and_many
def test_penalties(penalty, size):
    x, y = mg.datasets.moons(100, noise=0.1, random_state=0)
    make = functools.partial(moons_model, ensemble_size=size, penalties=[penalty])
    assert_trains_alike("", make, x, y, lambda: mg.Adam(1e-2), 2e-5, batch_size=8)


def moons_model(layers=(), **options):
    layers = [mg.Dense(2, 8), mg.Tanh(), *layers, mg.Dense(8, 1)]
    return mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0, **options)


exact_model = functools.partial(moons_model, dtype=np.float64)
MOONS = mg.datasets.moons(320, noise=0.1, random_state=0)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_losses_of_a_thousand_steps(dtype, bound):
    make = functools.partial(moons_model, dtype=dtype)
    options = {"epochs": 100, "batch_size": 32}
    _, plain = trained(make, *MOONS, lambda: mg.Adam(1e-3), False, **options)
    _, quick = trained(make, *MOONS, lambda: mg.Adam(1e-3), True, **options)
    np.testing.assert_allclose(quick["loss"], plain["loss"], rtol=bound)


@one_and_many
def test_the_same_seed_gives_the_same_bits(size, monkeypatch, tmp_path):
    make = lambda: moons_model([mg.Dropout(0.2)], ensemble_size=size)  # noqa: E731
    first, _ = trained(make, *MOONS, lambda: mg.Adam(1e-2), True)
    monkeypatch.setenv(machine.CACHE, str(tmp_path))  # an empty cache at first
    machine.compiled.cache_clear()
    for _ in range(2):
        again, _ = trained(make, *MOONS, lambda: mg.Adam(1e-2), True)
        machine.compiled.cache_clear()
        np.testing.assert_array_equal(again.params, first.params)
    assert list(tmp_path.glob("*.o"))


# everything around the loop


def test_callbacks_validation_and_a_shorter_last_batch_are_as_without():
    seen = {True: [], False: []}

    def run(compiled):
        class Watch(mg.Callback):
            def on_epoch_end(self, epoch, logs):
                layer = self.model.layers[1]
                seen[compiled].append((layer.outputs.copy(), layer.delta.copy(), sorted(logs)))

        return trained(
            moons_model,
            *MOONS,
            lambda: mg.Adam(1e-2),
            compiled,
            batch_size=24,
            validation_split=0.2,
            callbacks=[Watch(), mg.EarlyStopping(5), mg.ReduceOnPlateau(0.5, patience=1)],
            epochs=12,
        )

    (_, one), (quick, other) = run(False), run(True)
    assert quick.compiled_because is None
    assert other.compiled
    assert not one.compiled
    for name, values in one.items():
        np.testing.assert_allclose(other[name], values, rtol=2e-4, err_msg=name)
    for mine, theirs in zip(seen[True], seen[False], strict=True):
        for a, b in zip(mine[:2], theirs[:2], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@one_and_many
def test_an_option_that_a_callback_assigns_acts(size):
    class Change(mg.Callback):
        def on_epoch_begin(self, epoch):
            self.model.layers[2].drop_probability = 0.5 if epoch else 0.0

    make = lambda: moons_model([mg.Dropout(0.1)], ensemble_size=size)  # noqa: E731
    options = {"batch_size": 16, "callbacks": [Change()]}
    plain, _ = trained(make, *MOONS, lambda: mg.SGD(0.1), False, **options)
    quick, _ = trained(make, *MOONS, lambda: mg.SGD(0.1), True, **options)
    np.testing.assert_allclose(quick.params, plain.params, rtol=1e-4, atol=1e-6)


def test_arrays_that_a_callback_puts_into_the_optimizer_are_used():
    class Replace(mg.Callback):
        def on_epoch_begin(self, epoch):
            if epoch == 1:
                rule.state["v_sum"] = rule.state["v_sum"] * 4

    results = []
    for compiled in (False, True):
        rule = mg.Adam(1e-2)
        results.append(trained(moons_model, *MOONS, lambda: rule, compiled, callbacks=[Replace()]))  # noqa: B023
    np.testing.assert_allclose(results[1][0].params, results[0][0].params, rtol=1e-4, atol=1e-6)


PIECES = {
    "reversed": lambda n: np.zeros(2 * n)[n - 1 :: -1],
    "strided": lambda n: np.zeros(2 * n)[::2],
    "read-only": lambda n: np.broadcast_to(np.zeros(1), n),
    "whole": np.zeros,
}


@pytest.mark.parametrize("kind", PIECES)
def test_parts_of_arrays_that_a_callback_puts_into_the_optimizer(kind):
    class Replace(mg.Callback):
        def on_epoch_begin(self, epoch):
            if epoch == 1:
                rule.state["v_sum"] = PIECES[kind](rule.state["v_sum"].size)

    results = []
    for compiled in (False, True):
        rule = mg.Adam(1e-2)
        given = (exact_model, *MOONS, lambda rule=rule: rule, compiled)
        if kind == "read-only":
            with pytest.raises(ValueError, match="read-only"):
                trained(*given, callbacks=[Replace()])
            continue
        model, history = trained(*given, callbacks=[Replace()])
        assert history.compiled == (compiled and kind == "whole")
        results.append(model.params)
    if results:
        np.testing.assert_allclose(results[1], results[0], rtol=1e-9)


class Remembers(mg.SGD):
    """An optimizer with arrays of its own, outside its state."""

    repeatable = True

    def __init__(self, rate):
        super().__init__(rate)
        self._mask, self._largest = np.ones(1), np.full(33, -np.inf)

    def update(self, p, g, *others):
        np.multiply(g, self._mask, g)
        np.maximum(p, self._largest, out=self._largest)
        super().update(p, g, *others)


def test_arrays_of_an_optimizer_are_used_where_they_are():
    class Freeze(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            rule._mask[...] = 0

    params, largest = [], []
    for compiled in (False, True):
        rule = Remembers(0.1)
        given = (exact_model, *MOONS, lambda rule=rule: rule, compiled)
        model, history = trained(*given, callbacks=[Freeze()])
        assert history.compiled == compiled
        params.append(model.params)
        largest.append(rule._largest)
    np.testing.assert_allclose(params[1], params[0], rtol=1e-9)
    np.testing.assert_allclose(largest[1], largest[0], rtol=1e-9)


class OwnVelocity(mg.Optimizer):
    """Momentum whose velocity is an attribute, and in part of calls on own arrays alone."""

    repeatable = True

    def prepare(self, params, grads):
        if not hasattr(self, "_kept"):
            self._kept = self.made(np.zeros_like(params), np.zeros_like(params))
        super().prepare(params, grads)

    def made(self, velocity, change):
        return [velocity, (change,)]

    def arrays(self):
        velocity, (change,) = self._kept
        return velocity, change

    def update(self, p, g, rate):
        velocity, change = self.arrays()
        np.multiply(velocity, 0.9, velocity)
        np.add(velocity, g, velocity)
        np.multiply(velocity, rate, change)  # written, and only shown
        np.multiply(velocity, -rate, g)
        np.add(p, g, p)


class InDict(OwnVelocity):
    repeatable = True

    def made(self, velocity, change):
        return {"velocity": velocity, "others": {"change": change}}

    def arrays(self):
        return self._kept["velocity"], self._kept["others"]["change"]


@pytest.mark.parametrize("cls", [OwnVelocity, InDict])
@pytest.mark.parametrize("watched", [False, True])
def test_arrays_of_an_optimizer_outside_its_state_are_as_without(cls, watched):
    class Halve(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            rule.arrays()[0][...] *= 0.5
            if epoch == 2:
                rule._kept = rule.made(*(array.copy() for array in rule.arrays()))

    found = []
    for compiled in (False, True):
        rule = cls(0.05)
        given = (exact_model, *MOONS, lambda rule=rule: rule, compiled)
        model, history = trained(*given, callbacks=[Halve()] if watched else [])
        assert history.compiled == compiled
        found.append([model.params, *rule.arrays()])
    for ours, by_numpy in zip(*found, strict=True):
        np.testing.assert_allclose(ours, by_numpy, rtol=1e-8, atol=1e-12)


class InObject(OwnVelocity):
    repeatable = True

    def made(self, velocity, change):
        return SimpleNamespace(velocity=velocity, change=change)

    def arrays(self):
        return self._kept.velocity, self._kept.change


def test_arrays_in_an_object_of_an_optimizer_are_left_to_numpy():
    found = []
    for compiled in (False, True):
        rule = InObject(0.05)
        model, history = trained(exact_model, *MOONS, lambda rule=rule: rule, compiled)
        assert not history.compiled
        found.append([model.params, *rule.arrays()])
    assert "arrays of the optimizer in an object" in model.compiled_because
    for ours, by_numpy in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, by_numpy)


class Alternates(mg.SGD):
    """An optimizer whose update is another one at every second step."""

    repeatable = True
    count = 0

    def update(self, p, g, *others):
        self.count += 1
        if self.count % 2:
            np.multiply(g, 0.5, g)
        super().update(p, g, *others)


def test_an_update_that_changes_by_itself_is_left_to_numpy():
    model, history = trained(exact_model, *MOONS, lambda: Alternates(0.1), True)
    assert not history.compiled
    assert "an update that makes other calls at other steps" in model.compiled_because


@one_and_many
def test_divergence_stops_at_exactly_the_batch(size):
    x, y = MOONS
    x = np.tile(x, (4, 1))
    x[70 * 8 + 3] = 1e30  # finite in float32, unlike the squared error
    errors = []
    for compiled in (False, True):
        layers = [mg.Dense(2, 8), mg.ReLU(), mg.Dense(8, 1)]
        loss, kept = mg.MeanSquaredError(), {"ensemble_size": size, "random_state": 0}
        model = mg.Sequential(layers, loss=loss, **kept)
        options = {"batch_size": 8, "shuffle": False, "verbose": 0, "compiled": compiled}
        options |= {"optimizer": mg.SGD(0.01), "epochs": 2}
        with pytest.raises(mg.DivergenceError) as caught:
            model.fit(x, np.tile(y, 4), **options)
        assert np.isfinite(model.params).all()
        errors.append((caught.value.epoch, caught.value.batch, str(caught.value)))
    assert errors[0] == errors[1]


def test_a_training_stops_when_it_is_asked_to():
    class Stop(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = epoch == 2

    _, history = trained(moons_model, *MOONS, mg.Adam, True, epochs=9, callbacks=[Stop()])
    assert history.epochs == 3


def test_a_restored_session_does_as_the_first_one_did(monkeypatch):
    class Keep(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                self.taken = self.session.snapshot()

    keep = Keep()
    whole, _ = trained(moons_model, *MOONS, mg.Adam, True, epochs=6, callbacks=[keep])
    assert keep.taken["method"]["compiled"] is True
    rest, history = trained(moons_model, *MOONS, mg.Adam, None, epochs=6, resume=keep.taken)
    assert history.compiled
    np.testing.assert_array_equal(rest.params, whole.params)
    monkeypatch.setattr(choose_compiled.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="compiled=True, but llvmlite is not installed"):
        trained(moons_model, *MOONS, mg.Adam, None, epochs=6, resume=keep.taken)


def test_another_thread_predicts_while_a_compiled_training_runs():
    model, found, going = moons_model(), [], threading.Event()

    def watch():
        while not going.is_set():
            found.append(model.predict(MOONS[0][:4]))

    reader = threading.Thread(target=watch)
    reader.start()
    model.fit(*MOONS, optimizer=mg.Adam(), epochs=50, verbose=0, compiled=True)
    going.set()
    reader.join()
    assert found
    assert np.isfinite(found).all()


# which trainings are compiled


def test_it_is_decided_from_what_was_asked():
    few, many = {"epochs": 2}, {"epochs": 1500}
    short, history = trained(moons_model, *MOONS, mg.Adam, None, **few)
    assert "take less time than compiling them" in short.compiled_because
    assert not history.compiled
    long, history = trained(moons_model, *MOONS, mg.Adam, None, batch_size=32, **many)
    assert long.compiled_because is None
    assert history.compiled


class Batches(mg.Callback):
    def on_train_batch_end(self, batch, logs):
        pass


class OneRank:
    rank, size = 0, 1

    def allreduce(self, array):
        pass

    broadcast = abort = allreduce


OWN = {
    "single batches": {"callbacks": [Batches()]},
    "single batches, or": {"metrics": [mg.Accuracy()]},
    "communicator uses single batches": {"communicator": OneRank()},
}


@pytest.mark.parametrize("reason", OWN)
def test_what_looks_into_steps_keeps_to_numpys(reason):
    with pytest.raises(ValueError, match=reason):
        trained(moons_model, *MOONS, mg.Adam, True, **OWN[reason])
    model, _ = trained(moons_model, *MOONS, mg.Adam, None, **OWN[reason])
    assert reason in model.compiled_because


@pytest.mark.parametrize(
    ("model", "optimizer", "reason"),
    [
        (lambda: moons_model(dtype=np.longdouble), mg.Adam, "only float32 and float64"),
        (moons_model, lambda: mg.Adam(lambda steps: 1e-3), "a user-defined schedule"),
        (lambda: moons_model([mg.Elementwise(np.sin, np.cos)]), mg.Adam, "Elementwise"),
    ],
)
def test_the_reason_is_said(model, optimizer, reason):
    with pytest.raises(ValueError, match=reason):
        trained(model, *MOONS, optimizer, True)


def test_the_environment_decides_where_fit_is_not_told(monkeypatch):
    monkeypatch.setenv(choose_compiled.VARIABLE, "1")
    assert trained(moons_model, *MOONS, mg.Adam, None)[1].compiled
    assert not trained(moons_model, *MOONS, mg.Adam, False)[1].compiled
    monkeypatch.setenv(choose_compiled.VARIABLE, "0")
    assert not trained(moons_model, *MOONS, mg.Adam, None, epochs=1500)[1].compiled
    monkeypatch.setenv(choose_compiled.VARIABLE, "perhaps")
    with pytest.raises(ValueError, match="MLPGRAD_COMPILED expects 0 or 1, got 'perhaps'"):
        trained(moons_model, *MOONS, mg.Adam, None)


def test_without_the_extra_numpy_trains(monkeypatch):
    monkeypatch.setattr(choose_compiled.importlib.util, "find_spec", lambda name: None)
    model, history = trained(moons_model, *MOONS, mg.Adam, None, epochs=2)
    assert "pip install 'mlpgrad[compiled]'" in model.compiled_because
    assert not history.compiled


def test_repeated_trainings_write_the_text_once():
    program.written.cache_clear()
    found = {}
    for width in (2, 3, 2, 3):
        make = lambda width=width: moons_model([mg.Dense(8, width), mg.Dense(width, 8)])  # noqa: E731
        model, _ = trained(make, *MOONS, mg.Adam, True)
        assert model.compiled_because is None
        np.testing.assert_array_equal(model.params, found.setdefault(width, model.params))
    kept = program.written.cache_info()
    assert (kept.misses, kept.hits, kept.maxsize) == (2, 2, program.MOST_KNOWN)


WRONG = {
    "no product": (program.WRITERS, "matmul", lambda code, operation: None),
    "one tanh for all": (FUNCTIONS, "tanh", lambda x: x.like(0.5)),
    "no root in the update": (FUNCTIONS, "sqrt", lambda x: x),
}


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("fault", WRONG)
def test_numpy_trains_where_the_machine_code_is_wrong(fault, size, monkeypatch):
    monkeypatch.setitem(*WRONG[fault])
    program.written.cache_clear()
    make = functools.partial(moons_model, ensemble_size=size)
    model, history = trained(make, *MOONS, mg.Adam, True)
    program.written.cache_clear()
    plain, _ = trained(make, *MOONS, mg.Adam, False)
    assert "a step that differs from NumPy's as machine code" in model.compiled_because
    assert not history.compiled
    np.testing.assert_array_equal(model.params, plain.params)


@pytest.mark.parametrize("place", ["compiled", "machine"])
@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError])
def test_numpy_trains_where_llvm_fails(place, error, monkeypatch):
    def fails(*_):
        raise error("no such pass")

    program.written.cache_clear()
    monkeypatch.setattr(program, place, fails)
    model, history = trained(moons_model, *MOONS, mg.Adam, True)
    plain, _ = trained(moons_model, *MOONS, mg.Adam, False)
    assert "LLVM refuses (no such pass)" in model.compiled_because
    assert not history.compiled
    np.testing.assert_array_equal(model.params, plain.params)


class Looking(mg.ReLU):
    """An activation that claims to be repeatable, and looks at its values."""

    repeatable = True

    def apply(self, z, out):
        return super().apply(z if z.max() > -1e30 else -z, out)


class LookingSGD(mg.SGD):
    """An optimizer that does the same."""

    repeatable = True

    def update(self, p, g, *others):
        if g.max() > -1e30:
            super().update(p, g, *others)


@pytest.mark.parametrize(
    ("layers", "optimizer"), [([Looking], mg.SGD), ([], LookingSGD)], ids=["layer", "optimizer"]
)
@one_and_many
def test_numpy_trains_where_a_step_looks_at_values(layers, optimizer, size):
    make = lambda: moons_model([cls() for cls in layers], ensemble_size=size)  # noqa: E731
    rule = functools.partial(optimizer, 0.1)
    model, history = trained(make, *MOONS, rule, True, batch_size=32)
    plain, _ = trained(make, *MOONS, rule, False, batch_size=32)
    assert "cannot be recorded (array.max) is not compiled" in model.compiled_because
    assert not history.compiled
    np.testing.assert_array_equal(model.params, plain.params)


class Fading(mg.ReLU):
    """An activation whose calls have another number at every step."""

    repeatable = True
    factor = 1.0

    def apply(self, z, out):
        self.factor *= 0.5
        super().apply(z, out)
        np.multiply(out, self.factor, out)


class Masked(mg.SGD):
    """An optimizer with an array of its own."""

    repeatable = True

    def __init__(self, rate):
        super().__init__(rate)
        self._mask = np.ones(1)

    def update(self, p, g, *others):
        np.multiply(g, self._mask, g)
        super().update(p, g, *others)


@pytest.mark.parametrize(
    ("kinds", "size", "optimizer", "reason"),
    [
        ([lambda: mg.Dense(2, 2), Fading], None, mg.SGD, "a step whose replay differs"),
        ([mg.Tanh], None, mg.SGD, "a network without parameters"),
        ([lambda: mg.Dense(2, 2)], 3, Masked, "arrays outside its state, for an ensemble"),
    ],
)
def test_numpy_trains_where_code_would_do_otherwise(kinds, size, optimizer, reason):
    def make():
        options = {"ensemble_size": size, "random_state": 0}
        return mg.Sequential([kind() for kind in kinds], loss=mg.MeanSquaredError(), **options)

    given = make, MOONS[0], MOONS[0], lambda: optimizer(0.1)
    model, history = trained(*given, True, batch_size=32)
    plain, _ = trained(*given, False, batch_size=32)
    assert reason in model.compiled_because
    assert not history.compiled
    np.testing.assert_array_equal(model.params, plain.params)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"batch_size": 160}, "an ensemble's epoch has fewer than 8 batches"),
        ({"sample_weight": np.outer([1.0, 2.0], np.ones(320))}, "its own sample weights"),
    ],
)
def test_the_reason_is_said_for_an_ensemble(options, reason):
    make = functools.partial(moons_model, ensemble_size=2)
    with pytest.raises(ValueError, match=reason):
        trained(make, *MOONS, mg.Adam, True, **options)
    model, _ = trained(make, *MOONS, mg.Adam, None, **options)
    assert reason in model.compiled_because


def test_numpy_sums_the_losses_of_many_rows():
    x, y = (np.repeat(array, 52, axis=0) for array in MOONS)
    options = {"batch_size": LONG + 1, "epochs": 2}
    model, _ = trained(moons_model, x, y, mg.Adam, True, **options)
    plain, _ = trained(moons_model, x, y, mg.Adam, False, **options)
    assert "cannot be recorded (array.astype)" in model.compiled_because
    np.testing.assert_array_equal(model.params, plain.params)
    model, _ = trained(moons_model, x, y, mg.Adam, True, batch_size=LONG, epochs=1)
    assert model.compiled_because is None


def test_numpy_trains_parameters_that_are_a_part_of_another_array(monkeypatch):
    """The code would change the other array, which it knows, and not the network's."""

    def part(shape, dtype):
        return np.zeros((2, *shape), dtype)[1]

    monkeypatch.setattr("mlpgrad.network.storage.aligned", part)
    model, _ = trained(moons_model, *MOONS, mg.Adam, True, batch_size=32)
    plain, _ = trained(moons_model, *MOONS, mg.Adam, False, batch_size=32)
    assert "a part of another array" in model.compiled_because
    np.testing.assert_array_equal(model.params, plain.params)


def test_code_without_the_function_or_with_an_error_is_refused():
    with pytest.raises(RuntimeError, match="no function `train`"):
        machine.compiled("define void @other() {\n  ret void\n}")
    with pytest.raises(RuntimeError, match="LLVM IR parsing error"):
        machine.compiled("define void @train() {\n  ret i64 %missing\n}")


# the scalars of many steps


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("rate", [0.01, mg.CosineDecay(0.01, 30)], ids=["number", "schedule"])
def test_numbers_of_many_steps_are_those_of_each(cls, rate):
    if cls is mg.Rprop and not isinstance(rate, float):
        pytest.skip("Rprop follows no schedule")
    at_once, each = cls(rate, weight_decay=0.1), cls(rate, weight_decay=0.1)
    found = scalars_ahead(at_once, at_once._learning_rate, 5, 20, np.float64)
    for row, step in zip(found, range(5, 25), strict=True):
        now = each._rate(step)
        np.testing.assert_allclose(row[:-1], each.scalars(now, step + 1), rtol=1e-12)
        np.testing.assert_allclose(row[-1], 1 - now * 0.1, rtol=1e-15)


FORMULAS = {
    "gives other numbers for arrays": lambda rate, t: rate / np.max(t),
    "compares": lambda rate, t: rate / max(t, 2),
    "calls a method of int": lambda rate, t: rate / t.bit_length(),
    "looks up": lambda rate, t: rate / {1: 1.0, 2: 3.0}.get(t, 7.0),
}


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@pytest.mark.parametrize("assigned", [False, True])
def test_numbers_are_those_of_single_steps_where_the_formula_needs_them(formula, assigned):
    class Own(mg.SGD):
        def scalars(self, rate, t):
            return (formula(rate, t),)

    rule = mg.SGD(0.5) if assigned else Own(0.5)
    if assigned:
        rule.scalars = lambda rate, t: (formula(rate, t),)
    found = scalars_ahead(rule, 0.5, 0, 4, np.float64)[:, 0]
    np.testing.assert_allclose(found, [formula(0.5, t) for t in (1, 2, 3, 4)], rtol=1e-15)


# the cache


@pytest.fixture
def folder(monkeypatch, tmp_path):
    path = tmp_path / "code"
    monkeypatch.setenv(machine.CACHE, str(path))
    return path


def test_machine_code_is_kept_for_its_owner_only(folder):
    assert machine.cache_folder() == folder
    machine.keep(folder / "name.o", b"code")
    assert machine.read(folder / "name.o") == b"code"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "name.o").stat().st_mode & 0o777 == 0o600


def test_a_folder_or_file_that_others_may_write_is_not_trusted(folder):
    machine.cache_folder()
    machine.keep(folder / "name.o", b"code")
    (folder / "name.o").chmod(0o622)
    assert machine.read(folder / "name.o") is None
    folder.chmod(0o777)
    assert machine.cache_folder() is None


def test_a_folder_or_file_of_somebody_else_is_not_trusted(folder, monkeypatch):
    machine.cache_folder()
    machine.keep(folder / "name.o", b"code")
    monkeypatch.setattr(machine.os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert machine.cache_folder() is None
    assert machine.read(folder / "name.o") is None


@pytest.mark.parametrize("length", [0, 10, 64, 65, -1])
def test_a_damaged_file_is_not_run(length, folder):
    machine.cache_folder()
    path = folder / "name.o"
    machine.keep(path, b"code")
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    assert machine.read(path) is None
    path.write_bytes(whole[:-1] + b"x")
    assert machine.read(path) is None
    assert machine.read(folder / "other.o") is None


def test_a_truncated_file_is_written_again(folder):
    first, _ = trained(moons_model, *MOONS, mg.Adam, True)
    machine.compiled.cache_clear()
    trained(moons_model, *MOONS, mg.Adam, True)
    (path,) = folder.glob("*.o")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    machine.compiled.cache_clear()
    again, history = trained(moons_model, *MOONS, mg.Adam, True)
    assert history.compiled
    np.testing.assert_array_equal(again.params, first.params)
    assert path.read_bytes() == whole


def test_a_file_is_read_whole_while_others_write_it(folder):
    machine.cache_folder()
    codes, ended = [bytes([k]) * 100_000 for k in range(2)], threading.Event()

    def write(code):
        while not ended.is_set():
            machine.keep(folder / "name.o", code)

    writers = [threading.Thread(target=write, args=(code,)) for code in codes]
    machine.keep(folder / "name.o", codes[0])
    for writer in writers:
        writer.start()
    found = [machine.read(folder / "name.o") for _ in range(200)]
    ended.set()
    for writer in writers:
        writer.join()
    assert all(code in codes for code in found)
    assert [path.name for path in folder.iterdir()] == ["name.o"]


ALONE = """
import mlpgrad as mg
x, y = mg.datasets.moons(320, noise=0.1, random_state=0)
layers = [mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)]
model = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0)
model.fit(x, y, optimizer=mg.Adam(), epochs=3, verbose=0, compiled=True)
print(model.compiled_because, model.params.tobytes().hex())
"""


@pytest.mark.slow
def test_two_processes_compile_at_once(folder):
    both = [
        subprocess.Popen([sys.executable, "-c", ALONE], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    one, other = (process.communicate()[0].split() for process in both)
    here, _ = trained(moons_model, *MOONS, mg.Adam, True)
    assert one == other == ["None", here.params.tobytes().hex()]
    assert [path.suffix for path in folder.iterdir()] == [".o"]


def test_links_are_not_followed(folder, tmp_path):
    machine.cache_folder()
    machine.keep(folder / "name.o", b"code")
    (folder / "other.o").symlink_to(folder / "name.o")
    assert machine.read(folder / "other.o") is None


def test_the_oldest_files_are_removed(folder, monkeypatch):
    monkeypatch.setattr(machine, "MOST_CACHED", 3)
    machine.cache_folder()
    for name in "abcde":
        machine.keep(folder / f"{name}.o", b"code")
    assert len(list(folder.iterdir())) == 3


def test_a_folder_that_cannot_be_made_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(machine.CACHE, str(tmp_path / "file" / "code"))
    assert machine.cache_folder() is None
    assert trained(moons_model, *MOONS, mg.Adam, True)[1].compiled


def test_what_is_not_compiled_trains_on_beside_callbacks():
    x, y = np.arange(24.0).reshape(12, 2) % 3, np.arange(12.0)

    def make():
        layers = [mg.Embedding(2, {1: 3}, 2), mg.Dense(3, 1)]
        return mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)

    options = {"batch_size": 4, "callbacks": [mg.EarlyStopping(9)], "validation_split": 0.25}
    plain, _ = trained(make, x, y, mg.Adam, False, **options)
    other, _ = trained(make, x, y, mg.Adam, True, **options)
    assert other.compiled_because.endswith("is not compiled")
    np.testing.assert_array_equal(other.params, plain.params)


def test_fold_out_members_train_alike():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(61, 2))
    y = x @ [1.0, -2.0]

    def make():
        layers = [mg.Dense(2, 6), mg.Tanh(), mg.Dense(6, 1)]
        return mg.Sequential(
            layers, loss=mg.MeanSquaredError(), random_state=0, ensemble_size=3, dtype="float64"
        )

    options = {"folds": True, "batch_size": 4, "callbacks": [mg.EarlyStopping(9)], "epochs": 5}
    plain, one = trained(make, x, y, mg.Adam, False, **options)
    quick, other = trained(make, x, y, mg.Adam, True, **options)
    np.testing.assert_allclose(quick.params, plain.params, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(other.oof_prediction, one.oof_prediction, rtol=1e-9, atol=1e-11)


# several epochs in one call


class Looks(mg.Callback):
    """Observes every epoch, so that each epoch is a separate call."""

    def on_epoch_end(self, epoch, logs):
        pass


@pytest.fixture
def calls(monkeypatch):
    """Record how many steps each call of the compiled loop makes."""
    from mlpgrad.training.compiled_worker import CompiledWorker

    made, train = [], CompiledWorker._train

    def counted(self, arrays, order, *scalars):
        made.append(len(order))
        return train(self, arrays, order, *scalars)

    monkeypatch.setattr(CompiledWorker, "_train", counted)
    return made


@pytest.mark.parametrize("rate", [1e-2, mg.CosineDecay(1e-2)], ids=["number", "schedule"])
def test_epochs_in_one_call_are_the_same_training(rate, calls):
    options = {"epochs": 7, "batch_size": 32}
    make = lambda: moons_model([mg.Dropout(0.2)])  # noqa: E731
    one, each = trained(make, *MOONS, lambda: mg.Adam(rate), True, **options, callbacks=[Looks()])
    assert calls == [10] * 7
    calls.clear()
    model, together = trained(make, *MOONS, lambda: mg.Adam(rate), True, **options)
    assert calls == [10, 60]
    np.testing.assert_array_equal(model.params, one.params)
    assert dict(together) == dict(each)
    for mine, theirs in zip(model.layers, one.layers, strict=True):
        np.testing.assert_array_equal(mine.outputs, theirs.outputs)
        np.testing.assert_array_equal(mine.delta, theirs.delta)
    assert one.rng.bit_generator.state == model.rng.bit_generator.state


class Fails(mg.Schedule):
    """A schedule that gives no valid learning rate from some step on."""

    def __init__(self, at, value):
        self.at, self.value = at, value

    def __call__(self, steps):
        return 1e-2 if steps < self.at else self.value


@pytest.mark.parametrize("value", [float("nan"), -1.0])
@pytest.mark.parametrize("at", [0, 4, 10, 11, 40, 47])
@pytest.mark.parametrize("size", [None, 3], ids=["one", "ensemble"])
def test_a_schedule_that_fails_stops_the_same_step(at, value, size):
    models = []
    for compiled in (False, True):
        optimizer = mg.Adam(Fails(at, value))
        model = moons_model([mg.Dropout(0.2)], ensemble_size=size)
        options = {"epochs": 7, "batch_size": 32, "verbose": 0, "compiled": compiled}
        with pytest.raises(ValueError, match=f"got {value} from .* for steps={at}"):
            model.fit(*MOONS, optimizer=optimizer, **options)
        assert optimizer.steps == at
        models.append(model)
    plain, quick = models
    np.testing.assert_allclose(quick.params, plain.params, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["in place", "cast"])
def test_rows_are_read_in_place_or_cast(dtype, calls):
    x, y = MOONS[0].astype(dtype), MOONS[1].astype(dtype)[:, None]
    weights = np.linspace(0, 2, 320).astype(dtype)[:, None]
    batches = Minibatches(
        [x, y, weights],
        [np.dtype(np.float32)] * 3,
        batch_size=32,
        shuffle=True,
        rng=np.random.default_rng(0),
    )
    assert batches.direct == (dtype is np.float32)
    first, order = batches.several(3)
    again = np.random.default_rng(0)
    rows = [np.arange(320) for _ in range(3)]
    for own in rows:
        again.shuffle(own)
    for array, source in zip(first, (x, y, weights), strict=True):
        np.testing.assert_array_equal(array[order], source[np.concatenate(rows)].astype(np.float32))
    options = {"epochs": 5, "batch_size": 32, "sample_weight": weights[:, 0]}
    one, each = trained(moons_model, x, y, mg.Adam, True, **options, callbacks=[Looks()])
    model, together = trained(moons_model, x, y, mg.Adam, True, **options)
    assert calls == [10] * 6 + [40]
    np.testing.assert_array_equal(model.params, one.params)
    assert dict(together) == dict(each)


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("batch_size", [1, 33, 60, 200])
def test_rows_that_are_shuffled_in_pools(batch_size, size, monkeypatch):
    monkeypatch.setattr("mlpgrad.training.batches.SHUFFLED_AT_ONCE", 50)
    monkeypatch.setattr("mlpgrad.training.batches.RUN", 1)  # 128 rows in a pool, or fewer
    monkeypatch.setattr(choose_compiled, "FEWEST_BATCHES", 1)
    options = {"batch_size": batch_size, "epochs": 3}
    make = functools.partial(moons_model, ensemble_size=size)
    rule = functools.partial(mg.SGD, 0.1)
    plain, one = trained(make, *MOONS, rule, False, **options)
    quick, other = trained(make, *MOONS, rule, True, **options)
    assert quick.compiled_because is None
    np.testing.assert_allclose(quick.params, plain.params, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other["loss"], one["loss"], rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["in place", "cast"])
def test_an_option_acts_in_the_epoch_in_which_it_is_assigned(dtype, calls, monkeypatch):
    from mlpgrad.training import batches, compiled_worker

    monkeypatch.setattr(compiled_worker, "WORK", 1)  # a call for each step
    monkeypatch.setattr(batches, "BLOCK_BYTES", 1)
    model, train = moons_model([mg.Dropout(0.1)]), compiled_worker.CompiledWorker._train

    def assigning(self, *given):
        losses = train(self, *given)
        if len(calls) == 3:  # as another thread does
            model.layers[2].drop_probability = 0.5
        return losses

    monkeypatch.setattr(compiled_worker.CompiledWorker, "_train", assigning)
    x, y = MOONS[0].astype(dtype), MOONS[1].astype(dtype)[:, None]
    model.fit(x, y, optimizer=mg.SGD(0.1), epochs=1, batch_size=32, verbose=0, compiled=True)
    assert calls == [1, 1, 1]  # NumPy makes the others


def test_a_shorter_last_batch_ends_each_epoch(calls):
    _, history = trained(moons_model, *MOONS, mg.Adam, True, epochs=4, batch_size=33)
    assert calls == [9] * 4
    assert history.epochs == 4


def test_an_epoch_of_many_that_diverges_is_the_one_that_is_named(calls):
    x, y = np.ones((8, 1)), np.ones((8, 1))

    def diverging(**options):
        model = mg.Sequential([mg.Dense(1, 1)], loss=mg.MeanSquaredError(), random_state=0)
        with pytest.raises(mg.DivergenceError) as caught:
            model.fit(x, y, optimizer=mg.SGD(9.0), epochs=40, batch_size=4, verbose=0, **options)
        error = caught.value
        return error.epoch, error.batch, str(error), error.history["loss"], model.params

    together = diverging(compiled=True)
    assert calls == [2, 78]
    each = diverging(compiled=True, callbacks=[Looks()])
    plain = diverging(compiled=False)
    assert together[:3] == each[:3] == plain[:3]
    assert together[3] == each[3]
    np.testing.assert_allclose(together[3], plain[3], rtol=1e-4)
    np.testing.assert_array_equal(together[4], each[4])


def test_ctrl_c_keeps_the_epochs_that_were_whole(monkeypatch):
    from mlpgrad.training.compiled_worker import CompiledWorker

    train = CompiledWorker._train

    def interrupted(self, arrays, order, *scalars):
        losses = train(self, arrays, order, *scalars)
        if len(order) > 10:
            signal.raise_signal(signal.SIGINT)
        return losses

    monkeypatch.setattr(CompiledWorker, "_train", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored
    try:
        _, history = trained(moons_model, *MOONS, mg.Adam, True, epochs=1000, batch_size=32)
    finally:
        signal.signal(signal.SIGINT, before)
    assert history.interrupted
    at_once = 1 + SEVERAL // 320
    assert history.epochs == at_once
    assert len(history["loss"]) == at_once


def test_another_thread_ends_a_training_of_many_epochs():
    model, ended = moons_model(), threading.Event()

    def ask():
        while not ended.wait(0.05):
            model.stop_training = True

    asking = threading.Thread(target=ask)
    asking.start()
    options = {"epochs": 1_000_000, "batch_size": 32, "verbose": 0, "compiled": True}
    try:
        history = model.fit(*MOONS, optimizer=mg.Adam(), **options)
    finally:
        ended.set()
        asking.join()
    assert history.epochs < 1_000_000


@one_and_many
def test_a_callback_may_reset_the_optimizer(size):
    class Restart(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch in (1, 2):
                self.optimizer.reset()

    make = functools.partial(exact_model, ensemble_size=size)
    options = {"epochs": 5, "batch_size": 32, "callbacks": [Restart()]}
    for optimizer in (
        lambda: mg.Adam(1e-2),
        lambda: mg.SGD(1e-2, momentum=0.9),
        lambda: mg.Adam(mg.CosineDecay(1e-2)),
    ):
        plain, expected = trained(make, *MOONS, optimizer, False, **options)
        quick, history = trained(make, *MOONS, optimizer, True, **options)
        assert history.compiled
        assert history["learning_rate"] == expected["learning_rate"]
        np.testing.assert_allclose(quick.params, plain.params, rtol=1e-11)
