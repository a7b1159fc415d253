"""Losses: PyTorch's values and gradients, large logits, weights, ensembles and targets."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mlpgrad as mg
from mlpgrad.losses.categorical import TABLE_CLASSES
from tests.kinds import LOSSES, compare_with_golden, every, loss_case

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/losses_activations.json").read_text())
LACKING = {}  # losses that PyTorch does not have, with the reason
each = every(LOSSES)


def evaluated(loss, prediction, target, weights=None):
    """The value and delta, with the target converted as by a model."""
    columns = target if target.ndim > 1 else target[:, None]
    checked = loss.cast(loss.check_target(columns, prediction.shape[-1]), prediction.dtype)
    value = loss.forward(prediction, checked, weights)
    return value, loss.backward().copy()


@pytest.mark.parametrize("name", GOLDEN["losses"])
def test_values_and_gradients_are_pytorchs(name):
    case = GOLDEN["losses"][name]
    loss = eval(name, vars(mg).copy())
    value, delta = evaluated(loss, np.array(case["prediction"]), np.array(case["target"]))
    assert_allclose(value, case["value"], rtol=1e-14)
    assert_allclose(delta, case["gradient"], rtol=1e-13, atol=1e-16)


def test_every_loss_has_golden_values():
    named = {name.partition("(")[0] for name in GOLDEN["losses"]}
    compare_with_golden(LOSSES, named, LACKING, "tests/golden/make_losses_activations.py")


@each
def test_delta_is_the_complex_step_derivative(cls):
    loss, prediction, target = cls.example()
    value, delta = evaluated(loss, prediction, target)
    stepped = np.empty_like(delta)
    for index in np.ndindex(prediction.shape):
        moved = prediction.astype(complex)
        moved[index] += 1e-200j
        result, _ = evaluated(cls.example()[0], moved, target)
        stepped[index] = result.imag / 1e-200
    assert_allclose(result.real, value, rtol=1e-15)
    assert_allclose(delta, stepped, rtol=1e-13, atol=1e-16)


@each
def test_a_sample_of_weight_two_counts_as_two(cls):
    loss, prediction, target = cls.example()
    weights = np.array([[2.0], [1.0], [0.0], [1.0]])
    rows = [0, 0, 1, 3]
    value, delta = evaluated(loss, prediction, target, weights)
    repeated, repeated_delta = evaluated(cls.example()[0], prediction[rows], target[rows])
    assert_allclose(value, repeated, rtol=1e-14)
    assert_allclose(delta[0], repeated_delta[0] + repeated_delta[1], rtol=1e-14)
    assert_allclose(delta[[1, 3]], repeated_delta[2:], rtol=1e-14)
    assert not delta[2].any()


@each
def test_an_all_zero_batch_teaches_nothing(cls):
    loss, prediction, target = cls.example()
    value, delta = evaluated(loss, prediction, target, np.zeros((4, 1)))
    assert value == 0
    assert not delta.any()


@each
@pytest.mark.parametrize("own_targets", [False, True])
@pytest.mark.parametrize("own_weights", [None, False, True])
def test_an_ensemble_equals_a_loop(cls, own_targets, own_weights):
    loss, prediction, target = cls.example()
    rng = np.random.default_rng(0)
    predictions = np.stack([prediction, prediction[::-1], 0.9 * prediction])
    targets = np.stack([target, target[::-1], target[[1, 1, 0, 2]]]) if own_targets else target
    weights = None if own_weights is None else rng.random((3, 4, 1) if own_weights else (4, 1))
    values, deltas = evaluated(loss, predictions, targets, weights)
    assert values.shape == (3,)
    for member in range(3):
        value, delta = evaluated(
            cls.example()[0],
            predictions[member],
            targets[member] if own_targets else target,
            weights[member] if own_weights else weights,
        )
        assert_allclose(values[member], value, rtol=1e-14)
        assert_allclose(deltas[member], delta, rtol=1e-14, atol=1e-17)


@pytest.mark.parametrize("dtype", "fdgFD")
def test_softmax_cross_entropy_at_ten_thousand(dtype):
    logits = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]], dtype)
    value, delta = evaluated(mg.SoftmaxCrossEntropy(), logits, np.array([0, 1, 2, 0]))
    assert_allclose(value, (0 + 2e4 + np.log(3) + np.log(2)) / 4, rtol=1e-6)
    expected = [[0, 0, 0], [1, -1, 0], [1 / 3, 1 / 3, -2 / 3], [-0.5, 0.5, 0]]
    assert_allclose(4 * delta, expected, rtol=1e-6, atol=1e-30)
    assert delta.dtype == logits.dtype


@pytest.mark.parametrize("dtype", "fdgFD")
def test_sigmoid_cross_entropy_at_ten_thousand(dtype):
    logits = np.array([[1e4], [-1e4], [1e4], [-1e4], [0.0]], dtype)
    value, delta = evaluated(mg.SigmoidCrossEntropy(), logits, np.array([1, 0, 0, 1, 0.5]))
    assert_allclose(value, (0 + 0 + 1e4 + 1e4 + np.log(2)) / 5, rtol=1e-6)
    assert_allclose(5 * delta[:, 0], [0, 0, 1, -1, 0], atol=1e-30)


OVERFLOWING = {mg.Poisson: "its rate is e^y"}


@every([cls for cls in LOSSES if cls not in OVERFLOWING])
@pytest.mark.parametrize("dtype", "fd")
def test_no_loss_overflows_at_ten_thousand(cls, dtype):
    loss, prediction, target = cls.example()
    extreme = np.where(np.arange(prediction.size).reshape(prediction.shape) % 3 > 0, 1e4, -1e4)
    if loss.expects_probabilities:
        extreme = (extreme > 0).astype(float)  # where a Sigmoid or Softmax saturates
    value, delta = evaluated(loss, extreme.astype(dtype), target)  # warnings are errors here
    assert np.isfinite(value)
    assert np.isfinite(delta).all()


def test_poisson_overflows_as_the_rate_does():
    value, _ = evaluated(mg.Poisson(), np.array([[1e4]]), np.array([[1.0]]))
    assert value == np.inf


def test_a_loss_of_zero_is_not_negative():
    logits = np.array([[30.0, -5, 2], [-40, 60, 1]], np.float32)
    value, _ = evaluated(mg.SoftmaxCrossEntropy(), logits, np.array([0, 1]))
    assert 0 <= value < 1e-12


# targets


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("classes", [3, 40, TABLE_CLASSES + 5])
def test_labels_equal_one_hot_rows(smoothing, classes):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 6, classes)), rng.integers(0, classes, 6)
    one_hot = np.eye(classes)[labels]
    forms = [labels, labels.astype(float), labels.astype(np.uint8), one_hot, one_hot.astype(int)]
    results = [evaluated(mg.SoftmaxCrossEntropy(smoothing), logits, form) for form in forms]
    for value, delta in results:
        assert_allclose(value, results[0][0], rtol=1e-14)
        assert_allclose(delta, results[0][1], rtol=1e-12, atol=1e-17)


def test_booleans_are_labels_of_two_classes():
    logits = np.array([[1.0, 2.0], [0.0, 3.0]])
    booleans = evaluated(mg.SoftmaxCrossEntropy(), logits, np.array([True, False]))
    assert_array_equal(
        booleans[0], evaluated(mg.SoftmaxCrossEntropy(), logits, np.array([1, 0]))[0]
    )


@pytest.mark.parametrize("cls", [mg.SoftmaxCrossEntropy, mg.CrossEntropy])
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([0, 3, 1], r"labels 0 to 2 .* got 3 in row 1 of y; number the classes from 0"),
        ([0, 1, -1], r"got -1 in row 2"),
        ([0.5, 1, 1], r"got 0.5 in row 0"),
        ([[1.0, 0, 0], [0.5, 0.2, 0.2], [1, 0, 0]], r"sum to 1 .* in row 1 of y"),
        ([[1.0, 0, 0], [1, 0, 0], [1.5, -0.5, 0]], r"in row 2 of y"),
        ([[1.0, 0], [0, 1], [1, 0]], r"targets with 3 columns .* got 2"),
    ],
)
def test_bad_categorical_targets(cls, target, message):
    with pytest.raises(ValueError, match=message):
        evaluated(cls(), np.full((3, 3), 1 / 3), np.array(target))


def test_a_bad_label_of_an_ensemble_member_is_found():
    with pytest.raises(ValueError, match="got 7 in row 2"):
        mg.SoftmaxCrossEntropy().check_target(np.array([[[0], [1], [1]], [[0], [1], [7]]]), 3)


def test_one_output_is_no_softmax():
    with pytest.raises(ValueError, match="use SigmoidCrossEntropy"):
        mg.SoftmaxCrossEntropy().check_target(np.array([[0], [1]]), 1)


@pytest.mark.parametrize("cls", [mg.SigmoidCrossEntropy, mg.BinaryCrossEntropy])
@pytest.mark.parametrize("bad", [-0.1, 1.5, 2])
def test_binary_targets_are_from_0_to_1(cls, bad):
    with pytest.raises(ValueError, match=f"from 0 to 1, got {bad} in row 1"):
        cls().check_target(np.array([[0], [bad]]), 1)


def test_hinge_takes_signs_or_bits():
    prediction, signs = np.array([[0.3], [-2.0], [0.1]]), np.array([[1], [-1], [-1]])
    bits = (signs + 1) // 2
    assert evaluated(mg.Hinge(), prediction, signs)[0] == evaluated(mg.Hinge(), prediction, bits)[0]
    for wrong in ([[0], [2]], [[-1], [0]]):
        with pytest.raises(ValueError, match="Hinge expects targets -1 and 1, or 0 and 1"):
            mg.Hinge().check_target(np.array(wrong), 1)


def test_counts_are_not_negative():
    with pytest.raises(ValueError, match=r"Poisson expects targets >= 0 .* got -1"):
        mg.Poisson().check_target(np.array([[3], [-1]]), 1)


def test_widths_of_targets():
    assert mg.GaussianNLL().target_features(6) == 3
    assert mg.Quantile([0.1, 0.5, 0.9]).target_features(6) == 2
    assert mg.Huber().target_features(6) == 6
    with pytest.raises(ValueError, match=r"two outputs for each target .* got 3"):
        mg.GaussianNLL().target_features(3)
    with pytest.raises(ValueError, match="expects 2 outputs for each target, got 3"):
        mg.Quantile([0.1, 0.9]).target_features(3)
    with pytest.raises(ValueError, match="targets with 2 columns"):
        mg.MeanSquaredError().check_target(np.zeros((4, 1)), 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mg.SoftmaxCrossEntropy(1.0), "label_smoothing from 0 to below 1"),
        (lambda: mg.SigmoidCrossEntropy(-0.1), "label_smoothing from 0 to below 1"),
        (lambda: mg.Huber(0), "delta > 0"),
        (lambda: mg.Quantile([0.5, 1.0]), "levels between 0 and 1"),
        (lambda: mg.Quantile([]), "levels between 0 and 1"),
        (lambda: mg.GaussianNLL(0), "epsilon > 0"),
        (lambda: mg.SigmoidFocal(-1), "SigmoidFocal expects focus >= 0, got -1"),
        (lambda: mg.SoftmaxFocal(np.inf), "SoftmaxFocal expects focus >= 0, got inf"),
        (lambda: mg.SigmoidFocal(balance=1), "balance between 0 and 1, or None, got 1"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# particular losses


def test_several_quantiles_are_several_losses():
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(7, 6)), rng.normal(size=(7, 2))
    levels = [0.1, 0.5, 0.8]
    value, delta = evaluated(mg.Quantile(levels), prediction, target)
    parts = [evaluated(mg.Quantile(q), prediction[:, i::3], target) for i, q in enumerate(levels)]
    assert_allclose(value, np.mean([part[0] for part in parts]), rtol=1e-14)
    for i, part in enumerate(parts):
        assert_allclose(delta[:, i::3], part[1] / 3, rtol=1e-14)


def test_the_quantile_loss_is_least_at_the_quantile():
    sample = np.random.default_rng(0).exponential(size=1001)[:, None]
    candidates = np.linspace(0, 4, 401)
    for level in (0.1, 0.5, 0.9):
        values = [mg.Quantile(level).forward(np.full_like(sample, c), sample) for c in candidates]
        assert abs(candidates[np.argmin(values)] - np.quantile(sample, level)) <= 0.02


def test_gaussian_variance_has_a_floor():
    loss = mg.GaussianNLL(epsilon=1e-2)
    value, delta = evaluated(loss, np.array([[1.0, -50.0]]), np.array([[0.0]]))
    assert_allclose(value, 0.5 * (np.log(1e-2) + 100))
    assert_allclose(delta, [[100, 0]], rtol=1e-13)


def test_a_users_loss_in_one_class():
    class LogCosh(mg.Loss):
        def losses(self, prediction, target):
            return np.log(np.cosh(prediction - target)).sum(axis=-1)

        def slopes(self, prediction, target, out):
            np.tanh(prediction - target, out)

    model = mg.Sequential([mg.Dense(3, 2)], loss=LogCosh(), dtype="float64", random_state=0)
    x = np.random.default_rng(0).normal(size=(6, 3))
    y = x[:, :2] + 1
    model.backpropagate(x, y)
    assert_allclose(model.layers[0].delta, np.tanh(model.predict(x) - y) / 6, rtol=1e-14)


@pytest.mark.parametrize("size", [None, 3], ids=["one", "ensemble"])
@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize(
    "reduced",
    [lambda squares: squares, lambda squares: squares.mean(), lambda squares: squares.sum(axis=-2)],
    ids=["numbers of outputs", "mean", "sums over samples"],
)
def test_a_loss_that_gives_no_number_for_each_sample_says_so(reduced, rows, size):
    class Squares(mg.Loss):
        def losses(self, prediction, target):
            return reduced((prediction - target) ** 2)

        def slopes(self, prediction, target, out):
            out[...] = 2 * (prediction - target)

    model = mg.Sequential([mg.Dense(3, 2)], loss=Squares(), ensemble_size=size)
    x = np.ones((rows, 3))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"Squares.losses: expected an array of shape \("):
            model.backpropagate(x, x[:, :2])


@pytest.mark.parametrize(
    ("focal", "entropy"),
    [(mg.SigmoidFocal, mg.SigmoidCrossEntropy), (mg.SoftmaxFocal, mg.SoftmaxCrossEntropy)],
)
def test_without_focus_it_is_the_cross_entropy(focal, entropy):
    _, logits, target = entropy.example()
    for y in (target, np.full(logits.shape, 1 / 3)):
        expected = evaluated(entropy(), logits, y)
        for found, exact in zip(evaluated(focal(focus=0), logits, y), expected, strict=True):
            assert_allclose(found, exact, rtol=1e-14, atol=1e-17)


@pytest.mark.parametrize("focus", [0.5, 2.0, 3.0])
def test_two_classes_under_a_softmax_are_one_logit(focus):
    z, labels = np.linspace(-40, 40, 33)[:, None], np.arange(33) % 2
    one, delta = evaluated(mg.SigmoidFocal(focus), z, labels)
    two, deltas = evaluated(mg.SoftmaxFocal(focus), np.hstack([np.zeros_like(z), z]), labels)
    assert_allclose(one, two, rtol=1e-13)
    assert_allclose(deltas, np.hstack([-delta, delta]), rtol=1e-12)


def test_balance_weighs_the_answers():
    z = np.array([[0.7], [-1.1]])
    for target, weight in ((1, 0.25), (0, 0.75)):
        plain = evaluated(mg.SigmoidFocal(), z, np.full(2, target))
        balanced = evaluated(mg.SigmoidFocal(balance=0.25), z, np.full(2, target))
        assert_allclose(balanced[0], weight * plain[0], rtol=1e-14)
        assert_allclose(balanced[1], weight * plain[1], rtol=1e-14)


@pytest.mark.parametrize("cls", [mg.SigmoidFocal, mg.SoftmaxFocal])
def test_a_focal_loss_is_not_a_likelihood(cls):
    model, x, y = loss_case(cls)
    with pytest.raises(TypeError, match="not a negative log likelihood"):
        model.curvature(x, y, kind="fisher")


# the meaning of predictions


def test_probabilities_and_classes():
    logits = np.array([[0.0, np.log(3)], [1e4, -1e4]])
    softmax, sigmoid = mg.SoftmaxCrossEntropy(), mg.SigmoidCrossEntropy()
    assert_allclose(softmax.probabilities(logits), [[0.25, 0.75], [1, 0]], rtol=1e-14)
    assert_array_equal(softmax.classes(logits), [1, 0])
    assert_allclose(sigmoid.probabilities(logits), [[0.5, 0.75], [1, 0]], rtol=1e-14)
    assert_array_equal(sigmoid.classes(logits), [[0, 1], [1, 0]])
    assert_array_equal(sigmoid.classes(logits[:, 1:]), [1, 0])
    assert_array_equal(mg.Hinge().classes(logits[:, 1:]), [1, 0])
    probabilities = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert_array_equal(mg.CrossEntropy().classes(probabilities), [1, 0])
    assert_array_equal(mg.BinaryCrossEntropy().classes(probabilities[:, :1]), [0, 1])
    assert mg.CrossEntropy().probabilities(probabilities) is probabilities
    assert mg.BinaryCrossEntropy().probabilities(probabilities) is probabilities


def test_true_classes_match_the_form_of_classes():
    softmax, sigmoid = mg.SoftmaxCrossEntropy(), mg.SigmoidCrossEntropy()
    assert_array_equal(softmax.true_classes(np.array([[2], [0]])), [2, 0])
    assert_array_equal(softmax.true_classes(np.array([[0.1, 0.9], [1, 0]])), [1, 0])
    assert_array_equal(sigmoid.true_classes(np.array([[1.0], [0]])), [1, 0])
    assert_array_equal(sigmoid.true_classes(np.array([[1.0, 0], [0, 1]])), [[1, 0], [0, 1]])
    assert_array_equal(mg.Hinge().true_classes(np.array([[1.0], [-1]])), [1, 0])


def test_numbers_have_no_classes():
    for method in ("classes", "probabilities", "true_classes"):
        with pytest.raises(TypeError, match="MeanSquaredError does not define"):
            getattr(mg.MeanSquaredError(), method)(np.zeros((2, 1)))
    with pytest.raises(TypeError, match="Hinge does not define probabilities"):
        mg.Hinge().probabilities(np.zeros((2, 1)))


# kinks

KINKED = {
    mg.MeanAbsoluteError: (np.array([[0.5], [-0.5], [0.0]]), np.zeros((3, 1))),
    mg.Quantile: (np.array([[0.5], [-0.5], [0.0]]), np.zeros((3, 1))),
    mg.Hinge: (np.array([[1.5], [0.5], [1.0]]), np.ones((3, 1))),
}


@every(KINKED)
def test_kink_signatures_tell_the_sides_apart(cls):
    prediction, target = KINKED[cls]
    right, left, on = cls().kink_signature(prediction, target).ravel().tolist()
    assert len({right, left, on}) == 3


@every([cls for cls in LOSSES if cls not in KINKED])
def test_smooth_losses_have_no_signature_but_a_floor(cls):
    loss, prediction, target = cls.example()
    signature = loss.kink_signature(prediction, target)
    floor = cls is mg.GaussianNLL and signature is not None and signature.all()
    assert signature is None or floor, f"{cls.__name__} has kinks: add points around one to KINKED"


def test_several_quantiles_have_a_signature_for_each_output():
    signature = mg.Quantile([0.1, 0.9]).kink_signature(np.zeros((3, 4)), np.ones((3, 2)))
    assert_array_equal(signature, np.full((3, 4), -1))


@pytest.mark.parametrize("z", [-30.0, -9.0, 9.0, 30.0])
def test_a_right_answers_small_slope_keeps_its_digits_in_float32(z):
    loss = mg.SigmoidCrossEntropy()
    target = np.array([[float(z > 0)]])
    value = loss.forward(np.array([[z]], np.float32), target.astype(np.float32))
    slopes = [loss.backward().copy() for _ in range(2)]  # a second call gives the same
    exact = -np.sign(z) * np.exp(-abs(z)) / (1 + np.exp(-abs(z)))
    np.testing.assert_allclose(slopes, np.full((2, 1, 1), exact), rtol=1e-6)
    np.testing.assert_allclose(value, np.log1p(np.exp(-abs(z))), rtol=1e-6)
