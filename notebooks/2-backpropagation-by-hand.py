# %% [markdown]
# # Back-propagation by hand
#
# **How does a network find out which way to change each of its weights?** This notebook computes
# the answer three times: with plain Python loops, as the lecture writes it; with matrices; and with
# mlpgrad. The three agree to the last digits. Then the result is checked without any of the
# formulas, and a network uses it to learn *exclusive or*.
#
# The formulas and their numbers (1) to (9) are those of R. Soletskyi, *Backpropagation*, 2018, "the
# lecture" below. You need to know what a derivative is, and what the chain rule says.

# %%
import math
import random
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import mlpgrad as mg

# %% [markdown]
# ## The network
#
# Three layers of numbers: the input $x_i$, the hidden layer $y_j$, the output $z_k$. Each line in
# the picture is one weight: $w^a_{ij}$, in Python `wa[i][j]`, leads from $x_i$ to $y_j$, and
# $w^b_{jk}$ or `wb[j][k]` from $y_j$ to $z_k$. The three layers have different sizes on purpose:
# confusing two indices is then an error that shows.


# %%
def draw_network(ax):
    layers = [("x", 3, "$x_{}$"), ("y", 4, "$y_{}$"), ("z", 2, "$z_{}$")]
    places = [
        [(column, (size - 1) / 2 - row) for row in range(size)]
        for column, (_, size, _) in enumerate(layers)
    ]
    for table, (left, right) in enumerate(pairwise(places)):
        for i, start in enumerate(left):
            for j, end in enumerate(right):
                chosen = (table, i, j) in {(0, 0, 1), (1, 1, 0)}
                color, width = ("#D55E00", 2.5) if chosen else ("0.75", 1)
                ax.plot(*zip(start, end, strict=True), color=color, lw=width, zorder=1)
    for (_, size, label), spots in zip(layers, places, strict=True):
        for number in range(size):
            ax.scatter(*spots[number], s=900, color="white", edgecolors="black", zorder=2)
            ax.text(*spots[number], label.format(number), ha="center", va="center", fontsize=13)
    label = {"color": "#D55E00", "fontsize": 14, "bbox": {"color": "white", "pad": 1}}
    ax.text(0.5, 0.75, "$w^a_{01}$", ha="center", va="center", **label)
    ax.text(1.5, 0.5, "$w^b_{10}$", ha="center", va="center", **label)
    for column, name in enumerate(["input", "hidden layer", "output"]):
        ax.text(column, -2.1, name, ha="center")
    ax.set(xlim=(-0.3, 2.3), ylim=(-2.3, 2.0))
    ax.axis("off")


figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
draw_network(ax)

# %% [markdown]
# All weights start as small random numbers. `x` is one example, `z_hat` what the network should
# answer to it (the lecture's $\hat z_k$).

# %%
draw = random.Random(0)
inputs, hidden, outputs = 3, 4, 2  # how many neurons in each layer

wa = [[draw.uniform(-1, 1) for j in range(hidden)] for i in range(inputs)]
wb = [[draw.uniform(-1, 1) for k in range(outputs)] for j in range(hidden)]
x = [0.5, -1.0, 2.0]
z_hat = [1.0, 0.0]

# %% [markdown]
# ## Forward: from the input to the loss
#
# Every neuron adds up what comes in, each value times its weight, and sends the sum through the
# sigmoid (1), which squeezes any number into the range from 0 to 1:
#
# $$\sigma(s) = \frac{1}{1 + e^{-s}}, \qquad \sigma'(s) = \sigma(s)(1 - \sigma(s)) \tag{1}$$


# %%
def sigma(s):
    return 1 / (1 + math.exp(-s))


s_y = [sum(x[i] * wa[i][j] for i in range(inputs)) for j in range(hidden)]  # s_j, from (6)
y = [sigma(s) for s in s_y]
s_z = [sum(y[j] * wb[j][k] for j in range(hidden)) for k in range(outputs)]  # s_k, from (4)
z = [sigma(s) for s in s_z]

print("hidden layer y:", [round(value, 4) for value in y])
print("output       z:", [round(value, 4) for value in z], " wanted:", z_hat)

# %% [markdown]
# How wrong is that? The loss is half the sum of squared errors:
#
# $$\mathcal{L} = \frac{1}{2} \sum_k (z_k - \hat z_k)^2 \tag{2}$$

# %%
loss = 0.5 * sum((z[k] - z_hat[k]) ** 2 for k in range(outputs))
print("loss:", round(loss, 6))

# %% [markdown]
# ## Backward: which weight is to blame?
#
# To reduce the loss, each weight takes a small step against its derivative, of length $\eta$:
#
# $$w^{t+1} = w^t - \eta \frac{\partial \mathcal{L}}{\partial w^t} \tag{3}$$
#
# So we need $\partial \mathcal{L} / \partial w$ for every weight. **The table** $w^b$ is the easy
# one, because $w^b_{jk}$ acts on one output only, $z_k$, through one sum, $s_k$. The chain rule
# multiplies the three links:
#
# $$\frac{\partial \mathcal{L}}{\partial w^b_{jk}} =
# \frac{\partial \mathcal{L}}{\partial z_k} \cdot
# \frac{\partial z_k}{\partial s_k} \cdot
# \frac{\partial s_k}{\partial w^b_{jk}} \tag{4}$$
#
# From (2) the first is $z_k - \hat z_k$; from (1) the second is $z_k (1 - z_k)$; the third is
# $y_j$. Together:
#
# $$\frac{\partial \mathcal{L}}{\partial w^b_{jk}} =
# (z_k - \hat z_k)\, z_k (1 - z_k)\, y_j \tag{5}$$

# %%
gradient_wb = [
    [(z[k] - z_hat[k]) * z[k] * (1 - z[k]) * y[j] for k in range(outputs)] for j in range(hidden)
]

# %% [markdown]
# **The table** $w^a$: the weight $w^a_{ij}$ acts on one hidden neuron, $y_j$. But $y_j$ acts on
# *all* outputs, so its effects on them are added up:
#
# $$\frac{\partial \mathcal{L}}{\partial w^a_{ij}} =
# \frac{\partial \mathcal{L}}{\partial y_j} \cdot
# \frac{\partial y_j}{\partial s_j} \cdot
# \frac{\partial s_j}{\partial w^a_{ij}} \tag{6}$$
#
# $$\frac{\partial \mathcal{L}}{\partial w^a_{ij}} =
# \Big(\sum_k (z_k - \hat z_k)\, z_k (1 - z_k)\, w^b_{jk}\Big)\, y_j (1 - y_j)\, x_i \tag{7}$$

# %%
gradient_wa = [
    [
        sum((z[k] - z_hat[k]) * z[k] * (1 - z[k]) * wb[j][k] for k in range(outputs))
        * y[j]
        * (1 - y[j])
        * x[i]
        for j in range(hidden)
    ]
    for i in range(inputs)
]

# %% [markdown]
# ### The same with less work: delta
#
# (5) and (7) share a factor that does not depend on where a weight comes from. The lecture calls it
# $\delta$: how much the loss changes when the *sum* in a neuron does. The $\delta$ of a hidden
# neuron is computed from those of the layer above it, so the computation runs from the output
# **downwards**. That is back-propagation:
#
# $$\delta_k = (z_k - \hat z_k)\, z_k (1 - z_k), \qquad
# \delta_j = \Big(\sum_k \delta_k w^b_{jk}\Big)\, y_j (1 - y_j) \tag{8}$$
#
# $$\frac{\partial \mathcal{L}}{\partial w^b_{jk}} = \delta_k y_j, \qquad
# \frac{\partial \mathcal{L}}{\partial w^a_{ij}} = \delta_j x_i \tag{9}$$
#
# In words: the derivative of a weight is *the delta at its upper end times the value at its lower
# end*.

# %%
delta_z = [(z[k] - z_hat[k]) * z[k] * (1 - z[k]) for k in range(outputs)]
delta_y = [
    sum(delta_z[k] * wb[j][k] for k in range(outputs)) * y[j] * (1 - y[j]) for j in range(hidden)
]

short_wb = [[delta_z[k] * y[j] for k in range(outputs)] for j in range(hidden)]
short_wa = [[delta_y[j] * x[i] for j in range(hidden)] for i in range(inputs)]

assert np.allclose(short_wb, gradient_wb, rtol=1e-12, atol=0)
assert np.allclose(short_wa, gradient_wa, rtol=1e-12, atol=0)
print("(9) gives the same numbers as (5) and (7)")

# %% [markdown]
# ## The same with matrices
#
# Loops in Python are slow. NumPy computes a whole table in one expression. Write the example as a
# matrix of one row; every sum over an index becomes a matrix product `@`, and a sum that runs over
# the *other* index of a table needs its transpose `.T`:
#
# | lecture | loops | matrices |
# |---|---|---|
# | $s_j = \sum_i x_i w^a_{ij}$ | `sum(x[i] * wa[i][j] for i ...)` | `X @ WA` |
# | $\sum_k \delta_k w^b_{jk}$ | `sum(delta_z[k] * wb[j][k] for k ...)` | `D_Z @ WB.T` |
# | $\delta_j x_i$ | `delta_y[j] * x[i]` | `X.T @ D_Y` |

# %%
X, Z_HAT, WA, WB = np.array([x]), np.array([z_hat]), np.array(wa), np.array(wb)

Y = 1 / (1 + np.exp(-(X @ WA)))
Z = 1 / (1 + np.exp(-(Y @ WB)))
D_Z = (Z - Z_HAT) * Z * (1 - Z)
D_Y = (D_Z @ WB.T) * Y * (1 - Y)
GRADIENT_WB = Y.T @ D_Z
GRADIENT_WA = X.T @ D_Y

print("largest difference between loops and matrices")
for name, by_loops, by_matrices in [
    ("y", y, Y[0]),
    ("z", z, Z[0]),
    ("delta_z", delta_z, D_Z[0]),
    ("delta_y", delta_y, D_Y[0]),
    ("dL/dwb", gradient_wb, GRADIENT_WB),
    ("dL/dwa", gradient_wa, GRADIENT_WA),
]:
    assert np.allclose(by_loops, by_matrices, rtol=1e-12, atol=0)
    print(f"{name:8} {np.abs(by_loops - by_matrices).max():.1e}")

# %% [markdown]
# Six lines of matrices give the same numbers. What differs, if anything, is the last of 16 digits:
# a matrix product may add up its terms in another order than the loop, and every sum is rounded.
#
# With more than one example, each is one row of `X`. Not a letter of the formulas changes:
# `X.T @ D_Y` then also adds up the gradients of all rows.
#
# ## The same with mlpgrad
#
# A `Dense` layer holds one table of weights, a `Sigmoid` layer applies (1), and the loss (2) sits
# on top. (The lecture's neurons have no bias; usually they have one, which is a weight whose input
# is always 1.) `backpropagate` does all of the above and leaves the results in the layers.

# %%
model = mg.Sequential(
    [
        mg.Dense(inputs, hidden, bias=False),
        mg.Sigmoid(),
        mg.Dense(hidden, outputs, bias=False),
        mg.Sigmoid(),
    ],
    loss=mg.HalfSquaredError(),
    dtype="float64",
)
lower, _, upper, _ = model.layers
lower.params.weights[...] = wa
upper.params.weights[...] = wb

model_loss = model.backpropagate(X, Z_HAT)

for by_loops, by_mlpgrad in [
    (loss, model_loss),
    (y, upper.inputs[0]),
    (s_z, upper.pre_activations[0]),
    (delta_z, upper.delta[0]),
    (delta_y, lower.delta[0]),
    (gradient_wb, upper.gradients["weights"]),
    (gradient_wa, lower.gradients["weights"]),
]:
    assert np.allclose(by_loops, by_mlpgrad, rtol=1e-12, atol=0)
print("mlpgrad: the same numbers, to 12 digits")

# %% [markdown]
# Side by side, one entry of each table, the two orange weights in the picture of the network:

# %%
print(f"{'':16}{'loops':>22}{'matrices':>22}{'mlpgrad':>22}")
for name, numbers in {
    "dL/dwa[0][1]": (gradient_wa[0][1], GRADIENT_WA[0, 1], lower.gradients["weights"][0, 1]),
    "dL/dwb[1][0]": (gradient_wb[1][0], GRADIENT_WB[1, 0], upper.gradients["weights"][1, 0]),
}.items():
    print(f"{name:16}" + "".join(f"{number:22.15f}" for number in numbers))

# %% [markdown]
# `mg.explain` puts the numbers of a network into the lecture's formulas. Here are the deltas, first
# of the outputs, then of the hidden layer; it counts from 1, so `delta_y[0]` is its `delta_1`.
# (`print(explanation)` shows everything, from the input to the loss after one step;
# `explanation.to_html("step.html")` writes a page to walk through.)

# %%
explanation = mg.explain(model, X, Z_HAT)
for position in (2, 0):
    delta = explanation.find("delta", layer=position)
    print(f"{delta.formula:60}({delta.number})")
    for neuron in range(delta.value.shape[1]):
        print("   ", delta.line((0, neuron)))
    assert np.allclose(delta.value[0], delta_z if position else delta_y, rtol=1e-12, atol=0)

# %% [markdown]
# ## Checked without the formulas
#
# Three computations agree, but all use the same formulas: if the lecture were wrong, they would be
# wrong, too. A derivative is a slope, and a slope can be *measured*: move one weight up and down by
# a little $h$ and see how much the loss changes.
#
# $$\frac{\partial \mathcal{L}}{\partial w} \approx
# \frac{\mathcal{L}(w + h) - \mathcal{L}(w - h)}{2h}$$


# %%
def loss_of(wa, wb):
    y = [sigma(sum(x[i] * wa[i][j] for i in range(inputs))) for j in range(hidden)]
    z = [sigma(sum(y[j] * wb[j][k] for j in range(hidden))) for k in range(outputs)]
    return 0.5 * sum((z[k] - z_hat[k]) ** 2 for k in range(outputs))


def measured_slope(table, row, column, h):
    before = table[row][column]
    table[row][column] = before + h
    above = loss_of(wa, wb)
    table[row][column] = before - h
    below = loss_of(wa, wb)
    table[row][column] = before
    return (above - below) / (2 * h)


largest = 0.0
for table, gradient in [(wa, gradient_wa), (wb, gradient_wb)]:
    for row in range(len(table)):
        for column in range(len(table[0])):
            error = abs(measured_slope(table, row, column, h=1e-5) - gradient[row][column])
            largest = max(largest, error)

assert largest < 1e-10
print(f"{inputs * hidden + hidden * outputs} weights; no measured slope is off by more than 1e-10")

# %% [markdown]
# How small should $h$ be? A large $h$ measures the slope between two distant points instead of the
# slope *here*; with a tiny one the two losses are so close that their difference is lost in
# rounding. The best step lies in between:

# %%
steps = 10.0 ** np.arange(-13, 0.1, 0.5)
errors = [abs(measured_slope(wa, 0, 1, h) - gradient_wa[0][1]) for h in steps]

figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.loglog(steps, errors, "o-", color="#0072B2")
ax.text(3e-12, 3e-9, "rounding", color="#D55E00", ha="center")
ax.text(1e-1, 1e-10, "too far\naway", color="#D55E00", ha="center")
ax.set(xlabel="step h", ylabel="error of the measured slope", title="One weight, wa[0][1]")
ax.grid(alpha=0.3)

# %% [markdown]
# `mg.check_gradients` does this for any network, and chooses steps and tolerances by itself.
# Notebook 4 shows what it says about a gradient that is wrong; here it is correct:

# %%
rows = np.random.default_rng(0).normal(size=(8, inputs))
report = mg.check_gradients(model, rows, np.tile([z_hat, z_hat[::-1]], (4, 1)))
assert report
print(report)

# %% [markdown]
# ## It learns
#
# Now (3), over and over. *Exclusive or* is 1 where exactly one of two inputs is 1; no network
# without a hidden layer can compute it. A third input that is always 1 plays the part of the bias.
# The code is still plain loops: forward, (8), (9), (3), one example after the other.

# %%
examples = [([0, 0, 1], 0), ([0, 1, 1], 1), ([1, 0, 1], 1), ([1, 1, 1], 0)]
draw = random.Random(1)
wa = [[draw.uniform(-1, 1) for j in range(4)] for i in range(3)]
wb = [draw.uniform(-1, 1) for j in range(4)]  # one output: no index k
eta = 2.0


def forward(x):
    y = [sigma(sum(x[i] * wa[i][j] for i in range(3))) for j in range(4)]
    return y, sigma(sum(y[j] * wb[j] for j in range(4)))


losses = []
for _ in range(2000):
    total = 0.0
    for x, wanted in examples:
        y, z = forward(x)
        total += 0.5 * (z - wanted) ** 2  # (2)
        delta_z = (z - wanted) * z * (1 - z)  # (8), output
        delta_y = [delta_z * wb[j] * y[j] * (1 - y[j]) for j in range(4)]  # (8), hidden
        for j in range(4):
            wb[j] -= eta * delta_z * y[j]  # (9) in (3)
            for i in range(3):
                wa[i][j] -= eta * delta_y[j] * x[i]
    losses.append(total / 4)

for x, wanted in examples:
    z = forward(x)[1]
    assert round(z) == wanted
    print(f"{x[0]} xor {x[1]}: {z:.3f}, wanted {wanted}")

# %% [markdown]
# On the left is the loss while the network learns. On the right is the answer to every pair of
# inputs, not only to the four examples: it is near 0 along the diagonal and near 1 on both sides of
# it.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.semilogy(losses, color="#0072B2")
left.set(xlabel="times through the four examples", ylabel="mean loss", title="Learning")
left.grid(alpha=0.3)
ticks = np.linspace(-0.2, 1.2, 60)
answers = [[forward([a, b, 1])[1] for a in ticks] for b in ticks]
shown = right.contourf(ticks, ticks, answers, levels=np.linspace(0, 1, 11), cmap="RdBu")
figure.colorbar(shown, ax=right, label="output z")
for x, wanted in examples:
    right.plot(x[0], x[1], "o" if wanted else "s", color="white", ms=9)
    place = {"textcoords": "offset points", "ha": "center", "color": "white"}
    right.annotate(f"wanted {wanted}", x[:2], (0, 9), **place)
_ = right.set(xlabel="first input", ylabel="second input", title="What the network answers")

# %% [markdown]
# ## What you saw
#
# - A network's derivative with respect to *every* weight costs one pass up and one pass down.
# - The way down has one rule, (8): each neuron collects the deltas from above through the same
#   weights and multiplies their sum by the slope of its own sigmoid. A weight's derivative is delta
#   times input, (9).
# - The matrix form is the same set of formulas with the loops inside NumPy, and `mg.Dense` is that
#   matrix form.
# - A gradient can be checked without knowing where it comes from, by measuring slopes.
#
# `mg.explain(model, x, y)` shows any step of a network of your own with its numbers in these
# formulas. Next: [why gradients vanish](3-why-gradients-vanish.ipynb).
