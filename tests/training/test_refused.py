"""A fit that raises anywhere leaves the model unchanged."""

import copy
import pickle

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.tables import TableEncoder
from tests.kinds import one_and_many

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
NAMES = ["a", "b", "c"]
X = pd.DataFrame(RNG.normal(size=(40, 3)) * [1.0, 5.0, 100.0] + 7, columns=NAMES)
NUMBERS = 1000 + 50 * RNG.normal(size=40)
WORDS = np.where(RNG.random(40) < 0.5, "no", "yes")
LAYERS = {
    "numbers": lambda: [mg.Standardize(3), mg.Dense(3, 4), mg.BatchNorm(4), mg.Dense(4, 1)],
    "words": lambda: [mg.Standardize(3), mg.Dense(3, 4), mg.Dropout(0.5), mg.Dense(4, 1)],
    "table": lambda: [mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 1)],
}


def new_model(kind, size=None):
    """A model that learns from its data more than weights: classes, scalings and an encoder."""
    scaled = {"target_scaling": None if kind == "words" else "standard"}
    loss = mg.SigmoidCrossEntropy() if kind == "words" else mg.MeanSquaredError()
    encoder = TableEncoder() if kind == "table" else None
    return mg.Sequential(
        LAYERS[kind](), loss=loss, encoder=encoder, random_state=0, ensemble_size=size, **scaled
    )


def target(kind):
    return WORDS if kind == "words" else NUMBERS


def fitted(model, kind):
    return model.fit(
        X, target(kind), optimizer=mg.Adam(0.01), epochs=2, validation_split=0.25, verbose=0
    )


def known(model):
    """The whole state of a model, in bytes."""
    state = model.snapshot()
    encoder = None if model.encoder is None else model.encoder.snapshot()
    names = model.feature_names_, model.classes_, model.compiled_because
    return pickle.dumps((state, encoder, names)), model.uncertainty


class Raises(mg.Callback):
    """Fails in one of its hooks; the first hook also changes the weights."""

    def __init__(self, hook):
        self.hook = hook
        setattr(self, hook, self.fail)

    def fail(self, *_):
        if self.hook == "on_train_begin":
            self.model.params[...] = 0
        self.model.stream("of a callback").random()
        raise ZeroDivisionError("a callback of the user's")


class Refuses(mg.Method):
    """A method that detects late that it cannot train."""

    def train(self, session):
        session.begin_epoch()
        session.objective().value(session.network.params)
        raise TypeError("this network cannot be trained so")


def used():
    """An optimizer that belongs to another model."""
    optimizer = mg.Adam()
    new_model("numbers").fit(X, NUMBERS, optimizer=optimizer, epochs=1, verbose=0)
    return optimizer


def elsewhere():
    """A snapshot of a model of other widths."""
    taken = []

    class Takes(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            taken.append(self.session.snapshot())

    model = mg.Sequential([mg.Dense(3, 1)], loss=mg.MeanSquaredError(), random_state=1)
    model.fit(X, NUMBERS, optimizer=mg.SGD(1e-9), epochs=1, callbacks=[Takes()], verbose=0)
    return taken[0]


def nothing_at(steps):
    return float("nan")


REFUSED = {
    "optimizer": lambda: {"optimizer": "adam"},
    "used optimizer": lambda: {"optimizer": used()},
    "method": lambda: {"optimizer": Refuses()},
    "schedule": lambda: {"optimizer": mg.SGD(nothing_at)},
    "rates of members": lambda: {"optimizer": mg.SGD([0.1] * 7)},
    "epochs": lambda: {"epochs": 0},
    "batch_size": lambda: {"batch_size": 2.5},
    "split": lambda: {"validation_split": 1.5},
    "split and data": lambda: {"validation_split": 0.5, "validation_data": (X, NUMBERS)},
    "validation rows": lambda: {"validation_data": (X, NUMBERS[:3]), "validation_split": 0},
    "validation columns": lambda: {
        "validation_data": (X.rename(columns={"b": "other"}), NUMBERS),
        "validation_split": 0,
    },
    "weights": lambda: {"sample_weight": -np.ones(40)},
    "class weights": lambda: {"class_weight": {"perhaps": 2.0}},
    "folds": lambda: {"folds": np.zeros(40, int), "validation_split": 0},
    "metrics": lambda: {"metrics": ["accuracy"]},
    "callbacks": lambda: {"callbacks": [mg.EarlyStopping]},
    "monitor": lambda: {"callbacks": [mg.EarlyStopping(3, monitor="nothing")]},
    "snapshot": lambda: {"resume": {"network": 1}},
    "snapshot of another": lambda: {"resume": elsewhere()},
    "compiled": lambda: {"compiled": True, "metrics": [mg.MeanAbsolute()]},
    **{
        hook: lambda hook=hook: {"callbacks": [Raises(hook)]}
        for hook in ("on_train_begin", "on_epoch_begin", "on_train_batch_begin")
    },
}


@pytest.mark.parametrize("way", REFUSED)
@pytest.mark.parametrize("kind", LAYERS)
@one_and_many
def test_a_refused_fit_leaves_a_new_model_as_it_was(size, kind, way):
    model = new_model(kind, size)
    before = known(model)
    options = {"optimizer": mg.Adam(0.01), "epochs": 2, "verbose": 0, "validation_split": 0.25}
    try:
        model.fit(X, target(kind), **options | REFUSED[way]())
    except mg.DivergenceError:
        raise
    except Exception:
        assert known(model) == before
        again, expected = fitted(model, kind), fitted(new_model(kind, size), kind)
        np.testing.assert_array_equal(again["loss"], expected["loss"])
    else:  # such as a monitored value, which is needed only after the first epoch
        pytest.fail("this fit was not refused")


@pytest.mark.parametrize("way", REFUSED)
def test_a_refused_fit_leaves_a_trained_model_as_it_was(way):
    model = new_model("numbers")
    fitted(model, "numbers")
    model.uncertainty = mg.Noise.fit(model, X, NUMBERS)
    before, twin = known(model), copy.deepcopy(model)
    options = {"optimizer": mg.Adam(0.01), "epochs": 2, "verbose": 0, "validation_split": 0.25}
    with pytest.raises(Exception):  # noqa: B017, PT011  # each way has its own tests
        model.fit(X, NUMBERS, **options | REFUSED[way]())
    assert known(model) == before
    again, expected = fitted(model, "numbers"), fitted(twin, "numbers")
    np.testing.assert_array_equal(again["loss"], expected["loss"])


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end"])
def test_what_has_been_trained_is_kept(hook):
    model = new_model("numbers")
    before = model.params.copy()
    with pytest.raises(ZeroDivisionError):
        model.fit(X, NUMBERS, optimizer=mg.Adam(0.01), verbose=0, callbacks=[Raises(hook)])
    assert (model.params != before).any()
    assert model.feature_names_ == tuple(NAMES)
    assert np.isfinite(model.predict(X)).all()
