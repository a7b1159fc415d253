"""Networks around every layer and loss, with parameters whose derivatives can be tested."""

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import BATCH, FEATURES, LAYERS, LOSSES, loss_case


def between_case(cls, dtype=np.float64, size=None):
    """A layer's example between two others, so that its derivatives reach parameters."""
    inner = cls.example()
    layers = [mg.Dense(FEATURES, FEATURES), inner, mg.Dense(inner.out_features or FEATURES, 2)]
    model = mg.Sequential(
        layers, loss=mg.HalfSquaredError(), dtype=dtype, random_state=0, ensemble_size=size
    )
    rng = np.random.default_rng(1)
    model.params = model.params + 0.3 * rng.normal(size=model.params.shape)
    return model, rng.normal(size=(BATCH, FEATURES)), rng.normal(size=(BATCH, 2))


CASES = [pytest.param(between_case, cls, id=cls.__name__) for cls in LAYERS]
CASES += [pytest.param(loss_case, cls, id=cls.__name__) for cls in LOSSES]
every_case = pytest.mark.parametrize(("case", "cls"), CASES)

RANDOM = {cls for cls in LAYERS if cls.is_random}
MIXING = {cls for cls in LAYERS if cls.mixes_samples}


def modes(cls):
    """The modes in which a class has all derivatives."""
    return (False,) if cls in RANDOM | MIXING else (True, False)


def penalised(case, cls, size=None):
    """A case with penalties."""
    model, x, y = case(cls, size=size)
    model.penalties = [mg.L2(0.3, kinds=("weights", "gain"))]
    return model, x, y
