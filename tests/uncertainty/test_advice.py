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


def one_quantile(size=None):
    model = mg.Sequential(
        [mg.Dense(3, 1)], loss=mg.Quantile(0.9), random_state=0, ensemble_size=size
    )
    rng = np.random.default_rng(0)
    return model, rng.normal(size=(6, 3)), rng.normal(size=(6, 1))


CASES = [
    *(pytest.param(lambda size=None, c=c: loss_case(c, size=size), id=c.__name__) for c in LOSSES),
    pytest.param(without_the_median, id="quantiles without the median"),
    pytest.param(one_quantile, id="one quantile"),
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


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("case", [without_the_median, one_quantile])
def test_noise_around_a_quantile_that_is_not_the_median_is_refused(case, size):
    model, x, target = case(size)
    with pytest.raises(TypeError, match="expects predictions of the mean or the median, got Quant"):
        mg.Noise.fit(model, x, target)
    model.uncertainty = mg.Noise(0.3)
    with pytest.raises(TypeError, match="expects predictions of the mean or the median, got Quant"):
        model.log_likelihood(x, target)


def test_noise_around_the_median():
    model, x, target = one_quantile()
    model.loss = mg.Quantile(0.5)
    model.uncertainty = mg.Noise.fit(model, x, target)
    errors = model.predict(x) - target
    assert np.isclose(model.uncertainty.std, np.sqrt(np.square(errors).mean()))
