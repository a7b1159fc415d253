"""The API reference: one page for each family, and one for each public name, from the package."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

import mlpgrad

FAMILIES = {
    "model": ("The model", "mlpgrad", "What is trained, evaluated and saved."),
    "layers": ("Layers", "mlpgrad.layers", "What a network is made of, activations included."),
    "losses": ("Losses", "mlpgrad.losses", "What training reduces."),
    "metrics": ("Metrics", "mlpgrad.metrics", "What is reported beside the loss."),
    "optimizers": (
        "Optimizers and schedules",
        "mlpgrad.optimizers",
        "How a step follows from a gradient, and how long the steps are.",
    ),
    "training": (
        "Training",
        "mlpgrad.training",
        "Callbacks, whole methods, and what training raises and warns of.",
    ),
    "uncertainty": (
        "Uncertainty",
        "mlpgrad.uncertainty",
        "How sure a model is, beside `predict(x, std=True)` of the model itself.",
    ),
    "penalties": ("Penalties", "mlpgrad.penalties", "Terms of the objective on the parameters."),
    "initializers": ("Initializers", "mlpgrad.initializers", "The weights to begin with."),
    "gradcheck": (
        "Gradient checks",
        "mlpgrad.gradcheck",
        "Whether a gradient is correct: of a network, or of any function.",
    ),
    "datasets": ("Data", "mlpgrad.datasets", "Data to begin with, files, and splitting."),
    "tables": ("Tables", "mlpgrad.tables", "What makes numbers of a person's columns."),
    "sklearn": (
        "Estimators of scikit-learn",
        "mlpgrad.sklearn",
        "Its MLP pair with one import changed, and a pair for tables as they are.",
    ),
    "plotting": ("Pictures", "mlpgrad.plotting", "What matplotlib draws."),
}
"""Each page: its title, the module whose `__all__` it lists, and what the names have in common.

The first lists what the top of the package has and no family has.
"""

RESULTS = {"training": ["mlpgrad.range_test.RangeTest"]}
"""What methods return, and people hold, though it is made by no other way: with their families."""


def names(module: str) -> list[str]:
    """The public names that a page lists."""
    public = list(importlib.import_module(module).__all__)
    if module != "mlpgrad":
        return public
    others = {name for _, other, _ in FAMILIES.values() if other != module for name in names(other)}
    submodules = {other.removeprefix("mlpgrad.") for _, other, _ in FAMILIES.values()}
    return [name for name in public if name not in others | submodules]


def shown(module: str, name: str) -> str:
    """The name as people write it: at the top of the package where it is there."""
    return f"mlpgrad.{name}" if name in mlpgrad.__all__ else f"{module}.{name}"


def page(title: str, module: str, about: str, results: Sequence[str] = ()) -> str:
    """A page of a family: a line for each name, linked to its own page."""
    everything = [*(shown(module, name) for name in names(module)), *results]
    listed = "".join(f"   {name}\n" for name in everything)
    return (
        f"{title}\n{'=' * len(title)}\n\n{about}\n\n"
        f".. autosummary::\n   :toctree: names\n\n{listed}"
    )


def write(folder: Path) -> None:
    """Write all pages, and the page that lists them; a page that has not changed is left alone."""
    folder.mkdir(exist_ok=True)
    pages = {
        f"{place}.rst": page(*family, RESULTS.get(place, ())) for place, family in FAMILIES.items()
    }
    entries = "".join(f"   {place}\n" for place in FAMILIES)
    pages["index.rst"] = (
        "API reference\n=============\n\n"
        "Every public name, by family. The same text is in Python: ``help(mlpgrad.Adam)``.\n\n"
        f".. toctree::\n   :maxdepth: 2\n\n{entries}"
    )
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
