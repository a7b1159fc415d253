"""A Laplace approximation that is made by hand, with options that a fit would set."""

import numpy as np
import pytest

import mlpgrad as mg

JUNK = ["x", None, [[1.0]], [1.0, 2.0], object(), 1j]
OPTIONAL = ("log_evidence", "checksum")


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: type(junk).__name__)
@pytest.mark.parametrize(
    "option", ["prior_precision", "effective_parameters", "log_evidence", "checksum"]
)
def test_an_option_that_is_not_numbers_of_its_shape(option, junk):
    if junk is None and option in OPTIONAL:
        assert mg.Laplace(np.eye(3), **{option: junk}).config()[option] is None
        return
    with pytest.raises((TypeError, ValueError), match=f"^Laplace: {option} expects "):
        mg.Laplace(np.eye(3), **{option: junk})


@pytest.mark.parametrize("number", [-1.0, np.nan, np.inf, [1.0, -1.0, 1.0]], ids=str)
def test_a_precision_that_is_negative_or_not_finite(number):
    with pytest.raises(ValueError, match=r"^Laplace: prior_precision expects finite numbers >= 0"):
        mg.Laplace(np.eye(3), prior_precision=number)


@pytest.mark.parametrize(
    "prior", [2.0, [2.0, 2.0], np.full((2, 3), 2.0)], ids=lambda prior: str(np.shape(prior))
)
def test_members_of_one_that_is_common_to_an_ensemble(tmp_path, prior):
    model = mg.Sequential(
        [mg.Dense(2, 1)], loss=mg.MeanSquaredError(), ensemble_size=2, random_state=0
    )
    factor = np.stack([np.eye(3), 2 * np.eye(3)])
    model.uncertainty = mg.Laplace(factor, noise=[[0.1], [0.2]], prior_precision=prior)
    model.save(tmp_path / "model.npz")
    x = np.ones((1, 2))
    for ensemble in (model, model.copy(), mg.load(tmp_path / "model.npz")):
        for index, scale in enumerate([1, 2]):
            member = ensemble.member(index)
            assert np.all(np.asarray(member.uncertainty.prior_precision) == 2)
            expected = scale * np.sqrt(3 + 0.1**2)  # a row of ones, and the bias
            assert np.isclose(member.predict(x, std=True).std, expected)
