"""Calls as in other libraries raise an error, and the line that it advises runs."""

import inspect
import re

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad._core import habits
from mlpgrad._core.calls import is_function
from mlpgrad.tables import TableEncoder
from tests.habits import X, Y, obey, scene

CALLED = {"Sequential": "model", "Slots": "model.parameters"}


@pytest.mark.parametrize("kind", habits.CALLED)
def test_a_call_of_what_is_a_function_elsewhere(kind, tmp_path):
    names = scene(tmp_path)
    thing = eval(CALLED.get(kind, kind.lower()), names)
    assert not is_function(thing)
    for given in ((), (X,), (Y, Y)):
        with pytest.raises(TypeError, match=r"^an? .* is not called; write ") as raised:
            thing(*given)
        obey(str(raised.value), names)


def test_other_objects_are_not_called_either():
    with pytest.raises(TypeError, match="'Callback' object is not callable"):
        mg.Callback()()
    assert is_function(mg.StepDecay(0.1, 5))
    assert is_function(np.sin)
    assert not is_function(mg.SGD)


def test_a_model_has_no_items(tmp_path):
    names = scene(tmp_path)
    with pytest.raises(TypeError, match="a model has no items; write model") as error:
        names["model"][-1]
    assert obey(str(error.value), names) is names["model"].layers[-1]
    with pytest.raises(TypeError, match=r"write model\.layers"):
        iter(names["model"]).__next__()


@pytest.mark.parametrize(
    "wrong",
    [
        "mg.Sequential(mg.ReLU(), mg.Dense(4, 3), loss=loss)",
        "mg.Sequential(mg.Dense(4, 3), loss=loss)",
    ],
)
def test_layers_without_a_list(wrong, tmp_path):
    names = scene(tmp_path)
    with pytest.raises(TypeError, match="its layers in a list") as raised:
        eval(wrong, names)
    message = str(raised.value).replace("...", "loss=mg.SoftmaxCrossEntropy()")
    obey(re.sub(r"\b(?=ReLU|Dense|Sequential\()", "mg.", message), names)


METHODS = [
    "backpropagate",
    "copy",
    "curvature",
    "evaluate",
    "fit",
    "get_weights",
    "hessian",
    "hessian_vector_product",
    "input_gradient",
    "jacobian",
    "laplace",
    "log_likelihood",
    "objective",
    "per_example_gradients",
    "predict",
    "predict_classes",
    "predict_proba",
    "save",
    "set_weights",
    "summary",
]
FUNCTIONS = {
    **{f"mg.{name}": getattr(mg, name) for name in mg.__all__ if callable(getattr(mg, name))},
    **{f"mg.datasets.{name}": getattr(mg.datasets, name) for name in mg.datasets.__all__},
    **{f"model.{name}": getattr(mg.Sequential, name) for name in METHODS},
    "history.plot": mg.History.plot,
    "history.to_frame": mg.History.to_frame,
    "optimizer.step": mg.Optimizer.step,
    "initializer": mg.Initializer.__call__,
    "encoder.fit": TableEncoder.fit,
}
RESULTS = ("Error", "Warning", "Table", "Estimate", "Interval", "Explanation", "Report", "History")
"""Classes that functions make."""


@pytest.mark.parametrize("place", [place for place in FUNCTIONS if not place.endswith(RESULTS)])
def test_missing_arguments_and_too_many_by_position(place, tmp_path):
    """The advice names arguments for which the variables of that name are valid."""
    parameters = [*inspect.signature(FUNCTIONS[place]).parameters.values()]
    taken = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p.name for p in taken if p.default is p.empty and p.name != "self"]
    starred = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    wrong = [f"{place}()"] * bool(needed) + [f"{place}({'1, ' * (len(taken) + 1)})"] * (not starred)
    for call in wrong:
        names = scene(tmp_path)
        with pytest.raises(TypeError, match=r"^\w+ (needs .*|takes .*); write") as error:
            eval(call, names)
        if not any(
            each in place for each in ("load_", "Residual", "Laplace")
        ):  # for which the scene has no values
            obey(str(error.value), names)


def test_an_argument_twice():
    with pytest.raises(TypeError, match="Dense got in_features twice, by position and by name"):
        mg.Dense(4, 3, in_features=4)


def test_options_that_a_function_passes_on():
    report = mg.assert_gradients(lambda p: p @ p, lambda p: 2 * p, np.ones(2), seed=7)
    assert report.seed == 7
    with pytest.raises(TypeError, match="check_gradient has no option 'sed'"):
        mg.assert_gradients(lambda p: p @ p, lambda p: 2 * p, np.ones(2), sed=7)


def test_errors_inside_a_function_stay_what_they_are():
    class Own(mg.Layer):
        def __init__(self, features):
            self.features = features
            len()

    with pytest.raises(TypeError, match=r"exactly one argument"):
        Own(3)
    with pytest.raises(TypeError, match=r"^Own needs features; write Own\(features\)"):
        Own()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (
            "mg.EarlyStopping('val_loss')",
            "EarlyStopping: patience expects a number, got 'val_loss'; write",
        ),
        (
            "mg.ReduceOnPlateau('val_loss')",
            "ReduceOnPlateau: factor expects a number, got 'val_loss'; write",
        ),
        ("mg.Adam(model)", "learning_rate expects a number or schedule"),
        ("mg.Adam(model.parameters)", "learning_rate expects a number or schedule"),
        ("mg.Sequential([mg.Dense(4, 3)], 'mse')", "Sequential takes layers by position"),
        ("mg.Activation('relu')", "Activation takes nothing by position"),
        ("mg.datasets.split(x, y, 0.2, stratify=y)", "stratify expects True or False"),
    ],
)
def test_a_position_of_another_library(wrong, error, tmp_path):
    names = scene(tmp_path)
    with pytest.raises(TypeError, match=error) as raised:
        eval(wrong, names)
    obey(str(raised.value), names)


@pytest.mark.parametrize("activation", ["'relu'", "mg.ReLU()", "np.tanh", "None"])
def test_an_activation_in_place_of_the_outputs(activation, tmp_path):
    names = scene(tmp_path)
    with pytest.raises(ValueError, match="out_features expects an int >= 1") as raised:
        eval(f"mg.Dense(64, {activation})", names)
    assert isinstance(obey(str(raised.value), names), mg.Dense)


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("acc", "accuracy"),
        ("Val_Loss", "val_loss"),
        ("val_l", "val_loss"),
        (0, "loss"),
        ("lr", "learning_rate"),
    ],
)
def test_the_short_name_of_a_recorded_value(short, whole):
    history = mg.History()
    history.update(loss=[1.0], accuracy=[0.5], val_loss=[2.0], learning_rate=[0.1], lr_scale=[1])
    with pytest.raises(KeyError, match=f"recorded are .*; write history\\[.{whole}.\\]"):
        history[short]


@pytest.mark.parametrize("kind", ["EarlyStopping", "ReduceOnPlateau"])
def test_a_direction_that_is_found_by_itself(kind):
    with pytest.raises(ValueError, match=r"got 'auto'; with None, .* the metric says"):
        getattr(mg, kind)(mode="auto")
    assert getattr(mg, kind)(mode=None).mode is None


@pytest.mark.parametrize(
    "hook", [name for name in habits.ATTRIBUTES["Callback"] if name[:3] == "on_"]
)
def test_a_hook_of_another_library(hook, tmp_path):
    own = type("Own", (mg.Callback,), {hook: lambda self, *args: None})()
    names = scene(tmp_path) | {"callback": own}
    with pytest.raises(
        TypeError, match=f"fit never calls Own.{hook}, .*; write callback.on_"
    ) as error:
        names["model"].fit(X, Y, optimizer=mg.SGD(0.1), callbacks=[own], verbose=0)
    assert callable(obey(str(error.value), names))


OPTIONS = [(owner, option) for owner, table in habits.OPTIONS.items() for option in table]
CALLS = {
    "Dense": "mg.Dense(4, 3, {}=1)",
    "Layer": "mg.Dense(4, 3, {}=1)",
    "Optimizer": "mg.Adam(1e-3, {}=1)",
    "Callback": "mg.EarlyStopping({}=1)",
    "Metric": "mg.Accuracy({}=1)",
    "Loss": "mg.MeanSquaredError({}=1)",
    "Sequential": "mg.Sequential(layers, loss=loss, {}=1)",
    "Network": "mg.Sequential(layers, loss=loss, {}=1)",
    "summary": "model.summary({}=1)",
    "save": "model.save(path, {}=1)",
    "load": "mg.load(path, {}=1)",
    "digits": "mg.datasets.digits({}=1)",
    "predict_proba": "model.predict_proba(x, {}=1)",
    "predict_classes": "model.predict_classes(x, {}=1)",
    "fit": "model.fit(x, y, optimizer=mg.SGD(0.1), {}=1)",
    "ModelCheckpoint": "mg.ModelCheckpoint(path, {}=1)",
    "predict": "model.predict(x, {}=1)",
    "evaluate": "model.evaluate(x, y, {}=1)",
    "split": "mg.datasets.split(x, y, {}=1)",
    "moons": "mg.datasets.moons({}=1)",
    "circles": "mg.datasets.circles({}=1)",
    "regression": "mg.datasets.regression({}=1)",
    "check_gradient": "mg.check_gradient(f, grad, params, {}=1)",
    "check_gradients": "mg.check_gradients(model, x, y, {}=1)",
    "check_layer": "mg.check_layer(mg.Tanh(), {}=1)",
    "check_loss": "mg.check_loss(loss, {}=1)",
    "check_vjp": "mg.check_vjp(lambda w: 2 * w, lambda w, v: 2 * v, params, {}=1)",
    "check_hvp": "mg.check_hvp(lambda w: 2 * w, lambda w, v: 2 * v, params, {}=1)",
}


@pytest.mark.parametrize(("owner", "option"), OPTIONS, ids=lambda text: text)
def test_an_option_of_another_library(owner, option, tmp_path):
    names = scene(tmp_path)
    call = CALLS.get(owner, f"mg.{owner}({{}}=1)")
    with pytest.raises(
        TypeError, match=f"has no option '{option}'; (write|leave it out:) "
    ) as error:
        eval(call.format(option), names)
    if "leave it out" in str(error.value):
        eval(call.replace("{}=1", ""), names)
    else:
        obey(str(error.value), names)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_called_on_the_class(name):
    with pytest.raises(TypeError, match=rf"^{name} is called on an object; write model\.{name}\("):
        getattr(mg.Sequential, name)()
