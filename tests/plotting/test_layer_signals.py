"""Signals in the layers are recorded exactly, and drawn as recorded."""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad import plotting
from tests.plotting.pictures import RNG, X2, Y2, band, binary, network, new_axes, signals, trained


class Copies(mg.Callback):
    """Keeps the arrays of the last step of each epoch."""

    def __init__(self):
        self.kept = []

    def on_epoch_end(self, epoch, logs):
        layers = self.model.layers
        self.kept.append([(s.inputs, s.outputs, s.delta, s.gradients) for s in layers])


@pytest.mark.parametrize("size", [None, 3])
def test_layer_signals_are_those_of_the_last_batch(size):
    model = network(2, 5, 4, 1, loss=mg.SigmoidCrossEntropy(), size=size)
    recorder, copies = mg.LayerSignals(), Copies()
    trained(model, X2, Y2, callbacks=[recorder, copies], batch_size=16, validation_split=0.2)
    batch = 32 - 16  # 32 training rows in two batches

    def size_of(values):
        return np.sqrt((values.astype(float) ** 2).mean(axis=(-2, -1)))

    for number in (0, 2, 4):
        name = f"{number} {model.layers[number]!r}"
        deltas = [size_of(batch * kept[number][2]) for kept in copies.kept]
        np.testing.assert_allclose(recorder.records["delta"][name], deltas)
        grads = [kept[number][3] for kept in copies.kept]
        joined = [
            np.concatenate([g["weights"].reshape(*model.lead, -1), g["bias"]], axis=-1)
            for g in grads
        ]
        expected = [np.sqrt((g**2).mean(axis=-1)) for g in joined]
        np.testing.assert_allclose(recorder.records["gradient"][name], expected)
    for number in (1, 3):
        expected = [size_of(kept[number][1]) for kept in copies.kept]
        np.testing.assert_allclose(recorder.records["activation"][f"{number} Tanh()"], expected)
    for what, numbers in (("delta", (0, 2, 4)), ("activation", (1, 3))):
        ax = plotting.layer_signals(recorder, what=what, ax=new_axes())
        assert ax.get_yscale() == "log"
        for line, number in zip(ax.lines, numbers, strict=True):
            table = np.array(recorder.records[what][line.get_label()])
            assert line.get_label().startswith(f"{number} ")
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
            mean = table.mean(axis=1) if size else table
            np.testing.assert_allclose(line.get_ydata(), mean)
        if size:
            _, low, high = band(ax.collections[-1])
            np.testing.assert_allclose((low, high), (table.min(axis=1), table.max(axis=1)))


def test_dead_and_saturated_units_are_counted():
    model = network(2, 4, 1, loss=mg.SigmoidCrossEntropy(), activation=mg.ReLU)
    model.layers[0].params.bias[...] = [-100, 1, 1, 1]
    recorder = mg.LayerSignals()
    trained(model, X2, Y2, optimizer=mg.SGD(1e-12), epochs=1, callbacks=[recorder])
    dead = (model.layers[1].outputs == 0).all(axis=0).mean()
    assert recorder.records["saturated"] == {"1 ReLU()": [dead]}
    assert dead >= 0.25
    model = network(2, 5, 1, loss=mg.SigmoidCrossEntropy(), activation=mg.Sigmoid)
    model.layers[0].params.weights[...] = 0
    model.layers[0].params.bias[...] = [0, 5, 6, -6, 1]  # slope at 5 is 0.0066, at 6 it is 0.0025
    trained(model, X2, Y2, optimizer=mg.SGD(1e-12), epochs=1, callbacks=[recorder])
    assert recorder.records["saturated"] == {"1 Sigmoid()": [0.4]}
    ax = plotting.layer_signals(recorder, what="saturated", ax=new_axes())
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [0.4])
    assert ax.get_yscale() == "linear"


def test_vanishing_deltas_are_seen_and_a_good_initialisation_keeps_them():
    x = RNG.normal(size=(64, 16))
    spans = []
    for activation in (mg.Sigmoid, mg.ReLU):
        model = network(*[16] * 8, 1, activation=activation)
        recorder = mg.LayerSignals()
        trained(model, x, x[:, :1], callbacks=[recorder], epochs=2, optimizer=mg.SGD(1e-4))
        ax = plotting.layer_signals(recorder, ax=new_axes())
        spans.append(ax.lines[0].get_ydata()[-1] / ax.lines[-1].get_ydata()[-1])
        assert f"{spans[-1]:.1g} times the last's" in ax.get_title()
        assert ax.get_legend().get_texts()[0].get_text() == "14 Dense(16, 1)"
    assert spans[0] < 1e-3
    assert 0.05 < spans[1] < 20


def test_layer_signals_look_inside_residual_layers_and_start_anew_with_each_fit():
    block = mg.Residual([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 2)])
    model = mg.Sequential([block, mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    recorder = signals(model)
    assert list(recorder.records["delta"]) == [
        "0.0 Dense(2, 4)",
        "0.2 Dense(4, 2)",
        "1 Dense(2, 1)",
    ]
    trained(model, X2, Y2, callbacks=[recorder], epochs=2)
    assert {len(v) for kept in recorder.records.values() for v in kept.values()} == {2}


def test_recording_changes_no_training():
    plain, watched = binary(), binary()
    trained(plain, X2, Y2)
    trained(watched, X2, Y2, callbacks=[mg.LayerSignals()])
    np.testing.assert_array_equal(plain.params, watched.params)


@pytest.mark.parametrize(
    ("recorder", "what", "error", "message"),
    [
        (mg.LayerSignals(), "delta", ValueError, "found no delta recorded"),
        (mg.LayerSignals(), "deltas", ValueError, "did you mean 'delta'"),
        (mg.History(), "delta", TypeError, "expects an mg.LayerSignals, got History"),
    ],
)
def test_layer_signals_refuse(recorder, what, error, message):
    with pytest.raises(error, match=message):
        plotting.layer_signals(recorder, what=what, ax=new_axes())
