# %% [markdown]
# # Solve it outright
#
# **A small problem need not be trained for thousands of steps.** Where all rows fit into memory and
# the network has up to a few thousand parameters, methods that use curvature often reach the
# minimum in a few dozen iterations, to as many digits as a computer has. This notebook uses them,
# and then looks at the curvature itself: what it says about a network, about its data, and about
# how sure the network may be.
#
# You need to know what training is ([notebook 1](1-quickstart.ipynb)). Everything here runs in a
# few seconds.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import eigsh

import mlpgrad as mg

# four points cannot determine nine weights, of which the library warns; here, that is the problem
warnings.simplefilter("ignore", mg.TrainingWarning)

# %% [markdown]
# ## XOR in a handful of iterations
#
# Two inputs, two hidden units, one output: the smallest network that can learn XOR. The method of
# **Levenberg and Marquardt** replaces the step along the gradient by the solution of a linear
# system, which knows how each output depends on each weight. One hundred networks from different
# initial weights are trained together; one has solved the problem when all four answers are within
# 0.1:

# %%
x, y = mg.datasets.xor()
x, target = 2 * x - 1, 2.0 * y - 1  # inputs and answers are -1 and 1


def small(size=None):
    layers = [mg.Dense(2, 2), mg.Sigmoid(), mg.Dense(2, 1)]
    return mg.Sequential(
        layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=0, ensemble_size=size
    )


hundred = small(100)
method = mg.LevenbergMarquardt(regularisation=None)
history = hundred.fit(x, target, optimizer=method, epochs=100, verbose=0)
solved = (np.abs(hundred.predict(x)[..., 0] - target) < 0.1).all(axis=1)
losses = np.array(history["loss"])
needed = 1 + (losses < 1e-3).argmax(axis=0)
print(f"{solved.sum()} of 100 networks solve XOR: the fastest in {needed.min()} iterations,")
print(f"half of them in {np.median(needed):.0f} or fewer")

assert solved.all()
assert np.median(needed) < 10

# %% [markdown]
# ## Four ways down
#
# The same network is trained from the same weights by four methods. An epoch is one pass over the
# four rows for Adam, and an iteration for the others, which look at all rows at once:
#
# - `Adam` takes a step along the gradient, scaled by what it has seen of it;
# - `LBFGS` guesses the curvature from the last few gradients, and searches along a line;
# - `TrustNewton` uses the exact curvature, within a distance that it trusts;
# - `LevenbergMarquardt` uses the part of the curvature that is never negative.

# %%
methods = {
    "Adam": mg.Adam(0.05),
    "L-BFGS": mg.LBFGS(gtol=1e-12, ftol=0),
    "Newton, trust region": mg.TrustNewton(gtol=1e-12, ftol=0),
    "Levenberg-Marquardt": mg.LevenbergMarquardt(regularisation=None),
}
figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
lowest = {}
for name, optimizer in methods.items():
    losses = small().fit(x, target, optimizer=optimizer, epochs=80, verbose=0)["loss"]
    lowest[name] = min(losses)
    ax.semilogy(1 + np.arange(len(losses)), losses, label=name)
ax.set(xlabel="epoch", ylabel="loss", ylim=(1e-32, 3))
_ = ax.legend()

assert lowest["Levenberg-Marquardt"] < 1e-20 < lowest["Adam"]

# %% [markdown]
# Close to the minimum, the methods that know the curvature fall ever more steeply: each iteration
# adds more correct digits than the one before, until the computer has no more digits.
#
# All of them run under the same `fit`: with validation data, early stopping, callbacks, sample
# weights and ensembles. They need all rows at each iteration, so for a hundred thousand rows
# minibatches are the better way.
#
# ## Two spirals
#
# Lang and Witbrock's spirals (1988) were a benchmark for years, since networks of their time needed
# thousands of epochs. Each class winds three times around the other:

# %%
x, y = mg.datasets.spirals()
x = (x - x.mean(axis=0)) / x.std(axis=0)
layers = [mg.Dense(2, 20), mg.SiLU(), mg.Dense(20, 20), mg.SiLU(), mg.Dense(20, 1)]
spirals = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0)


class UntilCorrect(mg.Callback):
    """Ends the training when every point is on its side."""

    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = bool((self.model.predict_classes(x) == y).all())


method = mg.LevenbergMarquardt(regularisation=None)
epochs = 300  # smoke: 3
history = spirals.fit(x, y, optimizer=method, epochs=epochs, callbacks=[UntilCorrect()], verbose=0)
print(f"all {len(x)} points are correct after {history.epochs} iterations")
figure, ax = plt.subplots(figsize=(5, 4.6), layout="constrained")
_ = mg.plotting.decision_boundary(spirals, x, y, ax=ax)

assert (spirals.predict_classes(x) == y).all()  # full size

# %% [markdown]
# ## The curvature of a network
#
# You can look at what the methods use. `model.curvature(x, y)` is the matrix of second derivatives
# of the loss (the Hessian), as an operator that multiplies vectors: nothing of size P x P is ever
# stored, so that it works for any network, and everything in `scipy.sparse.linalg` takes it. Its
# largest eigenvalues tell how large a learning rate may be: gradient descent diverges above 2
# divided by the largest one.

# %%
x, y = mg.datasets.moons(300, noise=0.15, random_state=0)
layers = [mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)]
moons = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), dtype="float64", random_state=0)
moons.penalties = [mg.L2(1e-3)]
before = np.linalg.eigvalsh(moons.hessian(x, y))
moons.fit(x, y, optimizer=mg.LBFGS(), epochs=300, verbose=0)
after = np.linalg.eigvalsh(moons.hessian(x, y))
largest = eigsh(moons.curvature(x, y), k=1, which="LA", return_eigenvectors=False)[0]
print(f"largest eigenvalue {largest:.3f}, by eigsh without the matrix and by the matrix alike")
print(f"gradient descent needs a learning rate below {2 / largest:.1f}")

figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for name, values in (("before training", before), ("after training", after)):
    ax.plot(np.arange(1, 34), values[::-1], "o-", ms=3, label=name)
ax.axhline(0, color="0.7", lw=1)
ax.set_yscale("symlog", linthresh=1e-3)
ax.set(xlabel="number of the eigenvalue", ylabel="eigenvalue of the Hessian")
_ = ax.legend()

assert np.isclose(largest, after[-1])
assert before.min() < 0 < after.min()

# %% [markdown]
# Before training there are negative eigenvalues: directions in which the loss bends down, so the
# weights are not near a minimum. After training there are none. A few directions are steep, and
# most are almost flat: along the flat ones, the data say next to nothing about the weights.
#
# ## Which samples matter
#
# `per_example_gradients` gives the gradient of each sample by itself, and
# `per_example_gradient_norms` its length alone, in the time of one gradient. A sample whose label
# is wrong pulls hard at a network that has learnt the others. Here ten of the three hundred labels
# are switched:

# %%
wrong = np.random.default_rng(1).choice(len(x), 10, replace=False)
labels = y.copy()
labels[wrong] = 1 - labels[wrong]
moons.fit(x, labels, optimizer=mg.LBFGS(), epochs=300, verbose=0)
norms = moons.per_example_gradient_norms(x, labels)
suspects = np.argsort(norms)[::-1][:10]
found = np.isin(suspects, wrong).sum()
print(f"of the ten samples with the largest gradients, {found} have a wrong label")

assert found >= 7

# %% [markdown]
# ## How sure the answer is
#
# The flat directions are what the data leave open. With `regularisation="bayes"`, the default of
# `LevenbergMarquardt`, the training data alone also say how strongly the weights should decay and
# how large the noise is, by MacKay's evidence (1992); no validation data are needed. A Laplace
# approximation then turns the flat directions into a standard deviation of the prediction, to which
# the noise is added:

# %%
rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(-4, -1, 40), rng.uniform(1.5, 4, 40)])[:, None]
y = np.sin(1.5 * x[:, 0]) + 0.1 * rng.normal(size=80)
layers = [mg.Dense(1, 12), mg.SiLU(), mg.Dense(12, 1)]
curve = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
history = curve.fit(x, y, optimizer=mg.LevenbergMarquardt(), epochs=200, verbose=0)
print(f"{history['effective_parameters'][-1]:.1f} of {curve.params.size} parameters are determined")
print(f"noise {history['noise'][-1]:.2f}, where 0.10 was added")

curve.laplace(x, y)
grid = np.linspace(-5, 5, 400)[:, None]
mean, std = curve.predict(grid, std=True)
figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
ax.fill_between(
    grid[:, 0], (mean - 2 * std)[:, 0], (mean + 2 * std)[:, 0], alpha=0.25, label="+-2 deviations"
)
ax.plot(grid, mean, label="prediction")
ax.plot(grid, np.sin(1.5 * grid), ":", color="black", label="truth")
ax.plot(x, y, ".", color="0.4", ms=4)
ax.set(ylim=(-3, 3), xlabel="x")
_ = ax.legend(loc="upper right", ncols=2)

inside, gap = (curve.predict(np.array([[at]]), std=True).std[0, 0] for at in (-2.5, 0.25))
print(f"standard deviation {inside:.2f} among the data, {gap:.2f} in the gap")
assert 0.07 < history["noise"][-1] < 0.14
assert gap > 1.5 * inside

# %% [markdown]
# ## What to take away
#
# - For small problems with all rows in memory, use `LevenbergMarquardt` with squared errors and
#   cross-entropies, and `LBFGS` for any smooth loss and for more parameters.
# - `curvature`, `hessian_vector_product` and `jacobian` are exact, and checked against PyTorch and
#   the library's own checker; `eigsh` and `cg` take the operator as it is.
# - The norms of the samples' gradients find samples that do not fit; the flat directions show what
#   the data leave open.
#
# Levenberg and Marquardt for networks: M. Hagan and M. Menhaj, "Training feedforward networks with
# the Marquardt algorithm" (1994). Evidence: D. MacKay, "A practical Bayesian framework for
# backpropagation networks" (1992). Spectra: L. Sagun et al., "Empirical analysis of the Hessian of
# over-parametrized neural networks" (2017).
