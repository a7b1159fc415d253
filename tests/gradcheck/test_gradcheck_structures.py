"""Structures of parameters, and arguments and results that are not numbers."""

import collections

import numpy as np
import pytest

import mlpgrad as mg

P = np.array([1.0, -2.0, 3.0])


def value(p):
    return float((p**3).sum())


def slope(p):
    return 3 * p**2


class Attributes(dict):
    """A dict whose items are attributes, as many libraries have."""

    __getattr__ = dict.__getitem__


@pytest.mark.parametrize(
    "kind",
    [Attributes, collections.OrderedDict, lambda d: collections.defaultdict(list, d)],
    ids=["attributes", "OrderedDict", "defaultdict"],
)
def test_a_dict_keeps_its_class(kind):
    params = kind({"w": P, "b": np.ones(2)})

    def f(p):
        assert type(p) is type(params)
        return value(p["w"]) + float(getattr(p, "b", p["b"]).sum())

    before = {name: array.copy() for name, array in params.items()}
    assert mg.check_gradient(f, lambda p: {"w": slope(p["w"]), "b": np.ones(2)}, params)
    assert not mg.check_gradient(f, lambda p: {"w": slope(p["w"]), "b": np.ones(2) * 2}, params)
    assert all(np.array_equal(before[name], params[name]) for name in params)


@pytest.mark.parametrize(
    "params", [[1.0, -2.0, 3.0], [[1.0, 2.0], [3.0, 4.0]], (P, 2 * P)], ids=str
)
def test_the_gradient_of_a_list_may_be_an_array(params):
    def f(p):
        return value(np.array(p))

    assert mg.check_gradient(f, lambda p: slope(np.array(p)), params)
    assert not mg.check_gradient(f, lambda p: 1.001 * slope(np.array(p)), params)
    report = mg.check_gradient(f, lambda p: slope(np.array(p))[:1], params)
    assert report.verdict.value == "SHAPE"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (True, "one number, got True"),
        (np.bool_(True), "one number, got np.True_"),
        ("1.5", "one number, got '1.5'"),
        ({"loss": 1.0}, "one number, got {'loss': 1.0}"),
        ((1.0, 2.0), r"one number, got \(1.0, 2.0\); if it returns .* pass None as grad"),
        ((1.0, P), r"one number, got \(1.0, array.*; if it returns .* pass None as grad"),
        ([1.0, 2.0, 3.0], r"one number, got an array of shape \(3,\)"),
    ],
    ids=["bool", "bool of NumPy", "text", "dict", "numbers", "value and gradient", "list"],
)
def test_a_value_that_is_not_a_number(found, message):
    with pytest.raises(TypeError, match=f"f must return {message}"):
        mg.check_gradient(lambda p: found, slope, P)


FIELDS = np.array([(1.0, 2.0)], dtype=[("a", "f8"), ("b", "f8")])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (P.astype(object), "params expects an array of numbers, got an array of dtype object"),
        ({"a": P, "b": None}, r"params\['b'\] expects an array of numbers, got None"),
        (FIELDS, "pass a dict of its fields: {name: array"),
        (FIELDS.view(np.recarray), "pass a dict of its fields: {name: array"),
    ],
    ids=["objects", "None", "fields", "records"],
)
def test_parameters_that_are_not_numbers(params, message):
    with pytest.raises(TypeError, match=message):
        mg.check_gradient(value, slope, params)


def test_the_fields_of_a_record_array_can_be_checked_as_a_dict():
    fields = {name: FIELDS[name] for name in FIELDS.dtype.names}
    assert mg.check_gradient(
        lambda p: value(p["a"] * p["b"]),
        lambda p: {"a": 3 * p["a"] ** 2 * p["b"] ** 3, "b": 3 * p["a"] ** 3 * p["b"] ** 2},
        fields,
    )


def test_a_vector_of_a_product_must_be_finite():
    with pytest.raises(ValueError, match="v expects finite numbers"):
        mg.check_vjp(lambda x: x, lambda x, v: v, P, v=P * np.nan)
    with pytest.raises(TypeError, match="at least one number"):
        mg.check_vjp(lambda x: x[:0], lambda x, v: v, P)


def test_the_argument_that_is_changed_has_the_name_of_the_caller():
    def f(x):
        x += 1
        return x

    report = mg.check_vjp(f, lambda x, v: v, P)
    assert "f changes its argument x;" in str(report)


def test_a_large_slope_does_not_explain_small_mistakes():
    """Beside the first slope, the others are nothing: they have an absolute value, as it were."""
    report = mg.check_gradient(
        lambda p: float(1e6 * p[0] + p[1:] @ p[1:]),
        lambda p: np.concatenate([[1e6], 3 * p[1:]]),
        np.array([1.0, -0.5, 0.7, 1.5]),
    )
    assert report.verdict.value == "FAIL"
    assert "absolute" not in str(report)


def test_the_hint_about_one_number_names_it_once():
    report = mg.check_gradient(lambda p: p[0] ** 2, lambda p: (2 * p[0], 1.0), (1.5, 2.0))
    assert report.hints == ["the gradient of params[1] must be 0"]
