"""Habits of other libraries raise an error, and the line that it advises runs."""

import inspect
import re

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad._core import habits
from mlpgrad._core.advice import advice, folded
from mlpgrad._core.synonyms import CLASSES, SYNONYMS, TOGETHER, meant_by
from tests.habits import X, Y, obey, scene
from tests.kinds import EVERY_CLASS

OWNERS = {
    "Network": "model",
    "History": "history",
    "Described": "penalty",
    "Layer": "layer",
    "Dense": "model.layers[0]",
    "Activation": "activation",
    "Loss": "loss",
    "Optimizer": "optimizer",
    "Method": "method",
    "Metric": "metric",
    "Callback": "callback",
    "EarlyStopping": "mg.EarlyStopping()",
    "ReduceOnPlateau": "mg.ReduceOnPlateau()",
    "Schedule": "schedule",
    "Layers": "model.layers",
}
"""An object of each class whose attributes in other libraries are known."""

MODULES = ("initializers", "layers", "losses", "metrics", "optimizers", "penalties", "training")
APART = ("datasets", "gradcheck", "plotting", "sklearn", "tables")
ATTRIBUTES = [
    *(("mg", name) for name in habits.PACKAGE),
    *(("mg.datasets", name) for name in habits.DATASETS),
    *(("mg.plotting", name) for name in habits.PLOTTING),
    *((f"mg.{module}", "Linear") for module in (*MODULES, "gradcheck", "tables")),
    *((OWNERS[kind], name) for kind, table in habits.ATTRIBUTES.items() for name in table),
]


@pytest.mark.parametrize(("owner", "name"), ATTRIBUTES, ids=lambda text: text)
def test_a_name_of_another_library(owner, name, tmp_path):
    names = scene(tmp_path)
    with pytest.raises(AttributeError, match=f"has no .*'{name}'; (write|leave it out:) ") as error:
        eval(f"{owner}.{name}", names)
    assert not eval(f"hasattr({owner}, {name!r})", names)
    message = str(error.value)
    if "plotting" in message or ".plot()" in message:
        pytest.importorskip("matplotlib")
    if "to_csv" in message or "to_frame" in message:
        pytest.importorskip("pandas")
    if "leave it out" not in message:
        obey(message, names | ({"layer": eval(owner, names)} if "Dense" in message else {}))


def test_an_object_of_the_users_own_class_knows_them_too(tmp_path):
    names = scene(tmp_path) | {"optimizer": Heavy(0.1)}
    for name in ("zero_grad", "lr"):
        with pytest.raises(AttributeError, match=f"Heavy has no attribute '{name}'; ") as error:
            getattr(names["optimizer"], name)
        obey(str(error.value), names | {"model": names["model"]})


class Heavy(mg.SGD):
    """A user's optimizer."""

    @property
    def broken(self):
        """A property with a mistake."""
        return self.velocity_of_light


def test_an_error_inside_a_property_stays_what_it_is():
    with pytest.raises(AttributeError, match="Heavy has no attribute 'velocity_of_light'"):
        Heavy(0.1).broken  # noqa: B018
    early = mg.EarlyStopping(3)
    with pytest.raises(AttributeError, match=r"no attribute 'model'; write model.fit\(.*callback"):
        early.best_epoch  # noqa: B018


@pytest.mark.parametrize(
    "line",
    [
        "from mlpgrad import Linear",
        "from mlpgrad.layers import Linear",
        "from mlpgrad.datasets import StandardScaler",
    ],
)
def test_an_import_of_another_library(line, tmp_path):
    with pytest.raises(ImportError, match=r"; write mg\.") as error:
        exec(line)
    obey(str(error.value), scene(tmp_path))


@pytest.mark.parametrize("key", [*habits.HISTORY, 0, -1])
def test_a_value_that_was_not_recorded(key, tmp_path):
    names = scene(tmp_path)
    history = mg.History()
    history.record({"loss": 1.0})
    with pytest.raises(KeyError, match=r"has no .*; recorded are loss.*; write ") as error:
        history[key]
    if "to_frame" in str(error.value):
        pytest.importorskip("pandas")
    if ".plot()" in str(error.value):
        pytest.importorskip("matplotlib")
    obey(error.value.args[0], names)


@pytest.mark.parametrize("name", mg.__all__)
def test_a_name_in_small_letters(name):
    small = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    if small == name or hasattr(mg, small):  # a function, or a module such as mg.history
        return
    if small in (*mg.datasets.__all__, *mg.plotting.__all__):  # mg.datasets.standardize
        return
    with pytest.raises(AttributeError, match=f"write mg.{name}$"):
        getattr(mg, small)


@pytest.mark.parametrize("family", APART)
def test_a_name_of_the_library_in_another_place(family):
    module = pytest.importorskip(f"mlpgrad.{family}")
    for name in module.__all__:
        if not hasattr(mg, name):
            with pytest.raises(AttributeError, match="; write mg") as error:
                getattr(mg, name)
            written = re.search(r"; write ([\w.]+)", str(error.value))[1]
            assert eval(written).__name__.lower() == name.lower()


def test_a_recorded_name_is_an_item_of_the_history(tmp_path):
    names = scene(tmp_path)
    with pytest.raises(AttributeError, match="write history") as error:
        names["history"].val_loss  # noqa: B018
    assert obey(str(error.value), names) == names["history"]["val_loss"]


PLACES = {
    "Loss": "mg.Sequential([mg.Dense(4, 3)], loss={})",
    "Layer": "mg.Sequential([{}], loss=loss)",
    "Penalty": "mg.Sequential([mg.Dense(4, 3)], loss=loss, penalties=[{}])",
    "Initializer": "mg.Dense(4, 3, initializer={})",
    "Optimizer": "model.fit(x, y, optimizer={}, verbose=0)",
    "Callback": "model.fit(x, y, optimizer=mg.SGD(0.1), callbacks=[{}], verbose=0)",
    "Metric": "model.evaluate(x, y, metrics=[{}])",
}
"""A line that expects an object of each class."""

TEXTS = [(kind, text) for kind, table in habits.FAMILIES.items() for text in table]
NAMED = [
    (kind, cls.__name__)
    for kind in PLACES
    for cls in EVERY_CLASS
    if issubclass(cls, getattr(mg, kind))
    and folded(cls.__name__) not in map(folded, habits.FAMILIES[kind])
]


@pytest.mark.parametrize(("kind", "text"), TEXTS, ids=lambda text: text)
def test_text_in_place_of_an_object(kind, text, tmp_path):
    names = scene(tmp_path)
    with pytest.raises(TypeError, match=f"expects an? {kind} such as .*; write mg") as error:
        eval(PLACES[kind].format(repr(text)), names)
    made = obey(str(error.value), names)
    assert isinstance(made, getattr(mg, kind))


@pytest.mark.parametrize(("kind", "name"), NAMED, ids=lambda text: text)
def test_a_class_or_its_name_in_place_of_an_object(kind, name, tmp_path):
    names = scene(tmp_path)
    for given in (f"mg.{name}", repr(name), repr(name.lower())):
        with pytest.raises(TypeError, match=rf"expects an? {kind} .*; write (mg\.)?{name}\("):
            eval(PLACES[kind].format(given), names)


@pytest.mark.parametrize("kind", PLACES)
def test_other_text_and_other_things_in_place_of_an_object(kind, tmp_path):
    names = scene(tmp_path)
    for given in ("'nonsense'", "3", "None" if kind != "Initializer" else "()", "mg", "np.ones(3)"):
        with pytest.raises(TypeError, match=f"expects an? {kind} such as"):
            eval(PLACES[kind].format(given), names)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("metrics='accuracy'", "metrics=[mg.Accuracy()]"),
        ("metrics=mg.Accuracy()", "metrics=[mg.Accuracy()]"),
        ("metrics=mg.Accuracy", "metrics=[mg.Accuracy()]"),
        ("callbacks=mg.EarlyStopping(3)", "callbacks=[mg.EarlyStopping(3)]"),
        ("callbacks=mg.EarlyStopping", "callbacks=[mg.EarlyStopping(3)]"),
        ("callbacks='early_stopping'", "callbacks=[mg.EarlyStopping()]"),
    ],
)
def test_one_object_in_place_of_a_list(wrong, right, tmp_path):
    names = scene(tmp_path)
    with pytest.raises(TypeError, match=r"expects a list.*; write .*\[?\w"):
        eval(f"model.fit(x, y, optimizer=mg.SGD(0.1), verbose=0, {wrong})", names)
    eval(f"model.fit(x, y, optimizer=mg.SGD(0.1), verbose=0, {right})", names)


def fitted(model, optimizer):
    model.fit(X, Y, optimizer=optimizer, epochs=1, verbose=0)


@pytest.mark.parametrize(
    "assigned",
    [
        "optimizer.lr = 0.01",
        "optimizer.betas = (0.9, 0.99)",
        "model.trainable = False",
        "model.layers[0].trainable = False",
        "model.layers[0].units = 5",
        "model.layers[0].kernel = 5",
        "model.layers[1].layers[0].weight = 5",
        "model.layers[1].layers[0].requires_grad = False",
        "model.layers[1].layers[1].p = 0.5",
        "model.penalties[0].l2 = 0.5",
    ],
)
def test_an_attribute_without_effect_is_refused(assigned):
    """The advice names what can be written, and afterwards the model trains."""
    residual = mg.Residual([mg.Dense(4, 4), mg.Dropout(0.1)])
    layers = [mg.Dense(4, 4), residual, mg.Dense(4, 3)]
    loss, penalties = mg.SoftmaxCrossEntropy(), [mg.L2(1e-3)]
    names = {
        "model": mg.Sequential(layers, loss=loss, penalties=penalties, random_state=0),
        "optimizer": mg.Adam(1e-3),
    }
    fitted(**names)
    exec(assigned, names)
    before = names["model"].params.copy()
    with pytest.raises(AttributeError, match=f"{re.escape(assigned)} has no effect") as error:
        fitted(names["model"], names["optimizer"])
    assert np.array_equal(names["model"].params, before)
    exec(re.search(r"del [\w.\[\]]+", str(error.value))[0], names)
    for option in re.findall(r"write ([\w.\[\]]+)=\.\.\.", str(error.value)):
        assert eval(option, names) is not None
    fitted(names["model"], names["optimizer"])


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (mg.Dense(4, 4), ["params.weights"]),
        (mg.LayerNorm(4), ["params.gain", "params.bias"]),
        (
            mg.BatchNorm(4),
            ["params.gain", "params.bias", "state.running_mean", "state.running_var"],
        ),
        (mg.Embedding(4, {3: 2}, 1), ["params.vectors"]),
    ],
)
def test_an_array_is_not_assigned_to_a_layer(layer, names):
    """Any other attribute of a bound layer may be assigned; these would be ignored."""
    model = mg.Sequential([layer], loss=mg.MeanSquaredError(), random_state=0)
    arrays = {f"params.{n}" for n in layer.params} | {f"state.{n}" for n in layer.state}
    assert arrays - {f"params.{option}" for option in layer.config()} == set(names)
    for place in names:
        name, values = place.split(".")[1], np.full(eval(f"layer.{place}.shape"), 0.5)
        with pytest.raises(AttributeError, match="no effect; write") as error:
            setattr(model.layers[0], name, values)
        with pytest.raises(AttributeError, match=f"no attribute '{name}'; write layer.{place}"):
            getattr(layer, name)
        exec(str(error.value).partition("write ")[2], {"layer": layer, "value": values})
        np.testing.assert_array_equal(model.get_weights()[f"layers[0].{name}"], values)


class Own(mg.Dense):
    """A user's layer with an option that has the name of an array."""

    def __init__(self, in_features, out_features, *, weights=2):
        super().__init__(in_features, out_features)
        self.weights = weights


@pytest.mark.parametrize("kind", [mg.EarlyStopping, mg.ReduceOnPlateau, mg.ModelCheckpoint])
@pytest.mark.parametrize("name", ["acc", "accuracy", "f1", "auc", "recall", "rmse", "mse"])
def test_a_metric_that_is_not_measured_is_named(kind, name, tmp_path):
    """The advice is followed until the training runs."""
    monitor, metrics = f"val_{name}", None
    options = {"path": tmp_path / "best.npz"} if kind is mg.ModelCheckpoint else {}
    loss = mg.MeanSquaredError() if name in ("rmse", "mse") else mg.SigmoidCrossEntropy()
    x, y = X[:, :2], Y % 2
    for _ in range(3):
        model = mg.Sequential([mg.Dense(2, 1)], loss=loss, random_state=0)
        callback = kind(**options, monitor=monitor)
        try:
            model.fit(
                *(x, y), optimizer=mg.SGD(0.1), epochs=2, validation_data=(x, y), verbose=0,
                callbacks=[callback], metrics=metrics,
            )  # fmt: skip
        except (KeyError, ValueError) as error:
            if found := re.search(r"did you mean '(\w+)'|write monitor='(\w+)'", str(error)):
                monitor = found[1] or found[2]
            if found := re.search(r"give fit metrics=(\[.*?\])", str(error)):
                metrics = eval(found[1])
        else:
            return
    pytest.fail("the advice does not lead to a training")


def public_calls():
    """What people call, and how they write it."""
    for family in ("", *APART):
        module = pytest.importorskip(f"mlpgrad.{family}".rstrip("."))
        for name in module.__all__:
            if callable(getattr(module, name)):
                yield f"mg.{family}.{name}".replace("..", "."), getattr(module, name)
    model = mg.Sequential([mg.Dense(4, 3)], loss=mg.SoftmaxCrossEntropy())
    for name in dir(model):
        if name[0] != "_" and callable(getattr(model, name)):
            yield f"model.{name}", getattr(model, name)


def test_a_call_that_does_not_fit_is_told_a_name_that_exists():
    written = set()
    for place, function in public_calls():
        for arguments in ((), (1,) * 9):
            try:
                function(*arguments)
            except Exception as error:
                found = re.search(r" (?:needs|takes) .*; write ([\w.]+)\(", str(error))
                if found:
                    written.add(found[1])
                    assert not place.startswith("model.") or found[1] == place
    assert {"mg.tables.Codes", "model.learning_rate_range_test", "mg.SGD"} <= written
    model = mg.Sequential([mg.Dense(4, 3)], loss=mg.SoftmaxCrossEntropy())
    assert all(callable(eval(name, {"mg": mg, "model": model})) for name in written)


def test_users_classes_may_have_options_of_these_names():
    layer = Own(4, 3, weights=5)
    mg.Sequential([layer], loss=mg.MeanSquaredError())
    layer.weights = 7
    assert layer.config() == {"in_features": 4, "out_features": 3, "weights": 7}


class Frozen(mg.LeakyReLU):
    """A user's layer with an attribute of its own."""

    def __init__(self):
        super().__init__()
        self.trainable = False


def test_attributes_of_users_classes_are_their_own():
    fitted(mg.Sequential([Frozen(), mg.Dense(4, 3)], loss=mg.SoftmaxCrossEntropy()), mg.SGD(0.1))


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_no_class_has_an_attribute_that_is_without_effect(cls):
    example = cls.example()  # of a loss, with its arguments
    thing = example[0] if isinstance(example, tuple) else example
    names = set(vars(thing)) - set(thing.config())
    assert [name for name in names if meant_by(name, thing.config())] == []
    assert not {"trainable", "requires_grad"} & names


@pytest.mark.parametrize(
    "given",
    [
        "mg.Sequential([mg.Dense(4, 3), mg.Activation()], loss=loss)",
        "mg.Sequential([mg.Layer()], loss=loss)",
        "mg.Sequential(layers, loss=mg.Loss())",
        "mg.Sequential(layers, loss=loss, penalties=[mg.Penalty(0.1)])",
        "mg.Dense(4, 3, initializer=mg.Initializer())",
        "model.fit(x, y, optimizer=mg.Optimizer(0.1))",
        "mg.SGD(mg.Schedule())",
        "model.evaluate(x, y, metrics=[mg.Metric()])",
    ],
)
def test_a_base_class_in_place_of_a_subclass(given, tmp_path):
    with pytest.raises(TypeError, match=r"expects a subclass of \w+ such as .* whose class leaves"):
        eval(given, scene(tmp_path))


def test_synonyms_are_options_of_some_class():

    calls = [*EVERY_CLASS, mg.Sequential, mg.Sequential.fit]
    calls += [getattr(mg.datasets, name) for name in mg.datasets.__all__]
    known = set()
    for function in calls:
        for base in getattr(function, "__mro__", (function,)):
            if base is not object:
                known |= set(inspect.signature(getattr(base, "__init__", base)).parameters)
                known |= set(inspect.signature(base).parameters)
    for name, options in SYNONYMS.items():
        assert set(options) & known, f"no class has an option {options} to write for {name!r}"
        advised = meant_by(name, options)
        assert advised.startswith(f"; write {options[0]}=")
        assert (name in TOGETHER) == (", " in advised)
    assert all(hasattr(mg, cls) for cls in CLASSES.values())


def test_tables_do_not_name_what_exists():
    for owner in ("PACKAGE", "DATASETS", "PLOTTING"):
        module = getattr(mg, owner.lower(), mg)
        assert [name for name in getattr(habits, owner) if hasattr(module, name)] == []
    assert OWNERS.keys() == habits.ATTRIBUTES.keys()
    assert set(habits.NOUNS) - {"TableEncoder"} <= {*OWNERS, "Penalty", "Initializer"}


def test_what_nobody_knows_stays_an_attribute_error():
    model = mg.Sequential([mg.Dense(4, 3)], loss=mg.SoftmaxCrossEntropy())
    for owner in (mg, mg.datasets, mg.plotting, model, mg.History()):
        assert getattr(owner, "nobody_knows_this", None) is None
        assert not hasattr(owner, "__wrapped__")
    with pytest.raises(AttributeError, match="has no attribute 'predct'; did you mean 'predict'"):
        model.predct  # noqa: B018
    assert advice("nobody", habits.PACKAGE, mg.__all__, "mg.") == ""


def test_models_and_histories_are_copied_and_pickled():
    import copy
    import pickle

    model = mg.Sequential([mg.Dense(4, 3)], loss=mg.SoftmaxCrossEntropy(), random_state=0)
    history = model.fit(X, Y, optimizer=mg.SGD(0.1), epochs=2, verbose=0)
    for twin in (copy.copy(history), copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert twin == history
        assert twin.seconds == history.seconds
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
