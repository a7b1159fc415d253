"""Questions about uncertainty that a model cannot answer are refused with advice that works."""

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import LOSSES, loss_case


def without_the_median(size=None):
    model = mg.Sequential(
        [mg.Dense(3, 2)], loss=mg.Quantile([0.1, 0.9]), random_state=0, ensemble_size=size
    )
    rng = np.random.default_rng(0)
    return model, rng.normal(size=(6, 3)), rng.normal(size=(6, 1))


CASES = [
    *(pytest.param(lambda size=None, c=c: loss_case(c, size=size), id=c.__name__) for c in LOSSES),
    pytest.param(without_the_median, id="quantiles without the median"),
]
QUESTIONS = [
    pytest.param(lambda model, x, target: model.predict(x, std=True), id="std"),
    pytest.param(lambda model, x, target: model.log_likelihood(x, target), id="likelihood"),
]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("case", CASES)
def test_the_advice_of_a_refusal_works(case, question):
    model, x, target = case()
    try:
        question(model, x, target)
        return
    except (TypeError, ValueError) as error:
        text = str(error)
    if "train with a cross-entropy" in text:
        model.loss = mg.SigmoidCrossEntropy()
    if "use predict_proba(x, average=True)" in text:
        assert np.isfinite(model.predict_proba(x, average=True)).all()
    if "ensemble_size=5" in text:
        question(*case(size=5))
    if "call model.laplace(x, y)" in text:
        model.laplace(x, target)
        question(model, x, target)
    if "mg.Noise.fit(model, x, y)" in text:
        model.uncertainty = mg.Noise.fit(model, x, target)
        question(model, x, target)
