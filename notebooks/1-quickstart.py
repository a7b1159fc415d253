# %% [markdown]
# # Quickstart: handwritten digits
#
# A network of 64 inputs, 128 hidden units and 10 outputs learns to read the 1,797 digits that come
# with mlpgrad. Everything below takes a few seconds.

# %%
import matplotlib.pyplot as plt
import numpy as np

import mlpgrad as mg

x, y = mg.datasets.digits()
x_train, x_test, y_train, y_test = mg.datasets.split(x, y, 0.2, random_state=0)
x_train.shape, x_test.shape

# %% [markdown]
# Each row of `x` is an image of 8 by 8 pixels between 0 (white) and 1 (black); `y` holds the digit.

# %%
figure, axes = plt.subplots(1, 10, figsize=(9, 1.4), layout="constrained")
for ax, image, label in zip(axes, x_train, y_train, strict=False):
    ax.imshow(image.reshape(8, 8), cmap="gray_r")
    ax.set_title(int(label))
    ax.axis("off")

# %% [markdown]
# ## Build and train
#
# The loss belongs to the model; the optimizer is plugged in at `fit`. A fifth of the training rows,
# drawn class by class, is held out to decide when to stop; the best weights are kept.

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

# %%
ax = history.plot()

# %% [markdown]
# ## Test
#
# On the digits that training never saw:

# %%
result = model.evaluate(x_test, y_test)
assert result["accuracy"] > 0.96
result

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
# Back-propagation is easy to get slightly wrong. The checker compares every parameter's gradient
# with central differences in float64 and derives its tolerance from the error of its own estimate.

# %%
report = mg.check_gradients(model, x_train[:16], y_train[:16])
assert report
print(report)

# %% [markdown]
# ## Keep it

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.npz"
    model.save(path)
    again = mg.load(path)
assert (again.predict(x_test) == model.predict(x_test)).all()
