"""Values and slopes of every loss are accurate to the last digits for finite numbers.

The formulas below are independent of the library's, in extended precision. For a class without a
formula, the test fails and says what to add.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlpgrad as mg
from tests.kinds import LOSSES, every
from tests.precision import (
    EXACT,
    WIDTHS,
    assert_exact,
    every_width,
    needs_more_digits,
    silently,
    strain,
)

# Each gives the loss of a sample, its slopes, and the size of the terms that are added in each
# (0: the relative error is small everywhere), for predictions (N, O) and targets (N, T) in
# longdouble; `loss` has the options, the dtype and its smallest normal number `tiny`.


def of_difference(value, slope):
    """A loss that depends only on d = y - t."""

    def formula(y, t, loss):
        d = y - t
        return value(d, loss)[:, 0], slope(d, loss), (0, 0)

    return formula


def huber(d, loss):
    delta = EXACT(loss.delta)
    return np.where(abs(d) <= delta, d**2 / 2, delta * (abs(d) - delta / 2))


def quantile(d, loss):
    return np.where(d > 0, 1 - EXACT(loss.levels), -EXACT(loss.levels))


def sigmoid(z):
    e = np.exp(-abs(z))
    return np.where(z < 0, e, 1) / (1 + e)


def sigmoid_cross_entropy(z, t, loss):
    t = t * (1 - EXACT(loss.label_smoothing)) + EXACT(loss.label_smoothing) / 2
    value = t * (np.maximum(-z, 0) + np.log1p(np.exp(-abs(z))))
    value += (1 - t) * (np.maximum(z, 0) + np.log1p(np.exp(-abs(z))))
    return value[:, 0], (1 - t) * sigmoid(z) - t * sigmoid(-z), (0, 1 - (t == 0) - (t == 1))


def binary_cross_entropy(p, t, loss):
    floor = EXACT(loss.tiny)
    yes, no = np.maximum(p, floor), np.maximum(1 - p, floor)
    value = -t * np.log(yes) - (1 - t) * np.where(no == floor, np.log(no), np.log1p(-p))
    return value[:, 0], (p - t) / yes / no, (0, 0)


def hinge(z, t, loss):
    margin = 1 - z * t
    return np.maximum(margin, 0)[:, 0], np.where(margin > 0, -t, 0), (1, 0)


def poisson(y, t, loss):
    rate = np.exp(y)
    sizes = np.maximum(rate, abs(t * y))[:, 0], np.maximum(rate, t)
    return (rate - t * y)[:, 0], rate - t, sizes


def gaussian(outputs, t, loss):
    mean, s = outputs[:, :1], outputs[:, 1:]
    least = 1.7e-5 if loss.dtype == np.float16 else 0  # as documented
    floor = np.log(EXACT(max(loss.epsilon, least)))
    bounded = np.maximum(s, EXACT(loss.dtype.type(floor)))
    surprise = (mean - t) ** 2 * np.exp(-bounded)
    value = (bounded + surprise) / 2
    of_s = np.where(s > floor, (1 - surprise) / 2, 0)
    slopes = np.hstack([(mean - t) * np.exp(-bounded), of_s])
    size = np.maximum(abs(bounded), surprise) / 2
    return value[:, 0], slopes, (size[:, 0], np.hstack([0 * size, np.maximum(surprise, 1)]))


def smoothed(t, loss, classes):
    rows = np.eye(classes, dtype=EXACT)[t[:, 0].astype(int)] if t.shape[-1] == 1 else t
    share = EXACT(getattr(loss, "label_smoothing", 0))
    return rows * (1 - share) + share / classes


def softmax_cross_entropy(z, t, loss):
    t = smoothed(t, loss, z.shape[-1])
    shifted = z - z.max(axis=-1, keepdims=True)
    others = np.exp(shifted)
    np.put_along_axis(others, z.argmax(axis=-1)[:, None], 0, -1)
    rest = others.sum(axis=-1)
    value = np.log1p(rest) - (t * shifted).sum(axis=-1)
    p = np.exp(shifted) / (1 + rest)[:, None]
    # logits are subtracted first: rounding moves e^(z_k - top) by |z_k - top| eps
    rounding = (rest / (1 + rest)) * np.where(others > 0, -shifted, 0).max(axis=-1)
    return value, p - t, (rounding, 1)


def cross_entropy(p, t, loss):
    t = smoothed(t, loss, p.shape[-1])
    p = np.maximum(p, EXACT(loss.tiny))
    return -(t * np.log(p)).sum(axis=-1), -t / p, (0, 0)


def sigmoid_focal(z, t, loss):
    g, e = EXACT(loss.focus), np.log1p(np.exp(-abs(z)))
    a = (1, 1) if loss.balance is None else (EXACT(loss.balance), 1 - EXACT(loss.balance))
    p, q = sigmoid(z), sigmoid(-z)
    yes, no = a[0] * t * q**g, a[1] * (1 - t) * p**g
    to_yes, to_no = np.maximum(-z, 0) + e, np.maximum(z, 0) + e
    value = yes * to_yes + no * to_no
    up, down = no * (g * q * to_no + p), yes * (g * p * to_yes + q)
    # a probability's rounding is raised to the power g
    return value[:, 0], up - down, ((1 + g) * value[:, 0], (1 + g) * np.maximum(up, down))


def softmax_focal(z, t, loss):
    g, t = EXACT(loss.focus), smoothed(t, loss, z.shape[-1])
    shifted = z - z.max(axis=-1, keepdims=True)
    top = np.eye(z.shape[-1], dtype=EXACT)[z.argmax(axis=-1)]
    others = np.exp(shifted) * (1 - top)
    rest = others.sum(axis=-1)[:, None]
    p, q = np.exp(shifted) / (1 + rest), (rest - others + (1 - top)) / (1 + rest)
    surprise = np.log1p(rest) - shifted
    value = (t * q**g * surprise).sum(axis=-1)
    c = t * q**g * (1 + g * p * np.where(q > 0, surprise / np.where(q > 0, q, 1), 1))
    both = p * (c.sum(axis=-1, keepdims=True) - c), c * q
    # rounding moves e^(z_k - top) by |z_k - top| eps, and its power by g times that
    moved = (1 + g) * (1 + np.where(others > 0, np.minimum(-shifted, 200), 0).max(axis=-1))
    size = moved[:, None] * np.maximum(*both)
    # and an exponential below the normal numbers by one of the smallest
    return value, both[0] - both[1], (moved * value, size + (2 + g) * EXACT(loss.tiny) / 4)


REFERENCES = {
    "BinaryCrossEntropy": binary_cross_entropy,
    "CrossEntropy": cross_entropy,
    "GaussianNLL": gaussian,
    "HalfSquaredError": of_difference(lambda d, loss: d**2 / 2, lambda d, loss: d),
    "Hinge": hinge,
    "Huber": of_difference(huber, lambda d, loss: np.clip(d, -loss.delta, EXACT(loss.delta))),
    "MeanAbsoluteError": of_difference(lambda d, loss: abs(d), lambda d, loss: np.sign(d)),
    "MeanSquaredError": of_difference(lambda d, loss: d**2, lambda d, loss: 2 * d),
    "Poisson": poisson,
    "Quantile": of_difference(lambda d, loss: d * quantile(d, loss), quantile),
    "SigmoidCrossEntropy": sigmoid_cross_entropy,
    "SigmoidFocal": sigmoid_focal,
    "SoftmaxCrossEntropy": softmax_cross_entropy,
    "SoftmaxFocal": softmax_focal,
}
OPTIONS = {
    "Huber": [{"delta": 2.5}],
    "Quantile": [{"levels": 0.3}],
    "SigmoidCrossEntropy": [{"label_smoothing": 0.2}],
    "SigmoidFocal": [{"focus": 0.5, "balance": 0.25}, {"focus": 0}, {"focus": 5}],
    "SoftmaxCrossEntropy": [{"label_smoothing": 0.2}],
    "SoftmaxFocal": [{"focus": 0.5}, {"focus": 0}, {"focus": 5}],
}


def reference(cls):
    """The reference formula of a class."""
    if cls.__name__ not in REFERENCES:
        pytest.fail(
            f"no reference for {cls.__name__}: add a function to REFERENCES in {__file__}, which "
            f"gives the loss of a sample and its slopes in longdouble, for every finite prediction"
        )
    return REFERENCES[cls.__name__]


# predictions and targets


def pairs(predictions, targets):
    """All pairs of a prediction and a target, as columns `(N, 1)`."""
    first, second = np.meshgrid(predictions, targets)
    return first.reshape(-1, 1), second.reshape(-1, 1)


def numbers(dtype):
    return strain(dtype)[:: 40 if dtype is np.float16 else 10]


def of_numbers(dtype):
    limits = np.finfo(dtype)
    some = np.array([0, 1, -2.5, limits.eps, limits.tiny, limits.max / 4, -300], dtype)
    return pairs(numbers(dtype), some)


def of_logits(dtype):
    return pairs(numbers(dtype), np.array([0, 1, 0.25], dtype))


def of_signs(dtype):
    return pairs(numbers(dtype), np.array([-1, 1], dtype))


def of_counts(dtype):
    return pairs(numbers(dtype), np.array([0, 1, 7, 300], dtype))


def of_probabilities(dtype):
    p = np.abs(strain(dtype))
    p = np.unique(p[p <= 1])
    p = np.concatenate([p, 1 - p])
    return pairs(p, np.array([0, 1, 0.25], dtype))


def of_means_and_variances(dtype):
    x = numbers(dtype)
    mean, target = pairs(x[::5], np.array([0, 1, -300], dtype))
    s = np.random.default_rng(0).permutation(np.resize(x, mean.shape))
    return np.hstack([mean, s]), target


def of_classes(dtype):
    x = numbers(dtype)[:, None]
    x = x[abs(x[:, 0]) < float(np.finfo(dtype).max) / 4]
    others = np.array([[0, 1], [-3, 2], [5, 5], [-40, -90], [900, -900]], dtype)
    z = np.vstack([np.hstack([x, np.repeat(row[None], len(x), 0)]) for row in others])
    z = np.roll(np.vstack([z, z, z]), 1, axis=0)
    return z, (np.arange(len(z)) % 3)[:, None]


def of_class_probabilities(dtype):
    p, _ = of_probabilities(dtype)
    rows = np.hstack([p, (1 - p) * dtype(0.25), (1 - p) * dtype(0.75)])
    return np.vstack([rows, rows]), (np.arange(2 * len(rows)) % 3)[:, None]


DATA = {
    "BinaryCrossEntropy": of_probabilities,
    "CrossEntropy": of_class_probabilities,
    "GaussianNLL": of_means_and_variances,
    "Hinge": of_signs,
    "Poisson": of_counts,
    "SigmoidCrossEntropy": of_logits,
    "SigmoidFocal": of_logits,
    "SoftmaxCrossEntropy": of_classes,
    "SoftmaxFocal": of_classes,
}


def representable(exact, slopes, dtype):
    """Samples whose loss and slopes are finite in the dtype, with a margin."""
    limit = EXACT(np.finfo(dtype).max) / 2
    return (abs(exact) < limit) & (abs(slopes) < limit).all(axis=-1)


def documented(cls, prediction, target, dtype):
    """Samples within the range in the docstring of the class."""
    limit = float(np.finfo(dtype).max)
    if cls is mg.GaussianNLL:  # e^-s is a normal number
        return prediction[:, 1] < -np.log(float(np.finfo(dtype).tiny)) - 1
    if cls in (mg.SoftmaxCrossEntropy, mg.SoftmaxFocal):
        return np.ptp(prediction.astype(EXACT), axis=-1) < limit
    if cls.__name__ not in DATA:  # so is y - t
        return abs(prediction.astype(EXACT) - target)[:, 0] < limit
    return np.ones(len(prediction), bool)


def assert_agrees(loss, prediction, target):
    """Each sample's loss and slopes, within 4 eps of the terms and without a warning."""
    cls, dtype = type(loss), prediction.dtype
    options = SimpleNamespace(**loss.config(), dtype=dtype, tiny=np.finfo(dtype).tiny)
    formula, given = reference(cls), [a.astype(EXACT) for a in (prediction, target)]
    with np.errstate(all="ignore"):
        exact, slopes, sizes = formula(*given, options)
    inside = representable(exact, slopes, dtype) & documented(cls, prediction, target, dtype)
    if not inside.any():
        return
    prediction, target = prediction[inside], target[inside]
    cast = loss.cast(target, dtype)
    # one sample per member: the value is that of the sample
    found = silently(loss.forward, prediction[:, None], cast[:, None])
    delta = silently(loss.backward)[:, 0]
    sizes = [
        np.broadcast_to(s, of.shape)[inside] for s, of in zip(sizes, (exact, slopes), strict=True)
    ]
    assert_exact(found, exact[inside], sizes[0], at=(prediction[:, 0], target[:, 0]))
    assert_exact(delta, slopes[inside], sizes[1], at=(prediction, target))


@every(LOSSES)
@every_width
def test_values_and_slopes_are_exact_over_the_whole_range(cls, dtype):
    needs_more_digits(dtype)
    reference(cls)
    prediction, target = DATA.get(cls.__name__, of_numbers)(dtype)
    for options in ({}, *OPTIONS.get(cls.__name__, [])):
        assert_agrees(cls(**options), prediction, target)


@pytest.mark.slow
@every(LOSSES)
@every_width
def test_and_at_any_other_numbers(cls, dtype):
    needs_more_digits(dtype)
    _, some = DATA.get(cls.__name__, of_numbers)(dtype)
    width = WIDTHS[dtype]
    one = st.floats(width=width, allow_nan=False, allow_infinity=False)
    if cls.expects_probabilities:
        one = st.floats(0, 1, width=width)
    wide = {"CrossEntropy": 3, "SoftmaxCrossEntropy": 3, "SoftmaxFocal": 3, "GaussianNLL": 2}
    wide = wide.get(cls.__name__, 1)

    @given(st.lists(one, min_size=wide, max_size=wide), st.sampled_from(list(np.unique(some))))
    def check(row, target):
        assert_agrees(cls(), np.array([row], dtype), np.array([[target]], some.dtype))

    check()


def test_every_reference_is_of_a_class():
    names = {cls.__name__ for cls in LOSSES}
    assert REFERENCES.keys() == names
    assert DATA.keys() <= names
    assert OPTIONS.keys() <= names


def test_a_new_class_is_told_what_to_do():
    class New(mg.Loss):
        """A class that is not in the table."""

    with pytest.raises(pytest.fail.Exception, match="no reference for New: add a function"):
        reference(New)


def test_a_wrong_digit_is_noticed(monkeypatch):
    class Off(mg.HalfSquaredError):
        def losses(self, prediction, target):
            losses = super().losses(prediction, target)
            return np.multiply(losses, np.float32(1 + 1e-6), losses)

    monkeypatch.setitem(REFERENCES, "Off", REFERENCES["HalfSquaredError"])

    with pytest.raises(pytest.fail.Exception, match="times the error allowed"):
        assert_agrees(Off(), *of_numbers(np.float32))
