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
from mlpgrad.training.worker import Worker
from tests.kinds import every, example, subclasses

METHODS = [
    cls
    for name in mg.training.__all__
    if inspect.isclass(cls := getattr(mg, name)) and issubclass(cls, Method) and cls is not Method
]


@pytest.fixture
def made(monkeypatch):
    """Weak references to what is made for a training, while cycles are not collected."""
    found = []

    def note(cls):
        make = cls.__init__

        def noted(self, *given, **options):
            make(self, *given, **options)
            found.append(weakref.ref(self))

        monkeypatch.setattr(cls, "__init__", noted)

    note(Session)
    note(Worker)
    gc.disable()
    yield found
    gc.enable()


def assert_freed(optimizer, made, size=None, **options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    layers = [mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0, ensemble_size=size)
    owned = weakref.ref(model)
    model.fit(x, x[:, :1], **{"optimizer": optimizer, "epochs": 2, "verbose": 0} | options)
    assert made
    assert [one() for one in made] == [None] * len(made)
    del model
    options.clear()
    assert owned() is None


@pytest.mark.parametrize("cls", [mg.Adam, *METHODS], ids=lambda cls: cls.__name__)
def test_a_training_is_freed_when_it_ends(cls, made):
    assert_freed(cls(), made)


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("compiled", [False, True])
def test_steps_are_freed_when_a_training_ends(size, compiled, made):
    if compiled:
        pytest.importorskip("llvmlite", reason="the extra `compiled` is not installed")
    assert_freed(mg.Adam(), made, size, compiled=compiled, batch_size=4)


@pytest.mark.parametrize(
    "options",
    [
        {"folds": np.arange(40) % 2, "size": 2},
        {"validation_split": 0.25},
        {"metrics": [mg.R2()]},
        {"sample_weight": np.ones(40)},
        {"verbose": 1},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_training_with_an_option_is_freed_when_it_ends(options, made):
    assert_freed(mg.Adam(), made, **options)


@every(subclasses(mg.Callback))
def test_a_training_with_a_callback_is_freed_when_it_ends(cls, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_freed(mg.Adam(), made, callbacks=[example(cls)])
