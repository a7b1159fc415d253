"""Encoders of ensembles whose members have different encodings of numbers."""

import numpy as np
import pytest

from mlpgrad.tables import OneHot, QuantileBins, Standard, TableEncoder, TargetBins
from mlpgrad.tables.alternatives import Alternatives, joined

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


@pytest.mark.parametrize(
    "wrong",
    [[], None, Standard(), "Standard", [OneHot()], [Standard], [Alternatives([Standard()])]],
)
def test_other_things_than_encodings_of_numbers_are_refused(wrong):
    with pytest.raises(TypeError, match="expects a list of encodings of numbers such as"):
        Alternatives(wrong)


@pytest.mark.parametrize("states", [None, 7, [[{}]], [7] * 4, [None] * 4, {"a": 1}])
def test_states_of_another_form_are_refused(states):
    encoder, _ = joined(encoders(Standard(), QuantileBins(4)), [3, 3])
    kept = encoder.snapshot() | {"states": states}
    with pytest.raises(ValueError, match="description of a table's encoder"):
        TableEncoder(encoder.numeric).restore(kept)


@pytest.mark.parametrize("which", [-1, 2, False, 0.0, "0", None])
def test_a_state_that_names_no_encoding_is_refused(which):
    encoder, _ = joined(encoders(Standard(), QuantileBins(4)), [3, 3])
    kept = encoder.snapshot()
    kept["states"][0][0]["which"] = which
    with pytest.raises(ValueError, match="encoder is inconsistent"):
        TableEncoder(encoder.numeric).restore(kept)


def test_a_member_has_its_own_encoding_and_several_share_theirs():
    encoder, _ = joined(encoders(Standard(), QuantileBins(4)), [3, 3])
    assert "Alternatives([Standard(), QuantileBins(bins=4)])" in encoder.summary()
    assert "size   Standard()" in encoder.member(0).summary()
    assert "size   QuantileBins(bins=4)" in encoder.of_members([4, 5]).summary()
    assert "Alternatives" in encoder.of_members([2, 3]).summary()
    with pytest.raises(TypeError, match="'size' has another encoding for each of several members"):
        TableEncoder(encoder.numeric).fit(TABLE, TARGET)


def test_equal_states_of_members_are_written_once(monkeypatch):
    encoder, _ = joined(encoders(Standard(), QuantileBins(4)), [3, 3])
    again = TableEncoder(encoder.numeric)
    kept = encoder.snapshot()
    kept["states"] = [[dict(state) for state in each] for each in kept["states"]]  # as from a file
    again.restore(kept)
    calls = []
    write = Alternatives.write
    monkeypatch.setattr(Alternatives, "write", lambda *args: calls.append(1) or write(*args))
    np.testing.assert_array_equal(again.transform(TABLE), encoder.transform(TABLE))
    assert len(calls) == 2 * 2 * 2  # encoders, columns of numbers, encodings


def test_features_are_computed_in_parts():
    encoder, _ = joined(encoders(TargetBins(8, least_rows=2), QuantileBins(4)), [3, 3])
    whole, features = encoder.transform(TABLE), encoder.features(TABLE)
    assert features.shape == whole.shape == (6, ROWS, encoder.width)
    part = features[..., 10:40, :]
    np.testing.assert_array_equal(part.astype(np.float64), whole[:, 10:40])
    np.testing.assert_array_equal(np.asarray(part[..., 25:99, :]), whole[:, 35:40])
    plain = TableEncoder().fit({"a": [1.0, 2.0]})
    late = plain.features({"a": [1.0] * 30 + [1e300]})[..., 20:, :]
    with pytest.raises(ValueError, match="row 30: 1e\\+300 is too far"):
        late.astype()
