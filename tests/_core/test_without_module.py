"""Classes and functions that `exec` makes, which need not know a module."""

import numpy as np

import mlpgrad as mg

CODE = """
import numpy as np, mlpgrad as mg


class Cube(mg.Activation):
    def apply(self, z, out):
        np.power(z, 3, out)

    def slope(self, z, a, out):
        np.multiply(3, z * z, out)


class Double(mg.Layer):
    def forward(self, x):
        return 2 * x

    def backward(self, delta):
        return 2 * delta


class Square(mg.Loss):
    def losses(self, prediction, target):
        return ((prediction - target) ** 2).sum(axis=-1)

    def slopes(self, prediction, target, out):
        np.multiply(2, prediction - target, out)

    def cast(self, target, dtype):
        return target.astype(dtype)


class Ridge(mg.Penalty):
    def value(self, params):
        return self.strength * (params**2).sum(axis=-1)

    def slope(self, params, out):
        np.multiply(2 * self.strength, params, out)


class Descent(mg.Optimizer):
    def update(self, p, g, rate):
        p -= rate * g


class Steady(mg.Schedule):
    def __call__(self, steps):
        return 0.01


class Distance(mg.Metric):
    name, larger_is_better = "distance", False

    def values(self, prediction, target, loss):
        return np.abs(prediction - target).mean(axis=-1)


class Nothing(mg.Callback):
    def on_epoch_end(self, epoch, logs):
        pass


sine = mg.Elementwise(lambda z: np.sin(z), lambda z: np.cos(z))
"""


def test_parts_without_a_module_work():
    made = {}
    exec(CODE, made)
    assert made["Cube"].apply.__module__ is None
    x = np.random.default_rng(0).normal(size=(20, 2))
    y = x.sum(axis=1)
    parts = [made["Cube"](), made["Double"](), made["sine"]]
    layers = [parts[1], mg.Dense(2, 3), *parts[::2], mg.Dense(3, 1)]
    model = mg.Sequential(layers, loss=made["Square"](), penalties=[made["Ridge"](0.1)])
    history = model.fit(
        x, y, optimizer=made["Descent"](made["Steady"]()), epochs=2, validation_split=0.2,
        callbacks=[made["Nothing"]()], metrics=[made["Distance"]()], verbose=0,
    )  # fmt: skip
    assert len(history["val_distance"]) == 2
    assert mg.check_gradients(model, x, y)
    assert all(mg.check_layer(part) for part in parts)
    assert mg.check_loss(made["Square"]())
    assert mg.explain(model, x[:1], y[:1]).steps
    made["Square"]().forward(np.zeros((2, 1)), np.zeros((2, 1), int))
