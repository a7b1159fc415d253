"""Pictures of uncertainty show the numbers that `predict` returns."""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad import plotting
from tests.plotting.pictures import RNG, X1, X2, Y2, band, binary, labelled, network, new_axes


def dropping(inputs):
    layers = [mg.Dense(inputs, 6), mg.Tanh(), mg.Dropout(0.3), mg.Dense(6, 1)]
    return mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)


def at(ax):
    """The inputs of the curve."""
    return ax.lines[0].get_xdata()[:, None]


def assert_band(ax, name, mean, std):
    _, low, high = band(labelled(ax.collections)[name])
    np.testing.assert_allclose(low, (mean - 2 * std)[:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(high, (mean + 2 * std)[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [None, 3])
def test_a_curve_with_what_the_data_leave_open(size):
    model = network(1, 5, 1, size=size)
    found = model.laplace(X1, X1**2)
    ax = plotting.regression_curve(model, X1, X1**2, ax=new_axes())
    mean, std = model.predict(at(ax), std=True)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean[:, 0], rtol=1e-4, atol=1e-5)
    assert_band(ax, "with the noise, ± 2 s.d.", mean, std)
    without = np.sqrt(np.maximum(std.astype(float) ** 2 - np.mean(np.square(found.noise)), 0))
    assert_band(ax, "left open by the data, ± 2 s.d.", mean, without)


def test_a_curve_of_passes_with_dropout():
    model = dropping(1)
    ax = plotting.regression_curve(model, X1, X1**2, samples=30, ax=new_axes())
    mean, std = model.predict(at(ax), std=True, samples=30)
    assert_band(ax, "disagreement of 30 passes, ± 2 s.d.", mean, std)
    model.uncertainty = mg.Noise(0.3)
    ax = plotting.regression_curve(model, X1, X1**2, samples=30, ax=new_axes())
    assert_band(ax, "with the noise, ± 2 s.d.", *model.predict(at(ax), std=True, samples=30))


def test_a_curve_with_a_noise_alone():
    model = network(1, 5, 1)
    model.uncertainty = mg.Noise(0.3)
    ax = plotting.regression_curve(model, X1, X1**2, ax=new_axes())
    assert_band(ax, "noise, ± 2 s.d.", *model.predict(at(ax), std=True))
    assert len(ax.collections) == 2  # the band and the samples


def test_scaled_targets_are_drawn_in_their_own_unit():
    layers = [mg.Dense(1, 5), mg.Tanh(), mg.Dense(5, 2)]
    options = {"loss": mg.GaussianNLL(), "target_scaling": "standard", "random_state": 0}
    model = mg.Sequential(layers, **options)
    y = 1e4 * X1**2 + 5e5
    model.fit(X1, y, optimizer=mg.Adam(0.01), epochs=2, verbose=0)
    ax = plotting.regression_curve(model, X1, y, ax=new_axes())
    mean, std = model.predict(at(ax), std=True)
    _, low, high = band(labelled(ax.collections)["predicted noise, ± 2 s.d."])
    np.testing.assert_allclose(np.subtract(high, low), 4 * std[:, 0], rtol=1e-6)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean[:, 0])


def test_a_surface_shows_the_standard_deviation():
    model = network(2, 6, 1)
    model.laplace(X2, X2[:, 0] * X2[:, 1])
    ax = plotting.regression_surface(model, X2, X2[:, 0], resolution=60, ax=new_axes())
    lines = ax.collections[1]
    for path, level in zip(lines.get_paths(), lines.levels, strict=True):
        if len(path.vertices):
            np.testing.assert_allclose(model.predict(path.vertices, std=True).std, level, rtol=0.05)
    assert len(plotting.regression_surface(dropping(2), X2, X2[:, 0], samples=9).collections) == 3


def test_a_boundary_shows_expected_probabilities():
    model = binary()
    before = plotting.decision_boundary(model, X2, Y2, resolution=20, ax=new_axes())
    model.laplace(X2, Y2)
    after = plotting.decision_boundary(model, X2, Y2, resolution=20, ax=new_axes())
    strength = [1 - np.asarray(ax.images[0].get_array()).min(axis=-1) for ax in (before, after)]
    assert strength[1].mean() < strength[0].mean()


# coverage


@pytest.mark.parametrize("size", [None, 3])
def test_coverage_counts_targets_in_intervals(size):
    model = network(1, 5, 2, loss=mg.GaussianNLL(), size=size)
    x, y = RNG.normal(size=(50, 1)), RNG.normal(size=50)
    ax = plotting.interval_coverage(model, x, y, ax=new_axes())
    assert len(ax.lines) == 2 + (size or 0)
    line = ax.lines[-1]
    for level, share in list(zip(*line.get_data(), strict=True))[::8]:
        low, high = model.predict(x, interval=float(level))
        assert share == ((low[:, 0] <= y) & (y <= high[:, 0])).mean()
    if size:
        low, high = model.member(1).predict(x, interval=0.5)
        levels, shares = ax.lines[2].get_data()
        inside = ((low[:, 0] <= y) & (y <= high[:, 0])).mean()
        assert shares[np.abs(levels - 0.5).argmin()] == inside


def test_coverage_of_an_ensemble_without_noise_says_that_it_is_of_the_mean():
    model = network(1, 5, 1, size=3)
    ax = plotting.interval_coverage(model, X1, X1**2, ax=new_axes())
    assert ax.get_title() == "Intervals of the mean alone"
    assert len(ax.lines) == 2  # a single member has no interval
    model.uncertainty = mg.Noise(0.2)
    ax = plotting.interval_coverage(model, X1, X1**2, ax=new_axes())
    assert ax.get_title() == "Intervals of the target"
    assert len(ax.lines) == 5
    drawn = plotting.interval_coverage(dropping(1), X1, X1**2, samples=9, ax=new_axes())
    assert len(drawn.lines) == 2


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (network(1, 5, 1), ValueError, "got one network with HalfSquaredError"),
        (network(1, 5, 3, loss=mg.Quantile([0.1, 0.5, 0.9])), ValueError, "of all levels, got Q"),
        (binary(), TypeError, "predicts numbers"),
    ],
    ids=["one", "quantiles", "classes"],
)
def test_coverage_refuses(model, error, message):
    x, y = (X2, Y2) if model.loss.classifies else (X1, X1)
    with pytest.raises(error, match=message):
        plotting.interval_coverage(model, x, y, ax=new_axes())
