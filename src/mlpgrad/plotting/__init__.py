"""Pictures of data, training and networks, drawn with matplotlib (the extra `plot`).

Every function takes `ax=`, draws into it (or into a new figure) and returns the Axes. matplotlib is
imported when the first picture is drawn. The callbacks `LivePlot`, which draws the learning curves
during training, and `LayerSignals`, which records what `layer_signals` draws, are here too.

>>> import mlpgrad as mg
>>> x, y = mg.datasets.moons(200, noise=0.2, random_state=0)
>>> model = mg.Sequential([mg.Dense(2, 16), mg.Tanh(), mg.Dense(16, 1)],
...                       loss=mg.SigmoidCrossEntropy(), random_state=0, ensemble_size=5)
>>> history = model.fit(x, y, optimizer=mg.Adam(0.02), epochs=20, verbose=0)
>>> ax = mg.plotting.decision_boundary(model, x, y)
>>> ax.figure.savefig("boundary.png")  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from mlpgrad._core.advice import members
from mlpgrad.plotting.boundary import decision_boundary
from mlpgrad.plotting.classes import confusion_matrix
from mlpgrad.plotting.coverage import interval_coverage
from mlpgrad.plotting.curves import learning_curves
from mlpgrad.plotting.landscape import loss_landscape
from mlpgrad.plotting.layers import weights
from mlpgrad.plotting.live import LivePlot
from mlpgrad.plotting.prediction_curve import regression_curve
from mlpgrad.plotting.prediction_surface import regression_surface
from mlpgrad.plotting.rates import range_test
from mlpgrad.plotting.reports import gradient_report
from mlpgrad.plotting.signal_recorder import LayerSignals
from mlpgrad.plotting.signals import layer_signals
from mlpgrad.plotting.spread import ensemble_spread

__all__ = [
    "LayerSignals",
    "LivePlot",
    "confusion_matrix",
    "decision_boundary",
    "ensemble_spread",
    "gradient_report",
    "interval_coverage",
    "layer_signals",
    "learning_curves",
    "loss_landscape",
    "range_test",
    "regression_curve",
    "regression_surface",
    "weights",
]

if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
