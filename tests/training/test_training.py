"""fit with batches, validation, callbacks, divergence and interruption."""

import signal
import threading

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training.batches import Minibatches


def classifier(size=None, seed=0, dtype=np.float64, width=8):
    return mg.Sequential(
        [mg.Dense(2, width), mg.Tanh(), mg.Dense(width, 3)],
        loss=mg.SoftmaxCrossEntropy(),
        dtype=dtype,
        random_state=seed,
        ensemble_size=size,
    )


def blobs(samples=120, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples)
    return rng.normal(size=(samples, 2)) + 3 * np.eye(3)[y][:, :2], y


def train(model=None, data=None, **options):
    model = model or classifier()
    options = {"optimizer": mg.Adam(1e-2), "epochs": 5, "verbose": 0} | options
    return model, model.fit(*(data or blobs()), **options)


class Recorder(mg.Callback):
    """Records the hooks in order."""

    def __init__(self):
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append("train_begin")

    def on_train_end(self, logs=None):
        self.calls.append("train_end")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch_begin {epoch}")

    def on_epoch_end(self, epoch, logs):
        self.calls.append(f"epoch_end {epoch} {sorted(logs)}")

    def on_train_batch_begin(self, batch, logs):
        self.calls.append(f"batch_begin {batch}")

    def on_train_batch_end(self, batch, logs):
        self.calls.append(f"batch_end {batch} {sorted(logs)}")


# fit equals an explicit loop


@pytest.mark.parametrize("size", [None, 3])
def test_fit_equals_a_plain_loop(size):
    x, y = blobs(50)
    fitted, by_hand = classifier(size), classifier(size)
    fitted.fit(x, y, optimizer=mg.Adam(1e-2), epochs=3, batch_size=16, shuffle=False, verbose=0)
    optimizer = mg.Adam(1e-2)
    for _ in range(3):
        for start in range(0, 50, 16):
            by_hand.backpropagate(x[start : start + 16], y[start : start + 16])
            optimizer.step(by_hand.params, by_hand.grads)
    np.testing.assert_array_equal(fitted.params, by_hand.params)


def test_the_recorded_loss_is_the_mean_over_samples():
    x, y = blobs(50)
    model, history = train(data=(x, y), optimizer=mg.SGD(0.0), epochs=1, batch_size=16)
    assert history["loss"][0] == pytest.approx(model.evaluate(x, y)["loss"], rel=1e-12)


def test_same_seed_same_result():
    runs = [train(classifier(seed=3))[0].params for _ in range(2)]
    np.testing.assert_array_equal(*runs)
    assert (runs[0] != train(classifier(seed=4))[0].params).any()


def test_training_goes_on_where_it_left_off():
    x, y = blobs()
    once, twice = classifier(), classifier()
    once.fit(x, y, optimizer=mg.Adam(1e-2), epochs=4, verbose=0)
    optimizer = mg.Adam(1e-2)
    for _ in range(2):
        twice.fit(x, y, optimizer=optimizer, epochs=2, verbose=0)
    np.testing.assert_array_equal(once.params, twice.params)


def test_float32_data_in_any_dtype_gives_the_same():
    x, y = blobs()
    x = x.astype(np.float32)
    runs = [train(classifier(dtype=np.float32), (x.astype(d), y))[0].params for d in "fd"]
    np.testing.assert_array_equal(*runs)


# weights


def test_a_weight_of_two_counts_as_two_samples():
    x, y = blobs(30)
    weights = np.ones(30)
    weights[:10] = 2
    weighted, repeated = classifier(), classifier()
    value = weighted.backpropagate(x, y, sample_weight=weights)
    same = repeated.backpropagate(np.concatenate([x, x[:10]]), np.concatenate([y, y[:10]]))
    assert value == pytest.approx(same, rel=1e-12)
    np.testing.assert_allclose(weighted.grads, repeated.grads, rtol=1e-11, atol=1e-14)


def test_samples_of_weight_zero_are_left_out():
    x, y = blobs(30)
    weights = np.r_[np.ones(20), np.zeros(10)]
    options = {"batch_size": 30, "shuffle": False}
    weighted, _ = train(data=(x, y), sample_weight=weights, **options)
    without, _ = train(data=(x[:20], y[:20]), **options)
    np.testing.assert_allclose(weighted.params, without.params, rtol=1e-10)


def test_class_weights_are_sample_weights():
    x, y = blobs()
    by_class, _ = train(data=(x, y), class_weight={0: 1.0, 1: 5.0, 2: 0.5})
    by_sample, _ = train(data=(x, y), sample_weight=np.array([1.0, 5.0, 0.5])[y])
    np.testing.assert_array_equal(by_class.params, by_sample.params)


def test_balanced_class_weights_give_classes_the_same_total():
    x, y = blobs()
    counts = np.bincount(y)
    balanced, _ = train(data=(x, y), class_weight="balanced")
    by_hand, _ = train(data=(x, y), class_weight=dict(enumerate(len(y) / (3 * counts))))
    np.testing.assert_array_equal(balanced.params, by_hand.params)


def test_each_member_may_have_its_own_weights():
    x, y = blobs(40)
    weights = np.random.default_rng(0).integers(0, 3, (3, 40)).astype(float)
    ensemble = classifier(3)
    members = [ensemble.member(i) for i in range(3)]
    train(ensemble, (x, y), sample_weight=weights)
    for i, member in enumerate(members):
        train(member, (x, y), sample_weight=weights[i])
        np.testing.assert_allclose(ensemble.params[i], member.params, rtol=1e-12, atol=1e-12)


def test_each_member_may_have_its_own_data():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 30, 2)), rng.integers(0, 3, (3, 30))
    ensemble = classifier(3)
    members = [ensemble.member(i) for i in range(3)]
    _, history = train(ensemble, (x, y), validation_split=0.0)
    for i, member in enumerate(members):
        _, own = train(member, (x[i], y[i]))
        np.testing.assert_allclose(ensemble.params[i], member.params, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose([v[i] for v in history["loss"]], own["loss"], rtol=1e-12)


# batches


@pytest.mark.parametrize("samples", [1, 7, 64, 1000])
@pytest.mark.parametrize("batch_size", [1, 32, 5000])
def test_an_epoch_sees_every_row_once(samples, batch_size):
    x = np.arange(samples, dtype=float)[:, None]
    batches = Minibatches(
        [x, -x, None],
        [np.dtype(float)] * 3,
        batch_size=batch_size,
        shuffle=True,
        rng=np.random.default_rng(0),
    )
    seen = []
    for a, b, _ in batches:
        np.testing.assert_array_equal(a, -b)
        seen += a[:, 0].tolist()
    assert sorted(seen) == list(range(samples))
    assert len(batches) == -(-samples // min(batch_size, samples))


def test_a_set_beyond_the_exact_shuffle_is_seen_once_and_mixed(monkeypatch):
    monkeypatch.setattr("mlpgrad.training.batches.SHUFFLED_AT_ONCE", 1000)
    samples = 200_000
    x = np.arange(samples, dtype=float)[:, None]
    batches = Minibatches(
        [x, x, None],
        [np.dtype(float)] * 3,
        batch_size=48,
        shuffle=True,
        rng=np.random.default_rng(0),
    )
    seen = [part[:, 0].copy() for part, _, _ in batches]
    assert {len(part) for part in seen[:-1]} == {48}
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(samples))
    spread = np.array([part.std() for part in seen[:-1]])
    assert np.median(spread) > 0.7 * samples / np.sqrt(12)  # like rows drawn from the whole set


def test_order_changes_from_epoch_to_epoch():
    x = np.arange(100.0)[:, None]
    batches = Minibatches(
        [x, x, None], [x.dtype] * 3, batch_size=10, shuffle=True, rng=np.random.default_rng(0)
    )
    first, second = (np.concatenate([a.copy() for a, _, _ in batches]) for _ in range(2))
    assert (first != second).any()


def test_a_memory_mapped_file_is_read_in_blocks(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5000, 2)), rng.integers(0, 3, 5000)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    a, _ = train(data=(mapped, y), epochs=1)
    b, _ = train(data=(x, y), epochs=1)
    np.testing.assert_array_equal(a.params, b.params)


# validation


def test_validation_split_holds_out_a_share_of_each_class():
    x, y = blobs(300)
    x = np.c_[np.arange(300.0), np.zeros(300)]
    seen = []

    class Watch(mg.Callback):
        def on_train_batch_end(self, batch, logs):
            seen.extend(self.model.layers[0].inputs[:, 0].astype(int))

    train(data=(x, y), validation_split=0.2, epochs=1, callbacks=[Watch()])
    held = np.setdiff1d(np.arange(300), seen)
    assert len(seen) == len(set(seen)) == 240
    np.testing.assert_allclose(np.bincount(y[held]), 0.2 * np.bincount(y), atol=1)
    assert held.max() - held.min() > 200  # not the last rows


def test_validation_split_in_time_order_on_request():
    x = np.c_[np.arange(100.0), np.zeros(100)]
    y = np.arange(100) % 3
    seen = []

    class Watch(mg.Callback):
        def on_train_batch_end(self, batch, logs):
            seen.extend(self.model.layers[0].inputs[:, 0].astype(int))

    options = {"validation_split": 0.25, "validation_shuffle": False}
    train(data=(x, y), epochs=1, callbacks=[Watch()], **options)
    assert sorted(seen) == list(range(75))


def test_validation_data_is_evaluated_after_each_epoch():
    x, y = blobs()
    model, history = train(validation_data=(x[:40], y[:40]), epochs=2)
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(x[:40], y[:40])["loss"])
    assert set(history) == {"loss", "val_loss", "val_accuracy", "learning_rate"}
    assert history.epochs == 2


def test_metrics_on_request_are_recorded_in_training_too():
    _, history = train(metrics=[mg.Accuracy()], epochs=30)
    assert len(history["accuracy"]) == 30
    assert history["accuracy"][-1] > 0.8


# callbacks


def test_hooks_are_called_in_keras_order():
    recorder = Recorder()
    train(data=blobs(40), batch_size=32, epochs=2, callbacks=[recorder])
    epoch = ["batch_begin 0", "batch_end 0 ['loss']", "batch_begin 1", "batch_end 1 ['loss']"]
    logs = "['learning_rate', 'loss']"
    assert recorder.calls == [
        "train_begin",
        *["epoch_begin 0", *epoch, f"epoch_end 0 {logs}"],
        *["epoch_begin 1", *epoch, f"epoch_end 1 {logs}"],
        "train_end",
    ]


def test_stop_training_ends_after_the_epoch():
    class Stop(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = epoch == 2

    _, history = train(epochs=50, callbacks=[Stop()])
    assert history.epochs == 3


class Script(mg.Callback):
    """Writes scripted validation losses to the logs, and the epoch to the weights."""

    def __init__(self, losses):
        self.losses = losses

    def on_epoch_end(self, epoch, logs):
        logs["val_loss"] = np.array(self.losses[epoch]) if self.model.lead else self.losses[epoch]
        self.model.params = epoch


def test_early_stopping_restores_the_best_weights_and_stops_after_patience():
    stopping = mg.EarlyStopping(patience=3)
    callbacks = [Script([5.0, 3.0, 2.0, 4.0, 2.5, 2.0, 1.0, 1.0]), stopping]
    model, history = train(epochs=8, callbacks=callbacks)
    assert history.epochs == 6  # three epochs after the third, which was the best
    assert (model.params == 2).all()
    assert stopping.best_epoch == 2


def test_early_stopping_restores_the_best_weights_when_training_runs_out_too():
    callbacks = [Script([5.0, 3.0, 2.0, 4.0]), mg.EarlyStopping(patience=100)]
    model, _ = train(epochs=4, callbacks=callbacks)
    assert (model.params == 2).all()


def test_early_stopping_ignores_improvements_below_min_delta():
    callbacks = [Script([5.0, 4.9, 4.8, 4.7, 4.6]), mg.EarlyStopping(patience=2, min_delta=1.0)]
    with pytest.warns(
        mg.TrainingWarning, match="val_loss was never better than in the first epoch"
    ):
        model, history = train(epochs=5, callbacks=callbacks)
    assert history.epochs == 3
    assert (model.params == 0).all()


def test_early_stopping_treats_each_member_as_if_trained_alone():
    losses = [[5, 1], [4, 2], [3, 3], [9, 0], [9, 9], [2, 9]]
    model, history = train(
        classifier(2), epochs=6, callbacks=[Script(losses), mg.EarlyStopping(patience=2)]
    )
    assert history.epochs == 5
    assert (model.params[0] == 2).all()
    assert (model.params[1] == 0).all()  # its 0 came after its patience had ended


def test_early_stopping_of_an_ensemble_equals_a_loop():
    x, y = blobs(60)
    xv, yv = blobs(60, seed=1)
    ensemble = classifier(3, width=32)
    members = [ensemble.member(i) for i in range(3)]
    options = {"epochs": 60, "validation_data": (xv, yv), "shuffle": False}
    train(ensemble, (x, y), callbacks=[mg.EarlyStopping(3)], optimizer=mg.Adam(0.05), **options)
    for i, member in enumerate(members):
        train(member, (x, y), callbacks=[mg.EarlyStopping(3)], optimizer=mg.Adam(0.05), **options)
        np.testing.assert_allclose(ensemble.params[i], member.params, rtol=1e-9, atol=1e-9)


def test_early_stopping_may_have_its_own_validation_set():
    x, y = blobs(60, seed=1)
    stopping = mg.EarlyStopping(5, validation_data=(x, y))
    model, _ = train(epochs=10, callbacks=[stopping])
    assert stopping.best[0] == pytest.approx(model.evaluate(x, y)["loss"])


def test_early_stopping_on_accuracy_looks_for_the_maximum():
    stopping = mg.EarlyStopping(50, monitor="val_accuracy")
    _, history = train(epochs=20, callbacks=[stopping], validation_split=0.3)
    assert stopping.best[0] == max(history["val_accuracy"])


def test_an_unknown_monitor_names_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'val_loss'"):
        train(callbacks=[mg.EarlyStopping(monitor="vall_loss")], validation_split=0.2)


def test_reduce_on_plateau_multiplies_the_rate_after_patience():
    callbacks = [Script([3.0, 2.0, 2.0, 2.0, 2.0, 2.0]), mg.ReduceOnPlateau(0.5, patience=1)]
    _, history = train(epochs=6, callbacks=callbacks, optimizer=mg.SGD(0.8))
    np.testing.assert_allclose(history["learning_rate"], [0.8, 0.8, 0.8, 0.8, 0.4, 0.4])


def test_exponential_moving_average_equals_the_formula():
    weights = []

    class Watch(mg.Callback):
        def on_train_batch_end(self, batch, logs):
            weights.append(self.model.params.copy())

    model, _ = train(callbacks=[Watch(), mg.ExponentialMovingAverage(0.9)], epochs=2)
    factors = 0.9 ** np.arange(len(weights))[::-1]
    expected = np.tensordot(factors / factors.sum(), weights, axes=1)
    np.testing.assert_allclose(model.params, expected, rtol=1e-10)


def test_model_checkpoint_writes_the_best_epoch(tmp_path):
    path = tmp_path / "best.npz"
    callbacks = [Script([5.0, 1.0, 3.0]), mg.ModelCheckpoint(path)]
    train(epochs=3, callbacks=callbacks)
    assert (mg.load(path).params == 1).all()


# history


def test_history_becomes_a_table():
    _, history = train(epochs=3, validation_split=0.2)
    frame = history.to_frame()
    assert list(frame.columns) == ["loss", "val_loss", "val_accuracy", "learning_rate"]
    np.testing.assert_array_equal(frame["loss"], history["loss"])
    _, history = train(classifier(2), epochs=3)
    assert list(history.to_frame().columns)[:2] == ["loss[0]", "loss[1]"]


def test_history_plots_the_recorded_values():
    from matplotlib.figure import Figure

    _, history = train(epochs=4, validation_split=0.2)
    ax = history.plot(ax=Figure().subplots())
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_array_equal(drawn["training loss"], history["loss"])
    np.testing.assert_array_equal(drawn["validation loss"], history["val_loss"])


# when things go wrong


@pytest.mark.parametrize("size", [None, 3])
def test_divergence_stops_at_once_and_keeps_the_last_finite_weights(size):
    x = np.random.default_rng(0).normal(size=(64, 2))
    model = mg.Sequential(
        [mg.Dense(2, 4), mg.ReLU(), mg.Dense(4, 1)],
        loss=mg.HalfSquaredError(),
        random_state=0,
        ensemble_size=size,
    )
    with pytest.raises(mg.DivergenceError) as caught:
        model.fit(x, x[:, :1], optimizer=mg.SGD(1e6), epochs=20, verbose=0)
    assert np.isfinite(model.params).all()
    message = str(caught.value)
    assert f"epoch {caught.value.epoch + 1}, batch {caught.value.batch + 1}" in message
    assert "layer" in message
    assert "Dense" in message
    assert caught.value.history.epochs == caught.value.epoch


def test_divergence_names_the_first_bad_layer():
    class Poison(mg.Callback):
        def on_train_batch_begin(self, batch, logs):
            if batch == 1:
                self.model.layers[2].params.weights[...] = np.nan

    with pytest.raises(mg.DivergenceError, match=r"epoch 1, batch 2.*weights of layer 2 Dense"):
        train(callbacks=[Poison()])


def test_a_gradient_that_overflows_in_the_very_last_step_is_noticed():
    class Poison(mg.SGD):
        def step(self, params, grads):
            params[...] = np.inf

    model = classifier()
    before = model.params.copy()
    with pytest.raises(mg.DivergenceError):
        train(model, epochs=1, batch_size=1000, optimizer=Poison(0.1))
    np.testing.assert_array_equal(model.params, before)


def test_ctrl_c_ends_training_after_the_batch_and_keeps_what_was_learnt(press_ctrl_c):
    class PressCtrlC(mg.Callback):
        def on_train_batch_end(self, batch, logs):
            if len(self.history.get("loss", [])) == 2 and batch == 1:
                press_ctrl_c()

    recorder = Recorder()
    handler = signal.getsignal(signal.SIGINT)
    model = classifier()
    before = model.params.copy()
    _, history = train(model, epochs=50, callbacks=[PressCtrlC(), recorder])
    assert history.interrupted
    assert history.epochs == 2
    assert recorder.calls[-1] == "train_end"
    assert (model.params != before).any()
    assert signal.getsignal(signal.SIGINT) is handler
    assert "interrupted" in repr(history)


def test_an_ignored_ctrl_c_stays_ignored(press_ctrl_c):
    class PressCtrlC(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            press_ctrl_c()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, history = train(epochs=3, callbacks=[PressCtrlC()])
    assert history.epochs == 3
    assert not history.interrupted


def test_a_keyboard_interrupt_from_a_callback_ends_training_cleanly_too():
    class Interrupt(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            raise KeyboardInterrupt

    _, history = train(epochs=50, callbacks=[Interrupt()])
    assert history.interrupted
    assert history.epochs == 1


def test_fit_works_in_a_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(train()[1]))
    thread.start()
    thread.join()
    assert results[0].epochs == 5


def test_predict_is_safe_from_several_threads():
    model, _ = train()
    x = np.random.default_rng(0).normal(size=(8, 500, 2))
    expected = [model.predict(part) for part in x]
    results = {}

    def work(i):
        for _ in range(50):
            results[i] = model.predict(x[i])
            if not np.array_equal(results[i], expected[i]):
                break

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(8):
        np.testing.assert_array_equal(results[i], expected[i])


def test_predict_in_parts_equals_predict_at_once():
    model, _ = train(classifier(2))
    x = np.random.default_rng(0).normal(size=(2500, 2))
    whole = np.concatenate([model.predict(x[i : i + 500]) for i in range(0, 2500, 500)], axis=1)
    np.testing.assert_allclose(model.predict(x), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2500])
def test_a_prediction_that_overflows_is_infinite_without_a_warning(rows):
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.HalfSquaredError())
    model.params = 3e38
    assert np.isposinf(model.predict(np.full((rows, 2), 10.0))).all()


def test_stop_training_is_true_or_false():
    model = classifier()
    with pytest.raises(TypeError, match="stop_training expects True or False, got an array"):
        model.stop_training = np.zeros(2)
    assert model.stop_training is False


@pytest.mark.parametrize("mode", [np.array(["min", "max"]), 1, "up", ["min"]])
def test_the_mode_of_a_monitored_value_is_checked(mode):
    with pytest.raises(ValueError, match='mode expects "min", "max" or None'):
        mg.EarlyStopping(mode=mode)


def test_silence(capfd):
    pytest.importorskip("ipykernel", reason="a kernel that is imported but not running")
    train(verbose=0)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_the_plain_progress_line(capfd, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    train(verbose=1, epochs=3, validation_split=0.2)
    line = capfd.readouterr().err.split("\r")[-1]
    assert line.startswith("epoch 3/3  loss ")
    assert "val_loss" in line
    assert "0 s left" in line
    assert line.endswith("\n")


# the learning-rate range test


def test_the_range_test_leaves_model_and_optimizer_alone():
    model, optimizer = classifier(), mg.SGD(0.1)
    before = model.params.copy()
    test = model.learning_rate_range_test(*blobs(), optimizer=optimizer, highest=1e4)
    np.testing.assert_array_equal(model.params, before)
    assert optimizer.steps == 0
    assert 1e-4 < test.suggestion < 10
    assert len(test.learning_rates) == len(test.losses) <= 100


@pytest.mark.parametrize(("loss", "outputs"), [(mg.GaussianNLL(), 2), (mg.Poisson(), 1)])
@pytest.mark.parametrize("size", [0.1, 1.0, 7.0])
def test_the_range_test_goes_on_where_a_log_likelihood_falls_through_zero(loss, outputs, size):
    x, y = mg.datasets.regression(300, random_state=0)
    layers = [mg.Dense(5, 8), mg.Tanh(), mg.Dense(8, outputs)]
    model = mg.Sequential(layers, loss=loss, random_state=0)
    test = model.learning_rate_range_test(x, size * y / y.std(), optimizer=mg.Adam())
    assert len(test.losses) == 100 or test.losses[-1] > test.losses[:10].max()
    assert test.suggestion > 5e-3


def test_the_range_test_tries_the_rates_that_it_shows():
    lowered = mg.SGD(0.1)
    lowered.learning_rate_scale = 1e-3  # as ReduceOnPlateau leaves it
    ours, fresh = (
        classifier().learning_rate_range_test(*blobs(), optimizer=optimizer)
        for optimizer in (lowered, mg.SGD(0.1))
    )
    np.testing.assert_array_equal(ours.losses, fresh.losses)
    assert lowered.learning_rate_scale == 1e-3


def test_ctrl_c_ends_the_range_test_without_a_suggestion(press_ctrl_c):
    class Presses(mg.L2):
        steps = 0

        def slope(self, params, out):
            super().slope(params, out)
            Presses.steps += 1
            if Presses.steps == 10:
                press_ctrl_c()

    model = classifier()
    model.penalties = [Presses(0.01)]
    with pytest.raises(KeyboardInterrupt):
        model.learning_rate_range_test(*blobs(), optimizer=mg.SGD(0.1))
    assert Presses.steps == 10


def test_the_range_test_refuses_an_optimizer_that_adapts_its_own_steps():
    with pytest.raises(TypeError, match=r"range_test expects .* got Rprop\(\), which adapts"):
        classifier().learning_rate_range_test(*blobs(), optimizer=mg.Rprop())


def test_the_range_test_says_that_the_initial_weights_diverge():
    x, y = blobs()
    model = mg.Sequential([mg.Dense(x.shape[-1], 1)], loss=mg.MeanSquaredError(), random_state=0)
    with pytest.raises(mg.DivergenceError, match=r"initial weights .* scale the inputs"):
        model.learning_rate_range_test(1e30 * x, y, optimizer=mg.Adam())


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda x, y: (x * np.nan, y), "x expects finite numbers"),
        (lambda x, y: (x[:, :1], y), "x expects 2 features"),
        (lambda x, y: (x, y[1:]), "the same number of samples"),
        (lambda x, y: (x, y, -np.ones(len(y))), "sample_weight expects no negative"),
        (lambda x, y: (x, y.astype(str).tolist()), "."),
    ],
)
def test_an_error_in_validation_data_names_it(change, error):
    x, y = blobs()
    data, stop = change(x, y), mg.EarlyStopping(3, validation_data=change(x, y))
    for options in ({"validation_data": data}, {"callbacks": [stop]}):
        with pytest.raises((TypeError, ValueError), match=f"^validation_data: .*{error}"):
            classifier().fit(x, y, optimizer=mg.Adam(), epochs=1, verbose=0, **options)
