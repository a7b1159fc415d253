# %% [markdown]
# # Optimizers compared
#
# **Which optimizer, and which learning rate?** This notebook lets eight of them learn the same
# thing from the same starts, each at eight learning rates. Then comes one that works differently:
# L-BFGS, which learns how the gradient changes and chooses the length of its steps by itself.
#
# You need to know what a loss and its gradient are ([notebook 1](1-quickstart.ipynb)). Everything
# here runs in about a minute.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import mlpgrad as mg

x, y = mg.datasets.spirals()
x_test, y_test = mg.datasets.spirals(4)  # the same spirals, with more points in between
x, x_test = x / 3, x_test / 3  # inputs of about size 1, whatever their unit was

figure, ax = plt.subplots(figsize=(4, 4), layout="constrained")
for label, marker, color in ((0, "o", "#D55E00"), (1, "s", "#0072B2")):
    ax.plot(*x[y == label].T, marker, color=color, ms=4, label=f"spiral {label}")
ax.set(title=f"{len(x)} points on two spirals", aspect="equal")
_ = ax.legend(loc="upper left")

# %% [markdown]
# ## The task
#
# The network has to tell on which of two spirals a point lies (Lang and Witbrock 1988). The task is
# small but hard, since each spiral winds three times around the other. The network has three hidden
# layers of 32 neurons. One that guesses, and gives both spirals the probability 1/2, has the loss
# log 2 = 0.69.
#
# ## Rules of the race
#
# - Every optimizer starts from the same five sets of random weights, because one start alone says
#   little. `ensemble_size=5` trains all five together.
# - Every optimizer sees all points 400 times (400 *epochs*), in batches of 32.
# - Every optimizer gets the learning rate that suits it best. At *one* common rate, the winner
#   would be whichever that rate happens to suit.

# %%
STARTS = 5
EPOCHS = 400  # smoke: 2
RATES = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]


def network(starts=STARTS, dtype="float32"):
    layers, width = [], 2
    for _ in range(3):
        layers += [mg.Dense(width, 32), mg.SiLU()]  # SiLU: a ReLU without a corner
        width = 32
    layers += [mg.Dense(width, 1)]
    loss = mg.SigmoidCrossEntropy()
    return mg.Sequential(layers, loss=loss, dtype=dtype, random_state=0, ensemble_size=starts)


def race(optimizer):
    """The five trained networks, and their losses (epochs, starts)."""
    model = network()
    try:
        history = model.fit(x, y, optimizer=optimizer, epochs=EPOCHS, batch_size=32, verbose=0)
    except mg.DivergenceError:  # the steps were so long that the numbers overflowed
        return model, np.full((EPOCHS, STARTS), np.inf)
    return model, np.array(history["loss"])


RACERS = {
    "SGD": mg.SGD,
    "SGD, momentum 0.9": lambda rate: mg.SGD(rate, momentum=0.9),
    "Adagrad": mg.Adagrad,
    "RMSprop": mg.RMSprop,
    "Adam": mg.Adam,
    "AdamW": mg.AdamW,
    "Adamax": mg.Adamax,
    "Lion": mg.Lion,
}
results = {name: [race(make(rate)) for rate in RATES] for name, make in RACERS.items()}

# %% [markdown]
# ## The learning rate
#
# The picture shows the loss after 400 epochs, the median of the five starts, at each rate:

# %%
COLORS = ["#1A1A1A", "#6F6F6F", "#E69F00", "#56B4E9", "#0072B2", "#009E73", "#CC79A7", "#D55E00"]
STYLES = ["-", "--", "-", "--", "-", ":", "--", "-"]
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for (name, runs), color, style in zip(results.items(), COLORS, STYLES, strict=True):
    medians = [np.median(losses[-1]) for _, losses in runs]
    ax.loglog(RATES, medians, style, marker="o", ms=4, color=color, lw=2, label=name)
ax.axhline(np.log(2), color="0.6", lw=1)
place = {"transform": ax.get_yaxis_transform(), "va": "bottom", "color": "0.4"}
ax.text(0.01, 0.85, "guessing: log 2", **place)
ax.set(xlabel="learning rate", ylabel="training loss after 400 epochs", ylim=(None, 3))
ax.grid(alpha=0.3)
_ = ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))

# %% [markdown]
# The curve of each adaptive optimizer is a valley: to the left the steps are too short to get
# anywhere in 400 epochs, to the right they are so long that they jump about. **The valleys are
# narrow, and they lie in different places**: a rate that is three times too large or too small
# often costs more than the choice among the better optimizers. RMSprop, Adam and AdamW divide a
# step by the usual size of the gradient, so their rate is about the length of a step in each
# weight. Adamax divides by the largest recent size, so it needs a larger rate. Lion moves every
# weight by the full rate in every step, so it needs a smaller one.
#
# ## Each at its best

# %%
best = {
    name: min(range(len(RATES)), key=lambda i, runs=runs: np.median(runs[i][1][-1]))
    for name, runs in results.items()
}
print("                     best rate   loss: median (lowest to highest) new points correct")
for name, runs in results.items():
    model, losses = runs[best[name]]
    share = np.median(model.evaluate(x_test, y_test)["accuracy"])
    low, median, high = np.quantile(losses[-1], [0, 0.5, 1])
    span = f"{median:.0e} ({low:.0e} to {high:.0e})"
    print(f"{name:20} {RATES[best[name]]:9}   {span:>32} {share:18.1%}")

final = {name: np.median(runs[best[name]][1][-1]) for name, runs in results.items()}
assert max(final[name] for name in ("RMSprop", "Adam", "AdamW", "Adamax")) < 0.1  # full size
assert final["SGD"] > 0.3

# %% [markdown]
# Look at the spread in parentheses before you name a winner: two starts of the *same* optimizer may
# differ by more than the medians of the adaptive ones. To tell Adam from AdamW would take many more
# starts. What five starts do show is that the optimizers that adapt to each weight solve the task,
# and that plain SGD has hardly begun, at any rate.
#
# ## With curvature: L-BFGS
#
# All of the above know only gradients: the present one and averages of earlier ones. L-BFGS (Liu
# and Nocedal 1989) keeps the last ten changes of the gradient and of the weights, and infers from
# them how the loss curves: it goes far where the loss bends gently, and only a little where it
# bends sharply. It searches along each direction for the distance to go, so there is no learning
# rate. In return it needs the exact gradient over all points at once, and cannot use batches.
#
# `mg.LBFGS()` is SciPy's implementation as a method of `fit`
# ([notebook 8](8-solve-it-outright.ipynb) uses it). Here we call SciPy ourselves, in order to count
# how often it looks at the points. `model.objective(x, y)` is the function that it asks for, from
# weights to loss and gradient:

# %%
starts = network().params.astype(np.float64)  # the same five


def lbfgs(start):
    """The trained network, and the lowest loss so far after each look at all points."""
    model = network(None, "float64")
    objective, seen = model.objective(x, y), []

    def watched(weights):
        loss, gradient = objective(weights)
        seen.append(loss)
        return loss, gradient

    limits = {"maxiter": EPOCHS, "maxfun": EPOCHS}
    found = minimize(watched, start, jac=True, method="L-BFGS-B", options=limits)
    model.params = found.x
    lowest = np.minimum.accumulate(seen)[:EPOCHS]
    return model, np.pad(lowest, (0, EPOCHS - len(lowest)), mode="edge"), len(seen)


curved = [lbfgs(start) for start in starts]
curves = np.array([losses for _, losses, _ in curved]).T
print("start   looks at all points   loss   new points correct")
for number, (model, losses, looks) in enumerate(curved):
    share = model.evaluate(x_test, y_test)["accuracy"]
    print(f"{number:5} {looks:21} {losses[-1]:8.0e} {share:19.1%}")

assert np.median(curves[-1]) < 0.01  # full size

# %% [markdown]
# All five solve the task, and stop by themselves once hardly anything changes any more. The next
# picture compares L-BFGS with the others at the same amount of work: an epoch and an evaluation by
# L-BFGS both look at each point once. The line is the median of the five starts, and the band goes
# from the lowest to the highest:

# %%
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
shown = {name: results[name][best[name]][1] for name in ("SGD", "SGD, momentum 0.9", "Adam")}
shown["Adamax"] = results["Adamax"][best["Adamax"]][1]
shown["L-BFGS"] = curves
colors = ["#1A1A1A", "#6F6F6F", "#0072B2", "#CC79A7", "#D55E00"]
for (name, losses), color, style in zip(shown.items(), colors, STYLES[:5], strict=True):
    low, median, high = np.quantile(losses, [0, 0.5, 1], axis=1)
    epochs = np.arange(1, EPOCHS + 1)
    ax.semilogy(epochs, median, style, color=color, lw=2, label=name)
    ax.fill_between(epochs, low, high, color=color, alpha=0.15, lw=0)
ax.set(xlabel="looks at all points (epochs)", ylabel="training loss")
ax.grid(alpha=0.3)
_ = ax.legend(loc="lower left")

# %% [markdown]
# What do these losses mean? Here are the answers of one of the five networks of three optimizers.
# The colour is the class that the network chooses, pale where it is in doubt:

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
models = {name: results[name][best[name]][0].member(0) for name in ("SGD", "Adam")}
models["L-BFGS"] = curved[0][0]
for ax, (name, model) in zip(axes, models.items(), strict=True):
    mg.plotting.decision_boundary(model, x, y, ax=ax)
    ax.set(title=name, aspect="equal")
    ax.get_legend().remove()

# %% [markdown]
# ## What you saw
#
# - The learning rate matters more than the choice among the better optimizers. Try values that
#   differ by a factor of three, over some powers of ten; `model.learning_rate_range_test` makes a
#   first guess from one short run.
# - Optimizers that adapt to each weight (Adam and its relatives) need the least care. Adam at 0.001
#   to 0.01 is a sensible first try.
# - With little data, few weights and no noise, L-BFGS is hard to beat, and has no rate to choose.
#   With many data the picture is reversed: an optimizer that learns from 32 points at a time has
#   made thousands of steps before L-BFGS has seen everything once.
# - Never compare single runs. With `ensemble_size`, several cost little more than one.
#
# Adagrad is by J. Duchi et al. (2011), RMSprop by T. Tieleman and G. Hinton (2012), Adam and Adamax
# by D. Kingma and J. Ba (2015), AdamW by I. Loshchilov and F. Hutter (2019), Lion by X. Chen et al.
# (2023). How to choose fairly: D. Choi et al., "On empirical comparisons of optimizers for deep
# learning" (2019). Next: [how sure is a network?](6-ensembles-and-uncertainty.ipynb)
