"""What a training needed is freed when it ends, without Python's collection of cycles.

Large arrays do not call the collector, so that cycles with them would use up the memory.
"""

import gc
import inspect
import weakref

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training.session import Method, Session

METHODS = [
    cls
    for name in mg.training.__all__
    if inspect.isclass(cls := getattr(mg, name)) and issubclass(cls, Method) and cls is not Method
]


@pytest.fixture
def sessions(monkeypatch):
    """Weak references to the sessions that are made, while cycles are not collected."""
    made, make = [], Session.__init__

    def noted(self, *given, **options):
        make(self, *given, **options)
        made.append(weakref.ref(self))

    monkeypatch.setattr(Session, "__init__", noted)
    gc.collect()
    gc.disable()
    yield made
    gc.enable()


def assert_freed(optimizer, sessions, **options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    layers = [mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 1)]
    size = 2 if "folds" in options else None
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0, ensemble_size=size)
    owned = weakref.ref(model)
    model.fit(x, x[:, :1], **{"optimizer": optimizer, "epochs": 2, "verbose": 0} | options)
    assert sessions
    assert [session() for session in sessions] == [None] * len(sessions)
    del model
    assert "callbacks" in options or owned() is None  # callbacks know the model


@pytest.mark.parametrize("cls", [mg.Adam, *METHODS], ids=lambda cls: cls.__name__)
def test_a_training_is_freed_when_it_ends(cls, sessions):
    assert_freed(cls(), sessions)


@pytest.mark.parametrize(
    "options",
    [
        {"folds": np.arange(40) % 2},
        {"validation_split": 0.25},
        {"metrics": [mg.R2()]},
        {"sample_weight": np.ones(40)},
        {"callbacks": [mg.EarlyStopping(2), mg.ExponentialMovingAverage()], "verbose": 1},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_training_with_an_option_is_freed_when_it_ends(options, sessions):
    assert_freed(mg.Adam(), sessions, **options)
