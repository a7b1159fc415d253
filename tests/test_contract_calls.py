"""Every public method of every class that users extend: called with junk, assigned, overridden.

Methods that the inner loops call have a direct form (`_core/hooks.py`); both forms must always be
the same method.
"""

import abc
import copy
import inspect
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse

import mlpgrad as mg
from benchmarks.fuzz import constructor_parameters, judge
from mlpgrad import Sequential
from tests.kinds import EVERY_CLASS, every, example, subclasses

CLASSES = [*EVERY_CLASS, *(cls for cls in subclasses(mg.Initializer) if cls is not mg.Constant)]

JUNK = [
    *(None, "text", b"bytes", 1.5, -3, 10**30, float("nan"), [], {}, [[1.0, 2.0]], object()),
    *(np.zeros((0, 3)), np.ones((4, 5)), np.ones((4, 3)), np.ones((2, 2, 4, 3)), np.ones(7)),
    *(np.full((4, 3), None), np.full((4, 3), "a"), np.full((4, 5), np.nan)),
    *(np.full((4, 5), 1e308), np.ones((4, 5), int), np.zeros((4, 3), "M8[s]")),
    *(scipy.sparse.csr_matrix(np.eye(4)), lambda *_: 1, (np.ones((4, 3)), None)),
]


def made(cls):
    return example(cls) if hasattr(cls, "example") else cls()


def methods_of(cls):
    """The names of public methods with the number of arguments that they need."""
    found = {}
    for name in dir(cls):
        static = inspect.getattr_static(cls, name)
        if (name[0] == "_" and name != "__call__") or isinstance(static, (property, classmethod)):
            continue
        method = getattr(cls, name)
        if inspect.isfunction(method):
            kinds = inspect.signature(method).parameters.values()
            needed = [p for p in kinds if p.default is p.empty and p.kind <= 1]
            found[name] = len(needed) - 1
    return {name: needed for name, needed in found.items() if needed}


def ends(method, arguments):
    """How a call ends; a warning of NumPy may come before the error of the library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            method(*arguments)
        except Exception as error:
            return judge(error, [])[0], error
    return "returned", None


@every(CLASSES)
def test_every_public_method_takes_no_junk(cls):
    calls = 0
    for name, needed in methods_of(cls).items():
        for start in range(len(JUNK)):
            for step in (0, 7):
                arguments = [JUNK[(start + step * n) % len(JUNK)] for n in range(needed)]
                kind, error = ends(getattr(made(cls), name), arguments)
                expected = kind in ("returned", "own error") or isinstance(error, MemoryError)
                assert expected, f"{name}({arguments}): {error!r}"  # or a shape of terabytes
                calls += 1
    assert calls >= 2 * len(JUNK)


def test_an_error_says_where_what_was_expected_and_what_was_received():
    z = np.ones((4, 3), int)
    with pytest.raises(TypeError) as info:
        mg.Sigmoid().apply(z, out=np.empty_like(z))
    for part in ("Sigmoid.apply", "z: array (..., B, I)", "got z: an array of shape (4, 3) of int"):
        assert part in str(info.value)
    assert isinstance(info.value.__cause__, TypeError)  # NumPy's own


HOOKS = {  # a method of the inner loops, by kind
    mg.Tanh: ("apply", lambda z, out: np.copyto(out, z * 0.5)),
    mg.Dense: ("backward", None),
    mg.MeanSquaredError: ("losses", lambda prediction, target: np.ones(len(prediction))),
    mg.L2: ("value", lambda params: 7.0),
    mg.SGD: ("update", lambda p, g, rate, s: p.fill(0.25)),
}


def trained(methods=(), **parts):
    """Parameters and losses of a small training; `methods` are assigned to the objects."""
    parts = {cls: parts.get(cls.__name__, cls)(*given) for cls, given in GIVEN.items()}
    for cls, method in methods:
        setattr(parts[cls], HOOKS[cls][0], method)
    model = mg.Sequential(
        [parts[mg.Dense], parts[mg.Tanh]],
        loss=parts[mg.MeanSquaredError],
        penalties=[parts[mg.L2]],
        random_state=0,
    )
    x = np.linspace(-1, 1, 24).reshape(8, 3)
    history = model.fit(x, x[:, :2], optimizer=parts[mg.SGD], epochs=3, batch_size=4, verbose=0)
    found = model.predict(x).ravel(), [model.evaluate(x, x[:, :2])["loss"]]
    return np.concatenate([model.params, history["loss"], *found])


GIVEN = {mg.Dense: (3, 2), mg.Tanh: (), mg.MeanSquaredError: (), mg.L2: (0.1,), mg.SGD: (0.1,)}


@pytest.mark.parametrize("cls", [c for c, (_, method) in HOOKS.items() if method])
def test_a_method_assigned_to_an_object_acts(cls):
    assert not np.array_equal(trained(), trained([(cls, HOOKS[cls][1])]))


@pytest.mark.parametrize("cls", [c for c, (_, method) in HOOKS.items() if method])
def test_a_method_assigned_to_a_class_acts_and_can_be_put_back(cls, monkeypatch):
    name, method = HOOKS[cls]
    plain, wanted = trained(), trained([(cls, method)])
    with monkeypatch.context() as patched:
        patched.setattr(cls, name, lambda self, *args: method(*args))
        np.testing.assert_array_equal(trained(), wanted)
    derived = type(cls.__name__, (cls,), {})
    with monkeypatch.context() as patched:  # a method that the class inherits
        patched.setattr(derived, name, lambda self, *args: method(*args))
        np.testing.assert_array_equal(trained(**{cls.__name__: derived}), wanted)
    np.testing.assert_array_equal(trained(**{cls.__name__: derived}), plain)
    np.testing.assert_array_equal(trained(), plain)


@pytest.mark.parametrize("cls", HOOKS)
def test_a_subclass_may_call_the_method_of_its_base(cls):
    name, calls = HOOKS[cls][0], []

    def method(self, *args):
        calls.append(args)
        return getattr(super(derived, self), name)(*args)

    derived = type(cls.__name__, (cls,), {name: method, "repeatable": False})
    np.testing.assert_array_equal(trained(**{cls.__name__: derived}), trained())
    assert calls


@every(CLASSES)
def test_both_forms_are_one_method(cls):
    thing = made(cls)
    assert cls._hooks or issubclass(cls, mg.Schedule)  # these check their arguments themselves
    for name in cls._hooks:
        direct = inspect.unwrap(getattr(cls, name))
        assert getattr(cls, f"_direct_{name}") is direct
        assert getattr(thing, f"_direct_{name}").__func__ is direct


def test_an_assigned_method_is_copied_deleted_and_seen_by_super():
    class Doubled(mg.Tanh):
        def apply(self, z, out):
            super().apply(z, out)
            out *= 2

    z, layer = np.ones((2, 3)), Doubled()
    original = layer.apply

    def tripled(z, out):
        original(z, out)
        out *= 1.5

    layer.apply = tripled
    for each in (layer, copy.copy(layer), copy.deepcopy(layer)):
        out = np.empty_like(z)
        each._direct_apply(z, out)
        np.testing.assert_allclose(out, 3 * np.tanh(z))
    del layer.apply
    layer._direct_apply(z, out)
    np.testing.assert_allclose(out, 2 * np.tanh(z))
    with pytest.raises(AttributeError, match="no own 'apply'"):
        del layer.apply
    step = pickle.loads(pickle.dumps(mg.SGD(0.5).step))
    params = np.ones(3)
    step(params, params.copy())
    np.testing.assert_array_equal(params, 0.5)


def test_errors_of_users_reach_them_as_they_are():
    class Own(mg.Tanh):
        def apply(self, z, out):
            raise KeyError("mine")

    def raises(z):
        raise KeyError("mine")

    z = np.ones((4, 3))
    for call in (
        lambda: Own().apply(z, z),
        lambda: mg.Elementwise(raises, np.cos).apply(z, z),
        lambda: mg.Residual([Own()]).forward(z),
        lambda: mg.Sequential([Own()], loss=mg.MeanSquaredError()).predict(z),
    ):
        with pytest.raises(KeyError, match="mine"):
            call()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning):
            mg.MeanSquaredError().forward(np.full((2, 1), 1e308), np.full((2, 1), -1e308))
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        mg.L2(0.1).value(np.full(2, 1e308))


def test_a_class_may_also_be_abstract_or_take_a_method_from_elsewhere():
    class Halved:
        def apply(self, z, out):
            np.multiply(z, 0.5, out)

    class Both(Halved, mg.Tanh, abc.ABC):
        @abc.abstractmethod
        def missing(self):
            pass

    class Whole(Both):
        def missing(self):
            pass

    with pytest.raises(TypeError, match="abstract"):
        Both()
    x = np.ones((4, 3), np.float32)
    model = mg.Sequential([Whole()], loss=mg.MeanSquaredError())
    np.testing.assert_array_equal(model.predict(x), x / 2)
    assert isinstance(Whole(), mg.Layer)
    assert not isinstance(mg.L2(0.1), mg.Layer)


def test_the_checker_watches_methods_of_objects_and_puts_them_back():
    class Assigned(mg.Layer):
        def __init__(self, wrong=False):
            self.wrong = wrong
            self.forward = lambda x: x * 2
            self.backward = lambda delta: delta * (3 if wrong else 2)

    class Returns(mg.Activation):
        def apply(self, z, out):
            return np.tanh(z)

        def slope(self, z, a, out):
            return 1 - a**2

    assert mg.check_layer(Assigned())
    assert mg.check_layer(Assigned(wrong=True)).verdict.value == "FAIL"
    assert mg.check_layer(Returns()).verdict.value == "NOT_WRITTEN"


LARGE = [np.arange(12.0).reshape(3, 4), [[1.0] * 50] * 50, {"a": np.zeros((3, 3))}, "x\ny" * 300]


def refusals(cls):
    """The messages about large values given as each option of a class."""
    base = {"layers": [mg.Dense(2, 1)], "loss": mg.MeanSquaredError()} if cls is Sequential else {}
    for name in constructor_parameters(cls)[0]:
        for value in LARGE:
            try:
                cls(**(base | {name: value}))
            except Exception as error:
                yield str(error)


@every([*CLASSES, Sequential])
def test_a_message_shows_a_large_value_in_short_and_on_one_line(cls):
    found = list(refusals(cls))
    assert found or not constructor_parameters(cls)[0]
    assert not [text for text in found if "\n" in text or len(text) > 600]
