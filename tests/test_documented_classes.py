"""`help` of every layer and loss describes its options and what a subclass must define."""

import inspect
import re

import pytest

import mlpgrad as mg
from tests.kinds import LAYERS, LOSSES, every

BASES = [mg.Layer, mg.Activation, mg.Loss]


def section(text, name):
    """A numpydoc section of a docstring, or "" if there is none."""
    found = re.search(rf"^{name}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def options(cls):
    """The parameters of the constructor, if the class has one."""
    if cls.__init__ is object.__init__:
        return []
    return list(inspect.signature(cls.__init__).parameters.values())[1:]


@every([*LAYERS, *LOSSES, *BASES])
def test_every_class_has_an_example(cls):
    assert ">>> " in section(inspect.getdoc(cls), "Examples")


@every([*LAYERS, *LOSSES])
def test_every_option_is_documented_with_its_default(cls):
    described = section(inspect.getdoc(cls), "Parameters")
    for option in options(cls):
        line = re.search(rf"^(?:\w+, )*{option.name}(?:, \w+)* : (.+)$", described, re.MULTILINE)
        assert line, f"{cls.__name__} does not describe {option.name}"
        if option.default not in (inspect.Parameter.empty, None):
            shown = re.search(r"default (.+)$", line[1])
            assert shown, f"{cls.__name__} does not give the default of {option.name}"
            assert eval(shown[1]) == option.default


@every(BASES)
def test_a_base_says_which_check_proves_a_subclass(cls):
    assert re.search(r"mg\.check_(layer|loss)\b", inspect.getdoc(cls))


def test_layers_are_told_of_the_widths_that_they_must_set():
    attributes = section(inspect.getdoc(mg.Layer), "Attributes")
    for name in ("in_features", "out_features", "params", "grads", "state", "training"):
        assert name in attributes
    assert "must set it" in attributes


BAD = [
    (lambda: mg.LeakyReLU("steep"), "LeakyReLU expects a negative_slope .* got 'steep'"),
    (lambda: mg.ELU(-1.0), r"ELU: alpha expects a number in \[0, inf\), got -1.0"),
    (lambda: mg.Dropout("half"), "Dropout expects a drop_probability .* got 'half'"),
    (lambda: mg.BatchNorm(3, momentum=1.5), "BatchNorm expects a momentum from 0 to 1, got 1.5"),
    (lambda: mg.BatchNorm(3, momentum="0.1"), "BatchNorm expects a momentum from 0 to 1"),
    (lambda: mg.LayerNorm(3, epsilon="small"), "LayerNorm: epsilon expects a number"),
    (lambda: mg.SoftmaxCrossEntropy("0.1"), "label_smoothing from 0 to below 1, got '0.1'"),
    (lambda: mg.Huber("1"), "Huber expects delta > 0, got '1'"),
    (lambda: mg.GaussianNLL(None), "GaussianNLL expects epsilon > 0, got None"),
    (lambda: mg.Quantile("median"), "Quantile expects levels between 0 and 1, got 'median'"),
    (lambda: mg.Quantile([0.5, "0.9"]), "Quantile expects levels between 0 and 1"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_options_that_are_no_numbers_in_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_ends_of_the_ranges_are_valid():
    assert mg.BatchNorm(3, momentum=1).momentum == 1
    assert mg.BatchNorm(3, epsilon=0).epsilon == 0
    assert mg.ELU(0).alpha == 0
    assert mg.LeakyReLU(0).negative_slope == 0
