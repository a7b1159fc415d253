"""A network that cannot learn warns once, with advice that works; others do not warn."""

import re
import warnings

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.network.warnings import bounds
from tests.kinds import LAYERS, LOSSES, every, every_layer, example, loss_case, subclasses

R = np.random.default_rng(0)
X = R.normal(size=(64, 3))
Y = X @ [[1.0], [-2.0], [0.5]]
LABELS = (Y[:, 0] > 0).astype(int)
ACTIVATIONS = subclasses(mg.Activation)


def network(*layers, loss=None, **options):
    return mg.Sequential(layers, loss=loss or mg.MeanSquaredError(), random_state=0, **options)


def fit(model, y=Y, **options):
    options = {"optimizer": mg.Adam(0.01), "epochs": 3, "verbose": 0} | options
    return model.fit(X, y, **options)


def said(call):
    """The messages of the TrainingWarnings of a call, which must point to this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert {w.category for w in caught} <= {mg.TrainingWarning}
    assert {w.filename for w in caught} <= {__file__}, "it points to the user's line"
    return [str(w.message) for w in caught]


def zeros(*slots):
    """A change of a model that sets these arrays to zero."""

    def change(model):
        names = model.get_weights()
        model.set_weights({n: a * 0 if n in slots or not slots else a for n, a in names.items()})
        return model

    return change


def same(model):
    return model


def hidden(*layers, out=1):
    return lambda: network(mg.Dense(3, 8), *layers, mg.Dense(8, out))


def dead_relu(model):
    """Set all biases so low that no ReLU is ever active."""
    weights = model.get_weights()
    return (
        model.set_weights(
            {name: a - 100 * (name == "layers[0].bias") for name, a in weights.items()}
        )
        or model
    )


# warnings of the constructor: wrong model, message, model by the advice
BUILT = [
    (
        lambda: network(mg.Dense(3, 1), mg.Softmax()),
        r"layer 1 Softmax\(\) gets one number per sample and always gives 1",
        lambda: network(mg.Dense(3, 1)),
    ),
    (
        lambda: network(mg.Dense(3, 1), mg.Softmax(), loss=mg.BinaryCrossEntropy()),
        r"SigmoidCrossEntropy\(\), or make the layer before it two wide and use SoftmaxCross",
        lambda: network(mg.Dense(3, 1), loss=mg.SigmoidCrossEntropy()),
    ),
    (
        lambda: network(mg.Dense(3, 4), mg.Dense(4, 1), mg.LayerNorm(1)),
        r"layer 2 LayerNorm\(1\) subtracts the mean of a single number",
        lambda: network(mg.Dense(3, 4), mg.Dense(4, 1), mg.BatchNorm(1)),
    ),
    *[
        (
            lambda make=make: network(make(), mg.Embedding(3, {2: 5}, 4), mg.Dense(6, 1)),
            r"layer 1 Embedding\(3, .* which layer 0 \w+\(3.* by Standardize with mean 0",
            lambda: network(
                mg.Standardize(3, mean=[1, 2, 0], deviation=[3, 4, 1]),
                mg.Embedding(3, {2: 5}, 4),
                mg.Dense(6, 1),
            ),
        )
        for make in (
            lambda: mg.Standardize(3),
            lambda: mg.Standardize(3, mean=0, deviation=2),
            lambda: mg.BatchNorm(3),
        )
    ],
    (
        lambda: network(mg.Residual([mg.Dense(3, 1), mg.LayerNorm(1), mg.Dense(1, 3)])),
        r"layer 0\.1 LayerNorm\(1\)",
        lambda: network(mg.Residual([mg.Dense(3, 1), mg.Dense(1, 3)])),
    ),
    (
        lambda: network(mg.Dense(3, 1), mg.ReLU(), loss=mg.SigmoidCrossEntropy()),
        r"layer 1 ReLU\(\) only gives numbers from 0, but .* expects unbounded logits",
        lambda: network(mg.Dense(3, 1), loss=mg.SigmoidCrossEntropy()),
    ),
    (
        lambda: network(mg.Dense(3, 2), mg.Tanh(), mg.Dropout(0.1), loss=mg.SoftmaxCrossEntropy()),
        r"layer 1 Tanh\(\) only gives numbers from -1 to 1, .* remove that layer",
        lambda: network(mg.Dense(3, 2), mg.Dropout(0.1), loss=mg.SoftmaxCrossEntropy()),
    ),
]


@pytest.mark.parametrize(("wrong", "message", "right"), BUILT)
def test_a_network_that_cannot_learn_says_so_when_it_is_built(wrong, message, right):
    with pytest.warns(mg.TrainingWarning, match=message):
        model = wrong()
    assert len(said(wrong)) == 1
    assert said(model.copy) == []  # once
    assert said(right) == []


BOUNDED = {  # the limits of an activation at large negative and positive numbers
    "ELU": True, "GELU": True, "Identity": False, "LeakyReLU": False, "Mish": True, "ReLU": True,
    "SELU": True, "SiLU": True, "Softplus": True, "Softsign": True, "Tanh": True,
}  # fmt: skip


@every(ACTIVATIONS)
def test_every_bounded_activation_under_logits_is_named(cls):
    if cls is mg.Elementwise:
        pytest.skip("whatever the user's function does")
    if cls.gives_probabilities:
        with pytest.raises(ValueError, match="expects logits, got probabilities"):
            network(mg.Dense(3, 1), example(cls), loss=mg.SigmoidCrossEntropy())
        return
    assert cls.__name__ in BOUNDED, f"say in BOUNDED whether {cls.__name__} is bounded"
    messages = said(lambda: network(mg.Dense(3, 1), example(cls), loss=mg.SigmoidCrossEntropy()))
    assert len(messages) == BOUNDED[cls.__name__]


def test_bounds_of_functions_of_ones_own():
    def of(f):
        return bounds(mg.Elementwise(f, np.ones_like))

    assert of(np.sin)[0] is None or of(np.sin)[1] is None or of(np.sin)[0] < of(np.sin)[1]
    assert of(np.arcsinh) == (None, None)
    assert of(lambda z: -np.maximum(z, 0)) == (None, 0.0)
    assert of(lambda z: z["x"]) == (None, None)


# warnings of training: model, options of fit, message, the same by the advice


def stuck():
    layers = [mg.Dense(3, 4), mg.ReLU(), mg.Dense(4, 1), mg.ReLU()]
    model = network(*layers)
    model.layers[2].params.bias[...] = -100
    return model


def ending(*last, out=1, **options):
    return network(mg.Dense(3, 4), mg.ReLU(), mg.Dense(4, out), *last, **options)


def without_the_last():
    return network(mg.Dense(3, 4), mg.ReLU(), mg.Dense(4, 1))


FITTED = [
    (
        lambda: fit(hidden(mg.BatchNorm(8), mg.ReLU())(), batch_size=1),
        r"layer 1 BatchNorm\(8\) gets batches of one sample.*LayerNorm\(8\)",
        lambda: fit(hidden(mg.LayerNorm(8), mg.ReLU())(), batch_size=1),
    ),
    (
        lambda: fit(hidden(mg.BatchNorm(8), mg.ReLU())(), batch_size=1),
        "use a larger batch_size",
        lambda: fit(hidden(mg.BatchNorm(8), mg.ReLU())(), batch_size=2),
    ),
    (
        lambda: fit(stuck(), abs(Y)),
        r"layer 3 ReLU\(\) gives the same output for all of 64 training rows.* remove it",
        lambda: fit(without_the_last(), abs(Y)),
    ),
    (
        lambda: fit(ending(mg.Sigmoid()), 3 * Y),
        r"layer 3 Sigmoid\(\) only gives numbers from 0 to 1, but .* of the targets lie beyond",
        lambda: fit(without_the_last(), 3 * Y, epochs=30),
    ),
    (
        lambda: fit(ending(mg.Tanh(), mg.Dropout(0.1)), 3 * Y),
        r"layer 3 Tanh\(\) only gives numbers from -1 to 1, but .*; remove that layer",
        lambda: fit(without_the_last(), 3 * Y, epochs=30),
    ),
    (
        lambda: fit(ending(mg.Softmax(), out=2), np.c_[5 * Y, Y]),
        r"layer 3 Softmax\(\) only gives numbers from 0 to 1, but .*; remove that layer",
        lambda: fit(network(mg.Dense(3, 4), mg.ReLU(), mg.Dense(4, 2)), np.c_[5 * Y, Y], epochs=60),
    ),
    (
        lambda: fit(dead_relu(hidden(mg.ReLU())())),
        r"layer 1 ReLU\(\) gives the same output.* such as LeakyReLU\(\)",
        lambda: fit(dead_relu(hidden(mg.LeakyReLU())())),
    ),
    (
        lambda: fit(zeros()(hidden(mg.Tanh())())),
        r"all 8 units of layer 0 Dense\(3, 8\) have the same weights.* initializer=HeNormal\(\)",
        lambda: fit(network(mg.Dense(3, 8, initializer=mg.HeNormal()), mg.Tanh(), mg.Dense(8, 1))),
    ),
    (
        lambda: fit(
            network(
                mg.Dense(3, 8, initializer=mg.Constant(0.1)),
                mg.Tanh(),
                mg.Dense(8, 1, initializer=mg.Constant(0.1)),
            )
        ),
        r"all 8 units of layer 0",
        lambda: fit(hidden(mg.Tanh())()),
    ),
    (
        lambda: fit(hidden(mg.Tanh())(), 4e5 + 1e5 * Y),
        r'no better than predicting the mean of the targets.* target_scaling="standard"',
        lambda: fit(hidden(mg.Tanh())(), (Y - Y.mean()) / Y.std(), epochs=30),
    ),
    (
        lambda: fit(hidden(mg.Tanh(), out=2)(), np.c_[Y, 1e3 + Y]),
        "no better than predicting the mean",
        lambda: fit(hidden(mg.Tanh(), out=2)(), np.c_[Y, Y + 1], epochs=30),
    ),
    (
        lambda: fit(
            hidden(mg.Tanh())(),
            optimizer=mg.SGD(0.0),
            epochs=30,
            callbacks=[mg.EarlyStopping(3, validation_data=(X, Y))],
        ),
        r"EarlyStopping stopped after epoch 4: loss was never better than in the first epoch",
        lambda: fit(
            hidden(mg.Tanh())(),
            epochs=30,
            callbacks=[mg.EarlyStopping(3, validation_data=(X, Y))],
        ),
    ),
]


@pytest.mark.parametrize(("wrong", "message", "right"), FITTED)
def test_a_training_that_cannot_work_says_so(wrong, message, right):
    with pytest.warns(mg.TrainingWarning, match=message):
        wrong()
    assert len(said(wrong)) == 1  # once, for one reason
    assert said(right) == []


class Reader:
    """Yields batches in arrays that it reuses."""

    def __init__(self, x, y, size):
        self.x, self.y, self.size = x, y, size

    def __iter__(self):
        x, y = np.empty((self.size, *self.x.shape[1:])), np.empty((self.size, *self.y.shape[1:]))
        for start in range(0, len(self.x), self.size):
            rows = slice(start, start + self.size)
            x[...], y[...] = self.x[rows], self.y[rows]
            yield x, y


@pytest.mark.parametrize(("wrong", "message", "right"), FITTED)
def test_a_training_on_a_stream_says_so_too(monkeypatch, wrong, message, right):
    def streamed(model, y=Y, batch_size=32, **options):
        options = {"optimizer": mg.Adam(0.01), "epochs": 3, "verbose": 0} | options
        return model.fit(Reader(X, y, batch_size), **options)

    monkeypatch.setitem(globals(), "fit", streamed)
    with pytest.warns(mg.TrainingWarning, match=message):
        wrong()
    assert len(said(wrong)) == 1
    assert said(right) == []


def test_a_stream_is_looked_at_with_its_weights():
    kept = np.r_[np.ones(32), np.zeros(32)]
    stream = [(X[rows], abs(Y[rows]), kept[rows]) for rows in (slice(0, 64, 2), slice(1, 64, 2))]

    def fit(batches):
        stuck().fit(batches, optimizer=mg.Adam(0.01), epochs=2, verbose=0)

    (message,) = said(lambda: fit(stream))
    assert "all of 64 training rows" in message
    # rows with and without weight are not examined together
    assert said(lambda: fit([stream[0], stream[1][:2]])) == []


def test_saturated_units_are_named():
    model = network(mg.Dense(3, 8), mg.Sigmoid(), mg.Dense(8, 1))
    large = [1e6 * X, Y]
    message = (
        r"layer 1 Sigmoid\(\) passes no gradient for all of 64 training rows.* scale the inputs"
    )
    with pytest.warns(mg.TrainingWarning, match=message):
        model.fit(*large, optimizer=mg.Adam(0.01), epochs=2, verbose=0)
    model = network(mg.Dense(3, 8), mg.Sigmoid(), mg.Dense(8, 1))
    large[0] = mg.datasets.standardize(large[0])
    assert said(lambda: model.fit(*large, optimizer=mg.Adam(0.01), epochs=2, verbose=0)) == []


def test_a_range_test_says_nothing():
    model = network(mg.Dense(3, 8), mg.ReLU(), mg.Dense(8, 1))
    options = {"optimizer": mg.SGD(0.1), "lowest": 1e-9, "highest": 100.0}
    assert said(lambda: model.learning_rate_range_test(X, 1e3 * Y, **options)) == []


@pytest.mark.parametrize(
    "change",
    [
        zeros("layers[0].weights"),  # the units get different gradients from above
        zeros("layers[2].weights", "layers[2].bias"),  # a last layer that starts at zero
        zeros("layers[0].bias"),
    ],
)
def test_zeros_that_do_no_harm_are_no_reason(change):
    assert said(lambda: fit(change(hidden(mg.Tanh())()))) == []


def test_units_that_dropout_tells_apart_are_no_reason():
    layers = [
        mg.Dense(3, 8, initializer=mg.Constant(0.1)), mg.Tanh(), mg.Dropout(0.5),
        mg.Dense(8, 1, initializer=mg.Constant(0.1)),
    ]  # fmt: skip
    assert said(lambda: fit(network(*layers))) == []


def test_a_perfect_model_is_not_dead():
    model = network(mg.Dense(3, 1), loss=mg.Hinge(), dtype="float64")
    model.params = [5000.0, -10000.0, 2500.0, 0.0]  # every margin is wide enough: no gradient
    assert said(lambda: fit(model, LABELS, optimizer=mg.SGD(0.1))) == []


def told(layers, x, y, epochs):
    """The warnings of building and training a network for numbers."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
        model.fit(x, y, optimizer=mg.Adam(0.01), epochs=epochs, verbose=0)
    return [str(each.message) for each in found]


@pytest.mark.parametrize(
    "layers",
    [
        [mg.Dense(5, 1), mg.Softmax()],
        [mg.Dense(5, 1), mg.LayerNorm(1), mg.Dense(1, 1)],
        [mg.Dense(5, 1), mg.ReLU(), mg.Softmax(), mg.Identity()],
    ],
)
def test_what_was_said_of_the_structure_is_not_said_again(layers):
    x = np.random.default_rng(0).normal(size=(64, 5))
    assert len(told(layers, x, 100 * x[:, 0], 3)) == 1


def test_units_that_die_late_are_told_once():
    x = np.random.default_rng(0).normal(size=(200, 5))
    layers = [mg.Dense(5, 8), mg.ReLU(), mg.Dense(8, 1)]
    below = -0.05 * np.abs(x[:, 0]) - 0.2  # by so little that it is no reason at the beginning
    (message,) = told([*layers, mg.ReLU()], x, below, 200)
    assert "the same output for all of 200 training rows; remove an activation" in message
    layers = [mg.Dense(5, 8), mg.ReLU(), mg.Dense(8, 1)]
    assert told(layers, x, below, 200) == []


def test_scaled_targets_are_compared_with_the_limits():
    y = (np.quantile(Y, 0.7) < Y).astype(float)  # 0 is below the mean
    (message,) = said(lambda: fit(ending(mg.ReLU(), target_scaling="standard"), y))
    assert "% of the targets as scaled for the training lie beyond; remove that" in message
    assert said(lambda: fit(ending(mg.ReLU()), y)) == []


def test_targets_of_weight_0_are_not_compared_with_the_limits():
    y = np.linspace(0, 1, len(X))[:, None]
    weights = (np.arange(len(X)) % 4 == 0).astype(float)  # a quarter of the rows counts
    y[weights == 0] = 50
    model = ending(mg.Sigmoid())
    assert not any(
        "lie beyond" in told or "as large as" in told
        for told in said(lambda: fit(model, y, sample_weight=weights))
    )
    y[weights > 0] = 50
    model = ending(mg.Sigmoid())
    assert any(
        "100% of the targets lie" in t for t in said(lambda: fit(model, y, sample_weight=weights))
    )


@pytest.mark.parametrize("last", [mg.Sigmoid, mg.Tanh, mg.ReLU, mg.Softplus, mg.ELU, mg.SiLU])
def test_targets_that_the_last_layer_reaches_are_no_reason(last):
    low, high = bounds(last())
    y = np.linspace(low, high or low + 3, len(X))[:, None]
    assert said(lambda: fit(ending(last()), y)) == []
    y[:4] += 50  # a few outliers
    assert not any("lie beyond" in told for told in said(lambda: fit(ending(last()), y)))


def test_one_row_and_equal_targets_are_no_reason():
    model = hidden(mg.ReLU())()
    assert said(lambda: model.fit(X[:1], Y[:1], optimizer=mg.SGD(0.01), verbose=0)) == []
    assert said(lambda: fit(stuck(), np.full_like(Y, 3.0))) == []


def test_the_members_are_counted():
    model = network(mg.Dense(3, 8), mg.ReLU(), mg.Dense(8, 1), ensemble_size=3)
    model.layers[0].params.bias[1] = -100
    (message,) = said(lambda: fit(model))
    assert "in 1 of 3 members" in message
    model = network(mg.Dense(3, 8), mg.Tanh(), mg.Dense(8, 1), ensemble_size=2)
    model.params[0] = 0
    (message,) = said(lambda: fit(model))
    assert "in 1 of 2 members" in message


def test_a_large_target_that_is_learnt_is_no_reason():
    large = 100 * Y
    model = network(mg.Dense(3, 1))
    assert said(lambda: fit(model, large, optimizer=mg.SGD(0.3), epochs=50)) == []


@pytest.mark.parametrize("size", [None, 2])
def test_large_inputs_that_are_not_learnt_are_named(size):
    def train(*first, x):
        layers = [*first, mg.Dense(3, 8), mg.ReLU(), mg.Dense(8, 1)]
        model = network(*layers, ensemble_size=size)
        model.fit(x, Y, optimizer=mg.Adam(0.01), epochs=30, verbose=0)

    (message,) = said(lambda: train(x=1e4 * X))
    assert re.search(r"no better than .*; inputs are as large as 1\.\d+e\+04, while", message)
    assert "put Standardize(3) before layer 0" in message
    assert said(lambda: train(mg.Standardize(3), x=1e4 * X)) == []
    assert said(lambda: train(x=X)) == []


def test_large_inputs_that_are_learnt_are_no_reason():
    model, x = network(mg.Dense(3, 1)), 1e3 * X
    options = {"optimizer": mg.LBFGS(), "epochs": 20, "verbose": 0}
    assert said(lambda: model.fit(x, Y, **options)) == []


def test_equal_large_targets_are_no_reason():
    assert said(lambda: fit(hidden(mg.Tanh())(), np.full_like(Y, 1e3))) == []


def test_targets_whose_squares_overflow_end_in_no_other_warning():
    (message,) = said(lambda: fit(hidden(mg.Tanh())(), 1e18 * Y, optimizer=mg.SGD(1e-30)))
    assert "no better than predicting the mean" in message


def test_rows_held_out_and_maps_are_looked_at_too(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    options = {"optimizer": mg.Adam(0.01), "epochs": 2, "verbose": 0, "validation_split": 0.25}
    (message,) = said(lambda: stuck().fit(mapped, abs(Y), **options))
    assert "all of 48 training rows" in message


@pytest.mark.parametrize("threads", [False, True])
def test_looking_changes_nothing(threads, monkeypatch):
    from mlpgrad.training import cannot_learn, minibatch, session

    if threads:
        monkeypatch.setattr(minibatch, "shares", lambda *_: [slice(0, 1), slice(1, 2)])

    def train(suspicious):
        monkeypatch.setattr(cannot_learn, "_suspicious", lambda _: suspicious)
        layers = [mg.Dense(3, 8), mg.BatchNorm(8), mg.Tanh(), mg.Dropout(0.3), mg.Dense(8, 1)]
        model = network(*layers, ensemble_size=2)
        history = fit(model, 100 * Y, optimizer=mg.SGD(0.01), epochs=4, batch_size=16)
        return model.params, model.state, history["loss"]

    looked = train(True)
    monkeypatch.setattr(session, "warn_after_first_epoch", lambda *_: None)
    monkeypatch.setattr(session, "warn_at_end", lambda *_: None)
    for ours, theirs in zip(looked, train(False), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# networks without faults


@every_layer
def test_no_layer_is_a_reason_by_itself(cls):
    layers = [mg.Dense(3, 5), cls.example(), mg.Dense(example(cls).out_features or 5, 1)]
    assert said(lambda: fit(network(*layers))) == []


@every(LOSSES)
def test_no_loss_is_a_reason_by_itself(cls):
    model, x, target = loss_case(cls)
    assert said(lambda: model.fit(x, target, optimizer=mg.Adam(0.01), verbose=0)) == []


@every(LOSSES)
def test_large_targets_under_every_loss_end_in_a_warning_at_most(cls):
    model, x, target = loss_case(cls)
    if not model.loss.classifies:
        said(lambda: model.fit(x, 1e3 + target, optimizer=mg.SGD(1e-9), verbose=0))


def test_there_are_layers_and_losses():
    assert len(LAYERS) > 10
    assert len(LOSSES) > 10


@pytest.mark.parametrize("scaling", [None, "standard"])
def test_rows_of_little_weight_do_not_set_the_mean_that_a_loss_is_compared_with(scaling):
    y, weights = np.append(Y[:, 0], [1e4] * 4), np.append(np.ones(64), [1e-9] * 4)
    x = np.append(X, X[:4], axis=0)
    model = network(mg.Dense(3, 1, initializer=mg.Constant(0.001)), target_scaling=scaling)
    options = {"optimizer": mg.SGD(1e-9), "sample_weight": weights, "verbose": 0}
    messages = said(lambda: model.fit(x, y, epochs=2, **options))
    large = [text for text in messages if "no better than predicting the mean" in text]
    # targets of a model that scales them are not said to lack a scaling
    assert len(large) == (scaling is None)
