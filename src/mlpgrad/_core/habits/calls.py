"""Calls of objects that are not functions here, and calls with too few or too many arguments."""

from __future__ import annotations

from mlpgrad._core.habits.lines import BACKPROPAGATE, FIT, PREDICT, WEIGHTS

CALLED: dict[str, tuple[str, str]] = {
    "Sequential": ("a model", PREDICT + "  # or " + FIT),
    "Slots": ("a model's list of parameters", f"model.params  # or {WEIGHTS}"),
    "Layer": (
        "a layer",
        "layer.forward(np.asarray(x, layer.dtype))  # or " + PREDICT,
    ),
    "Loss": ("a loss", BACKPROPAGATE + "  # it returns the loss and computes its gradients"),
    "Metric": ("a metric", "model.evaluate(x, y, metrics=[metric])"),
    "Optimizer": ("an optimizer", "optimizer.step(model.params, model.grads)"),
    "Penalty": ("a penalty", "penalty.value(model.params)"),
}
"""What to write instead of `model(x)`, by the class of the object."""

NOUNS: dict[str, str] = {
    "Network": "model",
    "TableEncoder": "encoder",
    "Layer": "layer",
    "Loss": "loss",
    "Metric": "metric",
    "Penalty": "penalty",
    "Optimizer": "optimizer",
    "Method": "method",
    "Callback": "callback",
    "Schedule": "schedule",
    "Initializer": "initializer",
    "History": "history",
}
"""The name of a variable that holds an object, by its class."""

ARGUMENTS: dict[str, str] = {
    "Sequential.fit": FIT,
    "Sequential.predict": PREDICT,
    "Activation": "mg.ReLU()  # each activation is a class",
    "Optimizer.step": "optimizer.step(model.params, model.grads)",
    "Sequential": "mg.Sequential(layers, loss=loss)",
    "Initializer.__call__": "initializer(np.random.default_rng(0), (4, 3))",
    "EarlyStopping": "mg.EarlyStopping(5, monitor='val_loss')",
    "ReduceOnPlateau": "mg.ReduceOnPlateau(0.1, patience=5, monitor='val_loss')",
    "ModelCheckpoint": "mg.ModelCheckpoint(path, monitor='val_loss')",
    "Adam": "mg.Adam(1e-3, beta1=0.9, beta2=0.999)",
    "SGD": "mg.SGD(0.1, momentum=0.9)",
    "Dense": "mg.Dense(in_features, out_features)  # an activation is a layer of its own",
}
"""A call with the arguments that are needed, where their names alone would not tell."""
