"""Pictures: the data drawn, against numbers computed here; pixels are never compared."""

import inspect
import subprocess
import sys
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import mlpgrad as mg
from mlpgrad import plotting
from mlpgrad.plotting import style

RNG = np.random.default_rng(0)
X2, Y2 = mg.datasets.moons(40, noise=0.2, random_state=0)
X1 = np.linspace(-1, 2, 15)[:, None]


def network(*widths, loss=None, size=None, dtype=np.float64, activation=mg.Tanh, seed=0):
    """Dense layers with activations in between; biases are not zero."""
    layers = []
    for inputs, outputs in pairwise(widths):
        layers += [mg.Dense(inputs, outputs), activation()]
    options = {"dtype": dtype, "random_state": seed, "ensemble_size": size}
    model = mg.Sequential(layers[:-1], loss=loss or mg.HalfSquaredError(), **options)
    model.params += 0.1 * np.random.default_rng(seed).normal(size=model.params.shape)
    return model


def binary(size=None, loss=None):
    return network(2, 6, 1, loss=loss or mg.SigmoidCrossEntropy(), size=size)


def trained(model, x, y, **options):
    options = {"optimizer": mg.Adam(0.01), "epochs": 4, "verbose": 0} | options
    return model.fit(x, y, **options)


def new_axes():
    return Figure(layout="constrained").subplots()


def labelled(artists):
    return {artist.get_label(): artist for artist in artists}


def band(collection):
    """Lower and upper edge of a `fill_between` by x."""
    points = collection.get_paths()[0].vertices
    found = {}
    for x, y in points:
        found.setdefault(float(x), []).append(y)
    xs = sorted(found)
    return xs, [min(found[x]) for x in xs], [max(found[x]) for x in xs]


def contour_points(contour_set):
    return np.concatenate([path.vertices for path in contour_set.get_paths()])


# every function


def history():
    return trained(binary(), X2, Y2, validation_split=0.2)


def signals(model=None):
    recorder = mg.LayerSignals()
    trained(model or binary(), X2, Y2, callbacks=[recorder])
    return recorder


EVERY = {
    "confusion_matrix": lambda: partial(plotting.confusion_matrix, binary(), X2, Y2),
    "decision_boundary": lambda: partial(
        plotting.decision_boundary, binary(), X2, Y2, resolution=20
    ),
    "ensemble_spread": lambda: partial(plotting.ensemble_spread, binary(3), X2, Y2),
    "gradient_report": lambda: partial(
        plotting.gradient_report, mg.check_gradients(binary(), X2, Y2)
    ),
    "layer_signals": lambda: partial(plotting.layer_signals, signals()),
    "learning_curves": lambda: partial(plotting.learning_curves, history()),
    "loss_landscape": lambda: partial(plotting.loss_landscape, binary(), X2, Y2, resolution=5),
    "regression_curve": lambda: partial(plotting.regression_curve, network(1, 4, 1), X1, X1**2),
    "regression_surface": lambda: partial(
        plotting.regression_surface, network(2, 4, 1), X2, X2[:, 0], resolution=20
    ),
    "weights": lambda: partial(plotting.weights, binary()),
}


def test_every_function_is_here():
    assert set(EVERY) == set(plotting.__all__)


@pytest.mark.parametrize("name", plotting.__all__)
def test_draws_into_the_given_axes_or_new_ones(name, tmp_path):
    assert inspect.signature(getattr(plotting, name)).parameters["ax"].default is None
    draw = EVERY[name]()
    given = new_axes()
    assert draw(ax=given) is given
    assert given.has_data()
    assert given.get_title() or given.get_title(loc="left")
    made = draw()
    assert made is not given
    assert made.has_data()
    made.figure.savefig(tmp_path / "picture.png", dpi=30)  # warnings are errors here


def test_importing_it_does_not_import_matplotlib():
    code = "import sys, mlpgrad as mg; mg.plotting.weights; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    draw = EVERY["weights"]()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"needs matplotlib.*pip install 'mlpgrad\[plot\]"
    ):
        draw()


def test_a_picture_leaves_the_model_as_it_is():
    model = network(2, 4, 1, loss=mg.SigmoidCrossEntropy())
    params, drawn = model.params.copy(), model.rng.bit_generator.state
    plotting.decision_boundary(model, X2, Y2, resolution=10, ax=new_axes())
    plotting.loss_landscape(model, X2, Y2, resolution=5, ax=new_axes())
    np.testing.assert_array_equal(model.params, params)
    assert model.rng.bit_generator.state == drawn


# colours


def test_ink_is_readable_on_every_colour():
    def luminance(rgb):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in RNG.random((200, 3)):
        low, high = sorted([luminance(colour), luminance(to_rgb(style.ink_on(colour)))])
        assert (high + 0.05) / (low + 0.05) > 4.5


def test_classes_differ_in_colour_and_in_marker():
    assert len({*style.CLASSES}) == len({*style.MARKERS}) == len(style.CLASSES) == 8


# learning curves


def test_learning_curves_of_one_network():
    recorded = {"loss": [3.0, 1.0, 0.5], "val_loss": [2.0, 1.5, 1.7], "learning_rate": [1.0] * 3}
    ax = plotting.learning_curves(recorded, ax=new_axes())
    lines = labelled(ax.lines)
    assert list(lines) == ["training loss", "validation loss", "best epoch: 2"]
    for line, name in zip(lines.values(), ("loss", "val_loss"), strict=False):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), recorded[name])
    best = lines["best epoch: 2"]
    assert (best.get_xdata(), best.get_ydata()) == ([2], [1.5])
    assert ax.get_yscale() == "log"
    styles = [line.get_linestyle() for line in ax.lines[:2]]
    assert styles == ["-", "--"]


def test_learning_curves_of_an_ensemble_are_mean_and_range():
    table = RNG.normal(size=(5, 4))
    ax = plotting.learning_curves({"loss": list(table)}, ax=new_axes())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), table.mean(axis=1))
    xs, low, high = band(ax.collections[0])
    assert xs == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(low, table.min(axis=1))
    np.testing.assert_allclose(high, table.max(axis=1))
    assert ax.get_yscale() == "linear"


def test_learning_curves_by_name():
    recorded = history()
    names = ["val_accuracy", "learning_rate"]
    ax = recorded.plot(ax=new_axes(), names=names)
    drawn = labelled(ax.lines)
    np.testing.assert_array_equal(
        drawn["validation accuracy"].get_ydata(), recorded["val_accuracy"]
    )
    np.testing.assert_array_equal(drawn["learning rate"].get_ydata(), recorded["learning_rate"])
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize(
    ("recorded", "names", "error", "message"),
    [
        ({"loss": [1.0]}, ["los"], KeyError, "did you mean 'loss'"),
        ({}, None, ValueError, "at least one epoch"),
        ({"loss": []}, None, ValueError, "at least one epoch"),
        ([1.0, 2.0], None, TypeError, "expects the History.*got list"),
    ],
)
def test_learning_curves_refuse(recorded, names, error, message):
    with pytest.raises(error, match=message):
        plotting.learning_curves(recorded, names=names, ax=new_axes())


# decision boundary


def expected_colours(probabilities):
    """White mixed with the likeliest class's colour, sample by sample, in plain Python."""
    classes = probabilities.shape[-1]
    out = np.empty((*probabilities.shape[:-1], 3))
    for place in np.ndindex(probabilities.shape[:-1]):
        p = list(probabilities[place])
        best = p.index(max(p))
        share = 0.65 * (max(p) - 1 / classes) / (1 - 1 / classes)
        out[place] = [1 - share + share * c for c in to_rgb(style.CLASSES[best])]
    return out


def plane(ax):
    """Centres of the pixels of the image in an Axes, as rows."""
    image = ax.images[0]
    side = image.get_array().shape[0]
    left, right, bottom, top = image.get_extent()
    across, up = (
        (np.arange(side) + 0.5) / side * (b - a) + a for a, b in [(left, right), (bottom, top)]
    )
    return np.array([[u, v] for v in up for u in across])


@pytest.mark.parametrize("size", [None, 5])
def test_decision_boundary_of_two_classes(size):
    model = binary(size)
    trained(model, X2, Y2, epochs=60)
    ax = plotting.decision_boundary(model, X2, Y2, resolution=30, ax=new_axes())
    points = plane(ax)
    assert (points.min(axis=0) < X2.min(axis=0)).all()
    assert (points.max(axis=0) > X2.max(axis=0)).all()
    one = 1 / (1 + np.exp(-model.predict(points)[..., 0]))
    mean = one.mean(axis=0) if size else one
    expected = expected_colours(np.stack([1 - mean, mean], axis=-1))
    drawn = ax.images[0].get_array().reshape(-1, 3)
    np.testing.assert_allclose(drawn, expected, atol=1e-9)
    # one line for each member, then the mean's; within the grid's interpolation error
    for number, line in enumerate(ax.collections[: 1 + (size or 0)]):
        p = 1 / (1 + np.exp(-model.predict(contour_points(line))[..., 0]))
        if size:
            p = p.mean(axis=0) if number == size else p[number]
        assert np.abs(p - 0.5).max() < 0.1
    samples = labelled(ax.collections)
    for k in (0, 1):
        np.testing.assert_allclose(samples[f"class {k}"].get_offsets(), X2[k == Y2])
    assert ("5 networks" in ax.get_title()) == (size == 5)


@pytest.mark.parametrize("size", [None, 3])
def test_decision_boundary_of_many_classes(size):
    model = network(2, 8, 4, loss=mg.SoftmaxCrossEntropy(), size=size, seed=1)
    y = np.arange(len(X2)) % 4
    ax = plotting.decision_boundary(model, X2, y, resolution=25, ax=new_axes())
    points = plane(ax)
    z = np.exp(model.predict(points))
    p = z / z.sum(axis=-1, keepdims=True)
    mean = p.mean(axis=0) if size else p
    drawn = ax.images[0].get_array().reshape(-1, 3)
    np.testing.assert_allclose(drawn, expected_colours(mean), atol=1e-9)
    samples = labelled(ax.collections)
    for k in range(4):
        np.testing.assert_allclose(samples[f"class {k}"].get_offsets(), X2[y == k])


def test_decision_boundary_without_probabilities():
    model = binary(loss=mg.Hinge())
    ax = plotting.decision_boundary(model, X2, Y2, resolution=12, ax=new_axes())
    points = plane(ax)
    yes = (model.predict(points)[:, 0] > 0).astype(float)
    expected = expected_colours(np.stack([1 - yes, yes], axis=-1))
    np.testing.assert_allclose(ax.images[0].get_array().reshape(-1, 3), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "x", "options", "error", "message"),
    [
        (network(3, 1), X2, {}, ValueError, "a model with 2 inputs, got 3; choose two features"),
        (binary(), RNG.random((40, 3)), {}, ValueError, "x expects 2 features"),
        (binary(), X2[:, 0], {}, ValueError, "x expects shape"),
        (binary(), X2[:5], {}, ValueError, "same number of samples"),
        (network(2, 1), X2, {}, TypeError, "classifies, got HalfSquaredError.*regression_surface"),
        (
            network(2, 3, loss=mg.SigmoidCrossEntropy()),
            X2,
            {},
            ValueError,
            "got 3 yes-or-no labels",
        ),
        (binary(), X2, {"resolution": 1}, ValueError, "resolution expects an int >= 2, got 1"),
    ],
)
def test_decision_boundary_refuses(model, x, options, error, message):
    with pytest.raises(error, match=message):
        plotting.decision_boundary(model, x, Y2, ax=new_axes(), **options)


# regression


def test_regression_curve_of_one_network():
    model = network(1, 5, 1)
    ax = plotting.regression_curve(model, X1, X1[:, 0] ** 2, resolution=50, ax=new_axes())
    (line,) = ax.lines
    grid = line.get_xdata()
    assert len(grid) == 50
    assert (grid[0] < X1.min(), grid[-1] > X1.max()) == (True, True)
    np.testing.assert_allclose(line.get_ydata(), model.predict(grid[:, None])[:, 0])
    (samples,) = ax.collections
    np.testing.assert_allclose(samples.get_offsets(), np.c_[X1, X1**2])


def test_regression_curve_of_an_ensemble():
    model = network(1, 5, 2, size=4)
    y = np.c_[X1**2, X1**3]
    ax = plotting.regression_curve(model, X1, y, output=1, ax=new_axes())
    (line,) = ax.lines
    members = np.array([model.member(i).predict(line.get_xdata()[:, None])[:, 1] for i in range(4)])
    mean, deviation = members.mean(axis=0), members.std(axis=0)
    np.testing.assert_allclose(line.get_ydata(), mean)
    _, low, high = band(labelled(ax.collections)["disagreement of 4 networks, ± 2 s.d."])
    np.testing.assert_allclose(low, mean - 2 * deviation)
    np.testing.assert_allclose(high, mean + 2 * deviation)
    np.testing.assert_allclose(
        labelled(ax.collections)["samples"].get_offsets()[:, 1], X1[:, 0] ** 3
    )


@pytest.mark.parametrize("size", [None, 3])
def test_regression_curve_with_predicted_noise(size):
    model = network(1, 5, 2, loss=mg.GaussianNLL(), size=size)
    ax = plotting.regression_curve(model, X1, X1**2, ax=new_axes())
    grid = ax.lines[0].get_xdata()
    outputs = model.predict(grid[:, None]).reshape(-1, len(grid), 2)
    means, variances = outputs[..., 0], np.exp(outputs[..., 1])
    # second moments, averaged over the members, minus the square of the mean
    variance = (variances + means**2).mean(axis=0) - means.mean(axis=0) ** 2
    name = "with the predicted noise, ± 2 s.d." if size else "predicted noise, ± 2 s.d."
    _, low, high = band(labelled(ax.collections)[name])
    np.testing.assert_allclose(low, means.mean(axis=0) - 2 * np.sqrt(variance))
    np.testing.assert_allclose(high, means.mean(axis=0) + 2 * np.sqrt(variance))


def test_regression_curve_of_quantiles_and_of_counts():
    model = network(1, 5, 6, loss=mg.Quantile([0.1, 0.5, 0.9]))
    ax = plotting.regression_curve(model, X1, np.c_[X1, X1], output=1, ax=new_axes())
    outputs = model.predict(ax.lines[0].get_xdata()[:, None])[:, 3:]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), outputs[:, 1])
    _, low, high = band(labelled(ax.collections)["quantiles 0.1 to 0.9"])
    np.testing.assert_allclose(low, outputs[:, [0, 2]].min(axis=1))
    np.testing.assert_allclose(high, outputs[:, [0, 2]].max(axis=1))
    model = network(1, 5, 1, loss=mg.Poisson())
    ax = plotting.regression_curve(model, X1, np.arange(15), ax=new_axes())
    rate = np.exp(model.predict(ax.lines[0].get_xdata()[:, None])[:, 0])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), rate)


@pytest.mark.parametrize("size", [None, 4])
def test_regression_surface(size):
    model = network(2, 6, 1, size=size)
    y = 3 * X2[:, 0] * X2[:, 1]
    ax = plotting.regression_surface(model, X2, y, resolution=60, ax=new_axes())
    filled, samples = ax.collections[0], ax.collections[-1]
    np.testing.assert_allclose(samples.get_offsets(), X2)
    np.testing.assert_allclose(samples.get_array(), y)
    assert samples.norm is filled.norm
    assert samples.cmap is filled.cmap
    levels = filled.levels
    assert levels[0] <= y.min()
    assert levels[-1] >= y.max()
    for path, low, high in zip(filled.get_paths(), levels, levels[1:], strict=False):
        if len(path.vertices):
            values = model.predict(path.vertices)[..., 0]
            values = values.mean(axis=0) if size else values
            slack = 0.1 * (high - low)
            assert low - slack < values.min()
            assert values.max() < high + slack
    if not size:
        assert len(ax.collections) == 2
        return
    lines = ax.collections[1]
    for path, level in zip(lines.get_paths(), lines.levels, strict=True):
        if len(path.vertices):
            deviation = model.predict(path.vertices)[..., 0].std(axis=0)
            np.testing.assert_allclose(deviation, level, rtol=0.1)


def test_regression_surface_of_a_constant():
    model = network(2, 1)
    model.params = 0
    ax = plotting.regression_surface(model, X2, np.zeros(40), resolution=5, ax=new_axes())
    assert ax.collections[0].levels[0] <= 0 < ax.collections[0].levels[-1]


@pytest.mark.parametrize(
    ("draw", "model", "x", "options", "error", "message"),
    [
        (
            "curve",
            network(2, 1),
            X2,
            {},
            ValueError,
            "model with 1 input, got 2.*regression_surface",
        ),
        ("surface", network(1, 1), X1, {}, ValueError, "2 inputs, got 1; .*regression_curve"),
        ("surface", binary(), X2, {}, TypeError, "predicts numbers.*decision_boundary"),
        ("surface", network(2, 1), X2, {"output": 1}, ValueError, "output expects.*0 to 0, got 1"),
    ],
)
def test_regression_refuses(draw, model, x, options, error, message):
    with pytest.raises(error, match=message):
        getattr(plotting, f"regression_{draw}")(model, x, x[:, 0] > 0, ax=new_axes(), **options)


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


# what flows through the layers


class Copies(mg.Callback):
    """Keeps whole arrays of every epoch's last step."""

    def __init__(self):
        self.kept = []

    def on_epoch_end(self, epoch, logs):
        layers = self.model.layers
        self.kept.append([(s.inputs, s.outputs, s.delta, s.gradients) for s in layers])


@pytest.mark.parametrize("size", [None, 3])
def test_layer_signals_are_those_of_the_last_batch(size):
    model = network(2, 5, 4, 1, loss=mg.SigmoidCrossEntropy(), size=size)
    recorder, copies = mg.LayerSignals(), Copies()
    trained(model, X2, Y2, callbacks=[recorder, copies], batch_size=16, validation_split=0.2)
    batch = 32 - 16  # 32 rows to train: two batches

    def size_of(values):
        return np.sqrt((values.astype(float) ** 2).mean(axis=(-2, -1)))

    for number in (0, 2, 4):
        name = f"{number} {model.layers[number]!r}"
        deltas = [size_of(batch * kept[number][2]) for kept in copies.kept]
        np.testing.assert_allclose(recorder.records["delta"][name], deltas)
        grads = [kept[number][3] for kept in copies.kept]
        joined = [
            np.concatenate([g["weights"].reshape(*model.lead, -1), g["bias"]], axis=-1)
            for g in grads
        ]
        expected = [np.sqrt((g**2).mean(axis=-1)) for g in joined]
        np.testing.assert_allclose(recorder.records["gradient"][name], expected)
    for number in (1, 3):
        expected = [size_of(kept[number][1]) for kept in copies.kept]
        np.testing.assert_allclose(recorder.records["activation"][f"{number} Tanh()"], expected)
    for what, numbers in (("delta", (0, 2, 4)), ("activation", (1, 3))):
        ax = plotting.layer_signals(recorder, what=what, ax=new_axes())
        assert ax.get_yscale() == "log"
        for line, number in zip(ax.lines, numbers, strict=True):
            table = np.array(recorder.records[what][line.get_label()])
            assert line.get_label().startswith(f"{number} ")
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
            mean = table.mean(axis=1) if size else table
            np.testing.assert_allclose(line.get_ydata(), mean)
        if size:
            _, low, high = band(ax.collections[-1])
            np.testing.assert_allclose((low, high), (table.min(axis=1), table.max(axis=1)))


def test_dead_and_saturated_units_are_counted():
    model = network(2, 4, 1, loss=mg.SigmoidCrossEntropy(), activation=mg.ReLU)
    model.layers[0].params.bias[...] = [-100, 1, 1, 1]
    recorder = mg.LayerSignals()
    trained(model, X2, Y2, optimizer=mg.SGD(1e-12), epochs=1, callbacks=[recorder])
    dead = (model.layers[1].outputs == 0).all(axis=0).mean()
    assert recorder.records["saturated"] == {"1 ReLU()": [dead]}
    assert dead >= 0.25
    model = network(2, 5, 1, loss=mg.SigmoidCrossEntropy(), activation=mg.Sigmoid)
    model.layers[0].params.weights[...] = 0
    model.layers[0].params.bias[...] = [0, 5, 6, -6, 1]  # slope at 5 is 0.0066, at 6 it is 0.0025
    trained(model, X2, Y2, optimizer=mg.SGD(1e-12), epochs=1, callbacks=[recorder])
    assert recorder.records["saturated"] == {"1 Sigmoid()": [0.4]}
    ax = plotting.layer_signals(recorder, what="saturated", ax=new_axes())
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [0.4])
    assert ax.get_yscale() == "linear"


def test_vanishing_deltas_are_seen_and_a_good_initialisation_keeps_them():
    x = RNG.normal(size=(64, 16))
    spans = []
    for activation in (mg.Sigmoid, mg.ReLU):
        model = network(*[16] * 8, 1, activation=activation)
        recorder = mg.LayerSignals()
        trained(model, x, x[:, :1], callbacks=[recorder], epochs=2, optimizer=mg.SGD(1e-4))
        ax = plotting.layer_signals(recorder, ax=new_axes())
        spans.append(ax.lines[0].get_ydata()[-1] / ax.lines[-1].get_ydata()[-1])
        assert f"{spans[-1]:.1g} times the last's" in ax.get_title()
        assert ax.get_legend().get_texts()[0].get_text() == "14 Dense(16, 1)"
    assert spans[0] < 1e-3
    assert 0.05 < spans[1] < 20


def test_layer_signals_look_inside_residual_layers_and_start_anew_with_each_fit():
    block = mg.Residual([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 2)])
    model = mg.Sequential([block, mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    recorder = signals(model)
    assert list(recorder.records["delta"]) == [
        "0.0 Dense(2, 4)",
        "0.2 Dense(4, 2)",
        "1 Dense(2, 1)",
    ]
    trained(model, X2, Y2, callbacks=[recorder], epochs=2)
    assert {len(v) for kept in recorder.records.values() for v in kept.values()} == {2}


def test_recording_changes_no_training():
    plain, watched = binary(), binary()
    trained(plain, X2, Y2)
    trained(watched, X2, Y2, callbacks=[mg.LayerSignals()])
    np.testing.assert_array_equal(plain.params, watched.params)


@pytest.mark.parametrize(
    ("recorder", "what", "error", "message"),
    [
        (mg.LayerSignals(), "delta", ValueError, "found no delta recorded"),
        (mg.LayerSignals(), "deltas", ValueError, "did you mean 'delta'"),
        (mg.History(), "delta", TypeError, "expects an mg.LayerSignals, got History"),
    ],
)
def test_layer_signals_refuse(recorder, what, error, message):
    with pytest.raises(error, match=message):
        plotting.layer_signals(recorder, what=what, ax=new_axes())


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
    assert ax.get_title(loc="left") == "PASS: the gradient is right"
    shape = mg.check_gradient(lambda w: float(w.sum()), lambda w: np.ones(2), np.zeros(3))
    ax = plotting.gradient_report(shape, ax=new_axes())
    assert ax.get_title(loc="left").startswith("SHAPE")
    said = " ".join(next(iter(shape.protocol.values())).split())
    assert said in " ".join(ax.texts[-1].get_text().split())


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


# confusion matrix


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("size", [None, 3])
def test_confusion_matrix(size, normalize):
    model = network(2, 6, 3, loss=mg.SoftmaxCrossEntropy(), size=size, seed=3)
    y = np.where(X2[:, 0] > 0, 2, 0)  # class 1 has no samples
    labels = ["left", "none", "right"]
    options = {"labels": labels, "normalize": normalize}
    ax = plotting.confusion_matrix(model, X2, y, ax=new_axes(), **options)
    members = [model.member(i) for i in range(size)] if size else [model]
    predicted = sum(m.predict_proba(X2) for m in members).argmax(axis=1)
    counts = [[int(((y == i) & (predicted == j)).sum()) for j in range(3)] for i in range(3)]
    drawn = ax.images[0].get_array()
    cells = {tuple(map(int, t.get_position())): t.get_text() for t in ax.texts}
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            value = count / max(sum(row), 1) if normalize else count
            assert drawn[i, j] == pytest.approx(value)
            shown = (f"{value:.2f}" if normalize else str(value)) if value else "0"
            assert cells[j, i] == shown  # columns are predictions
    right = sum(counts[i][i] for i in range(3)) / len(y)
    assert ax.get_title() == f"{right:.1%} of 40 samples are right"
    assert [t.get_text() for t in ax.get_yticklabels()] == labels


def test_confusion_matrix_of_two_classes_on_one_output():
    model = binary()
    ax = plotting.confusion_matrix(model, X2, Y2, ax=new_axes())
    predicted = model.predict_classes(X2)
    expected = [[((i == Y2) & (predicted == j)).sum() for j in (0, 1)] for i in (0, 1)]
    np.testing.assert_array_equal(ax.images[0].get_array(), expected)


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (network(2, 1), {}, TypeError, "classifies, got HalfSquaredError"),
        (binary(), {"labels": ["a"]}, ValueError, "labels expects 2 names, one a class, got 1"),
        (network(2, 2, loss=mg.SigmoidCrossEntropy()), {}, ValueError, "got 2 yes-or-no labels"),
    ],
)
def test_confusion_matrix_refuses(model, options, error, message):
    with pytest.raises(error, match=message):
        plotting.confusion_matrix(model, X2, Y2, ax=new_axes(), **options)


# ensemble spread


def test_ensemble_spread_of_numbers():
    model = network(2, 4, 2, size=5)
    y = RNG.normal(scale=0.5, size=(40, 2))
    ax = plotting.ensemble_spread(model, X2, y, output=1, ax=new_axes())
    members = np.array([model.member(i).predict(X2)[:, 1] for i in range(5)])
    order = sorted(range(40), key=lambda i: members[:, i].mean())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), members.mean(axis=0)[order])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.arange(1, 41))
    edges = ax.collections[0].get_paths()[0].vertices
    for rank, i in enumerate(order[:-1], start=1):  # the band is a step around each sample
        drawn = edges[np.isclose(edges[:, 0], rank + 0.5), 1]
        assert np.isclose(drawn, members[:, i].min()).any()
        assert np.isclose(drawn, members[:, i].max()).any()
    marks = labelled(ax.collections)
    inside = {i for i in range(40) if members[:, i].min() <= y[i, 1] <= members[:, i].max()}
    assert 0 < len(inside) < 40
    for label, chosen in (
        ("target in the band", inside),
        ("target outside", {*range(40)} - inside),
    ):
        expected = [(rank, y[i, 1]) for rank, i in enumerate(order, start=1) if i in chosen]
        np.testing.assert_allclose(marks[label].get_offsets(), expected)
    assert f"{len(inside) / 40:.0%} of the targets" in ax.get_title()


@pytest.mark.parametrize("classes", [2, 3])
def test_ensemble_spread_of_classes(classes):
    loss = mg.SoftmaxCrossEntropy() if classes == 3 else mg.SigmoidCrossEntropy()
    model = network(2, 4, classes if classes == 3 else 1, loss=loss, size=4, seed=2)
    ax = plotting.ensemble_spread(model, X2, Y2, ax=new_axes())
    p = np.array([model.member(i).predict_proba(X2) for i in range(4)])
    p = p if classes == 3 else np.concatenate([1 - p, p], axis=-1)
    chosen = p.mean(axis=0).argmax(axis=1)
    members = np.array([[p[m, i, chosen[i]] for i in range(40)] for m in range(4)])
    mean = members.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean[order])
    wrong = [(rank, mean[i]) for rank, i in enumerate(order, start=1) if chosen[i] != Y2[i]]
    assert wrong
    np.testing.assert_allclose(labelled(ax.collections)["wrong class"].get_offsets(), wrong)
    assert f"{len(wrong)} of 40 samples are wrong" in ax.get_title()


@pytest.mark.parametrize("model", [binary(3), network(2, 1, size=3)])
def test_ensemble_spread_without_targets(model):
    ax = plotting.ensemble_spread(model, X2, ax=new_axes())
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "lowest to highest of 3 networks",
        "mean",
    ]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (binary(), {}, "expects an ensemble, got one network; build the model with"),
        (network(2, 1, size=2), {"output": 1}, "output expects one of 0 to 0, got 1"),
        (network(2, 2, loss=mg.GaussianNLL(), size=2), {"y": X2[:, 0]}, "1 for 2 outputs; leave y"),
        (network(2, 2, loss=mg.SigmoidCrossEntropy(), size=2), {}, "got 2 yes-or-no labels"),
    ],
)
def test_ensemble_spread_refuses(model, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.ensemble_spread(model, X2, ax=new_axes(), **options)
