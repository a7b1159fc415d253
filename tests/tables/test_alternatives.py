"""Encoders of ensembles whose members have different encodings of numbers."""

import numpy as np
import pytest

from mlpgrad.tables import (
    Alternatives,
    OneHot,
    QuantileBins,
    Standard,
    TableEncoder,
    TargetBins,
)
from mlpgrad.tables.alternatives import joined

RNG = np.random.default_rng([0, 1])
ROWS = 60
TABLE = {
    "size": np.where(np.arange(ROWS) % 7, RNG.normal(50, 10, ROWS), np.nan),
    "town": [("Bonn", "Ulm", None)[i] for i in RNG.integers(0, 3, ROWS)],
    "same": np.ones(ROWS),
    "rooms": RNG.integers(1, 6, ROWS),
}
TARGET = RNG.normal(size=(ROWS, 1))
MEMBERS = [RNG.choice(ROWS, 40, replace=False) for _ in range(3)]


def encoders(*numeric):
    """Encoders of three members each, as they are fitted for an ensemble with folds."""
    return [
        TableEncoder(one).plan(TABLE).fit_members(TABLE, TARGET, None, None, MEMBERS)
        for one in numeric
    ]


def features(encoder):
    return np.broadcast_to(encoder.transform(TABLE), (3, ROWS, encoder.width))


@pytest.mark.parametrize(
    "numeric",
    [
        (Standard(), QuantileBins(4), TargetBins(8, least_rows=2)),
        (TargetBins(8, least_rows=2), Standard()),
        (Standard(), QuantileBins(4)),
        (TargetBins(8, least_rows=2), TargetBins(2)),
    ],
)
def test_each_member_has_the_features_of_its_own_encoder(numeric):
    each = encoders(*numeric)
    encoder, places = joined(each, [3] * len(each))
    found = encoder.transform(TABLE)
    assert found.shape == (3 * len(each), ROWS, encoder.width)
    assert encoder.width < sum(one.width for one in each)  # columns share their places
    for number, (one, at) in enumerate(zip(each, places, strict=True)):
        mine = found[3 * number : 3 * number + 3]
        np.testing.assert_array_equal(mine[..., at], features(one))
        others = np.setdiff1d(np.arange(encoder.width), at)
        assert not mine[..., others].any()
        np.testing.assert_array_equal(encoder.member(3 * number).transform(TABLE), mine[0])
    assert len(encoder.feature_names_out()) == encoder.width
    assert encoder.column_names() == ("size", "town", "rooms")
    again = TableEncoder(encoder.numeric)
    again.restore(encoder.snapshot())
    np.testing.assert_array_equal(again.transform(TABLE), found)


def test_a_table_of_categories_has_one_state_for_all_members():
    table = {"town": TABLE["town"]}
    each = [TableEncoder(one).fit(table, TARGET) for one in (Standard(), QuantileBins())]
    encoder, places = joined(each, [2, 2])
    np.testing.assert_array_equal(encoder.transform(table), each[0].transform(table))
    np.testing.assert_array_equal(places, [np.arange(3)] * 2)


@pytest.mark.parametrize("wrong", [[], None, Standard(), "Standard", [OneHot()], [Standard]])
def test_other_things_than_encodings_of_numbers_are_refused(wrong):
    with pytest.raises(TypeError, match="expects a list of encodings of numbers such as"):
        Alternatives(wrong)


@pytest.mark.parametrize("which", [-1, 1, True, 0.0, "0"])
def test_a_state_that_names_no_encoding_is_refused(which):
    encoder = TableEncoder(Alternatives([Standard()])).fit(TABLE, TARGET)
    kept = encoder.snapshot()
    kept["states"][0][0]["which"] = which
    with pytest.raises(ValueError, match="encoder is inconsistent"):
        TableEncoder(encoder.numeric).restore(kept)
