"""The readers of the benchmarks' data, on files written here."""

import gzip

import numpy as np

from benchmarks.datasets import proben1, spirals, standardized, uci


def test_a_file_of_proben1_is_split_as_its_header_says(tmp_path):
    (tmp_path / "proben1").mkdir()
    header = ["bool_in=1", "real_in=1", "bool_out=2", "real_out=0", "training_examples=2",
              "validation_examples=1", "test_examples=1"]  # fmt: skip
    rows = ["0 0.5 1 0", "1 0.25 0 1", "1 1 1 0", "0 0 0 1"]
    with gzip.open(tmp_path / "proben1" / "tiny.dt.gz", "wt") as file:
        file.write("\n".join(header + rows) + "\n")
    data = proben1(tmp_path, "tiny")
    np.testing.assert_array_equal(data.train.x, [[0, 0.5], [1, 0.25]])
    np.testing.assert_array_equal(data.train.y, [0, 1])
    np.testing.assert_array_equal(data.validation.x, [[1, 1]])
    np.testing.assert_array_equal(data.test.y, [1])
    assert data.classes == 2


def test_the_official_splits_are_unpacked(tmp_path):
    mask = np.array([[True, False, False], [False, False, True]])
    np.savez(tmp_path / "uci-yacht.npz", X=np.arange(6.0).reshape(3, 2), y=np.arange(3.0),
             n_rows=3, test_mask=np.packbits(mask, axis=1))  # fmt: skip
    data = uci(tmp_path, "yacht")
    np.testing.assert_array_equal(data.test, mask)
    assert data.y.shape == (3, 1)


def test_spirals_are_two_of_97_points_and_columns_are_standardised_by_the_training_rows():
    x, y = spirals()
    assert x.shape == (194, 2)
    assert y.sum() == 0
    np.testing.assert_allclose(np.hypot(*x[96]), 6.5 * 8 / 104)
    train, test = standardized(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[5.0, 5.0]]))
    np.testing.assert_array_equal(train, [[-1, 0], [1, 0]])
    np.testing.assert_array_equal(test, [[3, 0]])
