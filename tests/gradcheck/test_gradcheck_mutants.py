"""Every mistake of the benchmark's networks is found, and the hint names it."""

import pytest

import mlpgrad as mg
from tests.gradcheck import mutants

NETS = [*mutants.NETS]


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mistake_is_explained(mutant):
    net = NETS[mutants.MUTANTS.index(mutant) % len(NETS)]
    model, x, y = mutants.NETS[net](0)
    place = mutant.apply(model)
    report = mg.check_gradients(model, x, y, seed=0)
    assert report.verdict.value not in ("PASS", "KINK"), str(report)
    assert mutants.diagnosed(report, place, mutant.codes), str(report)


def test_there_are_mutants():
    assert len(mutants.MUTANTS) > 30
