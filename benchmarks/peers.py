"""Peers of the training benchmark: the same network in each library, as its users write it.

Each runs in a process: `python -m benchmarks.peers PEER WORKLOAD FILE MEMBERS` answers each line
`EPOCHS` on stdin with a timed run as JSON, after an untimed one. With `--cold EPOCHS` it trains
once, and prints its loss and peak memory.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workloads import WORKLOADS, Workload

LONGER = 1.0
"""The least number of seconds by which a timed `fit` with compiled steps takes longer than one of a
single epoch; it takes at least twice as long, too. The time of recording varies by some per cent,
which would matter beside a shorter time, and the BLAS threads that take part in it go on spinning
for up to a tenth of a second, on a core that the compiled steps would use."""


class Peer:
    """Trains one workload; `build` is called once, and `reset` restores the initial weights."""

    def __init__(self, workload: Workload, arrays: Any, members: int = 1) -> None:
        self.workload, self.members = workload, members
        self.x, self.y, self.orders = arrays["x"], arrays["y"], arrays["orders"]
        depth = len(workload.widths) - 1
        self.weights = [arrays[f"w{i}"] for i in range(depth)]
        self.build()

    def build(self) -> None:
        """Make the network."""

    def reset(self) -> None:
        """Restore the initial weights, with a new optimizer; this is not timed."""
        raise NotImplementedError

    def train(self, epochs: int) -> float | None:
        """Shuffle, form batches, and make all steps; this is timed.

        The method may return the seconds of the epochs alone, without the preparation.
        """
        raise NotImplementedError

    def loss(self) -> float | None:
        """The loss on all data, or None for a peer that does not train."""
        return None

    def batches(self, epoch: int) -> Any:
        """Rows of each batch, in the order that every peer is given."""
        order, size = self.orders[epoch], self.workload.batch
        return (order[i : i + size] for i in range(0, len(order), size))


class Mlpgrad(Peer):
    """`Sequential.fit` without the extra `compiled`."""

    compiled: bool | None = False

    def build(self) -> None:
        import mlpgrad as mg

        w = self.workload
        hidden = {"sigmoid": mg.Sigmoid, "tanh": mg.Tanh, "relu": mg.ReLU}[w.activation]
        loss = {
            "half_squared": mg.HalfSquaredError,
            "binary": mg.SigmoidCrossEntropy,
            "classes": mg.SoftmaxCrossEntropy,
        }[w.loss]
        layers: list[Any] = []
        for i, weights in enumerate(self.weights):
            layers.append(mg.Dense(*weights.shape))
            if i < len(self.weights) - 1 or w.loss == "half_squared":
                layers.append(hidden())
        size = self.members if self.members > 1 else None
        self.model = mg.Sequential(layers, loss=loss(), random_state=0, ensemble_size=size)
        self.optimizer = {"sgd": mg.SGD, "adam": mg.Adam}[w.optimizer](w.learning_rate)

    def reset(self) -> None:
        for i, slot in enumerate(self.model.parameters):
            slot.view(self.model.params)[...] = 0 if i % 2 else self.weights[i // 2]
        self.optimizer.reset()
        self.model.rng = np.random.default_rng(2)  # draws the order of rows that all peers use

    def train(self, epochs: int) -> None:
        w = self.workload
        self.model.fit(
            *(self.x, self.y),
            optimizer=self.optimizer,
            epochs=epochs,
            batch_size=w.batch,
            verbose=0,
            compiled=self.compiled,
        )

    def loss(self) -> float | None:
        return float(np.mean(self.model.evaluate(self.x, self.y)["loss"]))


class MlpgradCompiled(Mlpgrad):
    """`Sequential.fit` with compiled steps: the time that each further epoch takes.

    A `fit` records and compiles once, which is not counted, as it is not for JAX: the time of a
    `fit` of one epoch is subtracted from that of many epochs.
    """

    compiled = True

    def train(self, epochs: int) -> float:
        self.timed(1)  # finds the machine code
        single, many = self.timed(1), epochs
        while (longer := self.timed(1 + many) - single) < max(LONGER, single):
            many *= 3
        assert self.model.compiled_because is None
        self.reset()
        super().train(epochs)
        return longer / many * epochs

    def timed(self, epochs: int) -> float:
        """Train from the initial weights and return the time."""
        self.reset()
        started = time.perf_counter()
        super().train(epochs)
        return time.perf_counter() - started


class Cold(Mlpgrad):
    """Compiled steps from process start, with an empty cache of machine code."""

    compiled = True
    cache = "none"

    def build(self) -> None:
        super().build()
        own = Path(sys.argv[3]).with_name(f"{self.workload.name}-{self.cache}")
        if self.cache == "none":
            shutil.rmtree(own, ignore_errors=True)
        os.environ["MLPGRAD_CACHE"] = str(own)


class Cached(Cold):
    """The same, with the machine code that the previous run has cached."""

    cache = "kept"


class Chosen(Cached):
    """The choice of `fit` if the extra is installed."""

    compiled = None  # type: ignore[assignment]


class BareStep(Mlpgrad):
    """mlpgrad's step on one fixed batch without `fit`, to measure what `fit` adds."""

    def reset(self) -> None:
        super().reset()
        self.fixed = self.model._cast(
            self.x[: self.workload.batch], self.y[: self.workload.batch], None
        )

    def train(self, epochs: int) -> None:
        model, optimizer, fixed = self.model, self.optimizer, self.fixed
        for _ in range(epochs * self.workload.batches):
            model._step(*fixed)
            optimizer.step(model.params, model.grads)

    def loss(self) -> float | None:
        return None


class MatrixProducts(Peer):
    """The lower bound: only the matrix products of a step, in NumPy with reused buffers."""

    def reset(self) -> None:
        rng = np.random.default_rng(0)
        self.products: list[tuple[Any, Any, Any]] = []
        a = self.x[: self.workload.batch]
        for i, w in enumerate(self.weights):
            z = rng.normal(size=(len(a), w.shape[1])).astype(np.float32)
            self.products += [(a, w, z), (a.T, z, np.empty_like(w))]
            if i:
                self.products.append((z, w.T, np.empty_like(a)))
            a = rng.random(z.shape, np.float32)

    def train(self, epochs: int) -> None:
        for _ in range(epochs * self.workload.batches):
            for a, b, out in self.products:
                a.dot(b, out)


class ScikitLearn(Peer):
    """scikit-learn's MLPClassifier: its own order, and log-loss instead of the squared error."""

    def build(self) -> None:
        from sklearn.neural_network import MLPClassifier

        w = self.workload
        activation = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}[w.activation]
        solver = {"solver": w.optimizer, "learning_rate_init": w.learning_rate, "alpha": 0.0}
        if w.optimizer == "sgd":
            solver |= {"momentum": 0.0, "nesterovs_momentum": False}
        self.model = MLPClassifier(
            w.widths[1:-1],
            activation=activation,
            batch_size=w.batch,
            warm_start=True,
            n_iter_no_change=10**6,
            tol=0.0,
            random_state=0,
            **solver,
        )
        self.labels = self.y.ravel().astype(int)

    def reset(self) -> None:
        import warnings

        warnings.filterwarnings("ignore")  # about max_iter
        if not hasattr(self.model, "coefs_"):
            self.model.max_iter = 1
            few = np.unique(self.labels, return_index=True)[1]
            self.model.batch_size = len(few)
            self.model.fit(self.x[few], self.labels[few])
            self.model.batch_size = self.workload.batch
        self.model.coefs_ = [w.copy() for w in self.weights]
        self.model.intercepts_ = [np.zeros(w.shape[1], np.float32) for w in self.weights]

    def train(self, epochs: int) -> None:
        self.model.max_iter = epochs
        self.model.fit(self.x, self.labels)

    def loss(self) -> float:
        from sklearn.metrics import log_loss

        return float(log_loss(self.labels, self.model.predict_proba(self.x)))


PEERS = {
    "mlpgrad": "peers.Mlpgrad",
    "mlpgrad compiled": "peers.MlpgradCompiled",
    "compiled, cold": "peers.Cold",
    "compiled, cached": "peers.Cached",
    "extra installed": "peers.Chosen",
    "FANN": "fann.Fann",
    "PyTorch eager": "frameworks.Torch",
    "torch.compile": "frameworks.TorchCompile",
    "scikit-learn": "peers.ScikitLearn",
    "JAX jitted step": "frameworks.Jax",
    "JAX scanned epoch": "frameworks.JaxScan",
    "Keras (JAX)": "frameworks.Keras",
    "bare step": "peers.BareStep",
    "matrix products": "peers.MatrixProducts",
}


def threadpools() -> list[dict[str, Any]]:
    """The BLAS kernels and thread pools of this process, if threadpoolctl is installed."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return [{"unknown": "threadpoolctl is not installed"}]
    keys = ("internal_api", "version", "architecture", "num_threads")
    return [{k: info[k] for k in keys if k in info} for info in threadpool_info()]


def peak_megabytes() -> float:
    """The peak memory of this process.

    `ru_maxrss` is only the fallback, since it starts at the size of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    """Run one peer on one workload in this process."""
    name, workload, path, members = sys.argv[1:5]
    module, cls = PEERS[name].split(".")
    maker = getattr(importlib.import_module(f"benchmarks.{module}"), cls)
    peer = maker(WORKLOADS[workload], np.load(path), int(members))
    if "--cold" in sys.argv:
        peer.reset()
        peer.train(int(sys.argv[-1]))
        print(json.dumps({"trained": True}), flush=True)
        peak = peak_megabytes()
        print(json.dumps({"loss": peer.loss(), "peak": peak}), flush=True)
        return
    print(json.dumps({"threadpools": threadpools()}), flush=True)
    for line in sys.stdin:
        for _ in range(2):  # the first run warms cores and caches after the turns of other peers
            peer.reset()
            started = time.perf_counter()
            own = peer.train(int(line))
            seconds = time.perf_counter() - started if own is None else own
        print(json.dumps({"seconds": seconds, "loss": peer.loss()}), flush=True)


if __name__ == "__main__":
    main()
