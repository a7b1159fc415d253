"""Write losses_activations.json: values and gradients of PyTorch, in float64.

Run with an interpreter that has PyTorch: `python tests/golden/make_losses_activations.py`.
The tests read the file and need no PyTorch.
"""

import json
import math
from pathlib import Path

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, generator=generator)


def uniform(*shape):
    return torch.rand(*shape, generator=generator) * 0.96 + 0.02


ACTIVATIONS = {
    "Identity()": nn.Identity(),
    "Sigmoid()": nn.Sigmoid(),
    "Tanh()": nn.Tanh(),
    "Softsign()": nn.Softsign(),
    "ReLU()": nn.ReLU(),
    "LeakyReLU(0.2)": nn.LeakyReLU(0.2),
    "ELU()": nn.ELU(),
    "ELU(1.7)": nn.ELU(1.7),
    "SELU()": nn.SELU(),
    "Softplus()": nn.Softplus(threshold=1e9),
    "SiLU()": nn.SiLU(),
    "GELU()": nn.GELU(),
    "Mish()": nn.Mish(),
}


def activations():
    z = [-40.0, -12.0, -5.0, -2.0, -1.0, -0.3, -1e-3, 1e-3, 0.2, 0.7, 1.5, 4.0, 9.0, 35.0]
    recorded = {}
    for name, function in ACTIVATIONS.items():
        leaf = torch.tensor(z, requires_grad=True)
        a = function(leaf)
        a.sum().backward()
        recorded[name] = {"a": a.tolist(), "slope": leaf.grad.tolist()}
    return {"z": z, "of": recorded}


def gaussian(prediction, target):
    mean, log_variance = prediction.chunk(2, dim=1)
    return nn.GaussianNLLLoss()(mean, target, log_variance.exp())


def smoothed_bce(prediction, target):
    return nn.BCEWithLogitsLoss()(prediction, 0.8 * target + 0.1)


def sigmoid_focal(focus, balance=None):
    """torchvision's `sigmoid_focal_loss`, for targets 0 and 1."""

    def function(z, t):
        p = torch.sigmoid(z)
        p = p * t + (1 - p) * (1 - t)
        weight = 1 if balance is None else balance * t + (1 - balance) * (1 - t)
        entropy = nn.functional.binary_cross_entropy_with_logits(z, t, reduction="none")
        return (weight * (1 - p) ** focus * entropy).mean()

    return function


def softmax_focal(focus):
    def function(z, t):
        logs = torch.log_softmax(z, dim=1)
        rows = nn.functional.one_hot(t, z.shape[1]) if t.dtype == torch.int64 else t
        return -(rows * (1 - logs.exp()) ** focus * logs).sum(dim=1).mean()

    return function


def losses():
    logits, numbers = 2 * normal(6, 4), normal(6, 4)
    labels = torch.tensor([0, 3, 1, 1, 2, 0])
    rows = torch.softmax(normal(6, 4), dim=1)
    bits = (normal(6, 4) > 0).double()
    probabilities = uniform(6, 4)
    simplex = torch.softmax(normal(6, 4), dim=1)
    counts = torch.poisson(3 * uniform(6, 4), generator=generator)
    cases = {
        "HalfSquaredError()": (logits, numbers, lambda p, t: 0.5 * ((p - t) ** 2).sum(1).mean()),
        "MeanSquaredError()": (logits, numbers, nn.MSELoss()),
        "MeanAbsoluteError()": (logits, numbers, nn.L1Loss()),
        "Huber()": (logits, numbers, nn.HuberLoss()),
        "Huber(0.7)": (logits, numbers, nn.HuberLoss(delta=0.7)),
        "Quantile(0.5)": (logits, numbers, lambda p, t: nn.L1Loss()(p, t) / 2),
        "Poisson()": (numbers, counts, nn.PoissonNLLLoss(log_input=True, full=False)),
        "GaussianNLL()": (logits, numbers[:, :2], gaussian),
        "SigmoidCrossEntropy()": (logits, probabilities, nn.BCEWithLogitsLoss()),
        "SigmoidCrossEntropy(0.2)": (logits, bits, smoothed_bce),
        "BinaryCrossEntropy()": (probabilities, bits, nn.BCELoss()),
        "Hinge()": (logits, 2 * bits - 1, lambda p, t: torch.relu(1 - p * t).mean()),
        "SoftmaxCrossEntropy()": (logits, labels, nn.CrossEntropyLoss()),
        "SoftmaxCrossEntropy(0.1)": (logits, labels, nn.CrossEntropyLoss(label_smoothing=0.1)),
        "SoftmaxCrossEntropy(label_smoothing=0.0)": (logits, rows, nn.CrossEntropyLoss()),
        "SoftmaxCrossEntropy(label_smoothing=0.3)": (
            logits,
            rows,
            nn.CrossEntropyLoss(label_smoothing=0.3),
        ),
        "SigmoidFocal()": (logits, bits, sigmoid_focal(2.0)),
        "SigmoidFocal(1.5, balance=0.25)": (logits, bits, sigmoid_focal(1.5, 0.25)),
        "SoftmaxFocal()": (logits, labels, softmax_focal(2.0)),
        "SoftmaxFocal(focus=2.0)": (logits, rows, softmax_focal(2.0)),
        "SoftmaxFocal(0.5)": (logits, labels, softmax_focal(0.5)),
        "CrossEntropy()": (simplex, labels, lambda p, t: nn.NLLLoss()(p.log(), t)),
    }
    recorded = {}
    for name, (prediction, target, function) in cases.items():
        leaf = prediction.clone().requires_grad_()
        value = function(leaf, target)
        value.backward()
        assert math.isfinite(value.item())
        recorded[name] = {
            "prediction": prediction.tolist(),
            "target": target.tolist(),
            "value": value.item(),
            "gradient": leaf.grad.tolist(),
        }
    return recorded


def normalization(layer):
    """The gradients of the second of two training steps, and a prediction after them."""
    recorded = {"gain": normal(5), "bias": normal(5)}
    layer.weight.data, layer.bias.data = recorded["gain"].clone(), recorded["bias"].clone()
    layer(normal_first := 2 * normal(7, 5) + 1)
    x, delta = (3 * normal(7, 5) - 1).requires_grad_(), normal(7, 5)
    y = layer(x)
    y.backward(delta)
    recorded |= {"first": normal_first, "x": x.detach(), "delta": delta, "y": y.detach()}
    recorded |= {"input_delta": x.grad, "grad_gain": layer.weight.grad}
    recorded |= {"grad_bias": layer.bias.grad}
    layer.eval()
    recorded["predicted"] = layer(x).detach()
    if isinstance(layer, nn.BatchNorm1d):
        recorded |= {"running_mean": layer.running_mean, "running_var": layer.running_var}
    return {name: value.tolist() for name, value in recorded.items()}


def softmax():
    x, delta = (2 * normal(7, 5)).requires_grad_(), normal(7, 5)
    y = torch.softmax(x, dim=1)
    y.backward(delta)
    recorded = {"x": x.detach(), "delta": delta, "y": y.detach(), "input_delta": x.grad}
    return {name: value.tolist() for name, value in recorded.items()}


if __name__ == "__main__":
    golden = {
        "made_with": f"PyTorch {torch.__version__}",
        "activations": activations(),
        "losses": losses(),
        "layers": {
            "BatchNorm(5, momentum=0.3, epsilon=0.01)": normalization(
                nn.BatchNorm1d(5, momentum=0.3, eps=0.01)
            ),
            "LayerNorm(5, epsilon=0.01)": normalization(nn.LayerNorm(5, eps=0.01)),
            "Softmax()": softmax(),
        },
    }
    path = Path(__file__).with_name("losses_activations.json")
    path.write_text(json.dumps(golden) + "\n")
