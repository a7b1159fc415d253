"""No loss or activation turns finite numbers into NaN, up to the limits of the dtype."""

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import LOSSES, every, example, subclasses

WIDTHS = ["float16", "float32", "float64"]
every_width = pytest.mark.parametrize("dtype", WIDTHS)


def ends(dtype):
    """Numbers of both signs, from the smallest to the largest."""
    known = np.finfo(dtype)
    small = [0, known.smallest_subnormal, known.tiny, known.eps, 1, 3, 11, 88, 700]
    large = [np.sqrt(known.max), known.max / 4, known.max / 2, known.max]
    found = np.array([*small, *large], dtype)
    return np.concatenate([found, -found])


@every(subclasses(mg.Activation))
@every_width
def test_activations(cls, dtype):
    layer, z = example(cls), ends(dtype)[:, None]
    layer.dtype = np.dtype(dtype)
    a, slope = np.empty_like(z), np.empty_like(z)
    with np.errstate(all="ignore"):
        layer.apply(z, a)
        layer.slope(z, a, slope)
    assert not np.isnan(a).any()
    assert np.isfinite(slope).all()


def targets(loss, target, dtype):
    """The targets of the example, and extreme numbers if the loss takes them."""
    yield target
    for number in [] if loss.classifies else ends(dtype):
        yield np.full(target.shape, number, dtype)


def predictions(loss, prediction, dtype):
    """Equal outputs, or one that differs from the rest."""
    for number in ends(dtype):
        if loss.expects_probabilities and not 0 <= number <= 1:
            continue
        for columns in (slice(None), slice(1), slice(-1, None)):
            found = prediction.astype(dtype)
            found[:, columns] = number
            yield found


def differences_are_finite(loss, prediction, target):
    """Whether prediction - target is finite, as the docstring of `Loss` requires."""
    with np.errstate(over="ignore"):
        if target.shape[-1] > prediction.shape[-1]:
            return True
        return np.isfinite(prediction[:, : target.shape[-1]] - target).all()


@every(LOSSES)
@every_width
def test_losses(cls, dtype):
    loss, prediction, target = cls.example()
    seen = 0
    for given in targets(loss, target, dtype):
        try:
            given = loss.cast(loss.check_target(given, prediction.shape[-1]), np.dtype(dtype))
        except ValueError:  # this loss does not take such targets
            continue
        for outputs in predictions(loss, prediction, dtype):
            if not loss.classifies and not differences_are_finite(loss, outputs, given):
                continue
            seen += 1
            with np.errstate(all="ignore"):
                value, delta = loss.forward(outputs, given), loss.backward()
            where = f"prediction {outputs[0]}, target {given[0]}"
            assert not np.isnan(value), where
            assert not np.isnan(delta).any(), where
    assert seen > 3


@pytest.mark.parametrize("count", [0.0, 3.0, 1e30])
def test_a_poisson_law_beyond_the_dtype_has_density_0(count):
    prediction, target = np.full((1, 1), 1e300), np.full((1, 1), count)
    with np.errstate(over="ignore"):
        assert mg.Poisson().log_density(prediction, target, None) == -np.inf
        assert mg.Poisson().forward(prediction, target) == np.inf
