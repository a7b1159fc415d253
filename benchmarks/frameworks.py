"""The frameworks of the training benchmark, each used as its users would."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers import Peer


class Torch(Peer):
    """PyTorch in eager mode: the usual loop, with the fused Adam."""

    compiled = False

    def build(self) -> None:
        import torch

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

    def loss(self) -> float | None:
        import torch

        with torch.no_grad():
            return float(self.objective(*self.tensors))


class TorchCompile(Torch):
    """The same with `torch.compile`."""

    compiled = True


class Jax(Peer):
    """JAX with one jitted call per step."""

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
        # donated buffers let JAX update the state in place
        self.step = jax.jit(step, donate_argnums=0)
        self.epoch = jax.jit(epoch, donate_argnums=0)
        self.objective = jax.jit(
            jax.vmap(objective, (0, None, None)) if self.members > 1 else objective
        )
        self.arrays = jnp.asarray(self.x), jnp.asarray(self.y)

    def reset(self) -> None:
        import jax
        import jax.numpy as jnp

        params = [(jnp.array(w), jnp.zeros(w.shape[1])) for w in self.weights]
        m, v = (jax.tree_util.tree_map(jnp.zeros_like, params) for _ in range(2))
        self.state: Any = params, m, v, jnp.array(0)
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

    def loss(self) -> float | None:
        return float(np.mean(self.objective(self.state[0], *self.arrays)))


class JaxScan(Jax):
    """JAX with a whole epoch in one `lax.scan`."""

    scanned = True


class Keras(Peer):
    """Keras on JAX; the rows are a multiple of the batch, so that epochs can be joined."""

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
        # Keras takes no order of rows, so one call of `fit` gets the rows of all epochs:
        # a call per epoch would take longer
        order = self.orders[:epochs].ravel()
        x, y = self.x[order], self.y[order]
        self.model.fit(x, y, batch_size=self.workload.batch, shuffle=False, verbose=0)

    def loss(self) -> float | None:
        return float(self.model.evaluate(self.x, self.y, verbose=0))
