"""Pictures of the inside of networks: the drawn data equal numbers computed here."""

from functools import partial

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad import plotting
from mlpgrad.plotting import style
from tests.plotting.pictures import RNG, X2, Y2, binary, network, new_axes

# weights


def test_weights_as_a_table_with_the_bias_below():
    model = network(3, 5, 2)
    for position, at in ((0, 0), ("2", 2), (-1, 2)):
        ax = plotting.weights(model, position, ax=new_axes())
        params = model.layers[at].params
        drawn = ax.images[0].get_array()
        np.testing.assert_array_equal(drawn[:-1], params.weights)
        np.testing.assert_array_equal(drawn[-1], params.bias)
        assert ax.get_yticklabels()[-1].get_text() == "bias"
        low, high = ax.images[0].get_clim()
        assert low == -high == -np.abs(drawn).max()
        assert ax.images[0].cmap(0.5)[:3] == pytest.approx((1, 1, 1), abs=0.01)


def test_weights_without_bias_inside_a_residual_layer():
    block = mg.Residual([mg.Dense(4, 6, bias=False), mg.ReLU(), mg.Dense(6, 4)])
    model = mg.Sequential([block, mg.Dense(4, 1)], loss=mg.HalfSquaredError())
    ax = plotting.weights(model, "0.0", ax=new_axes())
    np.testing.assert_array_equal(ax.images[0].get_array(), block.layers[0].params.weights)


@pytest.mark.parametrize(
    ("widths", "shape", "laid"),
    [
        ((16, 6), None, (2, 3)),
        ((12, 7), (3, 4), (3, 3)),
        ((9, 4), True, (2, 2)),
        ((64, 128), None, (8, 16)),
    ],
)
def test_weights_as_images(widths, shape, laid):
    model = network(*widths)
    table = model.layers[0].params.weights
    ax = plotting.weights(model, image_shape=shape, ax=new_axes())
    side = int(widths[0] ** 0.5)
    height, width = shape if isinstance(shape, tuple) else (side, side)
    drawn = ax.images[0].get_array()
    assert drawn.shape == (laid[0] * (height + 1) - 1, laid[1] * (width + 1) - 1)
    for unit in range(widths[1]):
        top, left = unit // laid[1] * (height + 1), unit % laid[1] * (width + 1)
        tile = drawn[top : top + height, left : left + width]
        np.testing.assert_array_equal(tile, table[:, unit].reshape(height, width))
    assert np.ma.count(np.ma.masked_invalid(drawn)) == table.size
    assert "biases" in ax.get_xlabel()


def test_images_without_a_bias():
    model = mg.Sequential([mg.Dense(16, 2, bias=False)], loss=mg.HalfSquaredError())
    ax = plotting.weights(model, ax=new_axes())
    assert ax.images[0].get_array().shape == (4, 9)  # side by side
    assert ax.get_xlabel() == ""


def test_only_a_first_layer_is_taken_to_see_images():
    model = network(5, 16, 2)
    assert plotting.weights(model, 2, ax=new_axes()).images[0].get_array().shape == (17, 2)
    assert plotting.weights(network(15, 2), ax=new_axes()).images[0].get_array().shape == (16, 2)
    ax = plotting.weights(network(16, 2), image_shape=False, ax=new_axes())
    assert ax.images[0].get_array().shape == (17, 2)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            network(2, 3, 1),
            {"layer": 1},
            r"layer with weights, got 1; there are: 0 Dense\(2, 3\), 2",
        ),
        (network(2, 1, size=3), {}, r"one network, got an ensemble of 3; use model.member\(0\)"),
        (network(16, 1), {"image_shape": (3, 5)}, r"height \* width = 16 inputs, got \(3, 5\)"),
        (network(15, 1), {"image_shape": True}, "square number of inputs, got 15"),
    ],
)
def test_weights_refuse(model, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.weights(model, ax=new_axes(), **options)


# the gradient checker's report


def test_gradient_report_that_fails():
    class Wrong(mg.Tanh):
        def slope(self, z, a, out):
            super().slope(z, a, out)
            out *= 1.5

    model = mg.Sequential(
        [mg.Dense(2, 3), Wrong(), mg.Dense(3, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0
    )
    report = mg.check_gradients(model, X2, Y2)
    assert not report
    ax = plotting.gradient_report(report, ax=new_axes())
    markers = [line for line in ax.lines if line.get_marker() not in (None, "None", "")]
    tensors = report.tensors
    assert len(markers) == len(tensors) == 4
    words = [text.get_text() for text in ax.texts][:4]
    names = [label.get_text() for label in ax.get_yticklabels()]
    for row, (tensor, line) in enumerate(zip(tensors, markers, strict=True)):
        worst = max(abs(f.error) / f.tolerance for f in tensor.findings)
        assert line.get_ydata() == [row]
        np.testing.assert_allclose(line.get_xdata(), max(worst, 1e-6))
        assert (line.get_xdata()[0] > 1) == (tensor.verdict == "FAIL")
        assert words[row] == tensor.verdict
        assert names[row].startswith(tensor.name)
    looks = {
        (t.verdict.value, m.get_marker(), m.get_color())
        for t, m in zip(tensors, markers, strict=True)
    }
    assert looks == {("FAIL", "X", style.WRONG), ("PASS", "o", style.BLUE)}
    tolerance = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata() for line in tolerance] == [[1.0, 1.0]]
    assert ax.get_xscale() == "log"
    diagnosis = " ".join(ax.texts[-1].get_text().split())
    assert report.first_wrong in diagnosis
    assert report.hints[0] in diagnosis
    assert ax.get_title(loc="left").startswith("FAIL: ")


def test_gradient_report_of_exact_and_of_missing_numbers():
    passed = mg.check_gradient(lambda w: float(w.sum()), np.ones_like, np.zeros(3))
    ax = plotting.gradient_report(passed, ax=new_axes())
    assert ax.texts[-1].get_text() == ""
    assert ax.get_title(loc="left") == "PASS: the gradient is correct"
    shape = mg.check_gradient(lambda w: float(w.sum()), lambda w: np.ones(2), np.zeros(3))
    ax = plotting.gradient_report(shape, ax=new_axes())
    assert ax.get_title(loc="left").startswith("SHAPE")
    said = " ".join(next(iter(shape.protocol.values())).split())
    assert said in " ".join(ax.texts[-1].get_text().split())


def test_gradient_report_of_errors_without_a_ratio():
    from mlpgrad.gradcheck.numeric.derivative import Estimate, Scheme
    from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome
    from mlpgrad.gradcheck.numeric.problem import Direction
    from mlpgrad.gradcheck.report import TensorReport
    from mlpgrad.gradcheck.verdicts import Verdict

    def tensor(verdict, error, tolerance):
        direction = Direction(0, 0, 1, np.ones(1), analytic=0.0, rms=1.0, step=1e-6)
        estimate = Estimate(error, bound=1e-9, step=1e-6, scheme=Scheme.ORDER_6)
        outcome = Outcome.AGREES if verdict is Verdict.PASS else Outcome.DIFFERS
        finding = Finding(outcome, direction, estimate, tolerance)
        return TensorReport("w", (1,), verdict, [finding])

    tensors = [
        tensor(Verdict.PASS, 0.0, 0.0),
        tensor(Verdict.FAIL, 1.0, 0.0),
        tensor(Verdict.NAN, np.nan, 1e-9),
        TensorReport("w", (1,), Verdict.NO_POWER),
    ]
    report = mg.GradientReport("four tensors", tensors)
    ax = plotting.gradient_report(report, ax=new_axes())
    markers = {
        int(m.get_ydata()[0]): m.get_xdata()[0] for m in ax.lines if m.get_marker() != "None"
    }
    assert markers == {0: 1e-6, 1: 1e12}
    assert [t.get_text() for t in ax.texts[:4]] == ["PASS", "FAIL", "NAN", "NO_POWER"]


def test_each_verdict_has_its_own_marker():
    from mlpgrad.gradcheck.verdicts import Verdict
    from mlpgrad.plotting.reports import LOOKS, MISTAKE

    assert len({*LOOKS.values(), MISTAKE}) == len(LOOKS) + 1
    assert len({marker for marker, _ in [*LOOKS.values(), MISTAKE]}) == len(LOOKS) + 1
    assert set(LOOKS) < set(Verdict)


def test_gradient_report_refuses():
    with pytest.raises(TypeError, match=r"expects a GradientReport, got bool; draw what"):
        plotting.gradient_report(True, ax=new_axes())


# loss landscape


def test_loss_landscape_along_given_directions(monkeypatch):
    monkeypatch.setattr("mlpgrad.plotting.landscape.AT_ONCE", 5000)  # in several parts
    from mlpgrad.plotting.landscape import losses_at

    model = network(2, 3, 1, loss=mg.SigmoidCrossEntropy())
    model.penalties = [mg.L2(0.1)]
    model = model.copy()
    plane = RNG.normal(size=(2, model.params.size))
    steps = RNG.normal(size=(50, 2))
    params = model.params.copy()
    found = losses_at(model, X2, Y2, steps, plane)
    for (a, b), value in zip(steps, found, strict=True):
        model.params = params + a * plane[0] + b * plane[1]
        assert value == pytest.approx(model.evaluate(X2, Y2)["loss"], rel=1e-12)


def test_loss_landscape_draws_what_evaluate_says():
    model = network(2, 3, 1, loss=mg.SigmoidCrossEntropy())
    directions = RNG.normal(size=(2, model.params.size))
    draw = partial(plotting.loss_landscape, model, X2, Y2, directions=directions, span=0.5)
    ax = draw(resolution=41, ax=new_axes())
    filled = ax.collections[0]
    params, levels = model.params.copy(), filled.levels
    for path, low, high in zip(filled.get_paths(), levels, levels[1:], strict=False):
        for a, b in path.vertices[::10]:
            model.params = params + a * directions[0] + b * directions[1]
            loss = model.evaluate(X2, Y2)["loss"]
            slack = 0.1 * (high - low)
            assert low - slack < loss < high + slack
    model.params = params
    assert [tuple(line.get_xydata()[0]) for line in ax.lines] == [(0, 0)]
    assert levels[0] <= model.evaluate(X2, Y2)["loss"] <= levels[-1]
    corners = np.concatenate([path.vertices for path in filled.get_paths()])
    np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], [[-0.5] * 2, [0.5] * 2])


def test_loss_landscape_that_overflows():
    model = network(2, 1, loss=mg.Poisson())
    directions = 500 * np.eye(3)[:2]
    ax = plotting.loss_landscape(
        model, X2, Y2, directions=directions, span=10, resolution=5, ax=new_axes()
    )
    assert np.isfinite(ax.collections[0].levels).all()
    model.params = [0, 0, 800]
    with pytest.raises(ValueError, match="no finite loss on the plane; lower span"):
        plotting.loss_landscape(model, X2, Y2, directions=0 * directions, ax=new_axes())


def test_random_directions_are_filter_normalised_and_repeatable():
    from mlpgrad.plotting.landscape import filter_normalised

    model = network(2, 3, 1)
    first, second = filter_normalised(model, 0)
    for direction in (first, second):
        for layer, part in ((0, direction[:6].reshape(2, 3)), (2, direction[9:12].reshape(3, 1))):
            weights = model.layers[layer].params.weights
            lengths = np.linalg.norm(weights, axis=0)
            np.testing.assert_allclose(np.linalg.norm(part, axis=0), lengths)
        assert (direction[6:9] == 0).all()
        assert direction[12] == 0
    assert abs(first @ second) < 0.99 * np.linalg.norm(first) * np.linalg.norm(second)
    np.testing.assert_array_equal(first, filter_normalised(model, 0)[0])
    assert (first != filter_normalised(model, 1)[0]).any()


def test_loss_landscape_with_dropout_is_that_of_predictions():
    layers = [mg.Dense(2, 4), mg.Tanh(), mg.Dropout(0.5), mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0, dtype=np.float64)
    from mlpgrad.plotting.landscape import losses_at

    plane = np.zeros((2, model.params.size))
    losses = losses_at(model, X2, Y2, np.zeros((3, 2)), plane)
    np.testing.assert_allclose(losses, model.evaluate(X2, Y2)["loss"])


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (3, {}, "one network, got an ensemble of 3"),
        (None, {"directions": np.ones((2, 3))}, r"two arrays of shape \(25,\)"),
        (None, {"directions": [np.ones(25)]}, r"two arrays of shape \(25,\)"),
        (None, {"directions": 3}, r"two arrays of shape \(25,\), as model.params, got 3"),
        (None, {"directions": np.full((2, 25), np.nan)}, "directions expects finite numbers"),
        (None, {"span": 0}, "span expects a number > 0, got 0"),
        (None, {"resolution": 2}, "resolution expects an int >= 3, got 2"),
    ],
)
def test_loss_landscape_refuses(size, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.loss_landscape(binary(size), X2, Y2, ax=new_axes(), **options)
