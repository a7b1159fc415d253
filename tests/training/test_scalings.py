"""Scalings in the model: a Standardize layer for inputs, and target_scaling."""

import copy
import pickle
import threading

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training.moments import Moments
from tests.kinds import every_loss, one_and_many
from tests.training.test_ranks import Queues

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)) * [1000.0, 3.0, 0.2] + [2000.0, 3.0, 1.0]
Y = np.stack([3e5 + X @ [100.0, 2e4, 5e4], X[:, 1] - X[:, 2]], axis=1)
Y += RNG.normal(size=Y.shape) * [2e4, 0.1]
W = RNG.integers(0, 4, len(X)).astype(float)

FIT = {"epochs": 3, "batch_size": 16, "verbose": 0}


def scaled_model(size=None, dtype="float32", outputs=2, **options):
    layers = [mg.Standardize(3), mg.Dense(3, 5), mg.Tanh(), mg.Dense(5, outputs)]
    options = {"loss": mg.MeanSquaredError(), "target_scaling": "standard"} | options
    return mg.Sequential(layers, **options, dtype=dtype, random_state=0, ensemble_size=size)


def moments(values, weights=None):
    """The mean and deviation in longdouble, as an oracle."""
    values = values.astype(np.longdouble)
    weights = np.ones(len(values)) if weights is None else weights
    weights = weights[:, None].astype(np.longdouble)
    share = weights / weights.sum()
    mean = (share * values).sum(axis=0)
    return mean, np.sqrt((share * (values - mean) ** 2).sum(axis=0))


def statistics(model):
    found = model.get_weights()
    mean = found["target.mean"].astype(float) + found["target.mean_remainder"]
    names = "layers[0].mean", "layers[0].deviation"
    return *(found[name] for name in names), mean, found["target.deviation"]


def assert_fitted_to(model, x, y, weights=None, rtol=1e-6):
    expected = *moments(x, weights), *moments(y, weights)
    for found, correct in zip(statistics(model), expected, strict=True):
        np.testing.assert_allclose(found, correct.astype(float), rtol=rtol)


# the fitted numbers


@one_and_many
@pytest.mark.parametrize("weights", [None, W], ids=["alike", "weighted"])
def test_fit_takes_mean_and_deviation_of_its_rows(size, weights):
    model = scaled_model(size)
    model.fit(X, Y, optimizer=mg.Adam(), sample_weight=weights, **FIT)
    for member in [model] if size is None else [model.member(i) for i in range(size)]:
        assert_fitted_to(member, X, Y, weights)


def test_held_out_rows_and_rows_of_weight_0_do_not_count():
    x, y, weights = X.copy(), Y.copy(), np.ones(len(X))
    x[50:], y[50:] = 1e6, -1e9
    x[:5], y[:5], weights[:5] = -1e6, 1e9, 0
    model = scaled_model()
    options = {"validation_split": 1 / 6, "validation_shuffle": False, "sample_weight": weights}
    model.fit(x, y, optimizer=mg.Adam(), **options, **FIT)
    assert_fitted_to(model, x[5:50], y[5:50])


def test_each_member_has_the_scaling_of_its_own_rows():
    weights = np.stack([np.arange(60) < 20, np.arange(60) >= 20]).astype(float)
    model = scaled_model(2)
    model.fit(X, Y, optimizer=mg.Adam(), sample_weight=weights, **FIT)
    assert_fitted_to(model.member(0), X[:20], Y[:20])
    assert_fitted_to(model.member(1), X[20:], Y[20:])
    apart = scaled_model(2).member(1)
    apart.fit(X, Y, optimizer=mg.Adam(), sample_weight=weights[1], shuffle=False, **FIT)
    together = scaled_model(2)
    together.fit(X, Y, optimizer=mg.Adam(), sample_weight=weights, shuffle=False, **FIT)
    np.testing.assert_allclose(together.predict(X)[1], apart.predict(X), rtol=1e-5)
    own = np.stack([X, 2 * X]), np.stack([Y, 3 * Y])
    model = scaled_model(2)
    model.fit(*own, optimizer=mg.Adam(), **FIT)
    assert_fitted_to(model.member(1), 2 * X, 3 * Y)


def test_class_weights_count_in_the_scaling_of_inputs():
    y = (np.arange(60) < 12).astype(int)
    layers = [mg.Standardize(3), mg.Dense(3, 1)]
    model = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), dtype="float64")
    model.fit(X, y, optimizer=mg.Adam(), class_weight="balanced", **FIT)
    mean = (X[:12].mean(axis=0) + X[12:].mean(axis=0)) / 2
    np.testing.assert_allclose(model.layers[0].state.mean, mean, rtol=1e-12)


def test_memory_mapped_rows_are_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("mlpgrad.training.scalings.ELEMENTS_AT_ONCE", 21)
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    model = scaled_model()
    model.fit(x, Y, optimizer=mg.Adam(), validation_split=0.5, validation_shuffle=False, **FIT)
    assert_fitted_to(model, X[:30], Y[:30])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_of_any_size(dtype):
    info = np.finfo(dtype)
    for size in (float(info.tiny) * 1e3, 1.0, float(info.max) / 1e4):
        y = size * np.linspace(0.5, 1.5, 60)[:, None]
        model = scaled_model(dtype=dtype, outputs=1)
        history = model.fit(X * 0 + y, y, optimizer=mg.Adam(0.02), **FIT | {"epochs": 150})
        assert history["loss"][-1] < 0.05
        np.testing.assert_allclose(model.predict(X * 0 + y), y, rtol=0.3)


def test_float32_tells_targets_apart_that_differ_by_a_billionth():
    y = 1e9 + np.linspace(-1, 1, 60)
    x = np.linspace(-1, 1, 60)[:, None] + [0, 0, 0]
    model = scaled_model(outputs=1)
    model.fit(x, y, optimizer=mg.Adam(0.02), **FIT | {"epochs": 150})
    assert np.abs(model.predict(x)[:, 0] - y).max() < 0.2


def test_constants_have_the_deviation_1():
    x, y = X.copy(), Y.copy()
    x[:, 1], y[:, 1] = 0.1, 1e8 / 3
    model = scaled_model()
    model.fit(x, y, optimizer=mg.Adam(), sample_weight=W / 7, **FIT)
    _, deviations, _, of_targets = statistics(model)
    assert deviations[1] == of_targets[1] == 1
    assert np.isfinite(model.predict(x)).all()


def test_targets_that_a_deviation_cannot_be_held_of_are_refused():
    with pytest.raises(ValueError, match=r"float32 can hold, got 1e-50; rescale y, or .*float64"):
        scaled_model(outputs=1).fit(X, 1e-50 * (-1.0) ** np.arange(60), optimizer=mg.Adam(), **FIT)


def test_a_column_that_loses_its_digits_is_warned_of():
    x = X + np.array([0, 0, 1e9])
    with pytest.warns(
        mg.TrainingWarning, match=r"column 2 of x .* spacing of float32 .* subtract .*float64"
    ):
        scaled_model().fit_scaling(x, Y)


def test_moments_of_blocks_are_those_of_all_rows():
    values = X * [1e300, 1e-300, 1] + [0, 0, 1e12]
    found = Moments()
    for start in (0, 7, 8, 40):
        stop = {0: 7, 7: 8, 8: 40, 40: 60}[start]
        found.add(values[start:stop], W[start:stop, None])
    for ours, oracle in zip(found.scaling(), moments(values, W), strict=True):
        np.testing.assert_allclose(ours, oracle.astype(float), rtol=1e-12, atol=0)


# the time of the fit


@pytest.mark.parametrize("dtype", [float, np.int64, np.uint16])
def test_the_order_of_rows_in_memory_changes_no_bit(dtype):
    rows = np.abs(RNG.normal(size=(150, 3)) * 1000).astype(dtype)
    found = []
    for same in (rows, np.asfortranarray(rows), np.repeat(rows, 2, axis=1)[:, ::2]):
        moments = Moments()
        moments.add(same, None)
        found.append(moments.scaling())
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_a_later_fit_keeps_the_scaling_and_fit_scaling_takes_a_new_one():
    model = scaled_model()
    model.fit(X, Y, optimizer=mg.Adam(), **FIT)
    before = model.state.copy()
    model.fit(2 * X, 3 * Y, optimizer=mg.Adam(), **FIT)
    np.testing.assert_array_equal(model.state, before)
    model.fit_scaling(2 * X, 3 * Y, sample_weight=W)
    assert_fitted_to(model, 2 * X, 3 * Y, W)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (scaled_model(), r"layer 0 Standardize\(3\) has not been fitted to data yet"),
        (
            mg.Sequential([mg.Dense(3, 2)], loss=mg.MeanSquaredError(), target_scaling="standard"),
            'target_scaling="standard" has not been fitted to data yet',
        ),
    ],
    ids=["inputs", "targets"],
)
def test_before_fit_everything_says_what_to_do(model, message):
    calls = [
        lambda: model.predict(X),
        lambda: model.evaluate(X, Y),
        lambda: model.backpropagate(X, Y),
        lambda: model.input_gradient(X, Y),
        lambda: model.objective(X, Y),
        lambda: mg.check_gradients(model, X, Y),
        lambda: mg.explain(model, X[0], Y[0]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message + r".*model\.fit_scaling\(x, y\)"):
            call()
    model.fit_scaling(X, Y)
    assert mg.check_gradients(model, X[:8], Y[:8])


def test_an_iterable_is_refused_until_fit_scaling_has_read_it():
    batches = [(X[:20], Y[:20]), (X[20:], Y[20:])]
    model = scaled_model()
    with pytest.raises(ValueError, match=r"call model\.fit_scaling\(batches\) first"):
        model.fit(batches, optimizer=mg.Adam(), **FIT)
    model.fit_scaling(batches)
    assert_fitted_to(model, X, Y)
    assert model.fit(batches, optimizer=mg.Adam(), **FIT).epochs == 3


def test_fit_scaling_says_what_it_needs():
    plain = mg.Sequential([mg.Dense(3, 2)], loss=mg.MeanSquaredError())
    with pytest.raises(ValueError, match="expects a model that scales"):
        plain.fit_scaling(X, Y)
    with pytest.raises(TypeError, match="expects y, since"):
        scaled_model().fit_scaling(X)
    only_inputs = scaled_model(target_scaling=None)
    only_inputs.fit_scaling(X)
    np.testing.assert_allclose(only_inputs.layers[0].state.mean, X.mean(axis=0), rtol=1e-6)


def test_standardize_further_in_is_refused_unless_it_is_given():
    with pytest.raises(ValueError, match=r"layer 1 Standardize\(3\) expects to be the first"):
        mg.Sequential([mg.Dense(3, 3), mg.Standardize(3)], loss=mg.MeanSquaredError())
    with pytest.raises(
        ValueError, match=r"layer Residual\.0 Standardize\(3\) expects to be the first"
    ):
        mg.Sequential([mg.Residual([mg.Standardize(3)])], loss=mg.MeanSquaredError())
    given = mg.Standardize(3, mean=[1, 2, 3], deviation=[1, 2, 4])
    model = mg.Sequential([mg.Identity(), given], loss=mg.MeanSquaredError())
    np.testing.assert_array_equal(model.predict([[3.0, 4.0, 5.0]]), [[2.0, 1.0, 0.5]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": [0, 0, 0]}, "got mean without deviation"),
        ({"deviation": [1, 1, 1]}, "got deviation without mean"),
        ({"mean": [0, 0], "deviation": [1, 1]}, r"mean expects shape \(3,\), got \(2,\)"),
        ({"mean": [0, 0, 0], "deviation": [1, 0, 1]}, "positive deviations, got 0"),
        ({"mean": [0, np.nan, 0], "deviation": [1, 1, 1]}, "expects finite numbers, got nan"),
    ],
)
def test_statistics_that_are_given_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        mg.Standardize(3, **options)


# the effect


def test_inputs_scaled_by_the_layer_train_as_inputs_scaled_by_hand():
    """Equality to the last bit if mean and deviation are powers of two."""
    x = RNG.integers(-4, 5, (60, 3)).astype(float)
    given = {"mean": [8, -2, 0], "deviation": [4, 2, 0.5]}
    layers = [mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 2)]
    by_hand = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
    layers = [mg.Standardize(3, **given), mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 2)]
    by_layer = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
    by_layer.params = by_hand.params
    options = {"epochs": 20, "batch_size": 2, "verbose": 0}  # with recorded steps, too
    y = Y / Y.std(axis=0)
    by_hand.fit(x, y, optimizer=mg.Adam(), **options)
    by_layer.fit(x * given["deviation"] + given["mean"], y, optimizer=mg.Adam(), **options)
    np.testing.assert_array_equal(by_layer.params, by_hand.params)


def test_targets_scaled_by_the_model_train_as_targets_scaled_by_hand():
    mean, deviation = Y.mean(axis=0), Y.std(axis=0)
    by_model = scaled_model(dtype="float64")
    by_hand = scaled_model(dtype="float64", target_scaling=None)
    options = {"validation_split": 0.2, "validation_shuffle": False, **FIT}
    first = by_model.fit(X[:48], Y[:48], optimizer=mg.Adam(), **FIT)
    mean, deviation = Y[:48].mean(axis=0), Y[:48].std(axis=0)
    second = by_hand.fit(X[:48], (Y[:48] - mean) / deviation, optimizer=mg.Adam(), **FIT)
    np.testing.assert_allclose(first["loss"], second["loss"], rtol=1e-9)
    np.testing.assert_allclose(by_model.params, by_hand.params, rtol=1e-7)
    expected = by_hand.predict(X) * deviation + mean
    np.testing.assert_allclose(by_model.predict(X), expected, rtol=1e-7)
    # the loss in the scaled unit, metrics in the user's
    found = by_model.evaluate(X, Y, metrics=[mg.RootMeanSquared(), mg.R2()])
    assert found["loss"] == pytest.approx(by_hand.evaluate(X, (Y - mean) / deviation)["loss"])
    error = np.sqrt(np.mean((expected - Y) ** 2))
    assert found["root_mean_squared_error"] == pytest.approx(error, rel=1e-6)
    value = by_model.backpropagate(X, Y)
    assert value == pytest.approx(found["loss"])
    history = scaled_model().fit(X, Y, optimizer=mg.Adam(), metrics=[mg.MeanAbsolute()], **options)
    assert history["mean_absolute_error"][-1] > 1000
    assert history["val_mean_absolute_error"][-1] > 1000
    assert history["val_loss"][-1] < 10


REFUSED = {
    mg.BinaryCrossEntropy,
    mg.CrossEntropy,
    mg.Hinge,
    mg.Poisson,
    mg.SigmoidCrossEntropy,
    mg.SigmoidFocal,
    mg.SoftmaxCrossEntropy,
    mg.SoftmaxFocal,
}


@every_loss
@one_and_many
def test_predictions_follow_the_unit_of_the_target_or_the_loss_refuses(cls, size):
    """Trained on a y + b instead of y, it predicts a m + b instead of m, to rounding."""
    loss, prediction, target = cls.example()

    def trained(scale, shift):
        layers = [mg.Dense(3, prediction.shape[-1])]
        if loss.expects_probabilities:
            layers.append(mg.Softmax() if cls is mg.CrossEntropy else mg.Sigmoid())
        options = {"random_state": 0, "ensemble_size": size, "target_scaling": "standard"}
        model = mg.Sequential(layers, loss=cls.example()[0], dtype="float64", **options)
        y = scale * Y[:, np.arange(target.shape[-1]) % 2] + shift
        model.fit(X / 1000, y, optimizer=mg.Adam(0.01), **FIT)
        return model.predict(X / 1000)

    if cls in REFUSED:
        with pytest.raises(ValueError, match=f"target_scaling='standard' .* got {cls.__name__}"):
            trained(1, 0)
        return
    a, b = 256.0, -3e4
    plain, changed = trained(1, 0), trained(a, b)
    targets = target.shape[-1]
    if cls is mg.GaussianNLL:
        log_variances = plain[..., targets:] + 2 * np.log(a)
        np.testing.assert_allclose(changed[..., targets:], log_variances, rtol=1e-9)
        plain, changed = plain[..., :targets], changed[..., :targets]
    np.testing.assert_allclose(changed, a * plain + b, rtol=1e-7)


def test_a_loss_with_a_width_of_its_own_says_what_to_override():
    class Pairs(mg.Loss):
        def target_features(self, out_features):
            return out_features // 2

    with pytest.raises(ValueError, match="override its method rescaled"):
        mg.Sequential([mg.Dense(3, 2)], loss=Pairs(), target_scaling="standard")
    with pytest.raises(ValueError, match='expects None or "standard", got 2'):
        mg.Sequential([mg.Dense(3, 2)], loss=mg.Huber(), target_scaling=2)
    with pytest.raises(ValueError, match="width is known"):
        mg.Sequential([mg.Identity()], loss=mg.Huber(), target_scaling="standard")


def test_another_loss_is_taken_if_its_targets_are_as_many():
    model = scaled_model()
    model.fit(X, Y, optimizer=mg.Adam(), **FIT)
    model.loss = mg.Huber()
    model.fit(X, Y, optimizer=mg.Adam(), **FIT)
    with pytest.raises(ValueError, match=r"loss expects 2 targets, .* with 1; make a new model"):
        model.loss = mg.GaussianNLL()
    with pytest.raises(ValueError, match="whose targets are classes"):
        model.loss = mg.SoftmaxCrossEntropy()
    with pytest.raises(AttributeError, match="target_scaling cannot be changed"):
        model.target_scaling = None


def test_prices_reach_the_least_squares_error_with_the_default_rate():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(600, 3)) * [50.0, 2.0, 1e3] + [120.0, 4.0, 2e4]
    y = x @ [2000.0, 15000.0, 5.0] + rng.normal(size=600) * 2e4
    errors = y - np.c_[x, np.ones(600)] @ np.linalg.lstsq(np.c_[x, np.ones(600)], y)[0]
    model = mg.Sequential(
        [mg.Standardize(3), mg.Dense(3, 1)],
        loss=mg.MeanSquaredError(),
        target_scaling="standard",
        random_state=0,
    )
    model.fit(x, y, optimizer=mg.Adam(), epochs=200, verbose=0)
    assert abs(y.mean() - 4e5) < 1e5
    found = model.evaluate(x, y, metrics=[mg.RootMeanSquared()])["root_mean_squared_error"]
    assert found == pytest.approx(np.sqrt(np.mean(errors**2)), rel=2e-3)


# copies, files, threads, ranks


@one_and_many
def test_copies_and_files_predict_in_the_same_unit(size, tmp_path):
    model = scaled_model(size)
    model.fit(X, Y, optimizer=mg.Adam(), **FIT)
    model.save(tmp_path / "model.npz")
    loaded = mg.load(tmp_path / "model.npz")
    twins = [model.copy(), copy.deepcopy(model), pickle.loads(pickle.dumps(model)), loaded]
    fresh = scaled_model(size)
    fresh.restore(model.snapshot())
    for twin in (*twins, fresh):
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
        twin.fit(3 * X, 3 * Y, optimizer=mg.Adam(), **FIT)
        np.testing.assert_array_equal(twin.state, model.state)
    lifted = model.lifted("float64")
    np.testing.assert_allclose(lifted.predict(X), model.predict(X), rtol=1e-4)
    if size is None:
        np.testing.assert_array_equal(model.tiled(2).predict(X)[1], model.predict(X))
    else:
        np.testing.assert_array_equal(model.member(1).predict(X), model.predict(X)[1])
    text = repr(loaded)
    assert 'target_scaling="standard"' in text
    assert repr(eval(text, vars(mg))) == text


def test_a_resumed_training_goes_on_exactly():
    taken = []

    class Keep(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            taken.append(self.session.snapshot())

    options = {"validation_split": 0.25, "batch_size": 8, "verbose": 0, "epochs": 4}
    whole = scaled_model()
    whole.fit(X, Y, optimizer=mg.Adam(), callbacks=[Keep()], **options)
    resumed = scaled_model()
    history = resumed.fit(X, Y, optimizer=mg.Adam(), resume=taken[1], **options)
    assert history.epochs == 4
    np.testing.assert_array_equal(resumed.params, whole.params)
    np.testing.assert_array_equal(resumed.state, whole.state)


class Rescale(mg.Callback):
    """Fits the scaling of each member to rows with weights of its own, at one place."""

    def __init__(self, place):
        self.place, self.weights = place, np.stack([W + 1, W[::-1] + 1])

    def _hit(self, place):
        if place == self.place:
            self.model.fit_scaling(X, Y, sample_weight=self.weights)
            self.place = None

    def on_train_begin(self, logs=None):
        self._hit("before")

    def on_epoch_end(self, epoch, logs):
        self._hit(f"epoch {epoch}")


class RescaleWithin(Rescale):
    """The same after a batch."""

    def on_train_batch_end(self, batch, logs):
        self._hit(f"batch {batch}")


WAYS = "layers", "recorded", "compiled"
PLACES = [
    *((place, way) for place in ("before", "epoch 0") for way in WAYS),
    ("batch 4", "layers"),  # a callback between batches sees the layers' steps
]


@pytest.mark.parametrize(("place", "way"), PLACES)
def test_members_may_come_to_scale_their_common_targets_apart(place, way, monkeypatch):
    """As if the targets had been given for each member."""
    if way == "compiled":
        pytest.importorskip("llvmlite")
    many = 0 if way == "recorded" else 1000
    monkeypatch.setattr("mlpgrad.training.recorded_step.MANY_STEPS", many)
    monkeypatch.setattr("mlpgrad.training.batches.BLOCK_BYTES", 1)  # each batch is gathered alone
    found = []
    for y in (Y, np.stack([Y, Y])):
        model = scaled_model(2)
        callback = (RescaleWithin if "batch" in place else Rescale)(place)
        options = {"epochs": 3, "batch_size": 5, "verbose": 0, "validation_split": 0.2}
        options |= {"callbacks": [callback], "compiled": way == "compiled"}
        history = model.fit(X, y, optimizer=mg.Adam(0.01), **options)
        assert callback.place is None
        assert len(np.unique(model.get_weights()["target.mean"], axis=0)) == 2
        found.append([model.params, *history["loss"], *history["val_loss"]])
    for shared, own in zip(*found, strict=True):
        np.testing.assert_array_equal(shared, own)


def test_a_snapshot_of_members_that_scale_their_targets_apart_goes_on_exactly():
    def trained(resume=None):
        model, optimizer = scaled_model(2), mg.SGD(0.01)
        if resume is None:
            weights = np.stack([W + 1, W[::-1] + 1])
            model.fit(X, Y, optimizer=optimizer, sample_weight=weights, **FIT)
        keep = Keep()
        history = model.fit(X, Y, optimizer=optimizer, callbacks=[keep], resume=resume, **FIT)
        return keep.taken, [model.params, model.state, *history["loss"]]

    taken, expected = trained()
    for found, correct in zip(trained(taken)[1], expected, strict=True):
        np.testing.assert_array_equal(found, correct)


class Keep(mg.Callback):
    """Takes a snapshot after the first epoch."""

    def on_epoch_end(self, epoch, logs):
        if epoch == 0:
            self.taken = self.session.snapshot()
        elif not hasattr(self, "taken"):
            self.taken = None


def test_ranks_get_the_scaling_of_all_rows():
    from concurrent.futures import ThreadPoolExecutor

    queues, models = Queues(3), [scaled_model(dtype="float64") for _ in range(3)]

    def train(rank):
        rows = slice(rank, None, 3)
        models[rank].fit(
            X[rows],
            Y[rows],
            optimizer=mg.Adam(),
            sample_weight=W[rows] + 1,
            communicator=queues.rank(rank),
            **FIT,
        )

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(train, range(3)))
    for model in models:
        assert_fitted_to(model, X, Y, W + 1, rtol=1e-12)
        np.testing.assert_array_equal(model.state, models[0].state)
        np.testing.assert_array_equal(model.params, models[0].params)


def test_other_parts_work_in_the_unit_that_they_belong_to():
    model = scaled_model(outputs=1)
    y = Y[:, 0]
    model.fit(X, y, optimizer=mg.Adam(), **FIT)
    value, grads = model.objective(X, y)(model.params)
    assert value == pytest.approx(model.evaluate(X, y)["loss"], rel=1e-6)
    assert grads.shape == model.params.shape
    assert mg.explain(model, X[0], y[0])
    tested = scaled_model(outputs=1).learning_rate_range_test(X, y, optimizer=mg.Adam())
    assert tested.losses[0] < 10
    stopping = mg.EarlyStopping(2, validation_data=(X, y))
    scaled_model(outputs=1).fit(X, y, optimizer=mg.Adam(), callbacks=[stopping], **FIT)
    assert stopping.best[0] < 10


# predictions with uncertainty


@pytest.mark.parametrize("loss", [mg.GaussianNLL, mg.MeanSquaredError, mg.Quantile])
def test_uncertainty_is_in_the_unit_of_the_target(loss):
    """A model without scalings, with the same weights, on targets scaled by hand."""
    made, outputs = loss(), 2 if loss is mg.GaussianNLL else 3 if loss is mg.Quantile else 1
    made = loss([0.025, 0.5, 0.975]) if loss is mg.Quantile else made
    y, options = 1e-5 * Y[:, :1], {"loss": made, "outputs": outputs, "dtype": "float64", "size": 3}
    model = scaled_model(**options)
    model.fit(X, y, optimizer=mg.Adam(), **FIT)
    by_hand = scaled_model(**options, target_scaling=None)
    by_hand.params, by_hand.state = model.params, model.state[:, : by_hand.state.shape[1]]
    mean, deviation = y.mean(axis=0), y.std(axis=0)
    scaled = (y - mean) / deviation
    if loss is mg.MeanSquaredError:
        model.uncertainty = mg.Noise.fit(model, X, y)
        by_hand.uncertainty = mg.Noise.fit(by_hand, X, scaled)
        assert model.uncertainty.std == pytest.approx(by_hand.uncertainty.std * deviation[0])
    if loss is not mg.Quantile:
        found, expected = model.predict(X, std=True), by_hand.predict(X, std=True)
        np.testing.assert_allclose(found.mean, expected.mean * deviation + mean, rtol=1e-9)
        np.testing.assert_allclose(found.std, expected.std * deviation, rtol=1e-6)
        likelihood = by_hand.log_likelihood(X, scaled) - np.log(deviation[0])
        assert model.log_likelihood(X, y) == pytest.approx(likelihood)
    for ours, theirs in zip(
        model.predict(X, interval=0.95), by_hand.predict(X, interval=0.95), strict=True
    ):
        np.testing.assert_allclose(ours, theirs * deviation + mean, rtol=1e-7)
    ours, theirs = model.evaluate(X, y), by_hand.evaluate(X, scaled)
    assert ours["ensemble_loss"] == pytest.approx(theirs["ensemble_loss"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_ensemble_with_several_units_is_measured_in_that_of_the_data(dtype):
    weights = np.stack([np.arange(60) < 20, np.arange(60) >= 20]).astype(float)
    model = scaled_model(2, dtype=dtype)
    model.fit(X, Y, optimizer=mg.Adam(), sample_weight=weights, **FIT)
    found = model.evaluate(X, Y, metrics=[mg.RootMeanSquared()])
    mean = model.predict(X).mean(axis=0)
    error = np.sqrt(np.mean((mean - Y) ** 2))
    assert found["ensemble_root_mean_squared_error"] == pytest.approx(error)
    deviation = Y[:20].std(axis=0)
    assert found["ensemble_loss"] == pytest.approx(np.mean(((mean - Y) / deviation) ** 2))


def test_another_thread_predicts_in_the_unit_of_the_target():
    found = []

    class Ask(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            thread = threading.Thread(target=lambda: found.append(self.model.predict(X)))
            thread.start()
            thread.join(timeout=60)

    scaled_model().fit(X, Y, optimizer=mg.Adam(), callbacks=[Ask()], **FIT)
    assert len(found) == 3
    assert all(2e5 < prediction[:, 0].mean() < 2e6 for prediction in found)


def test_summaries_name_the_scaling():
    assert str(scaled_model().summary()).endswith("target_scaling='standard'")


@pytest.mark.slow
def test_house_prices_are_predicted_as_by_a_network_scaled_by_hand():
    """600 rows, linear in three columns plus noise of 20,000; the recipe is fixed."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(600, 3)) * [50.0, 2.0, 1e3] + [120.0, 4.0, 2e4]
    y = x @ [2000.0, 15000.0, 5.0] + rng.normal(size=600) * 2e4
    train, test = mg.datasets.split_indices(600, 0.25, rng=0)
    (x_train, x_test), (y_train, y_test) = ((a[train], a[test]) for a in (x, y))
    mean, deviation = x_train.mean(axis=0), x_train.std(axis=0)
    center, spread = y_train.mean(), y_train.std()
    errors: dict[str, list[float]] = {"by the model": [], "by hand": []}
    for seed in range(10):
        hidden = [mg.Dense(3, 16), mg.Tanh(), mg.Dense(16, 1)]
        layers = [mg.Standardize(3), mg.Dense(3, 16), mg.Tanh(), mg.Dense(16, 1)]
        options = {"loss": mg.MeanSquaredError(), "random_state": seed}
        by_hand = mg.Sequential(hidden, **options)
        by_model = mg.Sequential(layers, **options, target_scaling="standard")
        fit = {"optimizer": mg.Adam(), "epochs": 100, "verbose": 0}
        by_hand.fit((x_train - mean) / deviation, (y_train - center) / spread, **fit)
        fit["optimizer"] = mg.Adam()
        by_model.fit(x_train, y_train, **fit)
        predictions = {
            "by the model": by_model.predict(x_test)[:, 0],
            "by hand": by_hand.predict((x_test - mean) / deviation)[:, 0] * spread + center,
        }
        for name, prediction in predictions.items():
            errors[name].append(float(np.sqrt(np.mean((prediction - y_test) ** 2))))
    medians = {name: np.median(found) for name, found in errors.items()}
    assert medians["by the model"] < 1.05 * medians["by hand"]
    assert medians["by hand"] < 0.3 * spread
