"""Write derivatives.json: derivatives of small networks by torch.func, in float64.

Run with an interpreter that has PyTorch: `python tests/golden/make_derivatives.py`.
The tests read the file and need no PyTorch.
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, jvp, vmap

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)

SAMPLES, PENALTY = 3, 0.05

# name: the layers of PyTorch, and the code of those of the library
NETWORKS = {
    "tanh": ([nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)], ["Tanh()"]),
    "two layers": (
        [nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 4), nn.Softplus(), nn.Linear(4, 3)],
        ["GELU()", "Softplus()"],
    ),
    "relu": ([nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2)], ["ReLU()"]),
    "mish": ([nn.Linear(3, 4), nn.Mish(), nn.Linear(4, 2)], ["Mish()"]),
}
PAIRED = {
    "tanh": ["SoftmaxCrossEntropy()", "HalfSquaredError()"],
    "two layers": ["SoftmaxCrossEntropy()", "SigmoidCrossEntropy()"],
    "relu": ["HalfSquaredError()", "SigmoidCrossEntropy()"],
    "mish": ["Poisson()"],
}
LOSSES = {
    "SoftmaxCrossEntropy()": lambda z, t: nn.functional.cross_entropy(z, t),
    "HalfSquaredError()": lambda z, t: 0.5 * ((z - t) ** 2).sum(dim=-1).mean(),
    "Poisson()": lambda z, t: nn.functional.poisson_nll_loss(z, t),
    "SigmoidCrossEntropy()": lambda z, t: nn.functional.binary_cross_entropy_with_logits(z, t),
}


def targets(loss, outputs):
    if loss == "SoftmaxCrossEntropy()":
        return torch.randint(outputs, (SAMPLES,))
    if loss == "HalfSquaredError()":
        return torch.randn(SAMPLES, outputs)
    return torch.randint(2 if loss.startswith("Sigmoid") else 5, (SAMPLES, outputs)).double()


def flat(model, params):
    """The library's layout of parameters: transposed weights and the bias, layer by layer."""
    parts = []
    for name, _ in model.named_parameters():
        value = params[name]
        lead = value.ndim - (2 if name.endswith("weight") else 1)
        value = value.transpose(-1, -2) if name.endswith("weight") else value
        parts.append(value.reshape(*value.shape[:lead], -1))
    return torch.cat(parts, dim=-1)


def unflat(model, vector):
    params, start = {}, 0
    for name, value in model.named_parameters():
        part = vector[start : start + value.numel()]
        weight = name.endswith("weight")
        params[name] = part.reshape(*reversed(value.shape)).T if weight else part
        start += value.numel()
    return params


def case(layers, loss):
    model = nn.Sequential(*layers)
    x, outputs = torch.randn(SAMPLES, 3), layers[-1].out_features
    y = targets(loss, outputs)
    vector = flat(model, {name: p.detach() for name, p in model.named_parameters()})

    def objective(vector, x, y):
        params = unflat(model, vector)
        penalty = sum((p**2).sum() for name, p in params.items() if name.endswith("weight"))
        prediction = functional_call(model, params, (x,))
        return LOSSES[loss](prediction, y) + PENALTY / 2 * penalty

    def of_one(vector, x, y):
        return objective(vector, x[None], y[None])

    def output(vector, x):
        return functional_call(model, unflat(model, vector), (x,))

    v = torch.randn_like(vector)
    return {
        "params": vector,
        "x": x,
        "y": y,
        "v": v,
        "value": objective(vector, x, y),
        "gradient": grad(objective)(vector, x, y),
        "per_example_gradients": vmap(grad(of_one), (None, 0, 0))(vector, x, y),
        "hessian_vector_product": jvp(lambda p: grad(objective)(p, x, y), (vector,), (v,))[1],
        "jacobian": vmap(jacrev(output), (None, 0))(vector, x),
        "input_jacobian": vmap(jacrev(output, 1), (None, 0))(vector, x),
    }


def main():
    recorded = {}
    for name, (layers, activations) in NETWORKS.items():
        for loss in PAIRED[name]:
            found = {key: value.detach().tolist() for key, value in case(layers, loss).items()}
            widths = [3, *(layer.out_features for layer in layers if hasattr(layer, "weight"))]
            recorded[f"{name}, {loss}"] = {
                "widths": widths,
                "activations": activations,
                "loss": loss,
                "penalty": PENALTY,
                **found,
            }
    path = Path(__file__).with_name("derivatives.json")
    path.write_text(json.dumps(recorded) + "\n")


if __name__ == "__main__":
    main()
