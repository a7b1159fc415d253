"""Repeated recorded steps train exactly like the layers."""

import gc

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training import choose_step, recording, tape
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.step import LayerStep
from tests.kinds import every_case, every_optimizer, one_and_many


class Watched(RecordedStep):
    """Keeps the step of the last `fit`, and serves any size."""

    latest = None
    serves = staticmethod(lambda *_: True)

    def __init__(self, *args):
        super().__init__(*args)
        Watched.latest = self


@pytest.fixture
def trained(monkeypatch):
    """Train a model of any size with or without repetition; return parameters and losses."""

    def train(model, x, y, optimizer, *, repeats, in_place=0, **options):
        monkeypatch.setattr(choose_step, "STEPS", [Watched if repeats else LayerStep])
        monkeypatch.setattr(recording, "LARGE", 0 if in_place else 1 << 16)
        monkeypatch.setattr(recording, "IN_PLACE", in_place)
        options = {"epochs": 3, "batch_size": 3, "verbose": 0} | options
        history = model.fit(x, y, optimizer=optimizer, **options)
        return model.params.copy(), model.state.copy(), np.array(history["loss"])

    return train


def assert_trains_alike(train, make, x, y, optimizer=mg.Adam, **options):
    eager = train(make(), x, y, optimizer(), repeats=False, **options)
    for in_place in (0, 1, 8):  # batches: none, one, and all of them
        repeated = train(make(), x, y, optimizer(), repeats=True, in_place=in_place, **options)
        for a, b in zip(eager, repeated, strict=True):
            np.testing.assert_array_equal(a, b)


def assert_owned_by_plain_arrays(calls):
    """A recorded array below a plain one would keep the tape for ever.

    The garbage collector does not look into plain arrays, so that it would not see the cycle.
    """
    for call in calls:
        for array in (*call.inputs, call.output):
            while isinstance(array, np.ndarray):
                assert type(array) is not tape.Recorded
                array = array.base


@every_case
@one_and_many
def test_every_layer_and_loss_trains_alike_to_the_last_bit(case, cls, size, trained):
    _, x, y = case(cls, np.float32, size)
    x, y = np.concatenate([x, x[::-1] / 2, x]), np.concatenate([y, y[::-1], y])
    assert_trains_alike(trained, lambda: case(cls, np.float32, size)[0], x[:11], y[:11])
    if size is None and vars(cls).get("repeatable"):
        assert Watched.latest.recording is not None
        assert bool(Watched.latest.updates) == bool(Watched.latest.network.params.size)
    if Watched.latest.recording is not None:
        assert_owned_by_plain_arrays(Watched.latest.recording.calls)


@pytest.fixture
def only_new():
    """Let the collector see only what is made in the test, for it takes seconds to see all."""
    gc.freeze()
    yield
    gc.unfreeze()


def tapes():
    """The number of existing tapes and recorded arrays."""
    gc.collect()
    kinds = tape.Tape, tape.Recorded  # `isinstance` would ask objects of other libraries, too
    return sum(issubclass(type(kept), kinds) for kept in gc.get_objects())


@pytest.mark.usefixtures("only_new")
@pytest.mark.parametrize("size", [None, 3])
def test_no_tape_outlives_its_fit(size, trained):
    Watched.latest = None
    before = tapes()
    x, y = np.ones((11, 3), np.float32), np.zeros((11, 2), np.float32)
    model = mg.Sequential(
        [mg.Dense(3, 4), mg.BatchNorm(4), mg.Tanh(), mg.Dropout(0.1), mg.Dense(4, 2)],
        loss=mg.MeanSquaredError(),
        ensemble_size=size,
    )
    trained(model, x, y, mg.Adam(), repeats=True)
    assert Watched.latest.recording is not None
    del model
    Watched.latest = None
    assert tapes() == before


@every_case
@one_and_many
def test_every_layer_and_loss_trains_alike_with_sample_weights(case, cls, size, trained):
    _, x, y = case(cls, np.float32, size)
    x, y = np.concatenate([x, x[::-1] / 2, x])[:11], np.concatenate([y, y[::-1], y])[:11]
    weights = np.array([0, 0, 0, 1, 2, 0.5, 3, 0, 1, 1, 2])  # the first batch has none
    for shuffle in (True, False):
        options = {"sample_weight": weights, "shuffle": shuffle}
        assert_trains_alike(trained, lambda: case(cls, np.float32, size)[0], x, y, **options)
    if size is None and vars(cls).get("repeatable"):
        assert Watched.latest.recording is not None


@every_optimizer
@pytest.mark.parametrize("size", [None, 3])
def test_every_optimizer_trains_alike_to_the_last_bit(cls, size, trained):
    x, y = mg.datasets.moons(40, random_state=0)

    def make():
        layers = [mg.Dense(2, 5), mg.ReLU(), mg.Dense(5, 1)]
        loss = mg.SigmoidCrossEntropy()
        return mg.Sequential(layers, loss=loss, random_state=0, ensemble_size=size)

    assert_trains_alike(trained, make, x, y, cls.example, batch_size=8)
    options = {"clip_norm": 0.1, "clip_value": 0.05, "max_norm": 0.9, "weight_decay": 0.1}
    assert_trains_alike(trained, make, x, y, lambda: cls(0.01, **options), batch_size=8)
    repeated = Watched.latest.updates
    assert bool(repeated) is bool(vars(cls).get("repeatable"))


def xor_model(activation, **options):
    layers = [mg.Dense(2, 4), activation, mg.Dense(4, 1)]
    return mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0, **options)


class Own(mg.L2):
    """Has not said that it may be recorded."""


@one_and_many
@pytest.mark.parametrize(
    ("penalties", "repeats"),
    [([mg.L2(0.1)], True), ([mg.L1(0.1), mg.L2(0.1, kinds=("bias",))], True), ([Own(0.1)], False)],
    ids=str,
)
def test_penalties_act_alike_to_the_last_bit(penalties, repeats, size, trained):
    x, y = mg.datasets.xor(copies=5)
    options = {"penalties": penalties, "ensemble_size": size}
    assert_trains_alike(trained, lambda: xor_model(mg.Tanh(), **options), x, y)
    assert (Watched.latest.recording is not None) == repeats


def test_a_strength_changed_between_epochs_holds(trained):
    class Change(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.penalties[0].strength = 0.1 * epoch

    x, y = mg.datasets.xor(copies=5)

    def make():
        return xor_model(mg.Tanh(), penalties=[mg.L2(0.1)])

    assert_trains_alike(trained, make, x, y, callbacks=[Change()])
    assert Watched.latest.recording is not None


class Looks(mg.Tanh):
    """Branches on values, so that a recording does not hold for the next batch."""

    repeatable = True

    def apply(self, z, out):
        np.tanh(z, out) if z[0, 0] > 0 else np.sin(z, out)


class Hides(mg.Tanh):
    """Computes by calls that the tape cannot record."""

    repeatable = True

    def apply(self, z, out):
        out[...] = np.tanh(np.array(z.tolist()))


class Inherits(mg.Tanh):
    """Has not said that it may be recorded."""


class SeenOnlyOnce(mg.Tanh):
    """Makes other calls the second time than the first."""

    repeatable = True

    def apply(self, z, out):
        np.tanh(z, out)
        if isinstance(z, tape.Recorded):
            z.tape.calls.pop()


class Shakes(mg.Tanh):
    """Draws random numbers by a call that the tape does not support."""

    repeatable = True

    def apply(self, z, out):
        np.add(z, self._rngs[0].normal(0, 0.1, z.shape), out)


@pytest.mark.parametrize("cls", [Looks, Hides, Inherits, SeenOnlyOnce, Shakes])
def test_what_cannot_be_repeated_is_not(cls, trained):
    x, y = mg.datasets.xor(copies=5)
    assert_trains_alike(trained, lambda: xor_model(cls()), x, y)
    assert Watched.latest.recording is None


class Indexes(mg.SoftmaxCrossEntropy):
    """Has the target in an index, where a move to the arrays of a batch does not look."""

    repeatable = True

    def slopes(self, prediction, target, out):
        super().slopes(prediction, target, out)
        out[np.arange(len(target)), target[:, 0]] = -0.25


def test_a_batch_in_an_index_is_not_read_in_place(trained):
    x, y = np.random.default_rng(0).normal(size=(12, 2)), np.arange(12) % 3

    def make():
        return mg.Sequential([mg.Dense(2, 3)], loss=Indexes(), random_state=0)

    assert_trains_alike(trained, make, x, y)
    assert Watched.latest.recording is None


def test_an_option_changed_between_epochs_holds(trained):
    class Change(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.layers[1].negative_slope = 0.1 * epoch
            self.optimizer.beta1 = 0.5

    x, y = mg.datasets.xor(copies=5)
    changes = {"callbacks": [Change()]}
    assert_trains_alike(trained, lambda: xor_model(mg.LeakyReLU()), x, y, **changes)
    assert Watched.latest.recording is not None


class Looks(mg.Callback):
    """Keeps what the layers show after each batch."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, batch, logs):
        for layer in self.model.layers:
            for name in ("inputs", "outputs", "delta", "pre_activations"):
                array = getattr(layer, name)
                self.seen.append(None if array is None else array.copy())


@pytest.mark.parametrize("in_place", [0, 1, 3, 8])
def test_layers_show_the_last_step(in_place, trained):
    x, y = mg.datasets.moons(20, noise=0.1, random_state=0)
    looks = Looks(), Looks()
    options = {"batch_size": 4, "in_place": in_place}
    for look, repeats in zip(looks, (False, True), strict=True):
        model = xor_model(mg.Tanh())
        trained(model, x, y, mg.SGD(0.1), repeats=repeats, callbacks=[look], **options)
    assert Watched.latest.recording is not None
    assert len(looks[0].seen) == 3 * 5 * 3 * 4
    for a, b in zip(*(look.seen for look in looks), strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_some_batches_are_read_in_place_if_their_arrays_never_come_again():
    """Each has a list of calls, and is kept alive."""
    x, y = np.ones((64, 256), np.float32), np.ones((64, 1), np.float32)
    layers = [mg.Dense(256, 1)]
    network = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
    step = RecordedStep(network, mg.SGD(0.0))
    first, *others = [step.gradient(x * k, y * k, None).copy() for k in range(20)]
    assert step.recording.large
    assert len(step.recording._in_place) == recording.IN_PLACE
    np.testing.assert_allclose(others, [others[0] * k * k for k in range(1, 20)], rtol=1e-5)
    assert first == 0


def test_only_many_small_steps_are_worth_it():
    model = xor_model(mg.Tanh())
    optimizer = mg.SGD(0.1)
    assert RecordedStep.serves(model, optimizer, 4, 1000)
    assert RecordedStep.serves(model, optimizer, None, None)  # unknown number of rows
    assert not RecordedStep.serves(model, optimizer, 4, 10)
    assert not RecordedStep.serves(model, optimizer, 1 << 20, 1000)


class StepsByHand(mg.Callback):
    """Back-propagates other data between two epochs."""

    def on_epoch_end(self, epoch, logs):
        self.model.backpropagate(-np.ones((5, 2)), np.zeros((5, 1)))


def test_training_metrics_are_of_the_batches_whatever_a_callback_computes():
    x, y = mg.datasets.moons(96, noise=0.1, random_state=0)
    curves = []
    for callbacks in ([], [StepsByHand()]):
        layers = [mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)]
        model = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0)
        chosen = {"epochs": 100, "metrics": [mg.Accuracy()], "callbacks": callbacks}
        curves.append(dict(model.fit(x, y, optimizer=mg.Adam(0.05), verbose=0, **chosen)))
        del curves[-1]["learning_rate"]
    assert curves[0] == curves[1]


class LooksAtValues(mg.SGD):
    """Claims that its calls can be repeated, though they depend on the gradient's values."""

    repeatable = True

    def apply(self, prepared):
        np.multiply(prepared.grads, 2, prepared.grads)
        if float(np.max(prepared.grads)) > 0.1:
            np.multiply(prepared.grads, 0.25, prepared.grads)
        super().apply(prepared)


def test_an_update_that_looks_at_values_is_made_anew_each_time(trained):
    x, y = mg.datasets.moons(96, noise=0.1, random_state=0)

    def make():
        layers = [mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)]
        return mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0)

    assert_trains_alike(trained, make, x, y, lambda: LooksAtValues(0.1, momentum=0.9))
