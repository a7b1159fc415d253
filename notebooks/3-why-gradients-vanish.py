# %% [markdown]
# # Why gradients vanish
#
# **Why did networks with many layers not learn for decades, and what repaired them?** This notebook
# stacks layers until learning stops, measures why, and then tries the four repairs that made deep
# networks possible: better initial weights, other activations, normalization, and shortcuts.
#
# You need [notebook 2](2-backpropagation-by-hand.ipynb): what a delta is, and rule (8). Everything
# here runs in a few seconds.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import mlpgrad as mg
from mlpgrad.layers import walk

x, y = mg.datasets.digits()  # 8 x 8 pixels, ten classes
x, x_test, y, y_test = mg.datasets.split(x, y, 0.2, random_state=0)
EPOCHS = 20  # smoke: 2

# %% [markdown]
# ## The suspect: a slope of at most one quarter
#
# A hidden neuron's delta is collected from the layer above and multiplied by the slope of its own
# activation:
#
# $$\delta_j = \Big(\sum_k \delta_k w_{jk}\Big)\, \sigma'(s_j), \qquad
# \sigma'(s_j) = y_j (1 - y_j) \tag{8}$$
#
# So on its way down through ten layers, a delta is multiplied by ten slopes. Here are three
# activations $a(s)$ and their slopes. The sigmoid's slope is nowhere above 1/4, and close to 0 on
# both sides, where the sigmoid is flat ("saturated"):

# %%
s = np.linspace(-6, 6, 400)
curves = {
    "sigmoid": (1 / (1 + np.exp(-s)), np.exp(-s) / (1 + np.exp(-s)) ** 2),
    "tanh": (np.tanh(s), 1 - np.tanh(s) ** 2),
    "ReLU": (np.maximum(s, 0), (s > 0).astype(float)),
}
COLORS = {"sigmoid": "#D55E00", "tanh": "#0072B2", "ReLU": "#009E73"}
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for ax, number, title in zip(axes, (0, 1), ("activation a(s)", "its slope a'(s)"), strict=True):
    for (name, pair), style in zip(curves.items(), ("-", "--", ":"), strict=True):
        ax.plot(s, pair[number], style, color=COLORS[name], lw=2, label=name)
    ax.set(title=title, xlabel="sum s of a neuron", ylim=(-1.1, 1.6))
    ax.grid(alpha=0.3)
axes[1].annotate("1/4", (0, 0.25), (-3, 0.6), arrowprops={"arrowstyle": "->"})
_ = axes[0].legend()

# %% [markdown]
# ## Measured: from layer to layer
#
# `deep(depth)` is a network with that many hidden layers of 32 neurons each. `flow` sends 256
# digits through it and looks at each hidden layer in both directions:
#
# - **backward**, the size of the deltas: their root mean square. (The loss is an average over the
#   batch, so each row of `layer.delta` is 1/256 of that sample's own delta; the factor undoes it.)
# - **forward**, how differently the neurons respond to different digits: the standard deviation
#   over the 256 digits. Where it is 0, all digits look alike, and nothing above can tell them
#   apart.


# %%
def deep(depth, activation=mg.Sigmoid, initializer=None, norm=None, shortcut=False, networks=None):
    layers, width = [], 64
    for _ in range(depth):
        block = [mg.Dense(width, 32, initializer=initializer)]
        block += [norm(32)] if norm else []
        block += [activation()]
        layers += [mg.Residual(block)] if shortcut and width == 32 else block
        width = 32
    layers += [mg.Dense(width, 10)]
    return mg.Sequential(
        layers,
        loss=mg.SoftmaxCrossEntropy(),
        dtype="float64",  # float32 ends at about 7 digits, too few for what follows
        random_state=0,
        ensemble_size=networks,
    )


def flow(model):
    model.backpropagate(x[:256], y[:256])
    layers = [layer for _, layer in walk(model.layers)]
    hidden = [layer for layer in layers if isinstance(layer, mg.Dense)][:-1]
    above = [layer for layer in layers if isinstance(layer, mg.Activation)]
    deltas = [np.sqrt(np.mean((256 * layer.delta) ** 2)) for layer in hidden]
    spreads = [np.sqrt(layer.outputs.var(axis=0).mean()) for layer in above]
    return np.array(deltas), np.array(spreads)


deltas, spreads = flow(deep(10))
print("hidden layer  delta    spread over the digits")
for number in range(10, 0, -1):
    print(f"{number:12}  {deltas[number - 1]:.1e}  {spreads[number - 1]:.1e}")

# %% [markdown]
# Read the deltas from top to bottom, the way they flow: each layer leaves less than a quarter, and
# little of what the loss says reaches the first layer. Read the spread from bottom to top: the
# differences between the digits fade on their way up as well, for the same reason. The slope says
# how much of a *difference* a neuron passes on, in both directions.
#
# What is the factor? A layer's deltas are a sum over 32 weights times a slope. The initial weights
# (Glorot's, the usual choice) have variance $1/32$, which keeps the size of such a sum. What is
# left is the slope:

# %%
model = deep(10)
model.backpropagate(x[:256], y[:256])
slopes = [
    np.sqrt(np.mean((layer.outputs * (1 - layer.outputs)) ** 2))
    for layer in model.layers
    if isinstance(layer, mg.Sigmoid)
]
print(f"slope of the sigmoids, root mean square:    {np.mean(slopes):.3f}")
print(f"delta, one layer compared with that above:  {np.mean(deltas[:-1] / deltas[1:]):.3f}")
assert np.mean(slopes) <= 0.25

# %% [markdown]
# ## Measured: with depth
#
# A fixed factor for each layer means an exponential law. So the gradient of the *first* layer's
# weights, drawn on a logarithmic scale against depth, should follow a straight line. The length of
# a gradient (its norm) is the square root of the sum of its squares.

# %%
depths = np.arange(2, 15)
norms = {name: [] for name in COLORS}
for name, activation in {"sigmoid": mg.Sigmoid, "tanh": mg.Tanh, "ReLU": mg.ReLU}.items():
    for depth in depths:
        model = deep(depth, activation)
        model.backpropagate(x[:256], y[:256])
        norms[name].append(np.linalg.norm(model.layers[0].gradients["weights"]))

rate = np.polyfit(depths, np.log(norms["sigmoid"]), 1)[0]
print(f"sigmoid: each further layer leaves {np.exp(rate):.2f} of the first layer's gradient")
assert 0.1 < np.exp(rate) < 0.25

figure, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for (name, values), marker in zip(norms.items(), "os^", strict=True):
    ax.semilogy(depths, values, marker + "-", color=COLORS[name], label=name)
ax.set(
    xlabel="hidden layers",
    ylabel="norm of the gradient",
    title="Gradient of the first layer's weights, before training",
)
ax.grid(alpha=0.3)
_ = ax.legend()

# %% [markdown]
# ## Does it matter? Training
#
# A small gradient alone could be cured by a larger step. Adam does just that: it divides the step
# of each weight by the size of its gradients, down to about 1e-8. It helps less than one would
# think, because the differences between the digits have faded as well. For each depth, three
# networks are trained for 20 epochs (`ensemble_size=3` trains them side by side):


# %%
def train(model):
    history = model.fit(x, y, optimizer=mg.Adam(1e-3), epochs=EPOCHS, verbose=0)
    return model.evaluate(x_test, y_test)["accuracy"], history


print("hidden layers   accuracy of three sigmoid networks on new digits")
for depth in (1, 2, 4, 6, 8, 10):
    accuracies, _ = train(deep(depth, networks=3))
    print(f"{depth:13}   " + "   ".join(f"{accuracy:.2f}" for accuracy in accuracies))
assert accuracies.max() < 0.5  # full size

# %% [markdown]
# With one hidden layer most digits are read correctly. With ten the networks are not far from
# guessing (0.10), though they have *more* weights. `mg.LayerSignals` is a callback that records the
# deltas of each layer while a network trains, and `mg.plotting.layer_signals` draws them. On the
# left are ten sigmoid layers, on the right ten ReLU layers:

# %%
figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
for ax, activation in zip(axes, (mg.Sigmoid, mg.ReLU), strict=True):
    recorder = mg.LayerSignals()
    model = deep(10, activation)
    model.fit(x, y, optimizer=mg.Adam(1e-3), epochs=EPOCHS, callbacks=[recorder], verbose=0)
    mg.plotting.layer_signals(recorder, ax=ax)
    ax.set(ylim=(1e-8, 10), title=f"{activation.__name__}\n{ax.get_title()}")
    first = recorder.records["delta"]["0 Dense(64, 32)"][0]
    last = recorder.records["delta"]["20 Dense(32, 10)"][0]
    print(f"{activation.__name__:8} after one epoch, first layer's delta / last layer's: ", end="")
    print(f"{first / last:.0e}")

# %% [markdown]
# The sigmoid's lines are fanned out over six powers of ten, the first layer (dark) lowest. For
# about ten epochs nothing else happens; only then have the weights grown so far that the first
# layers wake up, and the loss begins to fall. The ReLU's lines lie close together from the
# beginning: all layers learn at once.
#
# ## Repair 1: initial weights of the right size
#
# The other factor in (8) is the weights. If they are too small, every layer shrinks what passes
# through it; if they are too large, it blows up, or drives the neurons to the flat ends of their
# activation. In between there is a size that keeps it level. It depends on the number of inputs of
# a neuron and on the activation:
#
# | initializer | variance of a weight | made for |
# |---|---|---|
# | `mg.GlorotUniform()` | 2 / (inputs + outputs) | tanh |
# | `mg.HeNormal()` | 2 / inputs | ReLU, which silences half of the neurons |
# | `mg.Orthogonal(gain)` | gain² / inputs, for square tables | deep linear networks |
#
# mlpgrad chooses Glorot or He by itself, from the activation that follows. They are compared with
# two sizes that someone might choose without much thought. An initializer of your own is a class
# with one method:


# %%
class Normal(mg.Initializer):
    """Normally distributed weights with the same standard deviation in every layer."""

    def __init__(self, deviation):
        self.deviation = deviation

    def __call__(self, rng, shape):
        return rng.normal(0, self.deviation, shape)


initializers = {
    "0.02: too small": Normal(0.02),
    "Glorot": mg.GlorotUniform(),
    "He": mg.HeNormal(),
    "orthogonal": mg.Orthogonal(),
    "1: too large": Normal(1.0),
}


def draw_flows(models, axes, title):
    for color, marker, (name, model) in zip(PALETTE, "osv^D", models.items(), strict=False):
        for ax, values in zip(axes, flow(model), strict=True):
            layers = range(1, len(values) + 1)
            ax.semilogy(layers, values, marker + "-", ms=4, color=color, label=name)
            ax.grid(alpha=0.3)
    axes[0].set(title=title)
    axes[1].set(xlabel="hidden layer")


PALETTE = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00"]
figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained", sharex=True, sharey="row")
for column, activation in zip(axes.T, (mg.Sigmoid, mg.Tanh, mg.ReLU), strict=True):
    models = {name: deep(10, activation, rule) for name, rule in initializers.items()}
    draw_flows(models, column, activation.__name__)
axes[0, 0].set_ylabel("delta (flows right to left)")
axes[1, 0].set_ylabel("spread over digits\n(flows left to right)")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
_ = figure.suptitle("Ten hidden layers before training")

# %% [markdown]
# - **Too small** breaks all three: deltas and differences fade, tanh and ReLU included.
# - **Too large**: with ReLU everything explodes from layer to layer. With tanh, deltas grow on the
#   way down even though most neurons sit at their flat ends.
# - **He for ReLU, Glorot or orthogonal for tanh** keep the lines level. The size that suits one
#   activation is a little too small (Glorot for ReLU) or too large (He for tanh) for another.
# - **The sigmoid** is level with none of them. It needs weights about four times as large as tanh
#   does, to make up for the slope of 1/4; its best line here is the orange one.
#
# One choice never works: the same initial value for all weights. Then all neurons of a layer
# compute the same, get the same delta, and stay equal for ever; with zeros nothing flows at all.
# `fit` warns of it.

# %%
model = deep(2, mg.Tanh, initializer=mg.Constant(0.05))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(x, y, optimizer=mg.Adam(1e-3), epochs=5, verbose=0)
print(caught[0].message)
columns = model.layers[0].params.weights.T
print("a layer of", len(np.unique(columns.round(5), axis=0)), "neuron, 32 times")
assert np.allclose(columns, columns[0], atol=1e-5)

# %% [markdown]
# ## Repair 2: normalization
#
# Instead of hoping that sums keep a good size, we can enforce it in each layer: subtract a mean,
# and divide by a standard deviation. `mg.BatchNorm` and `mg.LayerNorm` differ in what is averaged:
#
# - `BatchNorm(32)`: each *neuron* over the samples of the batch. Differences between digits are
#   brought back to size 1 in every layer.
# - `LayerNorm(32)`: each *sample* over the neurons of the layer. Differences between neurons are
#   brought to size 1, also those that are the same for all digits.
#
# ## Repair 3: shortcuts
#
# A residual block adds its input to its output, $y = x + f(x)$: `mg.Residual([...])`. A delta then
# has a way down that passes no slope and no weight. Here are the repairs, all with sigmoids:

# %%
repairs = {
    "sigmoid": deep(10),
    "+ LayerNorm": deep(10, norm=mg.LayerNorm),
    "+ BatchNorm": deep(10, norm=mg.BatchNorm),
    "+ shortcuts": deep(10, shortcut=True),
}
figure, axes = plt.subplots(2, 1, figsize=(6.5, 6), layout="constrained", sharex=True)
draw_flows(repairs, axes, "Ten sigmoid layers before training")
axes[0].set_ylabel("delta (flows right to left)")
axes[1].set_ylabel("spread over digits\n(flows left to right)")
_ = figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)

# %% [markdown]
# BatchNorm and shortcuts make the lines nearly level. LayerNorm helps less here, for the reason
# given above: most of what differs between the neurons of a deep sigmoid layer is the same for all
# digits. What it leaves, Adam can make up for, as the next table shows.
#
# ## All repairs, trained
#
# Each row has three networks with ten hidden layers, trained for 20 epochs by the same optimizer.
# The first column of numbers is the delta of the first hidden layer over that of the tenth, before
# training.

# %%
study = {
    "sigmoid": {},
    "sigmoid, weights N(0, 1)": {"initializer": Normal(1.0)},
    "sigmoid, LayerNorm": {"norm": mg.LayerNorm},
    "sigmoid, BatchNorm": {"norm": mg.BatchNorm},
    "sigmoid, shortcuts": {"shortcut": True},
    "tanh": {"activation": mg.Tanh},
    "tanh, weights N(0, 0.02²)": {"activation": mg.Tanh, "initializer": Normal(0.02)},
    "tanh, weights N(0, 1)": {"activation": mg.Tanh, "initializer": Normal(1.0)},
    "ReLU": {"activation": mg.ReLU},
    "ReLU, weights N(0, 0.02²)": {"activation": mg.ReLU, "initializer": Normal(0.02)},
    "ReLU, BatchNorm": {"activation": mg.ReLU, "norm": mg.BatchNorm},
}
losses, best = {}, {}
print(f"{'ten hidden layers':27}delta 1st / 10th   accuracy of three networks")
for name, options in study.items():
    deltas, _ = flow(deep(10, **options))
    accuracies, history = train(deep(10, networks=3, **options))
    losses[name], best[name] = np.array(history["loss"]), accuracies.max()
    shown = "   ".join(f"{accuracy:.2f}" for accuracy in accuracies)
    print(f"{name:27}{deltas[0] / deltas[-1]:16.0e}   {shown}")

assert best["sigmoid"] < 0.5  # full size
assert min(best["sigmoid, BatchNorm"], best["tanh"], best["ReLU"]) > 0.9  # full size

# %% [markdown]
# The picture shows the loss of some of them over the 20 epochs. A network that knows nothing and
# gives each digit the probability 1/10 has the loss log 10 = 2.3:

# %%
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
chosen = {
    "sigmoid": ("#D55E00", "-"),
    "ReLU, weights N(0, 0.02²)": ("#1A1A1A", "--"),
    "sigmoid, weights N(0, 1)": ("#E69F00", "--"),
    "sigmoid, BatchNorm": ("#CC79A7", "-"),
    "tanh": ("#0072B2", "-."),
    "ReLU": ("#009E73", ":"),
}
for name, (color, style) in chosen.items():
    epochs = np.arange(1, EPOCHS + 1)
    ax.semilogy(epochs, losses[name].mean(axis=1), style, color=color, lw=2, label=name)
    ax.fill_between(
        epochs, losses[name].min(axis=1), losses[name].max(axis=1), color=color, alpha=0.15, lw=0
    )
ax.axhline(np.log(10), color="0.6", lw=1)
place = {"transform": ax.get_yaxis_transform(), "va": "center", "color": "0.4"}
ax.text(1.01, np.log(10), "guessing: log 10", **place)
ax.set(
    xticks=range(0, EPOCHS + 1, 5),
    xlabel="epoch",
    ylabel="training loss",
    title="Mean and range of three networks",
)
ax.grid(alpha=0.3)
_ = ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.4))

# %% [markdown]
# ## What you saw
#
# - Back-propagation multiplies by one slope and one table of weights for each layer. Ten factors of
#   0.23 leave less than a millionth: the gradient *vanishes*. Factors above 1 make it *explode*.
# - The same factors act on the differences between samples on their way up. A deep sigmoid network
#   fails in both directions, and larger steps alone are no cure.
# - The repairs keep the factor near 1: weights whose size suits the activation (He with ReLU,
#   Glorot with tanh; mlpgrad's choice by default), activations with slope 1, normalization,
#   shortcuts.
# - To see it in a network of your own, pass `mg.LayerSignals()` to `fit` as a callback, then draw
#   it with `mg.plotting.layer_signals(recorder)`; `what="activation"`, `"gradient"` and
#   `"saturated"` show activations, gradients and dead neurons.
#
# The law was found by S. Hochreiter (1991) and Y. Bengio, P. Simard and P. Frasconi (1994); the
# repairs are by X. Glorot and Y. Bengio (2010), K. He et al. (2015, 2016), S. Ioffe and C. Szegedy
# (2015), and J. L. Ba et al. (2016). Next:
# [check your own gradients](4-check-your-own-gradients.ipynb).
