"""Models, data, and functions that read a drawing, for the tests of pictures."""

from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

import mlpgrad as mg

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
    """The lower and upper edge of a `fill_between` by x."""
    points = collection.get_paths()[0].vertices
    found = {}
    for x, y in points:
        found.setdefault(float(x), []).append(y)
    xs = sorted(found)
    return xs, [min(found[x]) for x in xs], [max(found[x]) for x in xs]


def contour_points(contour_set):
    return np.concatenate([path.vertices for path in contour_set.get_paths()])


def history():
    return trained(binary(), X2, Y2, validation_split=0.2)


def signals(model=None):
    recorder = mg.LayerSignals()
    trained(model or binary(), X2, Y2, callbacks=[recorder])
    return recorder
