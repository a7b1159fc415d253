"""scikit-learn estimators with mlpgrad's networks (the extra `sklearn`): change one import.

>>> from mlpgrad.sklearn import MLPClassifier  # was: from sklearn.neural_network import ...
>>> from sklearn.datasets import load_iris
>>> X, y = load_iris(return_X_y=True)
>>> classifier = MLPClassifier(random_state=0, max_iter=50, tol=0.1).fit(X, y)
>>> classifier.classes_
array([0, 1, 2])
"""

from typing import TYPE_CHECKING

from mlpgrad._core.advice import members
from mlpgrad._core.extras import require

require("sklearn", "sklearn")

from mlpgrad.sklearn.classifier import MLPClassifier  # noqa: E402  # after the check above
from mlpgrad.sklearn.regressor import MLPRegressor  # noqa: E402
from mlpgrad.sklearn.tabular_classifier import TabularMLPClassifier  # noqa: E402
from mlpgrad.sklearn.tabular_regressor import TabularMLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor", "TabularMLPClassifier", "TabularMLPRegressor"]

if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
