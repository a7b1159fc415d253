"""Text in place of an object."""

from __future__ import annotations

FAMILIES: dict[str, dict[str, str]] = {
    "Loss": {
        "mse": "mg.MeanSquaredError()",
        "squared_error": "mg.MeanSquaredError()",
        "mae": "mg.MeanAbsoluteError()",
        "l1": "mg.MeanAbsoluteError()",
        "absolute_error": "mg.MeanAbsoluteError()",
        "cross_entropy": "mg.SoftmaxCrossEntropy()",
        "categorical_crossentropy": "mg.SoftmaxCrossEntropy()",
        "sparse_categorical_crossentropy": "mg.SoftmaxCrossEntropy()",
        "focal": "mg.SoftmaxFocal()  # or SigmoidFocal; both take logits",
        "focal_loss": "mg.SoftmaxFocal()  # or SigmoidFocal; both take logits",
        "log_loss": "mg.SoftmaxCrossEntropy()",
        "bce": "mg.SigmoidCrossEntropy()",
        "binary_crossentropy": "mg.SigmoidCrossEntropy()",
    },
    "Optimizer": {"sgd": "mg.SGD(0.1)", "momentum": "mg.SGD(0.1, momentum=0.9)"},
    "Metric": {
        "acc": "mg.Accuracy()",
        "mae": "mg.MeanAbsolute()",
        "mean_absolute_error": "mg.MeanAbsolute()",
        "mse": "mg.RootMeanSquared()",
        "rmse": "mg.RootMeanSquared()",
        "mape": "mg.MeanAbsolutePercentageError()",
        "top_k": "mg.TopK(2)",
    },
    "Layer": {
        "linear": "mg.Identity()",
        "swish": "mg.SiLU()",
        "dense": "mg.Dense(in_features, out_features)",
        "batchnorm": "mg.BatchNorm(in_features)",
        "layernorm": "mg.LayerNorm(in_features)",
        "residual": "mg.Residual([mg.Tanh()])",
    },
    "Penalty": {"l1": "mg.L1(1e-4)", "l2": "mg.L2(1e-4)", "weight_decay": "mg.L2(1e-4)"},
    "Callback": {"model_checkpoint": "mg.ModelCheckpoint(path)"},
    "Initializer": {
        "xavier_uniform": "mg.GlorotUniform()",
        "xavier_normal": "mg.GlorotNormal()",
        "kaiming_uniform": "mg.HeUniform()",
        "kaiming_normal": "mg.HeNormal()",
        "ones": "mg.Constant(1.0)",
        "constant": "mg.Constant(0.1)",
    },
}
"""Strings given instead of an object, by the class of the object: `loss="mse"`."""
