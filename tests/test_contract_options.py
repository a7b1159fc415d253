"""Options assigned after first use act as if the object had been made with them, or raise.

Every constructor option of every layer, loss, penalty and optimizer is assigned after the first
use. The results must equal those of an object made with the option, to the last bit: in training
by recorded steps, plain steps and threads, in predictions and in `evaluate`.
"""

import copy
import inspect

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training import choose_step, minibatch
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.step import LayerStep
from tests.kinds import FEATURES, LAYERS, LOSSES, OPTIMIZERS, example, subclasses

PENALTIES = subclasses(mg.Penalty)
LAID_OUT = {"in_features", "out_features", "features", "bias", "initializer", "layers"}
LAID_OUT |= {"mean", "deviation"}
LAID_OUT |= {"codes", "width"}
"""Options that determine the storage of a model; they are fixed once a layer belongs to one."""

VALUES = {
    "kinds": ("weights", "bias"),
    "codes": {1: 3, 2: 4},
    "decay_kinds": ("bias",),
    "levels": [0.2, 0.5, 0.7],
    "function": np.cos,
    "slope": lambda z: -np.sin(z),
    "initializer": mg.HeUniform(),
    "layers": [mg.Dense(FEATURES, FEATURES)],
    "mean": (0.0, 1.0, 2.0, 3.0, 4.0),
    "deviation": (1.0, 2.0, 3.0, 4.0, 5.0),
    "epsilon": 0.5,
    "clip_norm": 0.01,
    "clip_value": 0.01,
    "max_norm": 0.1,
    "min_step": 1e-3,
    "eta_plus": 1.4,
    "balance": 0.25,
}
"""Other values than those of the examples, if they cannot be derived."""


def another(name, value):
    """A valid value for an option, different from the present one."""
    if name in VALUES:
        return VALUES[name]
    if isinstance(value, (bool, np.bool_)):
        return not value
    if isinstance(value, int):
        return value + 1
    assert isinstance(value, float), f"add a value for the option {name!r} to VALUES"
    return 0.75 * value if value else 0.25


def options(cls):
    """All options of a class, with another value than that of the example."""
    config = example(cls).config()
    return [
        pytest.param(cls, n, another(n, v), id=f"{cls.__name__}-{n}") for n, v in config.items()
    ]


def all_options(classes):
    cases = [case for cls in classes for case in options(cls)]
    return pytest.mark.parametrize(("cls", "name", "value"), cases)


@pytest.fixture(params=["recorded", "plain", "threads"])
def way(request, monkeypatch):
    """All ways of training, whatever the size of the model."""
    steps = [LayerStep] if request.param == "plain" else [RecordedStep]
    monkeypatch.setattr(RecordedStep, "serves", lambda *_: True)
    monkeypatch.setattr(choose_step, "STEPS", steps)
    parts = [slice(0, 1), slice(1, 3)] if request.param == "threads" else []
    monkeypatch.setattr(minibatch, "shares", lambda *_: parts)
    return request.param


def model_with(*, layer=None, loss=None, penalties=(), size=3):
    """A model with the layer or loss, in which each option matters."""
    width = 3 if loss is None else loss.example()[1].shape[-1]
    layers = [mg.Dense(FEATURES, FEATURES), *([] if layer is None else [layer])]
    layers.append(mg.Dense(FEATURES if layer is None else layer.out_features or FEATURES, width))
    if loss is not None and loss.expects_probabilities:
        layers.append(mg.Softmax() if type(loss) is mg.CrossEntropy else mg.Sigmoid())
    options = {"loss": loss or mg.MeanSquaredError(), "penalties": penalties}
    return mg.Sequential(layers, **options, dtype=np.float64, random_state=0, ensemble_size=size)


def data_for(model):
    rng = np.random.default_rng(1)
    target = type(model.loss).example()[2]
    return rng.normal(size=(12, FEATURES)), np.concatenate([target, target[::-1], target])


FIT = {"epochs": 2, "batch_size": 5, "verbose": 0}


def traces(model, optimizer):
    """The results of a model: predictions, an evaluation, and a training with its losses."""
    x, y = data_for(model)
    found = [model.predict(x), *model.evaluate(x, y, metrics=[]).values()]
    history = model.fit(x, y, optimizer=optimizer, validation_data=(x, y), metrics=[], **FIT)
    found += [model.params, model.state, model.predict(x)]
    return [np.array(values, copy=True) for values in (*found, *history.values())]


def assert_alike(model, optimizer, other, its_optimizer):
    for a, b in zip(traces(model, optimizer), traces(other, its_optimizer), strict=True):
        np.testing.assert_array_equal(a, b)


def used(model, optimizer):
    """The same model after a training and a prediction, with buffers, views and recordings."""
    x, y = data_for(model)
    model.predict(x)
    model.evaluate(x, y)
    model.fit(x, y, optimizer=optimizer, **FIT)


def moved(model, other):
    """Copy the weights and generators of one model to another with the same layers."""
    other.restore(model.snapshot())


def make(cls, name, value):
    """An object like the example, but with another value of one option."""
    return cls(**(example(cls).config() | {name: value}))


@all_options(LAYERS)
def test_options_of_layers(cls, name, value, way):
    model, optimizer = model_with(layer=example(cls)), mg.Adam(0.01)
    used(model, optimizer)
    layer, before = model.layers[1], repr(model.layers[1].config())
    if name in LAID_OUT:
        refused = f"{name} cannot be changed once the layer|Standardize: mean expects shape"
        with pytest.raises((AttributeError, ValueError), match=refused):
            setattr(layer, name, value)
        assert repr(layer.config()) == before
        return
    setattr(layer, name, value)
    other = model_with(layer=make(cls, name, value))
    moved(model, other)
    assert_alike(model, optimizer, other, copied(optimizer))


@all_options(LOSSES)
def test_options_of_losses(cls, name, value, way):
    model, optimizer = model_with(loss=example(cls)), mg.Adam(0.01)
    used(model, optimizer)
    setattr(model.loss, name, value)
    other = model_with(loss=make(cls, name, value))
    moved(model, other)
    assert_alike(model, optimizer, other, copied(optimizer))


@all_options(PENALTIES)
def test_options_of_penalties(cls, name, value, way):
    model, optimizer = model_with(penalties=[example(cls)]), mg.Adam(0.01)
    used(model, optimizer)
    setattr(model.penalties[0], name, value)
    other = model_with(penalties=[make(cls, name, value)])
    moved(model, other)
    assert_alike(model, optimizer, other, copied(optimizer))


def copied(optimizer):
    """A copy that can train another model."""
    return copy.deepcopy(optimizer)


def refuses_new_rate(optimizer, name, value):
    """Whether a learning rate would have no effect any more; it must then be refused."""
    if name != "learning_rate" or not optimizer.rate_is_initial:
        return False
    with pytest.raises(ValueError, match="has no effect now"):
        setattr(optimizer, name, value)
    return True


@pytest.mark.slow
@all_options(OPTIMIZERS)
def test_options_of_optimizers(cls, name, value, way):
    model, optimizer = model_with(), example(cls)
    used(model, optimizer)
    if refuses_new_rate(optimizer, name, value):
        return
    setattr(optimizer, name, value)
    other = model.copy()
    fresh = make(cls, name, value)
    fresh.attach(other)
    snapshot = optimizer.snapshot() | {"learning_rate": fresh.learning_rate}
    fresh.restore(snapshot)
    assert_alike(model, optimizer, other, fresh)


@all_options(OPTIMIZERS)
def test_options_of_optimizers_act_at_the_next_step(cls, name, value):
    results = []
    for late in (True, False):
        model = model_with()
        gradients = np.random.default_rng(0).normal(size=(5, *model.params.shape))
        optimizer = example(cls)
        optimizer.attach(model)
        for number, grads in enumerate(gradients):
            if number == 3 and late:
                if refuses_new_rate(optimizer, name, value):
                    return
                setattr(optimizer, name, value)
            elif number == 3:
                fresh = make(cls, name, value)
                fresh.attach(model)
                taken = optimizer.snapshot() | {"learning_rate": fresh.learning_rate}
                taken["kind"] = fresh.snapshot()["kind"]  # `centered` has one array more
                fresh.restore(taken)
                optimizer = fresh
            optimizer.step(model.params, grads)
        results.append(model.params)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("make_optimizer", "name", "value"),
    [
        (lambda: mg.SGD(0.1), "momentum", 0.9),
        (lambda: mg.SGD(0.1, momentum=0.9), "momentum", 0.0),
        (lambda: mg.RMSprop(0.01), "centered", True),
        (lambda: mg.RMSprop(0.01, momentum=0.5, centered=True), "centered", False),
        (lambda: mg.RMSprop(0.01, centered=True), "momentum", 0.5),
        (lambda: mg.SGD(0.1, max_norm=0.1), "max_norm", None),
    ],
)
def test_options_that_change_what_the_rule_keeps(make_optimizer, name, value, way):
    model, optimizer = model_with(), make_optimizer()
    used(model, optimizer)
    if refuses_new_rate(optimizer, name, value):
        return
    setattr(optimizer, name, value)
    other = model.copy()
    fresh = type(optimizer)(**(make_optimizer().config() | {name: value}))
    fresh.attach(other)
    kept = {key: array.copy() for key, array in optimizer.state.items() if key in fresh.states}
    fresh.restore(optimizer.snapshot() | {"state": kept})
    assert_alike(model, optimizer, other, fresh)
    assert set(optimizer.state) == set(fresh.states)


class Assign(mg.Callback):
    """Changes an option at the end of the first epoch."""

    def __init__(self, change):
        self.change = change

    def on_epoch_end(self, epoch, logs):
        if epoch == 0:
            self.change(self.model, self.optimizer)


CHANGES = {
    "option": lambda model, _: setattr(model.layers[1], "negative_slope", 0.7),
    "not training": lambda model, _: setattr(model.layers[2], "training", False),
    "method": lambda model, _: setattr(model.layers[1], "apply", lambda z, out: np.copyto(out, z)),
    "loss": lambda model, _: setattr(model, "loss", mg.Huber(0.3)),
    "penalties": lambda model, _: setattr(model, "penalties", [mg.L2(0.3)]),
    "no penalties": lambda model, _: setattr(model, "penalties", []),
    "state": lambda _, adam: setattr(adam, "state", {k: v * 0 for k, v in adam.state.items()}),
    "array of the state": lambda _, adam: adam.state.update(m_sum=0 * adam.state["m_sum"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_between_epochs_act_alike_in_each_way(change, way, monkeypatch):
    def train(change):
        layers = [mg.Dense(FEATURES, 4), mg.LeakyReLU(), mg.BatchNorm(4), mg.Dense(4, 3)]
        model = mg.Sequential(
            layers, loss=mg.MeanSquaredError(), penalties=[mg.L1(0.01)], random_state=0,
            dtype=np.float64, ensemble_size=3,
        )  # fmt: skip
        x, y = np.random.default_rng(0).normal(size=(2, 12, FEATURES))
        options = FIT | {"epochs": 3, "callbacks": [Assign(change)]}
        model.fit(x, y[:, :3], optimizer=mg.Adam(0.01), **options)
        return [model.params, model.state, model.predict(x)]

    found, nothing = train(change), train(lambda *_: None)
    monkeypatch.setattr(choose_step, "STEPS", [LayerStep])
    monkeypatch.setattr(minibatch, "shares", lambda *_: [])
    assert not np.array_equal(found[0], nothing[0])
    for a, b in zip(found, train(change), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_option_that_a_schedule_assigns_acts_at_the_next_step(way):
    """With threads, the change takes effect at the next epoch."""
    if way == "threads":
        return
    results = []
    for steps in (RecordedStep, LayerStep):
        choose_step.STEPS[:] = [steps]
        model = model_with(layer=mg.Dropout(0.1))
        layer = model.layers[1]

        def rate(step, layer=layer):
            layer.drop_probability = 0.1 if step < 4 else 0.8
            return 0.1

        x, y = data_for(model)
        model.fit(x, y, optimizer=mg.SGD(rate), **FIT | {"epochs": 5})
        results.append(model.params)
    np.testing.assert_array_equal(*results)


class Annealed(mg.Activation):
    """Has an attribute that is not an option, and one derived from its option."""

    def __init__(self, factor=1.0, table=(1.0, 2.0)):
        self.factor, self.table = factor, np.asarray(table)
        self.twice = 2 * factor
        self.temperature = 1.0

    def apply(self, z, out):
        np.multiply(z, self.twice * self.temperature * self.table[0], out)

    def slope(self, z, a, out):
        out.fill(self.twice * self.temperature * self.table[0])


X = np.random.default_rng(0).normal(size=(6, FEATURES))


def predicted(change):
    """The predictions of a model after a change, of a copy, and of the model before."""
    layers = [mg.Dense(FEATURES, 4), Annealed(), mg.Residual([mg.LeakyReLU()])]
    model = mg.Sequential(layers, loss=mg.Huber(), random_state=0)
    before = model.predict(X)
    change(model)
    return model.predict(X), model.copy().predict(X), before


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.layers[1], "factor", 3.0),
        lambda model: setattr(model.layers[1], "table", np.array([3.0])),
        lambda model: setattr(model.layers[1], "temperature", 3.0),
        lambda model: setattr(model.layers[1], "apply", lambda z, out: np.copyto(out, z)),
        lambda model: setattr(model.layers[2].layers[0], "negative_slope", 0.7),
    ],
)
def test_predictions_follow_whatever_is_assigned(change):
    now, of_a_copy, before = predicted(change)
    assert not np.array_equal(now, before)
    np.testing.assert_array_equal(now, of_a_copy)


def test_what_a_constructor_derives_follows_and_the_rest_stays():
    layer = Annealed()
    layer.temperature = 0.3
    layer.factor = 5.0
    assert (layer.factor, layer.twice, layer.temperature) == (5.0, 10.0, 0.3)


class OtherNames(mg.LeakyReLU):
    """Keeps an argument under another name: it cannot be saved, but it computes."""

    def __init__(self, slope_below, gain=1.0):
        super().__init__(slope_below)
        self.gain = gain

    def apply(self, z, out):
        np.multiply(z, self.gain, out)

    def slope(self, z, a, out):
        out.fill(self.gain)


class OtherRate(mg.SGD):
    """The same for an optimizer."""

    def __init__(self, rate):
        super().__init__(rate)


def test_options_act_where_another_argument_was_not_kept():
    layer = OtherNames(0.1)
    model = mg.Sequential([layer], loss=mg.HalfSquaredError(), dtype="float64")
    x = np.ones((3, FEATURES))
    np.testing.assert_array_equal(model.predict(x), x)
    layer.gain = 4.0
    np.testing.assert_array_equal(model.predict(x), 4 * x)
    optimizer, params = OtherRate(0.5), np.zeros(2)
    optimizer.step(params, np.ones(2))
    optimizer.clip_value = 0.25
    optimizer.step(params, np.ones(2))
    np.testing.assert_array_equal(params, [-0.625, -0.625])


def test_a_value_that_the_constructor_refuses_changes_nothing():
    for thing, name, value in (
        (mg.Huber(), "delta", -1.0),
        (mg.LeakyReLU(), "negative_slope", 2.0),
        (mg.Quantile([0.1, 0.9]), "levels", [0.1, 1.9]),
        (mg.L2(0.1), "strength", -1.0),
        (mg.Adam(), "beta1", 1.5),
        (mg.SGD(0.1), "nesterov", True),
        (mg.Rprop(), "learning_rate", lambda step: 0.1),
    ):
        before = repr(thing)
        with pytest.raises((ValueError, TypeError), match=type(thing).__name__):
            setattr(thing, name, value)
        assert repr(thing) == before


def test_arrays_are_read_only_copies():
    levels = np.array([0.1, 0.9])
    for loss in (mg.Quantile(levels), copy.deepcopy(mg.Quantile(levels))):
        with pytest.raises(ValueError, match="read-only"):
            loss.levels[0] = 0.5
    levels[0] = 0.7
    assert loss.levels[0] == 0.1
    optimizer = mg.SGD(levels)
    with pytest.raises(ValueError, match="read-only"):
        optimizer.learning_rate[0] = 0.5


def test_what_a_model_is_made_of_cannot_be_exchanged():
    model = model_with()
    for name, value in {
        "layers": [mg.Dense(FEATURES, 1)],
        "dtype": np.float32,
        "ensemble_size": 5,
        "random_state": 1,
    }.items():
        with pytest.raises(
            AttributeError, match=f"{name} cannot be changed once the model is made"
        ):
            setattr(model, name, value)
    assert isinstance(model.layers, tuple)
    assert isinstance(model.penalties, tuple)
    with pytest.raises(TypeError, match="loss expects"):
        model.loss = "mse"
    with pytest.raises(TypeError, match="penalties expects"):
        model.penalties = [0.1]


def test_every_option_is_noticed():
    """Each constructor argument has an `Option`, or a property or method instead."""
    for cls in (*LAYERS, *LOSSES, *PENALTIES, *OPTIMIZERS):
        for name in example(cls).config():
            found = inspect.getattr_static(cls, name)
            assert name in cls._options or hasattr(found, "__get__"), (cls, name)


@pytest.mark.parametrize(
    "first", [mg.HalfSquaredError, mg.SigmoidCrossEntropy, mg.SoftmaxCrossEntropy]
)
@pytest.mark.parametrize("cls", LOSSES)
def test_a_loss_assigned_in_a_callback_trains_as_from_the_start_or_is_refused(cls, first):
    loss, x = example(cls), np.linspace(-1, 1, 24).reshape(8, 3)
    y = np.arange(8) % 2 if first.classifies else np.arange(16).reshape(8, 2) % 2

    class Assign(mg.Callback):
        def on_train_begin(self, logs=None):
            self.model.loss = copy.deepcopy(loss)

    def trained(loss, callbacks):
        outputs = 2 if first is not mg.SigmoidCrossEntropy else 1
        model = mg.Sequential([mg.Dense(3, outputs)], loss=loss, random_state=0)
        model.fit(x, y, optimizer=mg.SGD(0.1), epochs=2, callbacks=callbacks, verbose=0)
        return model.params

    refusal, params = "", None
    try:
        params = trained(first(), [Assign()])
    except (TypeError, ValueError) as error:
        refusal = str(error)
    if refusal:
        assert " expects " in refusal
        assert ".forward" not in refusal
    else:
        np.testing.assert_array_equal(params, trained(loss, []))
