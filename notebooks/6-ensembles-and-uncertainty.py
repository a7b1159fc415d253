# %% [markdown]
# # How sure is a network?
#
# **A network always answers, also where it has seen nothing.** This notebook trains networks that
# say how sure they are, measures whether they are right about that, and shows what a few networks
# together know that one alone does not.
#
# You need to know what training is ([notebook 1](1-quickstart.ipynb)). Everything here runs in a
# few seconds.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

import mlpgrad as mg


def truth(x):
    return np.sin(1.5 * x)


def noise(x):
    """The standard deviation of what is measured: larger on the right."""
    return 0.05 + 0.25 / (1 + np.exp(-2 * x))


def measured(n, seed):
    """Points on both sides of a gap, from -1 to 1.5, in which nothing was measured."""
    rng = np.random.default_rng(seed)
    left = rng.random(n) < 0.5
    x = np.where(left, rng.uniform(-4, -1, n), rng.uniform(1.5, 4, n))
    return x[:, None], (truth(x) + noise(x) * rng.normal(size=n))[:, None]


x, y = measured(400, seed=0)
x_test, y_test = measured(4000, seed=1)

# %% [markdown]
# ## Two outputs: a mean, and how far off
#
# The usual network answers with one number. This one has two outputs for each x: the mean $m$ of
# what it expects, and $s$, the logarithm of the variance. Its loss is the negative logarithm of the
# probability of what was measured, under the normal law with this mean and variance (Nix and
# Weigend 1994):
#
# $$l = \tfrac12\big(s + (m - t)^2 e^{-s}\big)$$
#
# To claim a small variance and to be far off costs much; so does a large variance where none is
# needed. Here is one network, and the same thing twenty times from different starts
# (`ensemble_size=20`, trained together):


# %%
def network(size=None, seed=0):
    layers = [mg.Dense(1, 32), mg.Tanh(), mg.Dense(32, 32), mg.Tanh(), mg.Dense(32, 2)]
    return mg.Sequential(layers, loss=mg.GaussianNLL(), random_state=seed, ensemble_size=size)


NETWORKS = 20
one, many = network(), network(NETWORKS)
for model in (one, many):
    options = {"epochs": 300, "batch_size": 40, "verbose": 0}
    history = model.fit(x, y, optimizer=mg.Adam(0.005), **options)

wide = np.linspace(-5, 5, 200)
figure, axes = plt.subplots(2, 1, figsize=(8, 7), sharex=True, sharey=True, layout="constrained")
for ax, model, title in zip(axes, (one, many), ("One network", "Twenty networks"), strict=True):
    mg.plotting.regression_curve(model, x, y, ax=ax)
    ax.plot(wide, truth(wide), ":", color="black", lw=1.5, label="truth")
    ax.axvspan(-1, 1.5, color="0.9", zorder=0)
    ax.set(title=title, xlabel="x", ylabel="y", ylim=(-2.5, 2.5))
    ax.legend(loc="upper right", fontsize=8)

# %% [markdown]
# Both have found the curve and how the noise grows to the right. The grey strip is the gap without
# data. There the one network goes on as confidently as elsewhere, right or wrong: nothing has told
# it otherwise. The twenty agree where there was data and disagree in the gap (the inner band): each
# has filled it in its own way.
#
# ## Two kinds of doubt
#
# What do twenty answers $m_i \pm \sigma_i$ say together? Choose one of the networks by lot and draw
# a number from its law. The variance of what you get is the sum of two parts:
#
# $$\text{variance} = \underbrace{\tfrac1E \sum_i \sigma_i^2}_{\text{expected noise}} +
# \underbrace{\tfrac1E \sum_i (m_i - \bar m)^2}_{\text{disagreement}}$$
#
# The first part is noise in the world (*aleatoric* uncertainty, of dice): more data do not remove
# it. The second is ignorance (*epistemic*, of knowledge): it shrinks where data are added.


# %%
def laws(model, x):
    """Mean and standard deviation by each network, (networks, points)."""
    mean, log_variance = np.moveaxis(np.atleast_3d(model.predict(x)), -1, 0)
    return mean.astype(float), np.exp(log_variance / 2)


places = {"left, data": -2.5, "in the gap": 0.25, "right, data": 2.5}
means, deviations = laws(many, np.array(list(places.values()))[:, None])
expected, disagreement = np.sqrt(np.mean(deviations**2, axis=0)), means.std(axis=0)
print("place            x   true noise   expected noise   disagreement")
for i, (name, at) in enumerate(places.items()):
    print(f"{name:12} {at:5.2f} {noise(at):12.2f} {expected[i]:16.2f} {disagreement[i]:14.2f}")

left, gap, right = range(3)
assert disagreement[gap] > 2 * max(disagreement[left], disagreement[right])
assert expected[left] < expected[right] / 2

# %% [markdown]
# ## Are they right about it?
#
# A forecast is **calibrated** if what it gives a chance of 80 % happens in 80 % of the cases. Here
# that can be tested: for 4,000 new points we look where the measured number lies in the forecast's
# law, as a share from 0 to 1 (its *probability integral transform*: 0.1 says that a tenth of the
# forecast lay below). Then we count how many lie in the middle 50 %, 80 %, 90 %, 95 %. The
# ensemble's law is the mixture of its twenty laws.
#
# The new points come from where data were, and, for a harder test, from the gap:


# %%
def inside(model, x, y, levels):
    """Share of targets in the central part of each level, by each network, and by the mixture."""
    mean, deviation = laws(model, x)
    places = norm.cdf(y[:, 0], mean, deviation)  # (networks, points)
    centre = np.abs(2 * np.vstack([places, places.mean(axis=0)]) - 1)
    shares = np.array([(centre <= level).mean(axis=1) for level in levels])
    return shares[:, :-1], shares[:, -1]


rng = np.random.default_rng(2)
x_gap = rng.uniform(-1, 1.5, (4000, 1))
y_gap = truth(x_gap) + noise(x_gap) * rng.normal(size=x_gap.shape)

levels = np.linspace(0.02, 0.98, 49)
figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, layout="constrained")
data = {"Where data were": (x_test, y_test), "In the gap": (x_gap, y_gap)}
for ax, (title, (new_x, new_y)) in zip(axes, data.items(), strict=True):
    alone, mixture = inside(many, new_x, new_y, levels)
    ax.plot(levels, alone, color="#56B4E9", lw=0.8, label=["each network"] + [None] * 19)
    ax.plot(levels, mixture, color="#D55E00", lw=2.5, label="all together")
    ax.plot([0, 1], [0, 1], "--", color="0.3", lw=1, label="calibrated")
    ax.set(title=title, xlabel="chance given", aspect="equal")
    ax.grid(alpha=0.3)
axes[0].set_ylabel("share that came true")
_ = axes[0].legend(loc="upper left")

# %%
print("chance given                    50 %   80 %   90 %   95 %")
for title, (new_x, new_y) in data.items():
    alone, mixture = inside(many, new_x, new_y, [0.5, 0.8, 0.9, 0.95])
    for name, shares in (("one, on average", alone.mean(axis=1)), ("all together", mixture)):
        print(f"{title:16} {name:15}" + "".join(f"{share:7.0%}" for share in shares))

alone, mixture = inside(many, x_gap, y_gap, [0.9])
assert mixture[0] > alone.mean() + 0.05

# %% [markdown]
# Where data were, one network is about right already, and so are all together: within a few per
# cent. In the gap a network by itself is far too sure. Together they are better, and **not** right:
# that the twenty differ shows ignorance, but nothing makes them differ by as much as they are off.
#
# ## How many networks?
#
# One number for the quality of a forecast: its loss on new data, the negative logarithm of the
# probability that it gave to what was measured (lower is better; now with its constant, so that
# mixtures can be compared). For 1, 2, 5, ... of the twenty:


# %%
def surprise(model, x, y, members):
    """Mean negative log likelihood of the mixture of some networks."""
    mean, deviation = laws(model, x)
    log_density = norm.logpdf(y[:, 0], mean, deviation)[members]
    return -np.mean(logsumexp(log_density, axis=0) - np.log(len(members)))


choose = np.random.default_rng(3)
print("networks   where data were   in the gap")
found = {}
for count in (1, 2, 5, 10, NETWORKS):
    groups = [choose.permutation(NETWORKS)[:count] for _ in range(20)]
    found[count] = [np.mean([surprise(many, *d, g) for g in groups]) for d in data.values()]
    print(f"{count:8} {found[count][0]:17.3f} {found[count][1]:12.3f}")

assert found[NETWORKS][0] < found[1][0]
assert found[NETWORKS][1] < found[1][1] / 2

# %% [markdown]
# Where data were, there was little to gain. In the gap the surprise is enormous, because a forecast
# that is sure and wrong costs most. A second network halves it, roughly; each doubling after that
# takes less off. `ensemble_size=5` is a sensible habit wherever the answer matters.
#
# ## Two inputs
#
# The same for a surface: points everywhere in a square but in one corner. The dashed lines are
# the standard deviation (noise and disagreement together) that the ensemble gives; a point that can
# hardly be seen is predicted well:

# %%
rng = np.random.default_rng(4)
points = rng.uniform(-1, 1, (900, 2))
points = points[~(points > 0).all(axis=1)]
heights = np.sin(3 * points[:, 0]) * np.cos(2 * points[:, 1])
heights = heights + 0.05 * rng.normal(size=len(points))

layers = [mg.Dense(2, 32), mg.Tanh(), mg.Dense(32, 32), mg.Tanh(), mg.Dense(32, 2)]
surface = mg.Sequential(layers, loss=mg.GaussianNLL(), random_state=0, ensemble_size=10)
surface.fit(points, heights, optimizer=mg.Adam(0.005), epochs=150, batch_size=50, verbose=0)
figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
_ = mg.plotting.regression_surface(surface, points, heights, ax=ax)

# %% [markdown]
# With more inputs there is no map to draw. `ensemble_spread` shows each sample instead, sorted by
# what the ensemble predicts, with the range of its members. Here are 60 new points from the whole
# square, the missing corner included. The band is about the surface, without the noise of a single
# measurement, so many crosses lie a little outside. Where the networks are far off, the band is
# wide:

# %%
new = rng.uniform(-1, 1, (60, 2))
height = np.sin(3 * new[:, 0]) * np.cos(2 * new[:, 1]) + 0.05 * rng.normal(size=60)
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
_ = mg.plotting.ensemble_spread(surface, new, height, ax=ax)

mean, deviation = laws(surface, new)
corner = (new > 0.2).all(axis=1)
print(f"disagreement: {mean.std(axis=0)[corner].mean():.3f} in the missing corner,")
print(f"              {mean.std(axis=0)[~corner].mean():.3f} elsewhere")
assert mean.std(axis=0)[corner].mean() > 1.5 * mean.std(axis=0)[~corner].mean()

# %% [markdown]
# ## What you saw
#
# - A second output and `mg.GaussianNLL` make a network say how noisy its data are.
# - One network does not know what it has not seen. Several, from different starts, disagree there.
# - Trust is to be measured: draw the calibration curve on data that nobody trained on.
# - Limits: disagreement is a sign, no guarantee. Networks of the same kind may be wrong together,
#   the more so the further from the data; and of an error that all measurements had in common they
#   cannot know.
#
# Mean and variance from one network: D. Nix and A. Weigend (1994). Ensembles as here:
# B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive uncertainty
# estimation using deep ensembles" (2017).
