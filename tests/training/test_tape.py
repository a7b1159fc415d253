"""Recorded calls are data; a step is tried on a private copy, and recorded again if changed."""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.optimizers.prepared import Prepared
from mlpgrad.training import choose_step, recorded_step
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.tape import Call, Tape
from tests.kinds import every_optimizer

X, Y = mg.datasets.moons(40, random_state=0)


def model(**options):
    layers = [mg.Dense(2, 5), mg.BatchNorm(5), mg.Tanh(), mg.Dropout(0.2), mg.Dense(5, 1)]
    options = {"loss": mg.SigmoidCrossEntropy(), "penalties": [mg.L2(0.01)]} | options
    return mg.Sequential(layers, random_state=0, **options)


def recorded(network, optimizer):
    """A step whose calls have been recorded on one batch."""
    step = RecordedStep(network, optimizer)
    step.gradient(*network._cast(X[:8], Y[:8], None))
    step.update()
    assert step.recording is not None
    return step


def test_a_step_is_a_list_of_calls_with_names_inputs_output_and_options():
    calls = recorded(model(), mg.Adam()).recording.calls
    assert all(isinstance(call, Call) for call in calls)
    names = {call.name for call in calls}
    assert {"dot", "tanh", "random", "multiply", "__setitem__"} <= names
    assert all(type(call.name) is str and callable(call.function) for call in calls)
    assert all(isinstance(call.options, dict) for call in calls)
    outputs = [call.output for call in calls if call.output is not None]
    assert all(type(output) is np.ndarray and output.flags.writeable for output in outputs)


def test_the_calls_can_be_made_from_the_data_alone():
    network = model()
    step = recorded(network, mg.Adam())
    with network.same_randomness():
        expected = float(step.gradient(*network._cast(X[:8], Y[:8], None)))
    grads = network.grads.copy()
    network.grads.fill(np.nan)
    recording = step.recording
    recording.x[...], recording.target[...] = network._cast(X[:8], Y[:8], None)[:2]
    with network.same_randomness():
        for name, function, inputs, output, options in recording.calls:
            again, args = Call(name, function, inputs, output, options).prepared()
            again(*args)
    assert float(recording.value) == expected
    np.testing.assert_array_equal(network.grads, grads)


def test_read_only_arrays_are_constants():
    """No call writes to a constant, and no constant is one of the network's arrays."""
    network = model()
    calls = recorded(network, mg.Adam()).recording.calls
    arrays = [a for call in calls for a in call.inputs if isinstance(a, np.ndarray)]
    constants = [array for array in arrays if not array.flags.writeable]
    assert constants
    written = [call.output for call in calls if call.output is not None]
    for constant in constants:
        assert not any(np.shares_memory(constant, output) for output in written)
        for flat in (network.params, network.grads, network.state):
            assert not np.shares_memory(constant, flat)


def test_each_place_in_memory_is_one_object():
    calls = recorded(model(), mg.Adam()).recording.calls
    seen = {}
    for call in calls:
        for array in (*call.inputs, call.output):
            if isinstance(array, np.ndarray) and array.flags.writeable:
                place = array.ctypes.data, array.shape, array.strides, array.dtype
                assert seen.setdefault(place, array) is array


@every_optimizer
@pytest.mark.parametrize("size", [None, 3])
def test_clipping_decay_and_bounds_are_on_the_record(cls, size):
    options = {"clip_norm": 0.5, "clip_value": 0.3, "weight_decay": 0.1, "max_norm": 0.8}
    network = model(ensemble_size=size)
    optimizer = cls(0.01, **options)
    if not vars(cls).get("repeatable"):
        pytest.skip("does not declare that it makes the same calls every time")
    optimizer.attach(network)
    optimizer.prepare(network.params, network.grads)
    tape = Tape()
    network.backpropagate(X, Y)
    optimizer.advance(network.params, network.grads)
    optimizer.apply(Prepared(*map(tape.recorded, optimizer._prepared)))
    names = [call.name for call in tape.calls]
    assert {"minimum", "maximum", "clip_norm", "bound_columns"} <= set(names)
    assert names.index("clip_norm") < names.index("bound_columns")
    kept = optimizer._prepared.kept  # the factor of a weight after decay
    place = kept.ctypes.data, kept.shape
    decays = [
        call
        for call in tape.calls
        if call.name == "multiply" and (call.inputs[1].ctypes.data, call.inputs[1].shape) == place
    ]
    assert len(decays) == 2  # the weights of two layers


def test_live_weights_are_never_touched_by_the_trial(monkeypatch):
    network, optimizer = model(), mg.Adam()
    flats = network.params, network.grads, network.state
    trials = []

    class Watched(recorded_step.Trial):
        def __init__(self, private, *batch):
            before = [flat.copy() for flat in flats]
            streams = [rng.bit_generator.state for rng in network.rngs]
            super().__init__(private, *batch)
            assert self.agrees()
            for flat, kept in zip(flats, before, strict=True):
                np.testing.assert_array_equal(flat, kept)
            assert [rng.bit_generator.state for rng in network.rngs] == streams
            assert not np.shares_memory(private.params, network.params)
            trials.append(self)

    monkeypatch.setattr(recorded_step, "Trial", Watched)
    recorded(network, optimizer)
    assert len(trials) == 1


class Scaled(mg.Layer):
    """y = scale x, with a long array as option."""

    repeatable = True

    def __init__(self, scale):
        self.scale = np.array(scale, np.float32)

    def allocate(self, shape):
        return {"_out": self.empty(*shape[-2:]), "_delta_in": self.empty(*shape[-2:])}

    def forward(self, x):
        if x.shape != self._shape:
            self.resize(x.shape)
        return np.multiply(x, float(self.scale.sum()), self._out)

    def backward(self, delta):
        return np.multiply(delta, float(self.scale.sum()), self._delta_in)

    @classmethod
    def example(cls):
        return cls(np.ones(2000))


def change_an_element(network, optimizer):
    network.layers[1].scale = network.layers[1].scale + np.eye(1, 2000, 1999, dtype=np.float32)[0]


def change_training(network, optimizer):
    network.layers[2].training = False


def change_a_penalty(network, optimizer):
    network.penalties[0].strength = 0.5


def change_a_generator(network, optimizer):
    network.rngs[0].bit_generator.state = np.random.default_rng(7).bit_generator.state


def change_a_rule(network, optimizer):
    optimizer.beta1 = 0.5


CHANGES = [
    change_an_element, change_training, change_a_penalty, change_a_generator, change_a_rule,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_changes_a_step_is_noticed_by_what_it_is(change, monkeypatch):
    class Changes(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 0:
                change(self.model, self.optimizer)

    def train(kind):
        monkeypatch.setattr(choose_step, "STEPS", [kind])
        layers = [mg.Dense(2, 4), Scaled(np.full(2000, 1e-3)), mg.Dropout(0.3), mg.Dense(4, 1)]
        network = mg.Sequential(
            layers, loss=mg.SigmoidCrossEntropy(), penalties=[mg.L2(0.01)], random_state=0
        )
        network.fit(
            X, Y, optimizer=mg.Adam(0.05), epochs=3, batch_size=8, callbacks=[Changes()], verbose=0
        )
        return network.params

    monkeypatch.setattr(RecordedStep, "serves", lambda *_: True)
    np.testing.assert_array_equal(train(RecordedStep), train(recorded_step.LayerStep))


def test_a_recorded_step_holds_on_where_nothing_has_changed():
    step = recorded(model(), mg.Adam())
    recording, updates = step.recording, step.updates
    step.refresh()
    assert step.recording is recording
    assert step.updates is updates
