# %% [markdown]
# # Check your own gradients
#
# **A wrong gradient rarely announces itself: the loss falls all the same.** This notebook plants
# mistakes in hand-written back-propagation, watches training hide them, and has the checker of
# mlpgrad find, name and explain them. It checks code of any origin: plain NumPy functions, layers
# of your own for mlpgrad, objects that behave like another framework's. At the end the check
# becomes a test.
#
# You need [notebook 2](2-backpropagation-by-hand.ipynb): what a gradient is, and that it can be
# measured by moving weights a little.

# %%
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mlpgrad as mg

# %% [markdown]
# ## A network by hand, with a mistake
#
# The task is to tell two half-moons of points apart. The network has 8 hidden tanh neurons and one
# output $s$; the probability of class 1 is $\sigma(s) = 1 / (1 + e^{-s})$, and the loss is the mean
# of $\log(1 + e^s) - t s$ with the target $t = 0$ or $1$ (the cross-entropy). Everything is NumPy;
# only the data come from mlpgrad.
#
# There is one mistake in `gradient`. Can you see it?

# %%
points, classes = mg.datasets.moons(200, noise=0.15, random_state=0)
target = classes.reshape(-1, 1)


def forward(p):
    hidden = np.tanh(points @ p["w1"] + p["b1"])
    return hidden, hidden @ p["w2"] + p["b2"]


def loss(p):
    s = forward(p)[1]
    return np.mean(np.logaddexp(0, s) - target * s)  # logaddexp(0, s) = log(1 + e^s)


def gradient(p):
    hidden, s = forward(p)
    delta = (1 / (1 + np.exp(-s)) - target) / len(points)
    delta_hidden = delta @ p["w2"].T * (1 - hidden)
    return {
        "w1": points.T @ delta_hidden,
        "b1": delta_hidden.sum(axis=0),
        "w2": hidden.T @ delta,
        "b2": delta.sum(axis=0),
    }


rng = np.random.default_rng(0)
start = {
    "w1": rng.normal(0, 1, (2, 8)),
    "b1": np.zeros(8),
    "w2": rng.normal(0, 1, (8, 1)),
    "b2": np.zeros(1),
}

# %% [markdown]
# Gradient descent with this gradient, 2,000 steps:


# %%
def train(gradient, steps=2000, eta=0.1):
    p = {name: array.copy() for name, array in start.items()}
    losses = []
    for _ in range(steps):
        slopes = gradient(p)
        for name in p:
            p[name] -= eta * slopes[name]
        losses.append(loss(p))
    accuracy = np.mean((forward(p)[1] > 0) == target)
    return losses, accuracy


with_mistake, accuracy = train(gradient)
print(f"loss {with_mistake[0]:.3f} -> {with_mistake[-1]:.3f}, accuracy {accuracy:.3f}")
assert with_mistake[-1] < with_mistake[0] / 2
assert accuracy > 0.8

# %% [markdown]
# It learns: the loss has halved, and more than 80 % of the points are classified correctly. Perhaps
# it needs more neurons, or another $\eta$? Nothing says that the gradient is wrong. So we ask the
# checker. It takes a function, its gradient, and the place at which to compare them. Parameters may
# be an array, or arrays in a dict, list or tuple.

# %%
report = mg.check_gradient(loss, gradient, start)
assert not report
print(report)

# %% [markdown]
# How to read the report:
#
# - **FAIL** says that the difference is larger than what the measurement itself may be off by.
#   There is no tolerance to choose: `+-` is worked out from the function's own rounding and
#   curvature.
# - **forward passes**: how often the function was called; their number depends on how many arrays
#   there are, not on how large they are.
# - **The table** has one row for each array. `gradient` is the slope in a random direction that
#   your gradient claims, `numeric` the one that was measured, `error` their relative difference,
#   `seen from` the smallest relative error that would have been noticed.
# - **element**: one wrong number of each wrong array, found by halving: what your gradient says
#   there, what is true, and their ratio.
# - **Taylor**, a second opinion (below).
# - **again**: the call that repeats exactly this check.
#
# `w2` and `b2` are correct, `w1` and `b1` are wrong. So the mistake is in `delta_hidden`, on which
# both wrong ones depend, and not in `delta`, which is used for all four. Indeed, the slope of tanh
# is $1 - a^2$, and the square is missing.


# %%
def repaired(p):
    hidden, s = forward(p)
    delta = (1 / (1 + np.exp(-s)) - target) / len(points)
    delta_hidden = delta @ p["w2"].T * (1 - hidden**2)
    return {
        "w1": points.T @ delta_hidden,
        "b1": delta_hidden.sum(axis=0),
        "w2": hidden.T @ delta,
        "b2": delta.sum(axis=0),
    }


report_repaired = mg.check_gradient(loss, repaired, start)
assert report_repaired
print(report_repaired)

# %% [markdown]
# Here are both reports as pictures. They show the error of each array in units of its tolerance, on
# a logarithmic scale.

# %%
figure, axes = plt.subplots(2, 1, figsize=(9, 5.2), layout="constrained")
for ax, checked in zip(axes, (report, report_repaired), strict=True):
    mg.plotting.gradient_report(checked, ax=ax)

# %% [markdown]
# And here are both trainings. Someone who sees only the orange curve sees a network that learns,
# and that seems to have learned what it can:

# %%
without, accuracy = train(repaired)
print(f"repaired: loss {without[0]:.3f} -> {without[-1]:.3f}, accuracy {accuracy:.3f}")
figure, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
ax.semilogy(with_mistake, "--", color="#D55E00", lw=2, label="with the mistake")
ax.semilogy(without, color="#0072B2", lw=2, label="repaired")
ax.set(xlabel="step", ylabel="loss", title="Training hides a wrong gradient")
ax.grid(alpha=0.3)
_ = ax.legend()

# %% [markdown]
# ### The second opinion: Taylor's remainder
#
# Walk from the parameters $w$ in a random direction $v$, a distance $h$. A gradient $g$ predicts
# the loss there; what it misses is the remainder $|L(w + h v) - L(w) - h\, g \cdot v|$. If $g$ is
# correct, only the curvature is missed, and the remainder shrinks with $h^2$: ten times closer, it
# is a hundred times smaller. If $g$ is wrong, the remainder shrinks only with $h$. On logarithmic
# axes these are slopes 2 and 1:

# %%
flat = np.concatenate([array.ravel() for array in start.values()])
v = rng.normal(size=flat.size)
v /= np.linalg.norm(v)


def moved(h):
    parts = np.split(flat + h * v, np.cumsum([array.size for array in start.values()])[:-1])
    return {name: part.reshape(start[name].shape) for name, part in zip(start, parts, strict=True)}


steps = 10.0 ** np.arange(-6, 0.1, 0.5)
figure, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
for name, function, color, marker in [
    ("with the mistake", gradient, "#D55E00", "s--"),
    ("repaired", repaired, "#0072B2", "o-"),
]:
    claimed = np.concatenate([slope.ravel() for slope in function(start).values()]) @ v
    remainders = np.array([abs(loss(moved(h)) - loss(start) - h * claimed) for h in steps])
    ax.loglog(steps, remainders, marker, color=color, label=name)
    middle = (steps > 1e-4) & (steps < 1e-1)
    slope = np.polyfit(np.log(steps[middle]), np.log(remainders[middle]), 1)[0]
    print(f"{name:17} slope {slope:.2f}")
ax.set(xlabel="distance h", ylabel="remainder", title="What the gradient misses")
ax.grid(alpha=0.3)
_ = ax.legend()

# %% [markdown]
# ## What typical mistakes look like
#
# Where an error has a known form, the report adds a **hint**. Here are six frequent mistakes in the
# gradient of a penalised loss (L2: $\frac{\lambda}{2}$ times the sum of squares of `w1` and `w2`,
# so $\lambda w$ is to be added to their gradients):

# %%
PENALTY = 0.01


def penalised(p):
    return loss(p) + PENALTY / 2 * (np.sum(p["w1"] ** 2) + np.sum(p["w2"] ** 2))


def correct(p):
    slopes = repaired(p)
    return slopes | {name: slopes[name] + PENALTY * p[name] for name in ("w1", "w2")}


def one_element(p):
    slopes = correct(p)
    slopes["w1"][1, 3] *= 1.01
    return slopes


mistakes = {
    "the penalty forgotten": lambda p: correct(p) | {"w1": repaired(p)["w1"]},
    "mean for sum": lambda p: correct(p) | {"b1": correct(p)["b1"] / 200},
    "a factor 2 too much": lambda p: correct(p) | {"w2": 2 * correct(p)["w2"]},
    "the wrong sign": lambda p: correct(p) | {"b2": -correct(p)["b2"]},
    "never written": lambda p: correct(p) | {"b1": np.zeros(8)},
    "one element 1 % too large": one_element,
}
assert mg.check_gradient(penalised, correct, start)
for name, wrong in mistakes.items():
    found = mg.check_gradient(penalised, wrong, start)
    assert not found
    print(f"{name}\n    element: {found.culprits[0]}\n    hint:    {found.hints[0]}")

# %% [markdown]
# ## A layer of your own
#
# mlpgrad takes layers that you write: `forward`, `backward`, and the shapes of the parameters. This
# one is a *swish* with a learned steepness $\beta$ for each feature, $y = x\, \sigma(\beta x)$.
# `backward` gets $\delta = dL/dy$; it writes $dL/d\beta$, summed over the batch, and returns
# $dL/dx$. By the product rule, with $g = \sigma(\beta x)$:
#
# $$\frac{dy}{d\beta} = x^2 g (1 - g), \qquad \frac{dy}{dx} = g + \beta x\, g (1 - g)$$
#
# The planted mistake is that `backward` applies only half of the product rule.


# %%
class Swish(mg.Layer):
    """y = x sigma(beta x), with a beta for each feature."""

    def __init__(self, features):
        self.features = self.in_features = self.out_features = features

    def parameters(self):
        return {"beta": ((self.features,), mg.Constant(1.0))}

    def forward(self, x):
        self._x, self._gate = x, 1 / (1 + np.exp(-self.params.beta * x))
        return x * self._gate

    def backward(self, delta):
        slope = self._gate * (1 - self._gate)
        self.grads.beta[...] = (delta * self._x**2 * slope).sum(axis=0)
        return delta * self._gate


def network(layer, widths=(12, 6)):
    first, second = widths
    return mg.Sequential(
        [
            mg.Dense(2, first),
            layer(first),
            mg.Dense(first, second),
            layer(second),
            mg.Dense(second, 1),
        ],
        loss=mg.SigmoidCrossEntropy(),
        random_state=0,
    )


model = network(Swish)
print(model.fit(points, classes, optimizer=mg.Adam(1e-2), epochs=50, verbose=0))

# %% [markdown]
# Again the loss falls. Now the whole network is checked:

# %%
report = mg.check_gradients(network(Swish), points[:16], classes[:16])
assert not report
assert "layers[3]" in report.first_wrong
print(report)

# %% [markdown]
# Five of eight arrays are wrong, but only one piece of code is to blame, and the line **where**
# names it. Deltas flow downwards, so it is the first layer from the top that receives a correct
# delta and passes on a wrong one: `layers[3]`, a Swish. Everything below inherits its mistake. Its
# own `beta` is correct, so `backward` computes $dL/d\beta$ well and returns the wrong $dL/dx$.
# `mg.check_layer` shows the same for the layer by itself, without a network:

# %%
report = mg.check_layer(Swish(5))
assert not report
print(report)

# %% [markdown]
# (NO_POWER warns of what this check could not have seen: with as many outputs as inputs a
# transposed matrix has the correct shape. For a layer that treats each feature by itself this does
# not matter.) Here is the repaired layer:


# %%
class RepairedSwish(Swish):
    """The same with the whole product rule."""

    def backward(self, delta):
        slope = self._gate * (1 - self._gate)
        self.grads.beta[...] = (delta * self._x**2 * slope).sum(axis=0)
        return delta * (self._gate + self.params.beta * self._x * slope)


assert mg.check_layer(RepairedSwish(5))
model = network(RepairedSwish)
report = mg.check_gradients(model, points[:16], classes[:16])
assert report
print(report)
print(model.fit(points, classes, optimizer=mg.Adam(1e-2), epochs=50, verbose=0))

# %% [markdown]
# ## Code that remembers
#
# Frameworks keep gradients in objects. PyTorch, for one, *adds* to `.grad` at every `backward()`,
# and a program that does not clear it first takes steps in the wrong direction. The checker calls
# functions several times in several places, so it notices what is left behind. Here is such an
# object in plain NumPy, and two ways to get its gradient:


# %%
class Linear:
    """s = x w, with a gradient that is added up like PyTorch's."""

    def __init__(self, weight):
        self.weight, self.grad = weight, np.zeros_like(weight)

    def forward(self, x):
        self.x = x
        return x @ self.weight

    def backward(self, delta):
        self.grad += self.x.T @ delta


linear = Linear(rng.normal(size=(2, 3)))


def value(weight):
    linear.weight = weight
    return 0.5 * np.sum(linear.forward(points) ** 2)


def forgetful(weight):
    linear.weight = weight
    linear.backward(linear.forward(points))  # the slope of the loss 1/2 s^2 is s
    return linear.grad.copy()


def clearing(weight):
    linear.grad[...] = 0
    return forgetful(weight)


weight = rng.normal(size=(2, 3))
report = mg.check_gradient(value, forgetful, weight)
assert report.verdict.value == "ACCUMULATES"
print(report)
assert mg.check_gradient(value, clearing, weight)

# %% [markdown]
# It is the same with PyTorch itself: `f` and `grad` take NumPy arrays and make tensors of them.
#
# ```python
# def grad(w):
#     tensor = torch.tensor(w, requires_grad=True)
#     my_loss(tensor).backward()
#     return tensor.grad.numpy()
#
# mg.check_gradient(lambda w: my_loss(torch.tensor(w)).item(), grad, w)
# ```
#
# ## A backward by itself
#
# A function with many outputs has no gradient, but it has a backward: from $v = dL/dy$ to $dL/dx$,
# the *vector-Jacobian product*. `mg.check_vjp(f, backward, x)` checks it with random $v$. The
# softmax turns a row of numbers into probabilities, $a_k = e^{x_k} / \sum_j e^{x_j}$. Each output
# depends on *all* inputs, which the first backward below forgets:


# %%
def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def diagonal_only(x, v):
    a = softmax(x)
    return v * a * (1 - a)


def whole(x, v):
    a = softmax(x)
    return a * (v - np.sum(a * v, axis=-1, keepdims=True))


rows = rng.normal(size=(3, 4))
report = mg.check_vjp(softmax, diagonal_only, rows)
assert not report
assert mg.check_vjp(softmax, whole, rows)
print(report)

# %% [markdown]
# Why must $v$ be random? A test that sends back ones, as many do, computes the gradient of the
# *sum* of all outputs. The sum of a softmax is always 1, so its gradient is zero whatever happens,
# and even a backward that returns nothing but zeros agrees. The checker says so and does not pass
# it:

# %%
report = mg.check_vjp(softmax, lambda x, v: np.zeros_like(x), rows, v=np.ones((3, 4)))
assert report.verdict.value == "NO_POWER"
print(report)

# %% [markdown]
# ## Keep it correct: a test
#
# A gradient that is correct today can be broken tomorrow. `mg.assert_gradients(...)` takes the
# arguments of all the checks above and raises an AssertionError with the report. With pytest there
# is a fixture, `gradcheck`, that is installed with mlpgrad. Here is a test file with a correct and
# a wrong gradient, and what pytest says:

# %%
TESTS = """
import numpy as np

def f(w):
    return np.sum(np.sin(w))

def test_correct(gradcheck):
    gradcheck(f, np.cos, np.arange(6.0).reshape(2, 3))

def test_wrong(gradcheck):
    gradcheck(f, lambda w: -np.cos(w), np.arange(6.0).reshape(2, 3))
"""

with tempfile.TemporaryDirectory() as folder:
    Path(folder, "test_gradients.py").write_text(TESTS)
    options = ["-q", "-rN", "-p", "no:cacheprovider", "--color=no", "--tb=short", "--rootdir=."]
    command = [sys.executable, "-m", "pytest", *options, "test_gradients.py"]
    narrow = os.environ | {"COLUMNS": "80"}
    finished = subprocess.run(command, cwd=folder, env=narrow, capture_output=True, text=True)
print(finished.stdout)
assert "1 failed, 1 passed" in finished.stdout

# %% [markdown]
# ## What you saw
#
# - Training hides wrong gradients: a step that is only roughly downhill still goes downhill.
# - `mg.check_gradient(f, grad, params)` for functions, `mg.check_gradients(model, x, y)` for
#   networks, `mg.check_layer(layer)` and `mg.check_loss(loss)` for their parts, `mg.check_vjp` for
#   a backward by itself. None has a tolerance to choose.
# - Read the report from the top: which arrays are correct, **where** the first wrong delta is made,
#   which **element**, which **hint**.
# - NO_POWER is not a pass: the check could not have failed.
# - `gradcheck` in pytest, or `mg.assert_gradients` anywhere, keeps a gradient correct.
