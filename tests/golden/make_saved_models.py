"""Write saved models of the current format, and their results, for test_saved_models.py.

Run `python tests/golden/make_saved_models.py` once for each new version of the format. The files of
earlier versions are never written again: they prove that mlpgrad still reads them.
"""

from pathlib import Path

import numpy as np

import mlpgrad as mg

FORMAT = "model-format-2"
FOLDER = Path(__file__).parent


def ensemble():
    """Three networks in float32, with nested layers, statistics, and an option for each class."""
    inner = mg.Residual([mg.Dense(5, 5, bias=False), mg.ELU(0.5)])
    layers = [
        mg.Standardize(4),
        mg.Dense(4, 5, initializer=mg.HeNormal()),
        mg.BatchNorm(5, momentum=0.2, epsilon=1e-3),
        mg.LeakyReLU(0.2),
        mg.Residual([mg.LayerNorm(5, epsilon=1e-4), mg.Dense(5, 5), mg.Tanh(), inner]),
        mg.Dropout(0.25),
        mg.Dense(5, 5, initializer=mg.Orthogonal(0.9)),
        mg.SELU(),
        mg.Dense(5, 5, initializer=mg.LeCunUniform()),
        mg.SiLU(),
        mg.Dense(5, 3, initializer=mg.GlorotNormal()),
    ]
    penalties = [mg.L2(0.01), mg.L1(1e-3, kinds=("weights", "bias"))]
    loss = mg.Quantile([0.1, 0.5, 0.9])
    options = {"penalties": penalties, "random_state": 0, "ensemble_size": 3}
    return mg.Sequential(layers, loss=loss, target_scaling="standard", **options)


def network():
    """One network in float64, with the other activations and initializers."""
    layers = [
        mg.Dense(np.int64(4), 5, initializer=mg.HeUniform()),
        mg.Sigmoid(),
        mg.Dense(5, 5, initializer=mg.LeCunNormal()),
        mg.Softsign(),
        mg.Dense(5, 5, initializer=mg.GlorotUniform()),
        mg.Softplus(),
        mg.Dense(5, 5, initializer=mg.Constant(np.float32(0.3))),
        mg.GELU(),
        mg.Dense(5, 5, initializer=mg.Zeros()),
        mg.Residual([mg.Dense(5, 5), mg.Mish()]),
        mg.Identity(),
        mg.Dropout(np.float64(0.1)),
        mg.Residual([mg.ReLU()]),
        mg.Dense(5, 3),
        mg.Softmax(),
        mg.Dense(3, 3),
    ]
    loss = mg.SoftmaxCrossEntropy(label_smoothing=0.1)
    rng = np.random.default_rng(5)
    return mg.Sequential(layers, loss=loss, dtype="float64", random_state=rng)


def data():
    """Twelve samples: inputs, a number for the quantiles, and labels of three classes."""
    rng = np.random.default_rng(1)
    numbers = 1e5 * rng.normal(size=(12, 1)) + 4e5
    return rng.normal(size=(12, 4)), numbers, np.array(["ant", "bee", "cat"] * 4)


def computed(model, x, y):
    """The model's predictions, objective and gradients, without dropout."""
    prediction = model.predict(x)
    for layer in model.layers:
        layer.training = not isinstance(layer, mg.Dropout)
    value = np.asarray(model.backpropagate(x, y))
    return {"prediction": prediction, "value": value, "grads": model.grads.copy()}


if __name__ == "__main__":
    from pandas import DataFrame

    x, numbers, labels = data()
    for name, model, y in (
        (FORMAT, ensemble(), numbers),
        (f"{FORMAT}-float64", network(), labels),
    ):
        model.params += 0.1 * np.random.default_rng(2).normal(size=model.params.shape)
        frame = DataFrame(x, columns=["a", "b", "c", "d"])
        model.fit(frame, y, optimizer=mg.SGD(0.05), epochs=2, batch_size=5, verbose=0)
        model.save(FOLDER / f"{name}.npz")
        np.savez(FOLDER / f"{name}.expected.npz", x=x, y=y, **computed(model, x, y))
