"""Draw the README's pictures: `python -m benchmarks.pictures`.

All seeds are fixed, so that the same versions of the packages draw the same pictures.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import mlpgrad as mg
from mlpgrad.cli import main as command_line

RESULTS = Path(__file__).parent / "results"
DPI = 110


def save(figure: Figure, path: Path) -> None:
    """Write a picture with 256 colours: a third of the size, without a visible difference."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI)
    image = Image.open(buffer).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def digits_loss(path: Path) -> None:
    """The picture that the README's first command writes."""
    with tempfile.TemporaryDirectory() as folder:
        command_line(["train", "digits", "--quiet", "--output", folder])
        shutil.copy(Path(folder) / "loss.png", path)


def decision_boundary(path: Path) -> None:
    """Twenty networks, each trained on a resample of its own: they disagree far from the data."""
    x, y = mg.datasets.moons(120, noise=0.15, random_state=0)
    rows = np.random.default_rng(0).integers(len(x), size=(20, len(x)))
    model = mg.Sequential(
        [mg.Dense(2, 16), mg.Tanh(), mg.Dense(16, 16), mg.Tanh(), mg.Dense(16, 1)],
        loss=mg.SigmoidCrossEntropy(),
        random_state=0,
        ensemble_size=20,
    )
    model.fit(x[rows], y[rows], optimizer=mg.Adam(1e-2), epochs=80, verbose=0)
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    mg.plotting.decision_boundary(model, x, y, ax=figure.subplots())
    save(figure, path)


def uncertainty(path: Path) -> None:
    """Twenty networks that predict the noise, on data with a gap and growing noise."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random(400) < 0.5, rng.uniform(-4, -1, 400), rng.uniform(1.5, 4, 400))
    noise = 0.05 + 0.25 / (1 + np.exp(-2 * x))
    x, y = x[:, None], (np.sin(1.5 * x) + noise * rng.normal(size=400))[:, None]
    model = mg.Sequential(
        [mg.Dense(1, 32), mg.Tanh(), mg.Dense(32, 32), mg.Tanh(), mg.Dense(32, 2)],
        loss=mg.GaussianNLL(),
        random_state=0,
        ensemble_size=20,
    )
    model.fit(x, y, optimizer=mg.Adam(5e-3), epochs=300, batch_size=40, verbose=0)
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    mg.plotting.regression_curve(model, x, y, ax=figure.subplots())
    save(figure, path)


def first_layer_weights(path: Path) -> None:
    """The weights of ten units without hidden layers: each looks like its digit."""
    x, y = mg.datasets.digits()
    model = mg.Sequential(
        [mg.Dense(64, 10)],
        loss=mg.SoftmaxCrossEntropy(),
        penalties=[mg.L2(1e-2)],
        random_state=0,
    )
    model.fit(x, y, optimizer=mg.Adam(2e-3), epochs=150, verbose=0)
    figure = Figure(figsize=(7, 3.0), layout="constrained")
    mg.plotting.weights(model, ax=figure.subplots())
    save(figure, path)


def layer_signals(path: Path) -> None:
    """Deltas in ten layers: they vanish with sigmoids, not with ReLU and He initialization."""
    x, y = (part[:1792] for part in mg.datasets.digits())  # 56 full batches
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for ax, activation in zip(panels, (mg.Sigmoid, mg.ReLU), strict=True):
        recorder = mg.LayerSignals()
        deep_network(activation).fit(
            x, y, optimizer=mg.SGD(0.05), epochs=10, callbacks=[recorder], verbose=0
        )
        mg.plotting.layer_signals(recorder, ax=ax)
        ax.set_title(f"{activation.__name__}\n{ax.get_title()}", fontsize="medium")
    panels[0].get_legend().remove()  # both panels have the same layers
    panels[1].set_ylabel("")
    save(figure, path)


def deep_network(activation: type[mg.Activation]) -> mg.Sequential:
    """A network with eight hidden layers and the initial weights that suit their activation."""
    layers: list[mg.Layer] = []
    for width in [64] + 7 * [32]:
        layers += [mg.Dense(width, 32), activation()]
    return mg.Sequential([*layers, mg.Dense(32, 10)], loss=mg.SoftmaxCrossEntropy(), random_state=0)


class WrongTanh(mg.Tanh):
    """A Tanh with a frequent mistake: the derivative is taken at `a` instead of `z`."""

    def slope(self, z: Any, a: Any, out: Any) -> None:
        super().slope(a, np.tanh(a), out)


def gradient_report(path: Path) -> None:
    """A check that fails and gives the reason."""
    x, y = mg.datasets.digits()
    model = mg.Sequential(
        [mg.Dense(64, 16), WrongTanh(), mg.Dense(16, 16), mg.ReLU(), mg.Dense(16, 10)],
        loss=mg.SoftmaxCrossEntropy(),
        random_state=0,
    )
    report = mg.check_gradients(model, x[:16], y[:16])
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    mg.plotting.gradient_report(report, ax=figure.subplots())
    save(figure, path)


PICTURES = {
    "digits-loss.png": digits_loss,
    "decision-boundary.png": decision_boundary,
    "uncertainty.png": uncertainty,
    "first-layer-weights.png": first_layer_weights,
    "layer-signals.png": layer_signals,
    "gradient-report.png": gradient_report,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        draw(folder / name)
        print(f"wrote {folder / name}, {(folder / name).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
