"""Pictures: the drawn data equal numbers computed here; pixels are never compared."""

import inspect
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import mlpgrad as mg
from mlpgrad import plotting
from mlpgrad.plotting import style
from tests.plotting.pictures import (
    RNG,
    X1,
    X2,
    Y2,
    band,
    binary,
    history,
    labelled,
    network,
    new_axes,
    signals,
)

# all functions


FUNCTIONS = [name for name in plotting.__all__ if inspect.isfunction(getattr(plotting, name))]
EVERY = {
    "confusion_matrix": lambda: partial(plotting.confusion_matrix, binary(), X2, Y2),
    "decision_boundary": lambda: partial(
        plotting.decision_boundary, binary(), X2, Y2, resolution=20
    ),
    "ensemble_spread": lambda: partial(plotting.ensemble_spread, binary(3), X2, Y2),
    "gradient_report": lambda: partial(
        plotting.gradient_report, mg.check_gradients(binary(), X2, Y2)
    ),
    "interval_coverage": lambda: partial(
        plotting.interval_coverage, network(1, 4, 2, loss=mg.GaussianNLL()), X1, X1**2
    ),
    "layer_signals": lambda: partial(plotting.layer_signals, signals()),
    "learning_curves": lambda: partial(plotting.learning_curves, history()),
    "loss_landscape": lambda: partial(plotting.loss_landscape, binary(), X2, Y2, resolution=5),
    "range_test": lambda: partial(plotting.range_test, rates()),
    "regression_curve": lambda: partial(plotting.regression_curve, network(1, 4, 1), X1, X1**2),
    "regression_surface": lambda: partial(
        plotting.regression_surface, network(2, 4, 1), X2, X2[:, 0], resolution=20
    ),
    "weights": lambda: partial(plotting.weights, binary()),
}


def test_every_function_is_here():
    assert set(EVERY) == set(FUNCTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
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


# a range test


def rates():
    return binary().learning_rate_range_test(X2, Y2, optimizer=mg.Adam())


def test_a_range_test_draws_its_rates_and_the_suggestion():
    test = rates()
    ax = test.plot(new_axes())
    curve, suggestion = ax.lines
    np.testing.assert_array_equal(curve.get_xydata(), np.c_[test.learning_rates, test.losses])
    assert suggestion.get_xdata()[0] == test.suggestion
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    with pytest.raises(TypeError, match=r"test expects what model.learning_rate_range_test"):
        plotting.range_test([1.0])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("given", ["a figure", "pyplot", "text"])
def test_other_things_than_axes_are_refused(name, given):
    from matplotlib import pyplot

    wrong = {"a figure": new_axes().figure, "pyplot": pyplot, "text": "axes"}[given]
    with pytest.raises(TypeError, match=r"ax expects matplotlib Axes, such as plt.subplots"):
        EVERY[name]()(ax=wrong)


WHOLE = {
    "one epoch": (lambda: plotting.learning_curves({"loss": [0.5]}, ax=new_axes()), "x"),
    "two epochs": (lambda: plotting.learning_curves({"loss": [0.5, 0.2]}, ax=new_axes()), "x"),
    "one sample": (
        lambda: plotting.ensemble_spread(binary(3), X2[:1], Y2[:1], ax=new_axes()),
        "x",
    ),
    "few weights": (lambda: plotting.weights(network(2, 1), ax=new_axes()), "x"),
    "no bias": (
        lambda: plotting.weights(
            mg.Sequential([mg.Dense(2, 1, bias=False)], loss=mg.MeanSquaredError()), ax=new_axes()
        ),
        "xy",
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_counted_has_whole_numbers_at_its_axis(name):
    draw, axes = WHOLE[name]
    ax = draw()
    for axis in (getattr(ax, f"{which}axis") for which in axes):
        low, high = sorted(axis.get_view_interval())
        ticks = np.array([tick for tick in axis.get_ticklocs() if low <= tick <= high])
        assert len(ticks)
        np.testing.assert_array_equal(ticks, np.round(ticks))


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
    colours = map(tuple, style.class_colours(64).tolist())
    assert len({*zip(colours, map(style.marker, range(64)), strict=True)}) == 64


@pytest.mark.parametrize("count", [3, 8, 9, 20])
def test_the_legend_of_many_classes_hides_no_sample(count):
    model = network(2, 4, count, loss=mg.SoftmaxCrossEntropy())
    ax = plotting.decision_boundary(model, X2[:count], np.arange(count), resolution=9)
    ax.figure.canvas.draw()
    legend, inside = ax.get_legend(), ax.get_window_extent()
    assert [text.get_text() for text in legend.get_texts()] == [f"class {k}" for k in range(count)]
    overlaps = legend.get_window_extent().x0 < inside.x1
    assert overlaps == (count <= 8)


# learning curves


@pytest.mark.parametrize(
    ("name", "values", "best"),
    [
        ("val_accuracy", [0.5, 0.9, 0.8], 2),
        ("val_r2", [0.1, -3.0, 0.2], 3),
        ("val_mean_absolute_error", [2.0, 1.0, 3.0], 2),
        ("val_loss", [np.nan, 2.0, 1.0], 3),
        ("val_loss", [np.nan] * 3, None),
        ("val_beauty", [1.0, 2.0, 3.0], None),
        ("accuracy", [1.0, 2.0, 3.0], None),
    ],
)
def test_learning_curves_mark_the_best_epoch(name, values, best):
    ax = plotting.learning_curves({name: values}, names=name, ax=new_axes())
    marks = [line.get_label() for line in ax.lines if line.get_label().startswith("best")]
    assert marks == ([] if best is None else [f"best epoch: {best}"])


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
