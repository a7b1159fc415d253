"""Peers of the training benchmark: the same network in each library, as its users write it.

Run as a process: `python -m benchmarks.peers PEER WORKLOAD FILE` answers each line on stdin with
one timed run as JSON; with `--cold` it trains once and ends.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from benchmarks.workloads import COLD_EPOCHS, WORKLOADS, Workload


class Peer:
    """Trains one workload. `build` is done once; `run` starts from the initial weights."""

    def __init__(self, workload: Workload, arrays: Any, members: int = 1) -> None:
        self.workload, self.members = workload, members
        self.x, self.y, self.orders = arrays["x"], arrays["y"], arrays["orders"]
        depth = len(workload.widths) - 1
        self.weights = [arrays[f"w{i}"] for i in range(depth)]
        self.build()

    def build(self) -> None:
        """Make the network."""

    def reset(self) -> None:
        """Back to the initial weights and a fresh optimizer; not timed."""
        raise NotImplementedError

    def train(self, epochs: int) -> None:
        """What is timed: shuffling, batching and all steps."""
        raise NotImplementedError

    def loss(self) -> float:
        """The loss on all data."""
        raise NotImplementedError

    def batches(self, epoch: int) -> Any:
        """Rows of each batch, in the order that every peer is given."""
        order, size = self.orders[epoch], self.workload.batch
        return (order[i : i + size] for i in range(0, len(order), size))


class Mlpgrad(Peer):
    """`Sequential.fit`, as any user calls it."""

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
        self.model.rng = np.random.default_rng(2)  # draws the common order

    def train(self, epochs: int) -> None:
        w = self.workload
        self.model.fit(
            self.x,
            self.y,
            optimizer=self.optimizer,
            epochs=epochs,
            batch_size=w.batch,
            verbose=0,
        )

    def loss(self) -> float:
        return float(np.mean(self.model.evaluate(self.x, self.y)["loss"]))


class BareStep(Mlpgrad):
    """mlpgrad's step on one fixed batch, without `fit`: what `fit` adds is measured against it."""

    def reset(self) -> None:
        super().reset()
        self.fixed = self.model._cast(
            self.x[: self.workload.batch], self.y[: self.workload.batch], None
        )

    def train(self, epochs: int) -> None:
        model, optimizer, fixed = self.model, self.optimizer, self.fixed
        for _ in range(epochs * -(-len(self.x) // self.workload.batch)):
            model._step(*fixed)
            optimizer.step(model.params, model.grads)

    def loss(self) -> float:
        return float("nan")


class MatrixProducts(Peer):
    """The floor: the matrix products of a step alone, in NumPy with reused buffers."""

    def reset(self) -> None:
        batch = self.workload.batch
        self.products = []
        a = np.ascontiguousarray(self.x[:batch])
        for i, w in enumerate(self.weights):
            z = np.empty((len(a), w.shape[1]), np.float32)
            self.products += [(a, w, z), (a.T, z, np.empty_like(w))]
            if i:
                self.products.append((z, w.T, np.empty_like(a)))
            a = np.zeros_like(z)

    def train(self, epochs: int) -> None:
        for _ in range(epochs * -(-len(self.x) // self.workload.batch)):
            for a, b, out in self.products:
                a.dot(b, out)

    def loss(self) -> float:
        return float("nan")


class Torch(Peer):
    """PyTorch eager, the usual loop, with the fused Adam."""

    compiled = False

    def build(self) -> None:
        import torch

        torch.set_num_threads(2)
        w = self.workload
        hidden = {"sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}
        layers: list[Any] = []
        for i, weights in enumerate(self.weights):
            layers.append(torch.nn.Linear(*weights.shape))
            if i < len(self.weights) - 1 or w.loss == "half_squared":
                layers.append(hidden[w.activation]())
        self.model = torch.nn.Sequential(*layers)
        functional = torch.nn.functional
        loss = {
            "half_squared": lambda p, t: 0.5 * torch.square(p - t).sum(1).mean(),
            "binary": functional.binary_cross_entropy_with_logits,
            "classes": functional.cross_entropy,
        }[w.loss]

        def objective(x: Any, y: Any) -> Any:
            return loss(self.model(x), y)

        self.objective = torch.compile(objective) if self.compiled else objective
        self.tensors = torch.from_numpy(self.x), torch.from_numpy(self.y)

    def reset(self) -> None:
        import torch

        w = self.workload
        linear = [layer for layer in self.model if isinstance(layer, torch.nn.Linear)]
        with torch.no_grad():
            for layer, weights in zip(linear, self.weights, strict=True):
                layer.weight.copy_(torch.from_numpy(weights.T))
                layer.bias.zero_()
        parameters = self.model.parameters()
        if w.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(parameters, w.learning_rate)
        else:
            self.optimizer = torch.optim.Adam(parameters, w.learning_rate, fused=True)

    def train(self, epochs: int) -> None:
        import torch

        x, y = self.tensors
        for epoch in range(epochs):
            for rows in torch.from_numpy(self.orders[epoch].astype(np.int64)).split(
                self.workload.batch
            ):
                loss = self.objective(x[rows], y[rows])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()

    def loss(self) -> float:
        import torch

        with torch.no_grad():
            return float(self.objective(*self.tensors))


class TorchCompile(Torch):
    """The same with `torch.compile`."""

    compiled = True


class Jax(Peer):
    """JAX, one jitted call a step."""

    scanned = False

    def build(self) -> None:
        import jax
        import jax.numpy as jnp

        w = self.workload
        hidden = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}[w.activation]

        def objective(params: Any, x: Any, y: Any) -> Any:
            for i, (weights, bias) in enumerate(params):
                x = x @ weights + bias
                if i < len(params) - 1 or w.loss == "half_squared":
                    x = hidden(x)
            if w.loss == "half_squared":
                return 0.5 * jnp.square(x - y).sum(1).mean()
            if w.loss == "binary":
                return (jnp.logaddexp(0, x) - x * y).mean()
            return -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1).mean()

        def step(state: Any, x: Any, y: Any) -> Any:
            params, m, v, t = state
            grads = jax.grad(objective)(params, x, y)
            tree = jax.tree_util.tree_map
            if w.optimizer == "sgd":
                return tree(lambda p, g: p - w.learning_rate * g, params, grads), m, v, t
            t = t + 1
            m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
            v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
            rate = w.learning_rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            root = jnp.sqrt(1 - 0.999**t)
            params = tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8 * root), params, m, v)
            return params, m, v, t

        def epoch(state: Any, x: Any, y: Any, order: Any) -> Any:
            whole = len(order) // w.batch * w.batch
            batches = order[:whole].reshape(-1, w.batch)
            state, _ = jax.lax.scan(
                lambda s, rows: (step(s, x[rows], y[rows]), None), state, batches
            )
            if whole < len(order):
                state = step(state, x[order[whole:]], y[order[whole:]])
            return state

        if self.members > 1:
            step = jax.vmap(step, in_axes=(0, None, None))
        self.step, self.epoch = jax.jit(step), jax.jit(epoch)
        self.objective = jax.jit(
            jax.vmap(objective, (0, None, None)) if self.members > 1 else objective
        )
        self.arrays = jnp.asarray(self.x), jnp.asarray(self.y)

    def reset(self) -> None:
        import jax
        import jax.numpy as jnp

        params = [(jnp.array(w), jnp.zeros(w.shape[1])) for w in self.weights]
        zeros = jax.tree_util.tree_map(jnp.zeros_like, params)
        self.state: Any = params, zeros, zeros, jnp.array(0)
        if self.members > 1:
            self.state = jax.tree_util.tree_map(
                lambda a: jnp.repeat(a[None], self.members, 0), self.state
            )

    def train(self, epochs: int) -> None:
        import jax

        for epoch in range(epochs):
            if self.scanned:
                self.state = self.epoch(self.state, *self.arrays, self.orders[epoch])
                continue
            for rows in self.batches(epoch):
                self.state = self.step(self.state, self.x[rows], self.y[rows])
        jax.block_until_ready(self.state)

    def loss(self) -> float:
        return float(np.mean(self.objective(self.state[0], *self.arrays)))


class JaxScan(Jax):
    """JAX, a whole epoch in one `lax.scan`."""

    scanned = True


class ScikitLearn(Peer):
    """scikit-learn's MLPClassifier; its own order, and log-loss in place of the squared error."""

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

        warnings.filterwarnings("ignore")  # that max_iter is reached
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


class Keras(Peer):
    """Keras on JAX."""

    def build(self) -> None:
        import os

        os.environ.setdefault("KERAS_BACKEND", "jax")
        import keras

        w = self.workload
        layers = []
        for i, weights in enumerate(self.weights):
            last = i == len(self.weights) - 1 and w.loss != "half_squared"
            activation = None if last else w.activation
            layers.append(keras.layers.Dense(weights.shape[1], activation=activation))
        self.model = keras.Sequential([keras.Input((w.widths[0],)), *layers])
        self.loss_function = {
            "half_squared": lambda t, p: 0.5 * keras.ops.sum(keras.ops.square(p - t), -1),
            "binary": keras.losses.BinaryCrossentropy(from_logits=True),
            "classes": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        }[w.loss]
        maker = keras.optimizers.SGD if w.optimizer == "sgd" else keras.optimizers.Adam
        self.model.compile(maker(w.learning_rate), self.loss_function)
        self.initial: Any = None

    def reset(self) -> None:
        self.model.set_weights([a for w in self.weights for a in (w, np.zeros(w.shape[1]))])
        for variable in self.model.optimizer.variables if self.model.optimizer.built else []:
            if "learning_rate" not in variable.path:
                variable.assign(np.zeros(variable.shape))

    def train(self, epochs: int) -> None:
        for epoch in range(epochs):
            order = self.orders[epoch]
            x, y = self.x[order], self.y[order]
            self.model.fit(x, y, batch_size=self.workload.batch, shuffle=False, verbose=0)

    def loss(self) -> float:
        return float(self.model.evaluate(self.x, self.y, verbose=0))


PEERS: dict[str, type[Peer]] = {
    "mlpgrad": Mlpgrad,
    "PyTorch eager": Torch,
    "torch.compile": TorchCompile,
    "JAX jitted step": Jax,
    "JAX scanned epoch": JaxScan,
    "scikit-learn": ScikitLearn,
    "Keras (JAX)": Keras,
    "bare step": BareStep,
    "matrix products": MatrixProducts,
}


def main() -> None:
    """One peer, one workload, in a process of its own."""
    name, workload, path = sys.argv[1:4]
    members = int(sys.argv[4]) if len(sys.argv) > 4 and sys.argv[4].isdigit() else 1
    peer = PEERS[name](WORKLOADS[workload], np.load(path), members)
    if "--cold" in sys.argv:
        peer.reset()
        peer.train(COLD_EPOCHS)
        print(json.dumps({"loss": peer.loss()}))
        return
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        peer.reset()
        started = time.perf_counter()
        peer.train(peer.workload.epochs)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "loss": peer.loss()}), flush=True)


if __name__ == "__main__":
    main()
