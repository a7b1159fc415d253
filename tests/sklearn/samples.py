"""Data of the tests of the estimators: flowers by kind, and the progress of patients."""

import numpy as np
from sklearn.datasets import load_diabetes, load_iris

FLOWERS, SPECIES = load_iris(return_X_y=True)
FLOWERS = (FLOWERS - FLOWERS.mean(axis=0)) / FLOWERS.std(axis=0)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
