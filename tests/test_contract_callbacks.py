"""The promises of every callback."""

import copy
import pickle

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import ENSEMBLE, every, example, one_and_many, subclasses

CALLBACKS = subclasses(mg.Callback)
ACTING = {  # callbacks that change training; all others only observe it
    "EarlyStopping": "puts the best weights back",
    "ExponentialMovingAverage": "puts the average in the weights' place",
    "ReduceOnPlateau": "lowers the learning rate",
}
REMEMBERING = {  # callbacks whose state outlives a fit, with the reason
    "ModelCheckpoint": {"best": "a worse model of a second fit does not replace the file"},
}
every_callback = every(CALLBACKS)

# EarlyStopping with little patience warns that no epoch was better than the first
pytestmark = pytest.mark.filterwarnings("ignore:EarlyStopping stopped")


@pytest.fixture(autouse=True)
def _files_go_to_a_folder_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(callbacks, size=None, seed=0):
    """A model and its history, with steps so long that the loss goes up and down."""
    x, y = mg.datasets.moons(60, noise=0.3, random_state=seed)
    model = mg.Sequential(
        [mg.Dense(2, 6), mg.BatchNorm(6), mg.Tanh(), mg.Dropout(0.2), mg.Dense(6, 1)],
        loss=mg.SigmoidCrossEntropy(),
        random_state=seed,
        ensemble_size=size,
    )
    history = model.fit(
        x,
        y,
        optimizer=mg.SGD(3.0, momentum=0.8),
        epochs=8,
        batch_size=16,
        validation_split=0.2,
        callbacks=callbacks,
        verbose=0,
    )
    return model, history


def same(ours, theirs):
    """Whether two results of `train` are the same to the last bit."""
    (model, history), (other, its) = ours, theirs
    arrays = [(model.params, other.params), (model.state, other.state)]
    try:
        np.testing.assert_equal(dict(history), dict(its))
    except AssertionError:
        return False
    return all(np.array_equal(a, b) for a, b in arrays)


def shown(callback):
    """The public records of a callback."""
    given = ("session", "model", "optimizer", "history", "epochs")
    return {k: v for k, v in vars(callback).items() if k[0] != "_" and k not in given}


@every_callback
@one_and_many
def test_only_the_acting_ones_change_training(cls, size):
    acts = not same(train([example(cls)], size), train([], size))
    assert acts == (cls.__name__ in ACTING), (
        f"{cls.__name__} {'changes' if acts else 'does not change'} what training gives to the "
        f"last bit: see ACTING"
    )


def test_the_acting_ones_exist():
    assert ACTING.keys() <= {cls.__name__ for cls in CALLBACKS}


@every_callback
@pytest.mark.parametrize("sizes", [(None, None), (ENSEMBLE, None), (None, ENSEMBLE)])
def test_a_second_fit_is_as_with_a_new_one(cls, sizes):
    used, new = example(cls), example(cls)
    train([used], sizes[0])
    second, alone = train([used], sizes[1], seed=1), train([new], sizes[1], seed=1)
    assert same(second, alone)
    kept = REMEMBERING.get(cls.__name__, {})
    now, fresh = ({k: v for k, v in shown(c).items() if k not in kept} for c in (used, new))
    np.testing.assert_equal(now, fresh)


@every_callback
def test_training_leaves_its_options(cls):
    callback = example(cls)
    before = repr(callback), copy.deepcopy(callback.config())
    train([callback])
    assert (repr(callback), callback.config()) == before


@every_callback
@pytest.mark.parametrize("twin", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_a_copy_is_as_good(cls, twin):
    callback = example(cls)
    copied = twin(callback)
    assert same(train([copied]), train([callback]))
    np.testing.assert_equal(shown(copied), shown(callback))


@every_callback
@pytest.mark.parametrize("twin", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_a_used_one_can_be_copied(cls, twin):
    callback = example(cls)
    train([callback])
    copied = twin(callback)
    assert not hasattr(copied, "session")
    assert repr(copied) == repr(callback)
    np.testing.assert_equal(shown(copied), shown(callback))
    assert same(train([copied], seed=1), train([example(cls)], seed=1))


@every_callback
def test_it_ends_well_where_training_does_not(cls):
    x, y = mg.datasets.moons(40, random_state=0)
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), random_state=0)
    with pytest.raises(mg.DivergenceError):
        model.fit(x, y, optimizer=mg.SGD(1e20), epochs=9, callbacks=[example(cls)], verbose=0)
    assert np.isfinite(model.params).all()
