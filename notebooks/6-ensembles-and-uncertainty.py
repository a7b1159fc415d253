# %% [markdown]
# # How sure is a network?
#
# **A network always answers, even where it has seen nothing.** This notebook trains networks that
# say how sure they are, measures whether they deserve that trust, and shows what several networks
# together know that one alone does not.
#
# You need to know what training is ([notebook 1](1-quickstart.ipynb)). Everything here runs in a
# few seconds.

# %%
import matplotlib.pyplot as plt
import numpy as np

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
# ## Two outputs: a mean and a variance
#
# The usual network answers with one number. This one has two outputs for each x: the mean $m$ of
# what it expects, and $s$, the logarithm of the variance. Its loss is the negative logarithm of the
# probability of what was measured, under the normal law with this mean and variance (Nix and
# Weigend 1994):
#
# $$l = \tfrac12\big(s + (m - t)^2 e^{-s}\big)$$
#
# It is expensive to claim a small variance and to be far off, and it is expensive to claim a large
# variance where none is needed. We train one network, and twenty more from different starts
# (`ensemble_size=20` trains them together):


# %%
def network(size=None, seed=0):
    layers = [mg.Dense(1, 32), mg.Tanh(), mg.Dense(32, 32), mg.Tanh(), mg.Dense(32, 2)]
    return mg.Sequential(layers, loss=mg.GaussianNLL(), random_state=seed, ensemble_size=size)


NETWORKS = 20
EPOCHS = 300  # smoke: 2
one, many = network(), network(NETWORKS)
for model in (one, many):
    options = {"epochs": EPOCHS, "batch_size": 40, "verbose": 0}
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
# data. There the single network goes on as confidently as elsewhere, since nothing has told it
# otherwise. The twenty agree where there are data and disagree in the gap (the inner band): each
# has filled it in its own way.
#
# ## Two kinds of doubt
#
# What do twenty answers $m_i \pm \sigma_i$ say together? Choose one of the networks at random and
# draw a number from its distribution. The variance of what you get is the sum of two parts:
#
# $$\text{variance} = \underbrace{\tfrac1E \sum_i \sigma_i^2}_{\text{expected noise}} +
# \underbrace{\tfrac1E \sum_i (m_i - \bar m)^2}_{\text{disagreement}}$$
#
# The first part is noise in the world (*aleatoric* uncertainty, after the Latin word for dice):
# more data do not remove it. The second part is ignorance (*epistemic* uncertainty, after the Greek
# word for knowledge): it shrinks where data are added. `predict(x, std=True)` gives the mean and
# the square root of the sum; `predict(x)` gives the answers of the networks, whose means are the
# first output:

# %%
places = {"left, data": -2.5, "in the gap": 0.25, "right, data": 2.5}
at = np.array(list(places.values()))[:, None]
mean, std = many.predict(at, std=True)
disagreement = many.predict(at)[..., :1].std(axis=0)
expected = np.sqrt(std**2 - disagreement**2)
print("place            x   true noise   expected noise   disagreement   together")
for i, (name, x_here) in enumerate(places.items()):
    row = f"{name:12} {x_here:5.2f} {noise(x_here):12.2f} {expected[i, 0]:16.2f}"
    print(f"{row} {disagreement[i, 0]:14.2f} {std[i, 0]:10.2f}")

left, gap, right = range(3)
assert disagreement[gap] > 2 * max(disagreement[left], disagreement[right])  # full size
assert expected[left] < expected[right] / 2  # full size

# %% [markdown]
# ## Do they deserve that trust?
#
# A forecast is **calibrated** if events to which it gives a chance of 80 % happen in 80 % of the
# cases. Here that can be tested: `predict(x, interval=0.8)` gives the bounds between which a new
# measurement should lie with a probability of 80 %, and for 4,000 new points we count how many do.
# `interval_coverage` draws that for all levels. The new points come from where the data were and,
# as a harder test, from the gap:

# %%
rng = np.random.default_rng(2)
x_gap = rng.uniform(-1, 1.5, (4000, 1))
y_gap = truth(x_gap) + noise(x_gap) * rng.normal(size=x_gap.shape)

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, layout="constrained")
data = {"Where data were": (x_test, y_test), "In the gap": (x_gap, y_gap)}
for ax, (title, (new_x, new_y)) in zip(axes, data.items(), strict=True):
    mg.plotting.interval_coverage(many, new_x, new_y, ax=ax)
    ax.set_title(title)
    ax.grid(alpha=0.3)


# %%
def covered(model, x, y, level):
    """The share of measurements within the bounds that the model gives."""
    low, high = model.predict(x, interval=level)
    return np.mean((low <= y) & (y <= high))


print("chance given                    50 %   80 %   90 %   95 %")
for title, (new_x, new_y) in data.items():
    for name, model in (("one of them", many.member(0)), ("all together", many)):
        shares = [covered(model, new_x, new_y, level) for level in (0.5, 0.8, 0.9, 0.95)]
        print(f"{title:16} {name:15}" + "".join(f"{share:7.0%}" for share in shares))

alone = np.mean([covered(many.member(i), x_gap, y_gap, 0.9) for i in range(NETWORKS)])
assert covered(many, x_gap, y_gap, 0.9) > alone + 0.05  # full size

# %% [markdown]
# Where the data were, a single network is nearly calibrated already, and so is the ensemble: both
# are a few percentage points too cautious. In the gap a single network is far too sure. The
# ensemble is better, but **not** calibrated: the disagreement of the twenty shows that they do not
# know, but nothing makes it as large as their errors.
#
# ## How many networks?
#
# One number for the quality of a forecast: the logarithm of the probability density that it gave to
# what was measured, on average (`log_likelihood`, higher is better). We change its sign and call it
# surprise. The table shows it for groups of 1, 2, 4, 10 and 20 of the networks, which `share` takes
# out of the ensemble:

# %%
print("networks   where data were   in the gap")
found = {}
for count in (1, 2, 4, 10, NETWORKS):
    groups = [many.share(slice(i, i + count)) for i in range(0, NETWORKS, count)]
    found[count] = [-np.mean([g.log_likelihood(*d) for g in groups]) for d in data.values()]
    print(f"{count:8} {found[count][0]:17.3f} {found[count][1]:12.3f}")

assert found[NETWORKS][0] < found[1][0]  # full size
assert found[NETWORKS][1] < found[1][1] / 2  # full size

# %% [markdown]
# Where the data were, there was little to gain. In the gap the surprise of a single network is
# enormous, because a forecast that is sure and wrong costs most. A second network roughly halves
# it; further ones reduce it by less and less. `ensemble_size=5` is a sensible habit wherever the
# answer matters.
#
# ## One network that knows what it has not seen
#
# Training twenty networks costs twenty trainings. A **Laplace approximation** asks one trained
# network another question: how different could its weights be and still fit the data nearly as
# well? The answer is a normal distribution around the weights found, whose width follows from the
# curvature of the loss there. `laplace` also estimates by the evidence how noisy the data are. The
# noise is the same everywhere, since the network now has one output and a squared error:

# %%
layers = [mg.Dense(1, 32), mg.Tanh(), mg.Dense(32, 32), mg.Tanh(), mg.Dense(32, 1)]
plain = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
plain.fit(x, y, optimizer=mg.Adam(0.005), epochs=EPOCHS, batch_size=40, verbose=0)
print(plain.laplace(x, y))

figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
mg.plotting.regression_curve(plain, x, y, ax=ax)
ax.plot(wide, truth(wide), ":", color="black", lw=1.5, label="truth")
ax.axvspan(-1, 1.5, color="0.9", zorder=0)
ax.set(ylim=(-2.5, 2.5))
_ = ax.legend(loc="upper right", fontsize=8)

# %%
near, inside_gap = (plain.predict(new, std=True).std.mean() for new in (x_test, x_gap))
print(f"standard deviation: {near:.2f} where data were, {inside_gap:.2f} in the gap")
for title, (new_x, new_y) in data.items():
    print(f"{title:16} surprise {-plain.log_likelihood(new_x, new_y):.3f}")

assert inside_gap > 1.5 * near  # full size

# %% [markdown]
# One training is enough to see the gap: there the surprise is even lower than that of the twenty.
# Where the data were, the ensemble is better, since it knows that the noise is larger on the right.
# A Laplace approximation works for any trained network with a squared error or a cross-entropy;
# with classes, `predict_proba` becomes less sure away from the data.
#
# ## Two inputs
#
# The same works for a surface. The points lie everywhere in a square except in one corner. The
# dashed lines show the standard deviation (noise and disagreement together) that the ensemble
# gives; a point whose colour is that of the surface is predicted well:

# %%
rng = np.random.default_rng(4)
points = rng.uniform(-1, 1, (900, 2))
points = points[~(points > 0).all(axis=1)]
heights = np.sin(3 * points[:, 0]) * np.cos(2 * points[:, 1])
heights = heights + 0.05 * rng.normal(size=len(points))

layers = [mg.Dense(2, 32), mg.Tanh(), mg.Dense(32, 32), mg.Tanh(), mg.Dense(32, 2)]
surface = mg.Sequential(layers, loss=mg.GaussianNLL(), random_state=0, ensemble_size=10)
surface.fit(points, heights, optimizer=mg.Adam(0.005), epochs=EPOCHS // 2, batch_size=50, verbose=0)
figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
_ = mg.plotting.regression_surface(surface, points, heights, ax=ax)

# %% [markdown]
# With more inputs, no map can be drawn. `ensemble_spread` shows each sample instead, sorted by what
# the ensemble predicts, with the range of its members. Here are 60 new points from the whole
# square, including the missing corner. The band is that of the surface, without the noise of a
# single measurement, so many crosses lie a little outside:

# %%
new = rng.uniform(-1, 1, (60, 2))
height = np.sin(3 * new[:, 0]) * np.cos(2 * new[:, 1]) + 0.05 * rng.normal(size=60)
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
_ = mg.plotting.ensemble_spread(surface, new, height, ax=ax)

disagreement = surface.predict(new)[..., 0].std(axis=0)
corner = (new > 0.2).all(axis=1)
print(f"disagreement: {disagreement[corner].mean():.3f} in the missing corner,")
print(f"              {disagreement[~corner].mean():.3f} elsewhere")
assert disagreement[corner].mean() > 1.5 * disagreement[~corner].mean()  # full size

# %% [markdown]
# ## What you saw
#
# - A second output and `mg.GaussianNLL` make a network say how noisy its data are.
# - One network does not know what it has not seen. Several networks from different starts disagree
#   there.
# - `predict(x, std=True)` and `predict(x, interval=0.9)` answer for all of them together.
# - A Laplace approximation gives one network a sense of what it has not seen.
# - Measure before you trust: draw the coverage of the intervals on data that took no part in the
#   training.
# - There are limits: disagreement is a sign, not a guarantee. Networks of the same kind may be
#   wrong together, the more so the further they are from the data, and they cannot know of an error
#   that all measurements share.
#
# Mean and variance from one network: D. Nix and A. Weigend (1994). Ensembles as here: B.
# Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive uncertainty
# estimation using deep ensembles" (2017). Laplace approximations of networks: D. MacKay, "A
# practical Bayesian framework for backpropagation networks" (1992).
