"""A training that resumes is the earlier one, or says in what it is another."""

import inspect

import numpy as np
import pytest

import mlpgrad as mg

X, Y = mg.datasets.moons(60, noise=0.2, random_state=0)


class Keep(mg.Callback):
    """Takes a snapshot after the second epoch."""

    def on_epoch_end(self, epoch, logs):
        if epoch == 1:
            self.taken = self.session.snapshot()


class KeepWithin(mg.Callback):
    """Takes a snapshot in the middle of the second epoch."""

    def on_train_batch_end(self, batch, logs):
        if (self.session.epoch, batch) == (1, 1):
            self.taken = self.session.snapshot()


MODEL = {
    "layers": lambda: [mg.Dense(2, 2), mg.Tanh(), mg.Dense(2, 2, bias=False), mg.Dense(2, 1)],
    "loss": mg.SigmoidCrossEntropy,
}


def trained(keep=None, **options):
    """The model and the history; options of the model or of fit, made by a call if they can be."""
    made = {name: value() if callable(value) else value for name, value in options.items()}
    known = inspect.signature(mg.Sequential.__init__).parameters
    chosen = {name: made.pop(name) for name in [*made] if name in known}
    layers = chosen.pop("layers", None) or MODEL["layers"]()
    model = mg.Sequential(layers, **{"loss": mg.SigmoidCrossEntropy(), "random_state": 0} | chosen)
    callbacks = [*made.pop("callbacks", []), *([keep] if keep else [])]
    made = {"optimizer": mg.Adam(0.05), "epochs": 4, "batch_size": 20, "verbose": 0} | made
    x, y = made.pop("x", X), made.pop("y", Y)
    return model, model.fit(x, y, callbacks=callbacks, **made)


def stops_at(monitor):
    return lambda: [mg.EarlyStopping(9, monitor=monitor)]


HELD_OUT = {"validation_data": (X, Y)}
OTHERS = [
    ("optimizer", {}, {"optimizer": lambda: mg.SGD(0.1)}),
    ("optimizer", {"optimizer": lambda: mg.SGD(0.1)}, {}),
    ("optimizer", {}, {"optimizer": mg.AMSGrad}),
    ("optimizer", {}, {"optimizer": mg.LBFGS}),
    ("optimizer", {"optimizer": mg.LBFGS}, {}),
    ("optimizer", {"optimizer": mg.LBFGS}, {"optimizer": mg.TrustNewton}),
    ("optimizer", {"optimizer": mg.LBFGS}, {"optimizer": mg.LevenbergMarquardt}),
    (
        "optimizer",
        {"optimizer": mg.RMSprop},
        {"optimizer": lambda: mg.RMSprop(momentum=0.9)},
    ),
    (
        "regularisation",
        {"optimizer": mg.LevenbergMarquardt},
        {"optimizer": lambda: mg.LevenbergMarquardt(regularisation=None)},
    ),
    (
        "groups",
        {"optimizer": mg.LevenbergMarquardt},
        {"optimizer": lambda: mg.LevenbergMarquardt(groups="layers")},
    ),
    ("loss", {}, {"loss": mg.Hinge}),
    ("loss", {}, {"loss": lambda: mg.SigmoidCrossEntropy(label_smoothing=0.1)}),
    (
        "layers",
        {},
        {"layers": lambda: [mg.Dense(2, 2), mg.ReLU(), mg.Dense(2, 2, bias=False), mg.Dense(2, 1)]},
    ),
    (
        "parameters",
        {},
        {"layers": lambda: [mg.Dense(2, 2, bias=False), mg.Tanh(), mg.Dense(2, 2), mg.Dense(2, 1)]},
    ),
    ("penalties", {}, {"penalties": lambda: [mg.L2(0.1)]}),
    ("network", {}, {"dtype": "float64"}),
    ("network", {}, {"ensemble_size": 2}),
    ("network", {"ensemble_size": 2}, {"ensemble_size": 3}),
    ("classes", {"classes": ["a", "b"]}, {"classes": ["b", "a"]}),
    ("network", {"loss": mg.HalfSquaredError}, {
        "loss": mg.HalfSquaredError, "target_scaling": "standard"}),
    ("metrics", {}, {"metrics": lambda: [mg.Accuracy()]}),
    ("validation data", {}, HELD_OUT),
    ("validation data", HELD_OUT, {}),
    (
        "monitor",
        HELD_OUT | {"callbacks": stops_at("val_accuracy")},
        HELD_OUT | {"callbacks": stops_at(None)},
    ),
    ("rows", {}, {"x": X[:50], "y": Y[:50]}),
    ("rows", {}, {"validation_split": 0.2}),
    ("split", {"ensemble_size": 2}, {"ensemble_size": 2, "folds": True}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "before", "after"), OTHERS)
def test_a_training_that_is_another_is_refused(what, before, after):
    keep = Keep()
    trained(keep, **before)
    with pytest.raises(ValueError, match=what) as caught:
        trained(resume=keep.taken, **after)
    assert " got " in str(caught.value)  # both are named


FREE = [
    {"epochs": 6},
    {"verbose": 1},
    {"callbacks": lambda: [mg.ExponentialMovingAverage()]},
    {"batch_size": 15},
    {"shuffle": False},
    {"class_weight": "balanced"},
    {"sample_weight": np.linspace(0.5, 1.5, len(X))},
    {"random_state": 1},
    {"optimizer": lambda: mg.Adam(0.05, weight_decay=0.1)},
    {"compiled": False},
]


@pytest.mark.parametrize("after", FREE, ids=lambda after: ", ".join(after))
def test_what_only_acts_from_now_on_may_be_another(after):
    keep = Keep()
    _, whole = trained(keep)
    _, history = trained(resume=keep.taken, **after)
    assert history["loss"][:2] == whole["loss"][:2]
    assert history.epochs == after.get("epochs", 4)


def test_every_option_of_a_training_is_in_one_of_the_two_lists():
    listed = {name for *_, before, after in OTHERS for name in {**before, **after}}
    listed |= {name for after in FREE for name in after}
    elsewhere = {"self", "resume", "communicator", "encoder", "validation_shuffle"}
    elsewhere |= {"weight_init", "bias_init"}
    for function in (mg.Sequential.__init__, mg.Sequential.fit):
        assert {*inspect.signature(function).parameters} - elsewhere <= listed


RATES = {
    "number": (0.05, 0.01, [0.01, 0.01]),
    "schedule": (0.05, mg.ExponentialDecay(0.01, 0.5), None),
    "number after a schedule": (mg.ExponentialDecay(0.01, 0.5), 0.02, [0.02, 0.02]),
    "function": (0.05, lambda steps: 0.03, [0.03, 0.03]),
}


@pytest.mark.parametrize("case", RATES)
def test_a_learning_rate_that_is_given_anew_is_used(case):
    before, after, expected = RATES[case]
    keep = Keep()
    trained(keep, optimizer=lambda: mg.Adam(before))
    optimizer = mg.Adam(after)
    _, history = trained(resume=keep.taken, optimizer=lambda: optimizer)
    if expected is None:
        expected = [after(5 + 3), after(8 + 3)]
    np.testing.assert_allclose(history["learning_rate"][2:], expected)


class Assigns(mg.Callback):
    """Halves the learning rate after every epoch."""

    def on_epoch_end(self, epoch, logs):
        self.optimizer.learning_rate /= 2


def test_a_learning_rate_that_a_callback_assigned_goes_on():
    keep = Keep()
    _, whole = trained(keep, callbacks=lambda: [Assigns()])
    _, resumed = trained(resume=keep.taken, callbacks=lambda: [Assigns()])
    assert dict(resumed) == dict(whole)


def test_the_middle_of_an_epoch_needs_the_same_batches():
    keep = KeepWithin()
    trained(keep)
    with pytest.raises(ValueError, match=r"resume expects the batch_size .*, 20, got 15"):
        trained(resume=keep.taken, batch_size=15)


def test_the_advice_to_take_only_the_weights_works():
    keep = Keep()
    trained(keep)
    with pytest.raises(ValueError, match=r'call model\.restore\(snapshot\["network"\]\)'):
        trained(resume=keep.taken, optimizer=mg.LBFGS)
    model, _ = trained(epochs=1)
    model.restore(keep.taken["network"])
    np.testing.assert_array_equal(model.params, keep.taken["network"]["params"])
    model.fit(X, Y, optimizer=mg.LBFGS(), epochs=2, verbose=0)


def test_functions_are_compared_by_name():
    """Their place in memory is another one in every process."""

    def made():
        class Own(mg.HalfSquaredError):
            def __init__(self, function=abs):
                self.function = function

        def square(z):
            return z * z

        return Own(square)

    keep = Keep()
    trained(keep, loss=made)
    trained(resume=keep.taken, loss=made)


class Counts(mg.Callback):
    """A user's callback that remembers something of every batch."""

    kept = ("seen",)

    def on_train_begin(self, logs=None):
        self.seen = 0

    def on_train_batch_end(self, batch, logs):
        self.seen += 1


OF_BATCHES = [lambda: mg.ExponentialMovingAverage(0.5), Counts]
OF_EPOCHS = [lambda: mg.EarlyStopping(3), lambda: mg.ReduceOnPlateau(0.5, patience=0)]


@pytest.mark.parametrize("late", [*OF_BATCHES, *OF_EPOCHS])
@pytest.mark.parametrize("keep", [Keep, KeepWithin])
def test_a_snapshot_goes_on_exactly_or_is_refused(keep, late):
    # a callback that comes later in the list has not seen the batch or the epoch yet
    expected = trained(callbacks=lambda: [late()])[0].params
    for order in (1, -1):
        first = keep()
        callbacks = [first, late()][::order]
        misses = order == 1 and (keep is Keep) == (late in OF_EPOCHS)
        if misses:
            name = type(callbacks[1]).__name__
            with pytest.raises(ValueError, match=f"{name} would miss .* last in the list"):
                trained(callbacks=callbacks)
            continue
        trained(callbacks=callbacks)
        resumed = trained(callbacks=lambda: [late()], resume=first.taken)[0].params
        np.testing.assert_array_equal(resumed, expected)
