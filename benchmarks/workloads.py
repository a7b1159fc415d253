"""The workloads: data, initial weights and batch order, the same for every peer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

COLD_EPOCHS = 20  # in a run from process start


class Workload(NamedTuple):
    """A network with its data and its training."""

    name: str
    widths: tuple[int, ...]
    activation: str  # for the hidden layers; in xor for the output, too
    loss: str  # half_squared, binary or classes
    optimizer: str  # sgd or adam
    learning_rate: float
    batch: int
    rows: int  # a multiple of the batch
    epochs: int  # in one timed run: 0.1 to 2 seconds for every peer
    ensemble_epochs: int = 0  # in one timed run of 64 members

    @property
    def batches(self) -> int:
        """The number of steps in an epoch."""
        return self.rows // self.batch

    @property
    def steps(self) -> int:
        """The number of steps in one timed run."""
        return self.epochs * self.batches


WORKLOADS = {
    w.name: w
    for w in (
        Workload("xor", (2, 4, 1), "sigmoid", "half_squared", "sgd", 0.5, 4, 2000, 10, 10),
        Workload("moons", (2, 32, 32, 1), "tanh", "binary", "adam", 1e-3, 32, 3200, 30, 5),
        Workload("digits", (64, 64, 10), "relu", "classes", "adam", 1e-3, 32, 1792, 40, 4),
        Workload("mnist", (784, 256, 128, 10), "relu", "classes", "adam", 1e-3, 128, 8064, 4),
        Workload("wide", (1024, 2048, 2048, 10), "relu", "classes", "adam", 1e-4, 1024, 2048, 3),
    )
}


def data(workload: Workload, mnist: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Inputs `(n, I)` in float32, and targets: `(n, 1)` in float32, or classes `(n,)`."""
    import mlpgrad as mg

    n = workload.rows
    if workload.name == "xor":
        x, y = mg.datasets.xor(copies=n // 4)
    elif workload.name == "moons":
        x, y = mg.datasets.moons(n, noise=0.1, random_state=0)
    elif workload.name == "digits":
        x, y = mg.datasets.digits()
    elif workload.name == "mnist" and mnist is not None:
        images = mg.datasets.load_idx(mnist / "t10k-images-idx3-ubyte.gz")
        x = images.reshape(len(images), -1) / 255
        y = mg.datasets.load_idx(mnist / "t10k-labels-idx1-ubyte.gz")
    else:  # generated data of the same size: the time does not depend on the values
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(10, workload.widths[0]))
        y = rng.integers(0, 10, n)
        x = 0.3 * centres[y] + rng.normal(size=(n, workload.widths[0]))
    x = np.ascontiguousarray(x[:n], np.float32)
    if workload.loss == "classes":
        return x, y[:n].astype(np.int64)
    return x, y[:n].astype(np.float32)[:, None]


def write(workload: Workload, path: Path, mnist: Path | None = None) -> None:
    """Write a file with everything that a peer needs."""
    x, y = data(workload, mnist)
    rng = np.random.default_rng(1)
    arrays = {"x": x, "y": y}
    pairs = list(zip(workload.widths, workload.widths[1:], strict=False))
    for i, (a, b) in enumerate(pairs):
        arrays[f"w{i}"] = (rng.normal(size=(a, b)) * np.sqrt(2 / (a + b))).astype(np.float32)
    epochs = max(workload.epochs, COLD_EPOCHS)
    # the order that mlpgrad's fit draws; the others are given it
    order = np.random.default_rng(2)
    orders = [np.arange(len(x)) for _ in range(epochs)]
    for rows in orders:
        order.shuffle(rows)
    np.savez(path, orders=np.array(orders, np.int32), **arrays)
