"""Every monitor finds the best epoch, for every metric and with the weights that had it."""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training.monitor import larger_is_better
from tests.kinds import example, subclasses
from tests.training.test_resume import KeepWithin

METRICS = subclasses(mg.Metric)
NAMES = sorted({f"val_{example(cls).name}" for cls in METRICS} | {"val_loss", "loss", "my_loss"})
every_name = pytest.mark.parametrize("name", NAMES)
X, Y = mg.datasets.moons(60, noise=0.3, random_state=0)


class Says(mg.Callback):
    """Writes given values to the logs, and the number of the epoch to the weights."""

    def __init__(self, name, values):
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs):
        logs[self.name] = np.array(self.values[epoch]) if self.model.lead else self.values[epoch]
        self.model.params = epoch


def network(size=None, layers=None):
    return mg.Sequential(
        layers or [mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
        loss=mg.SigmoidCrossEntropy(),
        random_state=0,
        ensemble_size=size,
        dtype="float64",
    )


def train(callbacks, model=None, **options):
    model = model or network()
    options = {"optimizer": mg.SGD(0.1), "epochs": 5, "verbose": 0, "batch_size": 20} | options
    return model, model.fit(X, Y, callbacks=callbacks, **options)


def scripted(name, larger):
    """Values of five epochs, with the best in the third and the worst in the last."""
    return [v if larger else 1 - v for v in (0.6, 0.7, 0.9, 0.8, 0.5)]


# directions


def test_every_metric_has_a_direction_that_monitors_ask_for():
    for cls in METRICS:
        metric = example(cls)
        assert larger_is_better(f"val_{metric.name}") is metric.larger_is_better, cls
    assert larger_is_better("loss") is False
    assert larger_is_better("learning_rate") is None


@every_name
def test_early_stopping_restores_the_best_epoch(name):
    says = Says(name, scripted(name, larger_is_better(name)))
    stopping = mg.EarlyStopping(9, monitor=name)
    model, _ = train([says, stopping])
    assert (model.params == 2).all()
    assert stopping.best_epoch == 2
    assert type(stopping.best_epoch) is int
    assert stopping.best.tolist() == [says.values[2]]


@every_name
def test_a_checkpoint_holds_the_best_epoch(name, tmp_path):
    says = Says(name, scripted(name, larger_is_better(name)))
    keep = mg.ModelCheckpoint(tmp_path / "best.npz", monitor=name)
    train([says, keep])
    assert (mg.load(tmp_path / "best.npz").params == 2).all()
    assert keep.best == says.values[2]


@every_name
def test_the_rate_is_lowered_where_the_value_gets_worse(name):
    says = Says(name, scripted(name, larger_is_better(name)))
    optimizer = mg.SGD(0.1)
    train([says, mg.ReduceOnPlateau(0.5, patience=0, monitor=name)], optimizer=optimizer)
    assert optimizer.learning_rate_scale == 0.25  # after the fourth and the fifth epoch


WATCHERS = [
    lambda **options: mg.EarlyStopping(9, **options),
    lambda **options: mg.ReduceOnPlateau(**options),
    lambda **options: mg.ModelCheckpoint("model.npz", **options),
]


@pytest.mark.parametrize("make", WATCHERS)
def test_a_name_that_nobody_knows_needs_a_direction(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    says = Says("val_beauty", [1.0, 2.0, 3.0, 2.0, 1.0])
    with pytest.raises(ValueError, match=r'val_beauty is better; write mode="max"'):
        train([says, make(monitor="val_beauty")])
    train([says, make(monitor="val_beauty", mode="max")])


@pytest.mark.parametrize("value", [None, "low"])
@pytest.mark.parametrize("make", WATCHERS)
def test_a_logged_value_that_is_no_number_is_named(make, value):
    watcher = make(monitor="mood", mode="min")
    with pytest.raises(TypeError, match="expects a number as 'mood' in the logs, got") as caught:
        train([Says("mood", [value] * 5), watcher])
    assert repr(value) in str(caught.value)


def test_a_metric_that_has_the_name_of_another_is_not_advised_to_have_it():
    class Own(mg.Metric):
        name = "auc"

    with pytest.raises(ValueError, match="is not known whether a larger val_auc is") as caught:
        train([mg.EarlyStopping(monitor="val_auc")], validation_data=(X, Y), metrics=[Own()])
    assert "did you mean" not in str(caught.value)


def test_a_metric_of_the_training_tells_its_direction():
    class Beauty(mg.Metric):
        name = "beauty"

        def values(self, prediction, target, loss):
            return prediction[..., 0]

    class Ugliness(Beauty):
        name, larger_is_better = "ugliness", False

    def stop(metric):
        stopping = mg.EarlyStopping(9, monitor=f"val_{metric.name}")
        _, history = train([stopping], validation_data=(X, Y), metrics=[metric])
        return stopping.best[0], history[f"val_{metric.name}"]

    with pytest.raises(ValueError, match="set larger_is_better in the class of the metric"):
        stop(Beauty())
    best, values = stop(Ugliness())
    assert best == min(values)


@pytest.mark.parametrize("make", WATCHERS)
def test_a_value_that_cannot_come_is_named_before_training(make):
    class Watch(mg.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            pytest.fail("an epoch has begun")

    with pytest.raises(ValueError, match="there is no validation data; give fit validation_data"):
        train([Watch(), make(monitor="val_accuracy")])


@pytest.mark.parametrize("values", [[np.nan] * 3, [np.nan, 2.0, 1.0], [1.0, np.nan, 0.5]])
def test_nan_is_never_the_best(values, tmp_path):
    keep = mg.ModelCheckpoint(tmp_path / "best.npz")
    model, _ = train([Says("val_loss", values), mg.EarlyStopping(9), keep], epochs=3)
    known = [v for v in values if v == v]
    if known:
        assert keep.best == min(known)
        assert (mg.load(tmp_path / "best.npz").params == 2).all()
    else:
        assert keep.best is None
        assert not (tmp_path / "best.npz").exists()
    assert (model.params == 2).all()


# patience


@pytest.mark.parametrize(
    ("patience", "losses", "epochs"),
    [
        (0, [5, 4, 3, 2, 2.5, 1], 5),
        (1, [5, 4, 3, 2, 2.5, 1], 5),
        (2, [5, 4, 3, 2, 2.5, 1], 6),
        (2, [5, 4, 5, 5, 1, 1], 4),
        (0, [5, 4, 4, 3, 2, 1], 3),
    ],
)
def test_patience_counts_epochs_as_keras_does(patience, losses, epochs):
    _, history = train([Says("val_loss", losses), mg.EarlyStopping(patience)], epochs=6)
    assert history.epochs == epochs


def test_members_count_their_patience_as_if_alone():
    losses = [[5, 5], [6, 4], [4, 3], [9, 2], [9, 3], [9, 3], [9, 3]]
    stopping = mg.EarlyStopping(0)
    model, history = train([Says("val_loss", losses), stopping], network(2), epochs=7)
    assert history.epochs == 5
    assert stopping.best_epoch.tolist() == [0, 3]
    assert (model.params == [[0], [3]]).all()


@pytest.mark.parametrize(
    ("make", "options"),
    [(mg.EarlyStopping, {"patience": value}) for value in (-1, "3", None, 2.5, True, np.nan, [3])]
    + [
        (mg.EarlyStopping, {"min_delta": -1.0}),
        (mg.EarlyStopping, {"min_delta": "0"}),
        (mg.EarlyStopping, {"monitor": 3}),
        (mg.EarlyStopping, {"mode": "largest"}),
        (mg.ReduceOnPlateau, {"patience": -1}),
        (mg.ReduceOnPlateau, {"factor": 1.5}),
        (mg.ReduceOnPlateau, {"factor": "0.1"}),
        (mg.ReduceOnPlateau, {"lowest": -1.0}),
        (mg.ReduceOnPlateau, {"mode": "auto"}),
        (mg.ModelCheckpoint, {"path": None}),
        (mg.ModelCheckpoint, {"path": ""}),
        (mg.ModelCheckpoint, {"path": b"best.npz"}),
        (mg.ModelCheckpoint, {"path": "a", "mode": "MAX"}),
        (mg.ModelCheckpoint, {"path": "a", "initial_best": "0.5"}),
        (mg.ModelCheckpoint, {"path": "a", "initial_best": np.nan}),
        (mg.ExponentialMovingAverage, {"decay": 1.0}),
        (mg.ExponentialMovingAverage, {"decay": "0.9"}),
    ],
)
def test_wrong_options_are_refused_by_name(make, options):
    name = list(options)[-1]
    with pytest.raises((TypeError, ValueError), match=f"{make.__name__}: {name} expects .* got"):
        make(**options)


@pytest.mark.parametrize("data", ["xy", (X,), X])
def test_a_validation_set_that_is_none_is_refused_at_once(data):
    with pytest.raises(TypeError, match=r"validation_data expects \(x, y\)"):
        mg.EarlyStopping(validation_data=data)


def test_a_plateau_never_raises_the_rate():
    optimizer = mg.SGD(0.1)
    optimizer.learning_rate_scale = 0.01
    losses = Says("val_loss", [1.0] * 5)
    train([losses, mg.ReduceOnPlateau(0.5, patience=0, lowest=0.1)], optimizer=optimizer)
    assert optimizer.learning_rate_scale == 0.01


# checkpoints


def test_every_logged_value_may_be_in_the_name_of_the_file(tmp_path):
    path = tmp_path / "w-{epoch:02d}-{val_loss:.2f}-{accuracy}-{{x}}.npz"
    keep = mg.ModelCheckpoint(path, best_only=False)
    options = {"validation_split": 0.2, "metrics": [mg.Accuracy()], "epochs": 2}
    _, history = train([keep], **options)
    rows = zip((1, 2), history["val_loss"], history["accuracy"], strict=True)
    expected = {f"w-{e:02d}-{loss:.2f}-{accuracy}-{{x}}.npz" for e, loss, accuracy in rows}
    assert {file.name for file in tmp_path.iterdir()} == expected


@pytest.mark.parametrize(
    "text", ["{epoch", "epoch}", "{}", "{0}", "{epoch:q}", "{val_loss:d}", "{a.b}"]
)
def test_a_name_that_cannot_be_filled_in_is_refused_at_once(text):
    with pytest.raises(ValueError, match="path expects placeholders such as"):
        mg.ModelCheckpoint(text)


def test_a_name_that_is_not_logged_is_refused_with_the_nearest(tmp_path):
    keep = mg.ModelCheckpoint(tmp_path / "{lose}.npz")
    with pytest.raises(ValueError, match=r"\{lose\}, which is not logged; did you mean 'loss'"):
        train([keep])
    with pytest.raises(ValueError, match="there is no val_loss, since there is no validation data"):
        train([mg.ModelCheckpoint(tmp_path / "{val_loss}.npz")])


def test_a_second_fit_does_not_replace_a_better_model(tmp_path):
    keep = mg.ModelCheckpoint(tmp_path / "best.npz")
    train([Says("val_loss", [3.0, 1.0, 2.0]), keep], epochs=3)
    before = mg.load(tmp_path / "best.npz").params
    train([Says("val_loss", [9.0, 8.0, 1.5]), keep], epochs=3)
    np.testing.assert_array_equal(mg.load(tmp_path / "best.npz").params, before)
    train([Says("val_loss", [9.0, 8.0, 0.5]), keep], epochs=3)
    assert (mg.load(tmp_path / "best.npz").params == 2).all()
    with pytest.raises(ValueError, match=r"best value so far, 0.5, is one of val_loss, .* loss"):
        train([keep])


def test_an_initial_best_must_be_beaten(tmp_path):
    keep = mg.ModelCheckpoint(tmp_path / "{epoch}.npz", monitor="val_auc", initial_best=0.75)
    train([Says("val_auc", [0.6, 0.7, 0.8, 0.7, 0.9]), keep])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["3.npz", "5.npz"]
    assert keep.best == 0.9


# a training loss and its weights


class Weights(mg.Callback):
    """Keeps the weights before and after each epoch."""

    def on_train_begin(self, logs=None):
        self.kept = [self.model.params.copy()]

    def on_epoch_end(self, epoch, logs):
        self.kept.append(self.model.params.copy())


def up_and_down(step):
    """A schedule with a huge rate in the fourth step."""
    return 50.0 if step == 3 else 0.05


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("batch_size", [60, 7])
def test_the_weights_kept_have_the_loss_that_is_the_best(size, batch_size, tmp_path):
    model, weights = network(size), Weights()
    stopping, keep = mg.EarlyStopping(99), mg.ModelCheckpoint(tmp_path / "best.npz")
    options = {"epochs": 8, "batch_size": batch_size, "optimizer": mg.SGD(up_and_down)}
    train([weights, stopping, keep], model, **options)
    losses = []
    for params in weights.kept:
        twin = model.copy()
        twin.params = params
        losses.append(np.atleast_1d(twin.evaluate(X, Y)["loss"]))
    # one batch per epoch: the loss of the last weights is not measured
    seen = np.array(losses[:-1] if batch_size == 60 else losses[1:])
    np.testing.assert_allclose(stopping.best, seen.min(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.evaluate(X, Y)["loss"], seen.min(axis=0), rtol=1e-12)
    saved = mg.load(tmp_path / "best.npz").evaluate(X, Y)["loss"]
    np.testing.assert_allclose(np.mean(saved), seen.mean(axis=1).min(), rtol=1e-12)


class Reader:
    """Batches that can be iterated again."""

    def __iter__(self):
        for start in range(0, 60, 20):
            yield X[start : start + 20], Y[start : start + 20]


def test_batches_of_a_reader_are_read_again():
    model, weights, stopping = network(), Weights(), mg.EarlyStopping(99)
    options = {"optimizer": mg.SGD(up_and_down), "epochs": 8, "verbose": 0}
    model.fit(Reader(), callbacks=[weights, stopping], **options)
    losses = []
    for params in weights.kept[1:]:
        twin = model.copy()
        twin.params = params
        losses.append(twin.evaluate(X, Y)["loss"])
    assert stopping.best[0] == pytest.approx(min(losses), rel=1e-12)
    assert model.evaluate(X, Y)["loss"] == pytest.approx(min(losses), rel=1e-12)
    model.fit(iter(Reader()), callbacks=[stopping], **(options | {"epochs": 1}))


def test_held_out_rows_do_not_count_for_a_training_loss():
    model, stopping = network(), mg.EarlyStopping(99, monitor="accuracy")
    session = []

    class Look(mg.Callback):
        def on_train_begin(self, logs=None):
            session.append(self.session)

    train([Look(), stopping], model, validation_split=0.4, metrics=[mg.Accuracy()])
    x, y, _ = session[0].batches.data()
    assert len(x) == 36
    assert model.evaluate(x, y)["accuracy"] == stopping.best[0]


def test_a_training_goes_on_in_the_middle_of_an_epoch_of_one_batch():
    def run(*callbacks, **options):
        stopping = mg.EarlyStopping(99)
        options |= {"batch_size": 60, "optimizer": mg.SGD(up_and_down), "epochs": 8}
        model, history = train([stopping, *callbacks], **options)
        return model.params, stopping.best, stopping.best_epoch, history["loss"]

    for epoch in (2, 3, 4):
        keep = KeepWithin(epoch, 0)
        np.testing.assert_equal(run(keep), run(resume=keep.taken))


def test_a_checkpoint_of_every_epoch_holds_the_weights_after_it(tmp_path):
    weights, keep = Weights(), mg.ModelCheckpoint(tmp_path / "{epoch}.npz", best_only=False)
    train([weights, keep], batch_size=60)
    for epoch, params in enumerate(weights.kept[1:], 1):
        np.testing.assert_array_equal(mg.load(tmp_path / f"{epoch}.npz").params, params)


@pytest.mark.parametrize("monitor", [None, "loss", "val_loss", "accuracy", "val_accuracy"])
def test_a_validation_set_of_its_own_is_measured_by_the_monitored_name(monitor):
    x, y = mg.datasets.moons(40, noise=0.3, random_state=1)
    weights = Weights()
    stopping = mg.EarlyStopping(99, monitor=monitor, validation_data=(x, y))
    model, _ = train([weights, stopping], optimizer=mg.SGD(up_and_down), epochs=8)
    name = (monitor or "loss").removeprefix("val_")
    found = []
    for params in weights.kept[1:]:
        twin = model.copy()
        twin.params = params
        found.append(twin.evaluate(x, y)[name])
    best = max(found) if name == "accuracy" else min(found)
    assert stopping.best[0] == best
    assert model.evaluate(x, y)[name] == best


# averaged weights


@pytest.mark.slow
@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("monitor", ["val_loss", "loss", "val_accuracy"])
def test_averaging_and_watching_work_in_any_order(size, monitor, tmp_path):
    found, losses = [], []
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        path = tmp_path / f"{order}.npz"
        made = [
            mg.ExponentialMovingAverage(0.8),
            mg.EarlyStopping(8, monitor=monitor),
            mg.ModelCheckpoint(path, monitor=monitor),
        ]
        options = {"optimizer": mg.SGD(5.0), "epochs": 25, "validation_data": (X[:30], Y[:30])}
        model, history = train([made[i] for i in order], network(size), **options)
        found.append([model.params.copy(), model.state.copy(), mg.load(path).params])
        losses.append(history["val_loss"])
        if monitor == "val_loss":
            best = np.min(history["val_loss"], axis=0)
            np.testing.assert_allclose(model.evaluate(X[:30], Y[:30])["loss"], best, rtol=1e-12)
    for other in found[1:]:
        for ours, theirs in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(losses[0], losses[1])


def test_validation_is_of_the_averaged_weights_and_training_of_its_own():
    average = mg.ExponentialMovingAverage(0.9)
    model, history = train([average], validation_data=(X, Y))
    assert model.evaluate(X, Y)["loss"] == history["val_loss"][-1]
    _, without = train([], validation_data=(X, Y))
    assert history["loss"] == without["loss"]
    assert history["val_loss"] != without["val_loss"]


def test_a_callback_of_ones_own_may_give_the_final_weights():
    class First(mg.Callback):
        def on_train_begin(self, logs=None):
            self.first = self.model.params.copy()

        def final_params(self):
            return self.first

    _, history = train([First()], validation_data=(X, Y))
    assert len(set(history["val_loss"])) == 1


@pytest.mark.parametrize("later", [0.999, 0.5, 0.0])
def test_an_average_with_another_decay_is_still_an_average(later):
    """That of parameters which do not change is these parameters."""

    class Change(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 1:
                average.decay = later

    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), random_state=0)
    before, average = model.params.copy(), mg.ExponentialMovingAverage(0.7)
    x, options = np.ones((4, 2)), {"epochs": 4, "batch_size": 2, "verbose": 0}
    model.fit(x, x[:, 0], optimizer=mg.SGD(0.0), callbacks=[average, Change()], **options)
    np.testing.assert_allclose(model.params, before, rtol=1e-6)


def test_a_plateau_of_steps_that_adapt_themselves_is_refused():
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), random_state=0)
    x, options = np.ones((4, 2)), {"callbacks": [mg.ReduceOnPlateau()], "verbose": 0}
    with pytest.raises(ValueError, match="learning rate counts at every step, got Rprop"):
        model.fit(x, x[:, 0], optimizer=mg.Rprop(), **options)
