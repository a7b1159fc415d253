"""Write optimizers.json: PyTorch's trajectories and schedules (needs torch; the tests do not).

python tests/golden/make_optimizers.py
"""

import json
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_name("optimizers.json")
START = np.array([1.5, -0.9, 0.4, -0.05, 0.7, -1.3, 0.01])
STEPS = (1, 2, 10, 100)

# name: PyTorch's class and options
TRAJECTORIES = {
    "sgd": ("SGD", {"lr": 0.05}),
    "sgd momentum": ("SGD", {"lr": 0.02, "momentum": 0.9}),
    "sgd nesterov": ("SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True}),
    "sgd coupled decay": ("SGD", {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.1}),
    "rmsprop": ("RMSprop", {"lr": 0.01}),
    "rmsprop centered": ("RMSprop", {"lr": 0.01, "alpha": 0.9, "centered": True}),
    "rmsprop momentum": ("RMSprop", {"lr": 0.005, "momentum": 0.7, "eps": 1e-3}),
    "rmsprop everything": (
        "RMSprop",
        {"lr": 0.005, "alpha": 0.95, "momentum": 0.5, "centered": True, "weight_decay": 0.05},
    ),
    "adagrad": ("Adagrad", {"lr": 0.1}),
    "adagrad coupled decay": ("Adagrad", {"lr": 0.2, "eps": 1e-4, "weight_decay": 0.1}),
    "adadelta": ("Adadelta", {}),
    "adadelta rate": ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1}),
    "adam": ("Adam", {"lr": 0.02}),
    "adam options": ("Adam", {"lr": 0.05, "betas": (0.7, 0.95), "eps": 1e-3}),
    "adam coupled decay": ("Adam", {"lr": 0.02, "weight_decay": 0.1}),
    "amsgrad": ("Adam", {"lr": 0.02, "betas": (0.9, 0.9), "amsgrad": True}),
    "adamw": ("AdamW", {"lr": 0.02}),
    "adamw options": ("AdamW", {"lr": 0.05, "betas": (0.8, 0.99), "weight_decay": 0.3}),
    "nadam": ("NAdam", {"lr": 0.02}),
    "nadam options": ("NAdam", {"lr": 0.02, "betas": (0.8, 0.95), "momentum_decay": 0.1}),
    "nadam decoupled decay": (
        "NAdam",
        {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    "adamax": ("Adamax", {"lr": 0.02}),
    "adamax coupled decay": ("Adamax", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    "radam": ("RAdam", {"lr": 0.05}),
    "radam options": ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-4}),
    "radam decoupled decay": (
        "RAdam",
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    "rprop": ("Rprop", {"lr": 0.01}),
    "rprop proben1": ("Rprop", {"lr": 0.1, "etas": (0.5, 1.1), "step_sizes": (1e-4, 0.3)}),
}


def gradient(p, step):
    """The gradient of a coupled double well in seven variables, perturbed to change signs often."""
    shake = 0.3 * np.cos(1.7 * step + np.arange(p.shape[-1]))
    return p**3 - p / 2 + 0.2 * np.roll(p, 1, axis=-1) + shake


def trajectory(torch, name, options):
    """The parameters after each step."""
    p = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([p], **options)
    kept = []
    for step in range(max(STEPS)):
        p.grad = torch.tensor(gradient(p.detach().numpy(), step))
        optimizer.step()
        if step + 1 in STEPS:
            kept.append(p.detach().tolist())
    return kept


def rates(torch, length, rate, make):
    """The learning rate of each step under a scheduler."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    found = []
    for _ in range(length):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


# name: number of steps, initial rate, PyTorch's scheduler
SCHEDULES = {
    "step": (25, 0.5, lambda of, o: of.StepLR(o, 7, gamma=0.3)),
    "exponential": (25, 0.5, lambda of, o: of.ExponentialLR(o, 0.9)),
    "cosine": (21, 0.5, lambda of, o: of.CosineAnnealingLR(o, 20)),
    "cosine floor": (21, 0.5, lambda of, o: of.CosineAnnealingLR(o, 20, eta_min=0.1)),
    "one cycle": (40, 0.5, lambda of, o: of.OneCycleLR(o, 0.5, total_steps=40)),
    "one cycle options": (
        25,
        0.5,
        lambda of, o: of.OneCycleLR(
            o, 0.5, total_steps=25, pct_start=0.45, div_factor=10, final_div_factor=50
        ),
    ),
    "warm-up": (12, 0.5, lambda of, o: of.LinearLR(o, 1 / 8, total_iters=7)),
    "warm-up cosine": (
        25,
        0.5,
        lambda of, o: of.SequentialLR(
            o,
            [of.LinearLR(o, 1 / 5, total_iters=4), of.CosineAnnealingLR(o, 20)],
            milestones=[5],
        ),
    ),
}


def main():
    import torch

    torch.set_default_dtype(torch.float64)  # else NAdam keeps a product of momenta in float32
    stored = {
        "torch": torch.__version__,
        "trajectories": {n: trajectory(torch, *case) for n, case in TRAJECTORIES.items()},
        "schedules": {n: rates(torch, *case) for n, case in SCHEDULES.items()},
    }
    PATH.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
