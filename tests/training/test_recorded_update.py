"""Recorded updates equal those of the optimizer, whatever it keeps outside its state."""

from types import SimpleNamespace

import numpy as np
import pytest

import mlpgrad as mg


class OwnArrays(mg.Optimizer):
    """Momentum whose arrays are attributes, in part of calls between them alone."""

    kept = "list"

    def prepare(self, params, grads):
        if not hasattr(self, "_own"):
            velocity, change = np.zeros(params.size), np.zeros(params.size)
            self._own = {
                "list": [velocity, (change,)],
                "dict": {"velocity": velocity, "others": {"change": change}},
                "object": SimpleNamespace(velocity=velocity, change=change),
            }[self.kept]
        super().prepare(params, grads)

    def arrays(self):
        own = self._own
        if self.kept == "list":
            return own[0], own[1][0]
        if self.kept == "dict":
            return own["velocity"], own["others"]["change"]
        return own.velocity, own.change

    def update(self, p, g, rate):
        velocity, change = self.arrays()
        np.multiply(velocity, 0.9, velocity)
        np.add(velocity, g, velocity)
        np.multiply(velocity, rate, change)
        np.multiply(velocity, -rate, g)
        np.add(p, g, p)


class Alternates(mg.Optimizer):
    """An optimizer whose update is another one at every second step."""

    count = 0

    def arrays(self):
        return ()

    def update(self, p, g, rate):
        self.count += 1
        np.multiply(g, -rate if self.count % 2 else -0.5 * rate, g)
        np.add(p, g, p)


def declared(cls, **attributes):
    """A class that declares that its calls can be repeated."""
    return type(cls.__name__, (cls,), {"repeatable": True, **attributes})


@pytest.mark.parametrize(
    ("cls", "attributes"),
    [*((OwnArrays, {"kept": kept}) for kept in ("list", "dict", "object")), (Alternates, {})],
    ids=["list", "dict", "object", "alternates"],
)
@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("replaced", [False, True])
def test_long_trainings_update_as_the_optimizer_does(cls, attributes, size, replaced):
    class Replace(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2 and isinstance(rule, OwnArrays) and rule.kept == "list":
                rule._own = [rule._own[0] * 0.5, (rule._own[1][0].copy(),)]

    x, y = mg.datasets.moons(400, noise=0.1, random_state=0)
    found = []
    for rule in (type("Plain", (cls,), attributes)(0.05), declared(cls, **attributes)(0.05)):
        layers = [mg.Dense(2, 6), mg.Tanh(), mg.Dense(6, 1)]
        options = {"random_state": 0, "dtype": "float64", "ensemble_size": size}
        model = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), **options)
        callbacks = [Replace()] if replaced else []
        fit = {"epochs": 6, "batch_size": 8, "verbose": 0, "callbacks": callbacks}
        model.fit(x, y, optimizer=rule, compiled=False, **fit)
        found.append([model.params, *rule.arrays()])
    for ours, directly in zip(*reversed(found), strict=True):
        np.testing.assert_allclose(ours, directly, rtol=1e-9, atol=1e-12)
