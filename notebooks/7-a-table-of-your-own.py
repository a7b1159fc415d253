# %% [markdown]
# # A table of your own
#
# **From a file to a model that answers.** This notebook takes a table as people have it, with
# dollar signs, gaps and names of towns, trains a network on it with one command, and asks the saved
# model about houses that it has not seen. Then it does the same in Python, line by line.
#
# You need nothing but a table: a header, a row for each house, and a column to predict.

# %%
import csv
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mlpgrad as mg
from mlpgrad.cli import main
from mlpgrad.tables import TableEncoder

os.chdir(tempfile.mkdtemp())  # a folder of its own for the files that follow
TOWNS = {"Ansbach": 0, "Bamberg": 40_000, "Coburg": -25_000, "Dachau": 180_000}


def houses(count, seed):
    """Invented houses: what a price is made of, and a noise of 20,000."""
    rng = np.random.default_rng(seed)
    area = rng.uniform(40, 250, count).round(1)
    age = rng.integers(0, 100, count)
    town = rng.choice(list(TOWNS), count)
    price = 60_000 + 2_400 * area - 900 * age + [TOWNS[name] for name in town]
    return area, age, town, price + rng.normal(0, 20_000, count)


def write(path, count, seed, with_price=True):
    """Write them as a person would: `$420,000`, and here and there an age that nobody knows."""
    with Path(path).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["house", "area", "age", "town", *["price"] * with_price])
        for i, (area, age, town, price) in enumerate(zip(*houses(count, seed), strict=True)):
            known = "" if i % 25 == 3 else age
            table.writerow([f"H{i:04}", area, known, town, *[f"${price:,.0f}"] * with_price])


write("houses.csv", 600, seed=0)
print(*Path("houses.csv").read_text().splitlines()[:5], sep="\n")

# %% [markdown]
# ## One command
#
# In a terminal it is `mlpgrad train houses.csv --target price`; `main` does the same here. Read
# what it prints before you trust it:
#
# - how the file was read, and what each column was taken for: `house` names the rows and is left
#   out, `age` has gaps, `town` is text and is taken for categories, and `price` has a dollar sign
#   and is a quantity;
# - how large the error in dollars is on rows that took no part in the training (`test`), beside
#   that of the simplest answer there is: the mean price;
# - how far a price lies from its prediction, typically, and whether the bounds that follow from it
#   hold the share of prices that they should.

# %%
assert main(["train", "houses.csv", "--target", "price", "--quiet", "--seed", "1"]) == 0

# %% [markdown]
# The noise alone is 20,000, which no model can predict; the mean price is off by almost eight times
# as much.
#
# ## Ask the model
#
# The saved file holds everything that an answer needs: how columns are encoded, the scaling of
# inputs and prices, and the network. So new houses need nothing but their columns. In a terminal:
# `mlpgrad predict mlpgrad-output/model.npz new.csv --id house --interval 0.95 --output prices.csv`

# %%
write("new.csv", 200, seed=1, with_price=False)
model_file = "mlpgrad-output/model.npz"
options = ["--id", "house", "--interval", "0.95", "--output", "prices.csv"]
assert main(["predict", model_file, "new.csv", *options]) == 0
print(*Path("prices.csv").read_text().splitlines()[:4], sep="\n")

# %%
with open("prices.csv") as file:
    rows = list(csv.DictReader(file))
predicted, low, high = (
    np.array([float(row[name]) for row in rows]) for name in ("price", "price_low", "price_high")
)
true = houses(200, seed=1)[3]
print(f"{np.mean((low <= true) & (true <= high)):.1%} of the prices are within their bounds")

figure, ax = plt.subplots(figsize=(5, 5))
ax.plot(true / 1000, predicted / 1000, ".", alpha=0.6)
ax.axline((0, 0), slope=1, color="black", linewidth=1)
ax.set(xlabel="true price, thousands", ylabel="predicted price, thousands")
plt.show()

# %% [markdown]
# `mlpgrad evaluate` compares answers with a file that has prices, `mlpgrad info` tells what is in a
# saved model:

# %%
assert main(["evaluate", model_file, "houses.csv"]) == 0
assert main(["info", model_file]) == 0

# %% [markdown]
# ## The same in Python
#
# A `TableEncoder` recognises the columns by the same rules, and belongs to the model, as does the
# scaling of the target: `fit`, `predict` and the metrics take and give the data's own columns and
# dollars. A frame of pandas or polars works as well as this dict of columns.


# %%
def columns(count, seed):
    area, age, town, price = houses(count, seed)
    return {
        "area": area,
        "age": np.where(np.arange(count) % 25 == 3, np.nan, age),
        "town": town,
    }, price


x, price = columns(600, seed=0)
encoder = TableEncoder().plan(x)
model = mg.Sequential(
    [mg.Dense(encoder.width, 64), mg.ReLU(), mg.Dense(64, 1)],
    loss=mg.MeanSquaredError(),
    target_scaling="standard",
    encoder=encoder,
    random_state=0,
)
history = model.fit(
    x,
    price,
    optimizer=mg.Adam(),
    epochs=500,
    validation_split=0.2,
    callbacks=[mg.EarlyStopping(30)],
    verbose=0,
)
x_new, true = columns(200, seed=1)
print(encoder.summary())
print(model.evaluate(x_new, true, metrics=[mg.RootMeanSquared(), mg.R2()]))

# %% [markdown]
# ## What you saw
#
# - `mlpgrad train FILE --target COLUMN` says what it takes each column for, and compares its error
#   with that of the simplest answer. If the network is not better, it says so.
# - It refuses what it cannot read, naming line and column, and the option or the correction that
#   helps.
# - One file holds the whole model: `mlpgrad predict`, `evaluate`, `info` and `explain` use it, and
#   `mg.load` in Python.
