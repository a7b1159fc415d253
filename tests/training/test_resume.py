"""A training resumed from a snapshot in a new process ends the same to the last bit."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mlpgrad as mg

ROOT = Path(__file__).parents[2]
X, Y = mg.datasets.moons(120, noise=0.2, random_state=0)


class Keep(mg.Callback):
    """Takes a snapshot after a batch, or after an epoch if batch is None."""

    def __init__(self, epoch, batch=None):
        self.epoch, self.batch = epoch, batch
        self.now, self.taken = 0, None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_epoch_end(self, epoch, logs):
        if self.batch is None and epoch == self.epoch:
            self.taken = self.session.snapshot()


class KeepWithin(Keep):
    """Takes a snapshot in the middle of an epoch."""

    def on_train_batch_end(self, batch, logs):
        if (self.now, batch) == (self.epoch, self.batch):
            self.taken = self.session.snapshot()


def make(size):
    """A model with all parts that keep state."""
    layers = [mg.Dense(2, 8), mg.BatchNorm(8), mg.ReLU(), mg.Dropout(0.3), mg.Dense(8, 1)]
    return mg.Sequential(
        layers, loss=mg.SigmoidCrossEntropy(), penalties=[mg.L2(1e-3)], random_state=0,
        ensemble_size=size,
    )  # fmt: skip


def options(threads):
    """Options of fit with all kinds of state."""
    callbacks = [mg.EarlyStopping(4), mg.ReduceOnPlateau(0.5, patience=1)]
    if not threads:  # it observes every batch
        callbacks.append(mg.ExponentialMovingAverage(0.9))
    return {
        "optimizer": mg.Adam(mg.CosineDecay(0.05, steps=60), weight_decay=0.01, clip_norm=1.0),
        "callbacks": callbacks,
        "epochs": 12,
        "batch_size": 10,
        "validation_split": 0.25,
        "metrics": None if threads else [mg.Accuracy(), mg.AUC()],
        "verbose": 0,
    }


def train(size, threads, keep=None, resume=None):
    """The weights, statistics and history of a training, as bytes for comparison."""
    from mlpgrad.training import minibatch

    if threads:
        minibatch.shares = lambda *_: [slice(0, 2), slice(2, size)]
    model, chosen = make(size), options(threads)
    if keep is not None:
        chosen["callbacks"] = [*chosen["callbacks"], keep]
    history = model.fit(X, Y, resume=resume, **chosen)
    curves = {name: np.array(values).tobytes() for name, values in history.items()}
    return model.params.tobytes(), model.state.tobytes(), model.snapshot()["rng"], curves


def in_a_new_process(size, threads, snapshot, folder):
    """The same training, resumed from the snapshot by another interpreter."""
    (folder / "snapshot").write_bytes(pickle.dumps((size, threads, snapshot)))
    code = (
        "import pickle, sys\n"
        "from tests.training.test_resume import train\n"
        f"size, threads, taken = pickle.load(open({str(folder / 'snapshot')!r}, 'rb'))\n"
        "result = train(size, threads, resume=taken)\n"
        f"pickle.dump(result, open({str(folder / 'result')!r}, 'wb'))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    return pickle.loads((folder / "result").read_bytes())


@pytest.fixture(autouse=True)
def _threads_are_chosen_as_before(monkeypatch):
    from mlpgrad.training import minibatch

    monkeypatch.setattr(minibatch, "shares", minibatch.shares)


@pytest.mark.slow
@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("where", [(2, 4), (0, 0), (3, 8), (2, None)], ids=str)
def test_a_restored_training_ends_with_the_same_bits(size, where, tmp_path):
    epoch, batch = where
    keep = (Keep if batch is None else KeepWithin)(epoch, batch)
    whole = train(size, False, keep)
    assert keep.taken is not None
    assert in_a_new_process(size, False, keep.taken, tmp_path) == whole
    assert train(size, False) == whole  # and the observer has changed nothing


@pytest.mark.slow
@pytest.mark.parametrize("keep", [Keep(3), KeepWithin(3, 5)], ids=["between", "within"])
def test_an_ensemble_goes_on_in_threads(keep, tmp_path):
    train(5, True, keep)  # in one thread, since a callback observes every batch
    assert keep.taken is not None
    assert in_a_new_process(5, True, keep.taken, tmp_path) == train(5, True)


def test_ctrl_c_in_threads_can_be_gone_on_from(press_ctrl_c, tmp_path):
    class Interrupt(mg.Callback):
        """Keeps the state at the end of training, before other callbacks restore weights."""

        def on_train_end(self, logs=None):
            self.taken = self.session.snapshot()

    class Presses(mg.CosineDecay):
        """Ctrl-C in the middle of the fourth epoch."""

        def __call__(self, steps):
            if steps == 31 and self.presses:
                self.presses = False
                press_ctrl_c()
            return super().__call__(steps)

    from mlpgrad.training import minibatch

    minibatch.shares = lambda *_: [slice(0, 2), slice(2, 5)]
    minibatch.BATCHES_AT_ONCE, before = 3, minibatch.BATCHES_AT_ONCE
    try:
        keep, chosen = Interrupt(), options(True)
        chosen["callbacks"] = [keep, *chosen["callbacks"]]
        chosen["optimizer"].learning_rate = schedule = Presses(0.05, steps=60)
        schedule.presses = True
        history = make(5).fit(X, Y, **chosen)
    finally:
        minibatch.BATCHES_AT_ONCE = before
    assert history.interrupted
    assert keep.taken["in_epoch"]
    assert 0 < keep.taken["method"]["epoch"]["batches"] < 9
    assert in_a_new_process(5, True, keep.taken, tmp_path) == train(5, True)


@pytest.mark.filterwarnings("ignore:EarlyStopping stopped")
def test_a_training_that_had_come_to_its_end_is_not_gone_on_with():
    keep, chosen = Keep(11), options(False)
    model = make(None)
    history = model.fit(X, Y, **chosen | {"callbacks": [mg.EarlyStopping(0, min_delta=9.0), keep]})
    assert history.epochs < 11
    keep = Keep(history.epochs - 1)
    first = make(None).fit(
        X, Y, **options(False) | {"callbacks": [mg.EarlyStopping(0, min_delta=9.0), keep]}
    )
    again = make(None).fit(
        X, Y, resume=keep.taken,
        **options(False) | {"callbacks": [mg.EarlyStopping(0, min_delta=9.0)]},
    )  # fmt: skip
    assert dict(again) == dict(first)


def test_large_sets_are_shuffled_alike_after_a_restart(monkeypatch, tmp_path):
    monkeypatch.setattr("mlpgrad.training.batches.SHUFFLED_AT_ONCE", 50)
    monkeypatch.setattr("mlpgrad.training.batches.RUN", 4)
    keep = KeepWithin(2, 4)
    whole = train(None, False, keep)
    assert train(None, False, resume=keep.taken) == whole


def test_a_snapshot_holds_numbers_texts_and_arrays_only():
    keep = KeepWithin(1, 1)
    train(None, False, keep)

    def leaves(value):
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            for item in value.values():
                yield from leaves(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                yield from leaves(item)
        else:
            yield value

    kinds = {type(leaf) for leaf in leaves(keep.taken)}
    allowed = {int, float, bool, str, type(None), np.ndarray, np.float64, np.float32, np.int64}
    assert kinds <= allowed
    assert pickle.loads(pickle.dumps(keep.taken)).keys() == keep.taken.keys()


def test_a_snapshot_is_a_copy():
    keep = KeepWithin(1, 1)
    train(None, False, keep)
    before = pickle.dumps(keep.taken)
    train(None, False, resume=keep.taken)
    assert pickle.dumps(keep.taken) == before


def test_a_snapshot_of_another_network_is_refused():
    keep = KeepWithin(1, 1)
    train(None, False, keep)
    other = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    with pytest.raises(ValueError, match="the snapshot is of another network"):
        other.fit(X, Y, resume=keep.taken, **options(False))


def test_callbacks_that_are_missing_are_named():
    keep = KeepWithin(1, 1)
    train(None, False, keep)
    with pytest.raises(ValueError, match=r"missing: .*EarlyStopping"):
        make(None).fit(X, Y, resume=keep.taken, **options(False) | {"callbacks": []})


def test_every_optimizer_goes_on_after_a_snapshot():
    from tests.kinds import OPTIMIZERS

    for cls in OPTIMIZERS:
        rng = np.random.default_rng(4)
        params, optimizer = rng.normal(size=9), cls.example()
        for grads in rng.normal(size=(5, 9)):
            optimizer.step(params, grads)
        other, again = cls.example(), params.copy()
        other.restore(optimizer.snapshot())
        for grads in np.random.default_rng(5).normal(size=(5, 9)):
            optimizer.step(params, grads)
            other.step(again, grads.copy())
        np.testing.assert_array_equal(params, again, err_msg=cls.__name__)


def test_a_split_draws_from_a_stream_of_its_own():
    split, plain = make(None), make(None)
    split.fit(X, Y, optimizer=mg.Adam(), epochs=1, validation_split=0.2, verbose=0)
    plain.fit(X[:90], Y[:90], optimizer=mg.Adam(), epochs=1, verbose=0)
    fresh = make(None)
    assert fresh.stream("split") is fresh.stream("split")
    # drawing from one stream moves no other
    fresh.stream("something else").random(5)
    order = fresh.rng.permutation(90)
    np.testing.assert_array_equal(order, make(None).rng.permutation(90))
    a, b = make(None).stream("split").random(3), make(None).stream("other").random(3)
    assert not (a == b).any()


class KeepAtTheBeginning(Keep):
    """The same before the first batch of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.taken = self.session.snapshot()


def test_a_snapshot_before_an_epoch_goes_on_with_that_epoch():
    keep = KeepAtTheBeginning(5)
    whole = train(None, False, keep)
    assert train(None, False, resume=keep.taken) == whole


class KeepAndStop(mg.Callback):
    """Stops in the middle of the first epoch, and then takes a snapshot."""

    taken = None

    def on_train_batch_end(self, batch, logs):
        if batch == 2:
            self.model.stop_training = True
            self.taken = self.session.snapshot()


def test_an_epoch_that_was_being_stopped_is_recorded_after_a_restart_as_well():
    keep, first, second = KeepAndStop(), make(None), make(None)
    chosen = {"batch_size": 10, "epochs": 4, "verbose": 0}
    whole = first.fit(X, Y, optimizer=mg.Adam(0.05), callbacks=[keep], **chosen)
    history = second.fit(
        X, Y, optimizer=mg.Adam(0.05), callbacks=[KeepAndStop()], resume=keep.taken, **chosen
    )
    assert dict(history) == dict(whole)
    assert len(whole["loss"]) == 1
    np.testing.assert_array_equal(second.params, first.params)


class Explode(mg.Callback):
    """Makes the weights useless in one batch."""

    def __init__(self, batch):
        self.batch = batch

    def on_train_batch_end(self, batch, logs):
        if batch == self.batch:
            self.model.params[...] = np.nan


def test_a_divergence_after_a_restart_goes_back_to_weights_of_this_training():
    keep = KeepWithin(1, 4)
    chosen = {"batch_size": 10, "epochs": 4, "verbose": 0}
    make(None).fit(X, Y, optimizer=mg.Adam(0.05), callbacks=[keep], **chosen)
    model = make(None)
    with pytest.raises(mg.DivergenceError) as caught:
        model.fit(
            X,
            Y,
            optimizer=mg.Adam(0.05),
            callbacks=[Keep(99), Explode(8)],
            resume=keep.taken,
            **chosen,
        )
    assert "make a new model" not in str(caught.value)
    assert np.isfinite(model.params).all()


def test_every_stream_of_random_numbers_is_kept_in_a_file(tmp_path):
    chosen = {"epochs": 2, "validation_split": 0.25, "verbose": 0}
    model = make(None)
    model.fit(X, Y, optimizer=mg.Adam(0.05), **chosen)
    model.save(tmp_path / "model.npz")
    loaded = mg.load(tmp_path / "model.npz")
    assert dict(loaded.fit(X, Y, optimizer=mg.Adam(0.05), **chosen)) == dict(
        model.fit(X, Y, optimizer=mg.Adam(0.05), **chosen)
    )
    np.testing.assert_array_equal(loaded.params, model.params)


def resumable(seed, **options):
    encoder = mg.tables.TableEncoder().plan(X) if options.pop("encoder", False) else None
    return mg.Sequential(
        [mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
        loss=mg.SigmoidCrossEntropy(), random_state=seed, encoder=encoder, **options,
    )  # fmt: skip


@pytest.mark.parametrize("encoder", [False, True])
@pytest.mark.parametrize("split", [{"validation_split": 0.3}, {"folds": True}])
def test_a_model_of_another_seed_holds_out_the_same_rows_again(split, encoder):
    """Balanced weights and encoders follow the training rows."""
    size = 3 if "folds" in split else None
    models = [resumable(seed, encoder=encoder, ensemble_size=size) for seed in (0, 1)]
    keep = Keep(1)
    chosen = {"epochs": 4, "class_weight": "balanced", "verbose": 0, **split}
    chosen["sample_weight"] = np.random.default_rng(0).random(len(Y))
    whole = models[0].fit(X, Y, optimizer=mg.Adam(0.05), callbacks=[keep], **chosen)
    resumed = models[1].fit(
        X, Y, optimizer=mg.Adam(0.05), callbacks=[Keep(99)], resume=keep.taken, **chosen
    )
    np.testing.assert_equal(dict(resumed), dict(whole))
    np.testing.assert_array_equal(models[1].params, models[0].params)


SPLIT = {"validation_split": 0.25}


@pytest.mark.parametrize(
    ("before", "rows", "after"),
    [
        ({}, 100, {}),
        (SPLIT, 100, SPLIT),
        (SPLIT, 140, SPLIT),
        (SPLIT, 120, {}),
        ({}, 120, SPLIT),
        ({"folds": True}, 100, {"folds": True}),
    ],
)
def test_other_rows_are_refused(before, rows, after):
    keep, size = Keep(0), 2 if "folds" in before else None
    chosen = {"epochs": 2, "verbose": 0}
    first, second = resumable(0, ensemble_size=size), resumable(0, ensemble_size=size)
    first.fit(X, Y, optimizer=mg.Adam(), callbacks=[keep], **chosen, **before)
    x, y = np.resize(X, (rows, 2)), np.resize(Y, (rows, *Y.shape[1:]))
    with pytest.raises(ValueError, match=r"resume expects the data of the earlier .* 120 rows"):
        second.fit(x, y, optimizer=mg.Adam(), resume=keep.taken, **chosen, **after)


@pytest.mark.parametrize("junk", [3, {}, {"epoch": 1}, [None]])
def test_what_is_no_snapshot_is_refused(junk):
    with pytest.raises(TypeError, match=r"resume expects what .*session\.snapshot\(\), got"):
        resumable(0).fit(X, Y, optimizer=mg.Adam(), resume=junk, verbose=0)


def test_a_first_step_that_had_been_adapted_is_not_given_anew():
    keep = Keep(1)
    options = {"epochs": 4, "batch_size": 120, "verbose": 0}
    make(None).fit(X, Y, optimizer=mg.Rprop(0.1), callbacks=[keep], **options)
    message = "resume expects the learning rate of the earlier training, 0.1, since Rprop"
    with pytest.raises(ValueError, match=message):
        make(None).fit(X, Y, optimizer=mg.Rprop(0.2), resume=keep.taken, **options)


@pytest.mark.parametrize("epochs", [3, 6, 9])
@pytest.mark.parametrize("keep", [Keep(1), KeepWithin(1, 2)], ids=["between", "within"])
@pytest.mark.parametrize("warm", [False, True], ids=["cosine", "warm"])
def test_a_schedule_spans_the_epochs_of_the_training_that_goes_on(keep, epochs, warm):
    """Its rates from there on are those of a training that had these epochs from the start."""

    def rates(epochs, **options):
        schedule = mg.CosineDecay(0.05)
        optimizer = mg.SGD(mg.WarmUp(schedule, 3) if warm else schedule)
        options |= {"batch_size": 10, "verbose": 0, "epochs": epochs}
        return make(None).fit(X, Y, optimizer=optimizer, **options)["learning_rate"]

    before = rates(6, callbacks=[keep])
    found, whole = rates(epochs, resume=keep.taken), rates(epochs)
    done = len(keep.taken["record"]["loss"])
    assert found[:done] == before[:done]
    assert found[done:] == whole[done:]
    assert len(found) == epochs
