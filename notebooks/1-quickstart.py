# %% [markdown]
# # Quickstart: handwritten digits
#
# A network of 64 inputs, 128 hidden units and 10 outputs learns to read the 1,797 digits that come
# with mlpgrad. Everything below takes a few seconds. You need no knowledge of neural networks to
# follow it; [notebook 2](2-backpropagation-by-hand.ipynb) explains how they learn.
#
# ## Data
#
# `x` holds the images and `y` the digits that they show. A fifth of them is set aside for a test at
# the end.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mlpgrad as mg

x, y = mg.datasets.digits()
x_train, x_test, y_train, y_test = mg.datasets.split(x, y, 0.2, random_state=0)
x_train.shape, x_test.shape

# %% [markdown]
# Each row of `x` is an image of 8 by 8 pixels, 64 numbers between 0 (white) and 1 (black):

# %%
figure, axes = plt.subplots(1, 10, figsize=(9, 1.4), layout="constrained")
for ax, image, label in zip(axes, x_train, y_train, strict=False):
    ax.imshow(image.reshape(8, 8), cmap="gray_r")
    ax.set_title(int(label))
    ax.axis("off")

# %% [markdown]
# ## Build and train
#
# A network is a list of layers. `Dense(64, 128)` computes 128 sums of the 64 pixels, each with its
# own weights; `ReLU()` replaces negative numbers by 0; `Dense(128, 10)` computes one number for
# each digit from those, and the digit with the largest number is the answer. The **loss** measures
# how wrong the answers are. `SoftmaxCrossEntropy` turns the ten numbers into probabilities and
# takes minus the logarithm of the correct digit's: it is 0 for a network that is certain and
# correct, and log 10 = 2.3 for one that guesses.
#
# `fit` changes the weights step by step so that the loss falls. The **optimizer** decides how far
# each step goes; here it is Adam with a learning rate of 0.001. An **epoch** is one pass through
# the training data. A fifth of these data is held out once more (`validation_split`): when the loss
# on it has not improved for 15 epochs, training stops, and the best weights are restored.

# %%
model = mg.Sequential(
    [mg.Dense(64, 128), mg.ReLU(), mg.Dense(128, 10)],
    loss=mg.SoftmaxCrossEntropy(),
    random_state=0,
)
print(model.summary())
history = model.fit(
    x_train,
    y_train,
    optimizer=mg.Adam(1e-3),
    epochs=100,
    validation_split=0.2,
    callbacks=[mg.EarlyStopping(15)],
    verbose=0,
)
history

# %% [markdown]
# The picture shows the loss in each epoch. On the digits that it is trained on, the network gets
# better and better; what counts is the dashed line, the loss on the digits that were held out:

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
_ = history.plot(ax=ax)

# %% [markdown]
# ## Test
#
# `accuracy` is the share of correct answers on the digits that training never saw, and
# `baseline_accuracy` that of always naming the most frequent digit:

# %%
result = model.evaluate(x_test, y_test)
assert result["accuracy"] > 0.96
result

# %% [markdown]
# These digits are misread. Some of them are hard for a person, too:

# %%
read = model.predict_classes(x_test)
wrong = np.flatnonzero(read != y_test)
figure, axes = plt.subplots(1, len(wrong), figsize=(len(wrong), 1.6), layout="constrained")
for ax, i in zip(np.atleast_1d(axes), wrong, strict=True):
    ax.imshow(x_test[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{y_test[i]}, read as {read[i]}", fontsize=7)
    ax.axis("off")

# %% [markdown]
# ## Check the gradient
#
# To know which way to change each weight, `fit` computes the *gradient*: how the loss changes with
# each of the 9,610 numbers in the network. The formulas for it, back-propagation, are easy to get
# slightly wrong. The checker compares them with slopes that it measures by moving the weights a
# little, and it derives from the error of that measurement how large a difference may be.
# [Notebook 4](4-check-your-own-gradients.ipynb) explains the report.

# %%
report = mg.check_gradients(model, x_train[:16], y_train[:16])
assert report
print(report)

# %% [markdown]
# ## Keep it
#
# `save` writes one file; the model that `load` reads from it gives the same predictions.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.npz"
    model.save(path)
    again = mg.load(path)
assert (again.predict(x_test) == model.predict(x_test)).all()
