"""Constructors that take `**options`, of their own or of their base class."""

import copy
import pickle

import numpy as np
import pytest

import mlpgrad as mg


class OwnOptions(mg.HalfSquaredError):
    def __init__(self, **extra):
        super().__init__()
        self.extra = extra


class PassedOn(mg.Huber):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)


class Both(mg.Huber):
    """Uses and keeps one option, and passes the others on."""

    def __init__(self, label="", **options):
        self.label = label
        self.options = {"unit": options.pop("unit", "m")}
        super().__init__(**options)


class OwnArguments(mg.Callback):
    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


class Swallowed(mg.MeanSquaredError):
    def __init__(self, **options):
        self.scale = options.get("scale", 1.0)


CASES = [
    (OwnOptions, {"scale": 2}, {"scale": 2}, "OwnOptions(scale=2)"),
    (OwnOptions, {}, {}, "OwnOptions()"),
    (PassedOn, {"delta": 2.0}, {"delta": 2.0}, "PassedOn(delta=2.0)"),
    (PassedOn, {}, {"delta": 1.0}, "PassedOn()"),
    (
        Both,
        {"label": "a", "unit": "cm", "delta": 3.0},
        {"label": "a", "delta": 3.0, "unit": "cm"},
        "Both(label='a', delta=3.0, unit='cm')",
    ),
    (OwnArguments, {"path": "x"}, {"path": "x"}, "OwnArguments(path='x')"),
]


@pytest.mark.parametrize(("cls", "options", "config", "shown"), CASES)
def test_options_are_kept_shown_and_copied(cls, options, config, shown):
    made = cls(**options)
    assert made.config() == config
    assert repr(made) == shown
    for twin in (cls(**made.config()), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert twin.config() == config
        assert repr(twin) == shown


def test_a_loss_with_options_of_its_own_trains_and_evaluates():
    loss = OwnOptions(scale=2)
    model = mg.Sequential([mg.Dense(2, 1)], loss=loss, random_state=0)
    x = np.ones((4, 2))
    model.fit(x, x[:, :1], optimizer=mg.SGD(0.1), epochs=1, verbose=0)
    assert model.evaluate(x, x[:, :1])["loss"] >= 0


def test_a_misspelt_option_that_is_passed_on_is_an_error():
    with pytest.raises(TypeError, match="'dleta'"):
        PassedOn(dleta=2.0)


def test_a_class_without_options_of_its_own_names_the_nearest():
    class Renamed(mg.Huber):
        """Adds nothing."""

    with pytest.raises(TypeError, match="Renamed has no option 'dleta'; did you mean 'delta'"):
        Renamed(dleta=2.0)


def test_options_that_were_not_kept_cannot_be_copied():
    with pytest.raises(TypeError, match=r"in __init__ write self.options = options"):
        Swallowed(scale=2.0).config()
    assert repr(Swallowed(scale=2.0)) == "Swallowed()"


def test_arguments_without_names_cannot_be_copied():
    with pytest.raises(TypeError, match=r"OwnArguments takes \*args, .* give each argument a name"):
        OwnArguments("x").config()
    assert repr(OwnArguments("x", path="y")) == "OwnArguments(path='y')"
