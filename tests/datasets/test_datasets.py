"""Data sets, readers and splits, compared with definitions written out here."""

import gzip
import hashlib
import math
import re
import struct
import unicodedata
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpgrad import datasets
from mlpgrad.datasets.files import csv_dialect

DIGITS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


# generated


def test_xor_repeats_its_table():
    x, y = datasets.xor(copies=3)
    assert x.shape == (12, 2)
    np.testing.assert_array_equal(y, x[:, 0] != x[:, 1])


def test_spirals_are_lang_and_witbrocks_program():
    x, y = datasets.spirals()
    expected = []
    for i in range(97):
        angle, radius = i * math.pi / 16, 6.5 * (104 - i) / 104
        point = (radius * math.sin(angle), radius * math.cos(angle))
        expected += [(*point, 1), (-point[0], -point[1], 0)]
    np.testing.assert_allclose(np.column_stack([x, y]), expected, rtol=0, atol=1e-15)


def test_denser_spirals_pass_through_the_same_points():
    (sparse, _), (dense, classes) = datasets.spirals(), datasets.spirals(4)
    np.testing.assert_allclose(dense[::2][::4], sparse[::2], atol=1e-14)
    assert len(dense) == 2 * 385
    assert classes.sum() == 385


@pytest.mark.parametrize("n", [2, 7, 100])
def test_moons_lie_on_their_half_circles(n):
    x, y = datasets.moons(n, random_state=1)
    assert (len(x), y.sum()) == (n, n - n // 2)
    np.testing.assert_allclose(np.hypot(*x[y == 0].T), 1)
    np.testing.assert_allclose(np.hypot(*(x[y == 1] - [1, 0.5]).T), 1)
    assert (x[y == 0, 1] > -1e-9).all()
    assert (x[y == 1, 1] < 0.5 + 1e-9).all()


def test_circles_have_their_radii():
    x, y = datasets.circles(60, factor=0.3, random_state=1)
    np.testing.assert_allclose(np.hypot(*x.T), np.where(y == 1, 0.3, 1))
    assert len(np.unique(x.round(9), axis=0)) == 60


@pytest.mark.parametrize("name", ["make_moons", "make_circles"])
def test_geometry_is_scikit_learns(name):
    samples = pytest.importorskip("sklearn.datasets", reason="compares with scikit-learn")
    theirs, labels = getattr(samples, name)(101, shuffle=False)
    ours, classes = getattr(datasets, name.removeprefix("make_"))(101, random_state=0)
    as_sets = [
        {
            (*point, label)
            for point, label in zip((x.round(9) + 0.0).tolist(), y.tolist(), strict=True)
        }
        for x, y in ((theirs, labels), (ours, classes))
    ]
    assert as_sets[0] == as_sets[1]


def test_regression_is_friedmans_first_function():
    x, y = datasets.regression(50, 7, random_state=3)
    expected = [
        10 * math.sin(math.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e
        for a, b, c, d, e, _, _ in x.tolist()
    ]
    np.testing.assert_allclose(y, expected, rtol=1e-14)


@pytest.mark.parametrize("make", [datasets.moons, datasets.circles, datasets.spirals])
def test_noise_has_the_given_size(make):
    size = 20 if make is datasets.spirals else 4000
    clean, _ = make(size, random_state=5)
    noisy, _ = make(size, noise=0.25, random_state=5)
    assert (noisy - clean).std() == pytest.approx(0.25, rel=0.05)
    assert abs((noisy - clean).mean()) < 0.02


@pytest.mark.parametrize(
    "make", [datasets.moons, datasets.circles, datasets.spirals, datasets.regression]
)
def test_seeds_decide(make):
    first, again, other = (make(noise=0.1, random_state=s)[0] for s in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    generator = np.random.default_rng(7)
    np.testing.assert_array_equal(make(noise=0.1, random_state=generator)[0], first)
    assert (make(noise=0.1, random_state=generator)[0] != first).any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: datasets.xor(0), "copies expects an int >= 1, got 0"),
        (lambda: datasets.moons(1), "n expects an int >= 2"),
        (lambda: datasets.moons(10.0), "n expects an int >= 2"),
        (lambda: datasets.moons(noise=-1), "noise expects"),
        (lambda: datasets.moons(noise=math.nan), "noise expects"),
        (lambda: datasets.circles(factor=1.5), "factor expects"),
        (lambda: datasets.regression(10, 4), "features expects an int >= 5"),
        (lambda: datasets.split_indices(10, 1.0), "fraction expects"),
        (lambda: datasets.split_indices(1, 0.5), "at least 2 samples"),
        (lambda: datasets.split_indices(3, 0.5, [0, 1]), r"labels expects shape \(3,\)"),
        (lambda: datasets.split([1, 2], [1]), "same number of samples, got 2 and 1"),
        (lambda: datasets.split([1, 2], [1, 2], stratify=True, shuffle=False), "shuffle=True"),
        (lambda: datasets.standardize([1.0, 2.0]), "the same number of columns"),
        (lambda: datasets.standardize([[1.0]], [[1.0, 2.0]]), "the same number of columns"),
        (lambda: datasets.standardize([[math.nan]]), "finite"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_misspelt_option_names_the_nearest():
    with pytest.raises(TypeError, match="did you mean 'noise'"):
        datasets.moons(10, nois=0.1)


# bundled


def test_digits_are_the_originals():
    x, y = datasets.digits()
    assert (x.dtype, x.shape, y.dtype, y.shape) == (np.float32, (1797, 64), np.int64, (1797,))
    pixels = (x * 16).astype(np.uint8)
    np.testing.assert_array_equal(pixels / np.float32(16), x)
    content = pixels.tobytes() + y.astype(np.uint8).tobytes()
    assert hashlib.sha256(content).hexdigest() == DIGITS_SHA256


def test_digits_are_scikit_learns():
    samples = pytest.importorskip("sklearn.datasets", reason="compares with scikit-learn")
    theirs = samples.load_digits()
    x, y = datasets.digits()
    np.testing.assert_array_equal(x * 16, theirs.data)
    np.testing.assert_array_equal(y, theirs.target)


# splits


@given(
    labels=st.lists(st.integers(0, 6), min_size=2, max_size=80),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 3),
)
def test_stratified_splits_keep_proportions(labels, fraction, seed):
    labels = np.array(labels)
    train, held = datasets.split_indices(len(labels), fraction, labels, rng=seed)
    np.testing.assert_array_equal(np.sort(np.r_[train, held]), np.arange(len(labels)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(held) > 0).all()
    assert 0 < len(held) < len(labels)
    for c, count in zip(*np.unique(labels, return_counts=True), strict=True):
        share = (labels[held] == c).sum()
        assert abs(share - fraction * count) <= 1 + 1e-6
        assert count == 1 or 0 < share < count


@given(samples=st.integers(2, 200), fraction=st.floats(0.01, 0.99), shuffle=st.booleans())
def test_plain_splits_have_the_nearest_size(samples, fraction, shuffle):
    train, held = datasets.split_indices(samples, fraction, rng=0, shuffle=shuffle)
    np.testing.assert_array_equal(np.sort(np.r_[train, held]), np.arange(samples))
    assert len(held) == min(max(round(fraction * samples), 1), samples - 1)
    if not shuffle:
        assert train[-1] < held[0]


def test_a_stratified_split_of_large_classes_has_the_nearest_size():
    _, y = datasets.digits()
    for fraction in (0.1, 0.2, 0.25, 1 / 3, 0.5):
        _, held = datasets.split_indices(len(y), fraction, y, rng=0)
        assert len(held) == round(fraction * len(y))


def test_every_row_is_held_out_equally_often():
    labels = np.repeat([0, 1], [30, 10])
    times = np.zeros(40)
    for seed in range(400):
        times[datasets.split_indices(40, 0.25, labels, rng=seed)[1]] += 1
    # binomial: 100 +- 8.7 of 400 draws; class 0 holds out 7.5 on average (8 by the rule)
    assert times[:30].mean() == pytest.approx(400 * 8 / 30, abs=7)
    assert times.min() > 60
    assert times.max() < 150


def test_split_is_fixed_and_stratifies_classes_only():
    x, y = datasets.digits()
    first, again = datasets.split(x, y, 0.2), datasets.split(x, y, 0.2)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    x_train, x_test, y_train, y_test = first
    assert (len(x_train), len(x_test)) == (1438, 359)
    assert np.abs(np.bincount(y_test) - 0.2 * np.bincount(y)).max() < 1
    rows = {row.tobytes() for row in x}
    assert {row.tobytes() for row in np.r_[x_train, x_test]} == rows
    assert (np.bincount(y_train) + np.bincount(y_test) == np.bincount(y)).all()
    by_name = datasets.split(x, y.astype(str), 0.2)[3]
    np.testing.assert_array_equal(by_name.astype(int), y_test)
    values = datasets.split(x, y.astype(float), 0.2)[3]
    assert (values != y_test).any()
    in_order = datasets.split(x, y, 0.2, shuffle=False)[3]
    np.testing.assert_array_equal(in_order, y[-359:])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_split_of_a_frame_is_a_frame(library):
    """Names and types are kept, since models check and learn them."""
    frames = pytest.importorskip(library)
    columns = {"town": ["Leith", "Oban"] * 10, "area": np.arange(20.0)}
    x, y = frames.DataFrame(columns), frames.Series(["a", "b"] * 10, dtype=categories(frames))
    for options in ({}, {"shuffle": False}):
        found = datasets.split(x, y, 0.25, **options)
        rows = datasets.split(np.arange(20), np.array(["a", "b"] * 10), 0.25, **options)
        for part, numbers in zip(found[:2], rows[:2], strict=True):
            assert type(part) is type(x)
            assert list(part.columns) == ["town", "area"]
            assert part["area"].to_list() == numbers.tolist()
        for part, labels in zip(found[2:], rows[2:], strict=True):
            assert part.dtype == y.dtype
            assert part.to_list() == labels.tolist()


def categories(frames):
    """The type of classes in an order that is not alphabetical."""
    if frames.__name__ == "polars":
        return frames.Enum(["b", "a"])
    return frames.CategoricalDtype(["b", "a"], ordered=True)


@pytest.mark.parametrize("kind", [object, np.dtypes.StringDType(), "category", "str", "column"])
def test_split_stratifies_text_of_every_type(kind):
    x, y = np.arange(100.0)[:, None], np.array(["rare", "usual"]).repeat([10, 90])
    expected = datasets.split(x, y, 0.2)[1]
    if isinstance(kind, str) and kind != "column":
        given_labels = pytest.importorskip("pandas").Series(y, dtype=kind)
    else:
        given_labels = y[:, None] if kind == "column" else y.astype(kind)
    np.testing.assert_array_equal(datasets.split(x, given_labels, 0.2)[1], expected)
    labels = np.array([1, 2, None] * 10)
    assert len(datasets.split(np.arange(30), labels, 0.2)[1]) == 6  # gaps are not classes


def test_standardize_uses_the_training_rows_alone():
    rng = np.random.default_rng(0)
    train = rng.normal(5, 3, (200, 4))
    train[:, 2] = 0.1  # its mean and its deviation are both rounded
    test = rng.normal(5, 3, (50, 4))
    scaled, other = datasets.standardize(train, test)
    varying = [0, 1, 3]
    np.testing.assert_allclose(scaled[:, varying].mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(scaled[:, varying].std(axis=0), 1)
    assert not scaled[:, 2].any()
    assert not other[:, 2].any()
    expected = (test - train.mean(axis=0)) / train.std(axis=0)
    np.testing.assert_allclose(other[:, varying], expected[:, varying])
    np.testing.assert_array_equal(datasets.standardize(train), scaled)


def test_standardize_keeps_floating_types():
    half = datasets.standardize(np.float32([[1], [2], [4]]))
    whole = datasets.standardize(np.array([[1], [2], [4]]))
    assert (half.dtype, whole.dtype) == (np.float32, np.float64)
    large = 1e4 + np.random.default_rng(0).normal(size=(100_000, 1)).astype(np.float32)
    assert abs(datasets.standardize(large).mean(dtype=float)) < 1e-3  # the sum is in float64


@given(
    st.data(),
    st.sampled_from([np.float32, np.float64]),
    st.integers(2, 12),
    st.integers(1, 3),
)
def test_standardized_columns_have_mean_0_and_deviation_1(data, dtype, rows, columns):
    """Columns of any finite numbers, near each other or far apart."""
    width = np.dtype(dtype).itemsize * 8
    number = st.floats(allow_nan=False, allow_infinity=False, width=width)
    centre, step = (data.draw(st.lists(number, min_size=columns, max_size=columns)) for _ in "cs")
    near = st.sampled_from([-2.0, -1.0, 0.0, 1.0])
    rule = st.one_of(number.map(lambda v: (v, 0.0)), near.map(lambda k: (None, k)))
    train = np.zeros((rows, columns), dtype)
    for place in np.ndindex(train.shape):
        value, times = data.draw(rule)
        with np.errstate(over="ignore"):
            beside = dtype(centre[place[1]]) + dtype(times) * dtype(step[place[1]])
        train[place] = beside if value is None and np.isfinite(beside) else value or 0.0
    scaled = datasets.standardize(train)
    assert scaled.dtype == dtype
    for column, result in zip(train.T, scaled.astype(np.float64).T, strict=True):
        if (column == column[0]).all():
            assert not result.any()
            continue
        bound = 4 * np.finfo(dtype).eps * rows
        assert abs(result.mean()) <= bound
        assert abs(result.std() - 1) <= bound
        assert (np.diff(result[np.argsort(column)]) >= 0).all()


UNITS = [(size, np.float64) for size in (1e-300, 1e-170, 1e-20, 1e20, 1e200, 1e307)]
UNITS += [(size, np.float32) for size in (1e-37, 1e-20, 1e20, 1e37)]


@pytest.mark.parametrize(("size", "dtype"), UNITS)
def test_standardize_does_not_depend_on_the_unit(size, dtype):
    unit = 2.0 ** round(np.log2(size))  # so that columns are exact multiples of each other
    train = np.array([[1, 7], [4, 7.5], [2, 7]], dtype)
    test = np.array([[3, 8]], dtype)
    for one, other in zip(
        datasets.standardize(train, test),
        datasets.standardize(train * dtype(unit), test * dtype(unit)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other, strict=True)


def test_standardize_sees_a_small_deviation_beside_a_large_mean():
    train = 1 + np.finfo(np.float64).eps * np.array([[0.0], [1.0], [3.0]])
    expected = np.array([[0.0], [1.0], [3.0]])
    np.testing.assert_allclose(datasets.standardize(train), datasets.standardize(expected), 1e-15)


def test_standardize_takes_the_parts_of_complex_numbers():
    numbers = np.array([[1 + 5j], [2.0 - 1j]])
    with pytest.raises(TypeError, match=r"got complex ones; give their real parts, numpy\.real"):
        datasets.standardize(numbers)
    datasets.standardize(np.real(numbers))
    datasets.standardize(np.hstack([numbers.real, numbers.imag]))


def test_standardize_goes_by_the_names_of_the_columns():
    frame = pytest.importorskip("pandas").DataFrame
    train, test = frame({"a": [1, 3], "b": [7.0, 9.0]}), frame({"b": [7.0], "a": [5]})
    with pytest.raises(ValueError, match=r"\['a', 'b'\], got \['b', 'a'\]; write test\[list\("):
        datasets.standardize(train, train, test)
    for other in (test[list(train.columns)], [[5, 7]]):
        assert datasets.standardize(train, other)[1].tolist() == [[3, -1]]


def test_standardize_refuses_what_it_cannot_express():
    train = np.array([[1e-200], [2e-200]])
    with pytest.raises(
        ValueError, match="got 1e\\+200 in row 1, column 0, which overflows float64"
    ):
        datasets.standardize(train, [[1e-200], [1e200]])
    with pytest.raises(TypeError, match="real numbers"):
        datasets.standardize(np.array([[1j], [2]]))
    constant, other = datasets.standardize([[5.0], [5.0]], [[1e308]])
    assert not constant.any()
    assert not other.any()


# IDX

IDX = [(8, "B"), (9, "b"), (11, "h"), (12, "i"), (13, "f"), (14, "d")]


@pytest.mark.parametrize(("code", "letter"), IDX)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_of_every_type(tmp_path, code, letter, packed):
    values = [1, 2, 3, 100, 5, 6]
    content = struct.pack(">BBBB2I6" + letter, 0, 0, code, 2, 3, 2, *values)
    path = tmp_path / "file"  # the content shows whether it is gzip, not the name
    path.write_bytes(gzip.compress(content) if packed else content)
    read = datasets.load_idx(path)
    assert read.tolist() == [[1, 2], [3, 100], [5, 6]]
    assert read.dtype == np.dtype(letter)
    assert read.dtype.isnative
    assert read.flags.writeable


def test_idx_keeps_signs_and_fractions(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(struct.pack(">BBBBI2d", 0, 0, 14, 1, 2, -0.1, math.inf))
    assert datasets.load_idx(str(path)).tolist() == [-0.1, math.inf]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "IDX format"),
        (b"\0\0\x08", "IDX format"),
        (b"PK\x03\x04 a zip file", "IDX format"),
        (b"\0\0\x0a\x01\0\0\0\1\1", "IDX format"),  # an unknown type
        (b"\0\0\x08\0\1", "IDX format"),  # the dimension is missing
        (b"\0\0\x08\x02\0\0\0\x01", "bytes"),  # ends in its header
        (b"\0\0\x08\x01\0\0\0\x03\1\2", "expects 11 bytes .* got 10"),
        (b"\0\0\x08\x01\0\0\0\x01\1\2", "expects 9 bytes .* got 10"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "bytes"),  # 2^96 elements
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x03\1\2\3", mtime=0)[:-9], "damaged gzip"),
        (
            gzip.compress(b"\0\0\x08\x01\0\0\0\x03\1\2\3", mtime=0)[:12] + b"\xff" * 20,
            "damaged gzip",
        ),
    ],
)
def test_damaged_idx_is_refused(tmp_path, content, words):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as raised:
        datasets.load_idx(path)
    assert "images" in str(raised.value)


def test_mnist_files_can_be_read(tmp_path):
    """Files as for MNIST: 28 x 28 images, and labels."""
    x, y = datasets.digits()
    images = np.kron(x.reshape(-1, 8, 8), np.ones((3, 3)))
    images = np.pad(images * 255, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
    (tmp_path / "images").write_bytes(
        struct.pack(">4B3I", 0, 0, 8, 3, 1797, 28, 28) + bytes(images)
    )
    (tmp_path / "labels").write_bytes(
        gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, 1797) + bytes(y.astype(np.uint8)))
    )
    np.testing.assert_array_equal(datasets.load_idx(tmp_path / "images"), images)
    np.testing.assert_array_equal(datasets.load_idx(tmp_path / "labels"), y)


# CSV


def read(tmp_path, text, *args, **options):
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return datasets.load_csv(path, *args, **options)


def test_csv_with_quotes_mark_blank_lines_and_windows_ends(tmp_path):
    text = '\ufeff"a, first", b,"the ""target"""\r\n1, 2.5 ,0\r\n\r\n-1e3,"4",1\r\n\r\n'
    table = read(tmp_path, text)
    assert table.feature_names == ("a, first", "b")
    assert table.target_name == 'the "target"'
    assert table.x.tolist() == [[1, 2.5], [-1000, 4]]
    assert table.y.tolist() == [0, 1]
    assert (table.x.dtype, table.y.dtype, table.classes) == (np.float64, np.int64, None)


def test_csv_with_huge_numbers_and_blanks(tmp_path):
    table = read(tmp_path, "a,b,y\n1e308,1e308,2\n  \n1, 2 , 3 \n \n")
    assert table.x.tolist() == [[1e308, 1e308], [1, 2]]
    assert table.y.tolist() == [2, 3]


def test_csv_with_hard_spaces_and_names_with_underscores(tmp_path):
    table = read(tmp_path, "a_1,y\n\u00a02.5\u00a0,class_1\n3,class_2\n")
    assert table.x.tolist() == [[2.5], [3]]
    assert table.classes == ("class_1", "class_2")


def test_csv_in_gzip(tmp_path):
    assert read(tmp_path, gzip.compress(b"a,b\n1,2\n")).x.tolist() == [[1]]
    with pytest.raises(ValueError, match="damaged gzip"):
        read(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 100)[:-10])


@pytest.mark.parametrize("head", ["größe", "a"])
@pytest.mark.parametrize(
    "encoding", ["cp1252", *(f"utf-{n}{order}" for n in (16, 32) for order in ("", "-le", "-be"))]
)
@pytest.mark.parametrize("tried", ["utf-8-sig", "ascii", "utf-16", "utf-32"])
def test_the_encoding_that_an_error_names_reads_the_csv(tmp_path, encoding, head, tried):
    text = f"{head},b\n" + "1.5,2\n" * 9
    content = text.encode(encoding)
    try:
        table = read(tmp_path, content, encoding=tried)
    except ValueError as error:
        advised = re.search("pass its encoding=, which may be '(.*)', or", str(error))[1]
        table = read(tmp_path, content, encoding=advised)
    assert table.feature_names == (head,)
    assert table.x.tolist() == [[1.5]] * 9


@pytest.mark.parametrize("content", [b"a,b\n1,\0002\n", b"\0" * 99, b"a,b\n1,2\n" + b"\0" * 99])
def test_csv_with_zero_bytes_names_the_line(tmp_path, content):
    line = 1 + content.partition(b"\0")[0].count(b"\n")
    message = rf"not utf-8-sig text \(line {line} has zero bytes\); pass its encoding="
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("target", ["kind", 0, -3])
def test_csv_target_by_name_or_position(tmp_path, target):
    table = read(tmp_path, "kind,a,b\ndog,1,2\ncat,3,4\ndog,5,6\n", target)
    assert table.target_name == "kind"
    assert table.feature_names == ("a", "b")
    assert table.classes == ("cat", "dog")
    assert table.y.tolist() == [1, 0, 1]
    assert table.x.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("column", "values", "dtype"),
    [
        (["1", "0", "-2"], [1, 0, -2], np.int64),
        (["1", "0.5"], [1, 0.5], np.float64),
        (["1e3", "2"], [1000, 2], np.float64),
        (["9" * 30], [float("9" * 30)], np.float64),
        (["True", "False"], [1, 0], np.int64),
    ],
)
def test_csv_targets_keep_their_kind(tmp_path, column, values, dtype):
    table = read(tmp_path, "x,y\n" + "".join(f"1,{text}\n" for text in column))
    assert table.y.tolist() == values
    assert table.y.dtype == dtype


def test_csv_without_header_and_with_semicolons(tmp_path):
    table = read(tmp_path, "1;2;a\n3;4;b", header=False, delimiter=";")
    assert table.feature_names == ("0", "1")
    assert table.target_name == "2"
    assert table.x.tolist() == [[1, 2], [3, 4]]
    assert read(tmp_path, "0,1\n5,6\n").x.tolist() == [[5]]  # numbered by pandas


def test_csv_in_other_encodings(tmp_path):
    assert read(tmp_path, "größe,y\n1,2\n").feature_names == ("größe",)
    path = tmp_path / "latin.csv"
    path.write_bytes("größe,y\n1,2\n".encode("latin-1"))
    assert datasets.load_csv(path, encoding="latin-1").feature_names == ("größe",)
    with pytest.raises(ValueError, match=r"not utf-8-sig text .* encoding="):
        datasets.load_csv(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no rows; at least one sample"),
        ("\n\n", "has no rows; at least one sample"),
        ("a\n1\n", "at least two columns"),
        ("a;b\n1;2\n", "delimiter="),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n3\n", "line 3: expects 2 fields .* got 1"),
        ("a,b\n1,2,3\n", "line 2: expects 2 fields .* got 3"),
        ("a,b,y\n1,2,3\n\n1,,3\n", "line 4, column 'b': missing value ''"),
        ("a,b,y\n1,?,3\n", r"line 2, column 'b': missing value '\?'"),
        ("a,b,y\nNaN,2,3\n", "line 2, column 'a': missing value 'NaN'"),
        ("a,b,y\n1,2,3\n1,inf,3\n", "line 3, column 'b': expects a finite number, got 'inf'"),
        ("a,b,y\nred,2,3\n", "line 2, column 'a': expects a finite number, got 'red'"),
        ("a,y\n1,2\n1,\n", "line 3, column 'y': expects a target, got ''"),
        ("a,y\n1,2\n1,?\n", "line 3, column 'y': .* among numbers"),
        ("a,y\n1,yes\n1,NA\n", "line 3, column 'y': expects a target, got 'NA'"),
        ("a,y\n1,2\n1,nan\n", "line 3, column 'y'"),
        ("1.5,2\n3,4\n", "line 1: expects column names, .* header=False"),
        (",a,y\n0,1,2\n", "column 0 has no name"),
        ("a,b,a,y\n1,2,3,4\n", "line 1: columns 0 and 2 are both named 'a'; give each"),
        ("a,y,y\n1,2,3\n", "line 1: columns 1 and 2 are both named 'y'"),
        ("a,b,y\n1,2,0\n1_000,2,0\n", "line 3, column 'a': .* got '1_000'; write numbers with"),
        ("a,b,y\n1,\u0661,0\n", "line 2, column 'b': .* got '\u0661'; write numbers with"),
        ("a,b,y\n1,\uff11\uff12,0\n", "line 2, column 'b': expects a finite number"),
        ("a,y\n1,3\n1,2_0\n", "line 3, column 'y': expects a target, got '2_0'; write numbers"),
        ("a,y\n1,2_0\n1,3_0\n", "line 2, column 'y': expects a target, got '2_0'"),
        ("a,y\n1,\u0663\n", "line 2, column 'y': expects a target, got '\u0663'"),
        ('a,y\n1,"2\n', "line 2: a quotation that begins here has no closing"),
        ('a,b,y\n"1",2,3\n"1\n",x,3\n', "line 4, column 'b'"),
    ],
)
def test_bad_tables_name_the_place(tmp_path, text, words):
    with pytest.raises(ValueError, match=words):
        read(tmp_path, text)


AMOUNTS = [
    ("$675553", "write the number without the sign '[$]'"),
    ("- 12.50 €", "without the sign '€'"),
    ("12 %", "without the sign '%'"),
    ("US$ 12", "without the sign 'US[$]'"),
    ("(12.5)", "a negative number with a minus sign"),
    ("1.675,50", "pass decimal=','"),
    ("675,553", "thousands without the separator ','.* decimal=','"),
    ("1,675,553", "thousands without the separator ','$"),
    ("1'675'553.5", "thousands without the separator"),
    ("12 345", "thousands without the separator ' '"),
    ("1,5", "pass decimal=','"),
]


@pytest.mark.parametrize(("text", "words"), AMOUNTS)
def test_amounts_are_neither_numbers_nor_classes(tmp_path, text, words):
    """The text is in a feature, in a target among numbers, or in all targets."""
    place = r"line 3, column 'a': expects a finite number, got "
    with pytest.raises(ValueError, match=place) as raised:
        read(tmp_path, f'a,y\n1,2\n"{text}",2\n')
    assert re.search(words, str(raised.value))
    for other, line in (("2", 3), (text, 2)):
        with pytest.raises(
            ValueError, match=f"line {line}, column 'y': expects a target"
        ) as raised:
            read(tmp_path, f'a,y\n1,"{other}"\n1,"{text}"\n')
        assert repr(text) in str(raised.value)


DATES = [
    lambda i: f"{i % 24:02d}:{i:02d}",
    lambda i: f"2024-01-{1 + i:02d}",
    lambda i: f"{1 + i}.3.2024",
    lambda i: f"{1 + i}/3/24",
    lambda i: f"2024-01-{1 + i:02d}T12:00:00Z",
    lambda i: f"Mar {1 + i}, 2024",
]


@pytest.mark.parametrize("place", range(len(DATES)))
def test_dates_and_times_are_not_ranked_as_classes(tmp_path, place):
    form = DATES[place]
    with pytest.raises(ValueError, match="line 2, column 'y': expects a target, got the date or"):
        read(tmp_path, "a,y\n" + "".join(f'{i}.5,"{form(i)}"\n' for i in range(28)))
    table = read(tmp_path, "a,y\n" + "".join(f'{i}.5,"{form(i % 2)}"\n' for i in range(28)))
    assert table.classes == tuple(sorted([form(0), form(1)]))


def as_advised(cell, told, options):
    """Follow an error's advice about a cell to the letter; return the cell as corrected."""
    if gone := re.search("without the (?:separator|sign|unit) '(.)'", told):
        cell = cell.replace(gone[1], "").strip()
    if sign := re.search("(?:write decimals with|and with the decimal sign) '(.)'", told):
        cell = cell.replace(sign[1], "").replace({",": ".", ".": ","}[sign[1]], sign[1])
    if sign := re.search("pass decimal='(.)'", told):
        assert "decimal" not in options, "one error has advised the opposite of another"
        options["decimal"] = sign[1]
    return cell


@pytest.mark.parametrize("target", [0, -1])
def test_advice_about_decimal_signs_leads_to_a_table_that_is_read(tmp_path, target):
    forms = {"1,5": 1.5, "2.5": 2.5, "7": 7, "1.234,50": 1234.5, "1,234.50": 1234.5, "4,5 €": 4.5}
    for texts in permutations(forms, 3):
        cells, options, found = [*texts], {}, None
        for _ in range(8):
            text = "a;b;c\n" + f"{';'.join(cells)}\n" * 4
            try:
                found = read(tmp_path, text, target, delimiter=";", **options)
                break
            except ValueError as error:
                place = "abc".index(re.search("column '(.)'", str(error))[1])
                cells[place] = as_advised(cells[place], str(error), options)
        assert sorted([*found.x[0], found.y[0]]) == sorted(forms[text] for text in texts)


@pytest.mark.parametrize(
    "texts", [["4 cyl", "6 cyl"], ["1st", "2nd"], ["<=50K", ">50K"], ["$5", "no"]]
)
def test_few_names_with_digits_are_classes(tmp_path, texts):
    table = read(tmp_path, "x,y\n" + "".join(f"1,{text}\n" for text in texts))
    assert table.classes == tuple(sorted(texts))


@pytest.mark.parametrize(
    ("form", "unit"), [("{} kg", "kg"), ("{}m2", "m2"), ("{},5 €/m²", "€/m²"), ("EUR {}", "EUR")]
)
def test_many_texts_with_a_unit_are_quantities(tmp_path, form, unit):
    rows = "".join(f'1,"{form.format(i)}"\n' for i in range(21))
    with pytest.raises(ValueError, match="line 2, column 'y': expects a target, got") as raised:
        read(tmp_path, "x,y\n" + rows)
    assert f"{unit!r}" in str(raised.value)
    few = "".join(f'1,"{form.format(i % 4)}"\n' for i in range(21))
    assert len(read(tmp_path, "x,y\n" + few).classes) == 4


def test_csv_with_decimal_commas(tmp_path):
    options = {"delimiter": ";", "decimal": ","}
    table = read(tmp_path, "a;y\n1,5;2,25\n-3e-1;4\n", **options)
    assert (table.x.tolist(), table.y.tolist()) == ([[1.5], [-0.3]], [2.25, 4])
    assert read(tmp_path, "a;y\n1,5;2\n", **options).y.dtype == np.int64
    with pytest.raises(ValueError, match=r"line 2, column 'a': .*'1.234,5'; write thousands"):
        read(tmp_path, "a;y\n1.234,5;2\n", **options)
    with pytest.raises(ValueError, match=r"line 2, column 'a': .*'1.5'; pass decimal='.'"):
        read(tmp_path, "a;y\n1.5;2\n", **options)


def test_csv_missing_texts_can_be_set(tmp_path):
    text = "a,country\n1,NA\n2,US\n"
    with pytest.raises(ValueError, match=r"got 'NA'; .* name of a class, pass missing="):
        read(tmp_path, text)
    assert read(tmp_path, text, missing=[""]).classes == ("NA", "US")
    with pytest.raises(ValueError, match="line 3, column 'y': expects a target, got ''"):
        read(tmp_path, "a,y\n1,NA\n1,\n", missing=[""])
    for sentinel in ("-999", " unknown"):
        with pytest.raises(
            ValueError, match=f"line 3, column 'a': missing value '{sentinel.strip()}'"
        ):
            read(tmp_path, f"a,y\n1,2\n{sentinel} ,2\n", missing=["Unknown", "-999"])
        with pytest.raises(ValueError, match="line 3, column 'y': expects a target"):
            read(tmp_path, f"a,y\n1,2\n2,{sentinel}\n", missing=["Unknown", "-999"])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"missing": "NA"}, TypeError, r"missing expects the texts .* got 'NA'"),
        ({"missing": [0]}, TypeError, r"missing expects the texts .* got \[0\]"),
        ({"decimal": ";"}, ValueError, "decimal expects '.' or ',', got ';'"),
        ({"decimal": ","}, ValueError, "delimiter expects one character other than the decimal"),
        ({"delimiter": ""}, ValueError, "delimiter expects one character"),
        ({"encoding": "latin-0"}, ValueError, "encoding= expects an encoding .* got 'latin-0'"),
    ],
)
def test_csv_options_are_checked(tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        read(tmp_path, "a,b\n1,2\n", **options)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("delimiter", "decimal"), [pair for pair in product(",;\t|", ".,") if pair != (",", ",")]
)
def test_the_dialect_is_seen_from_the_file(tmp_path, delimiter, decimal, header):
    path = tmp_path / "table.csv"
    rows = [[f"{i}{decimal}{i % 7}5", "3", f"{i % 3} of, b; c" if i % 2 else "a"] for i in range(9)]
    quoted = [
        delimiter.join(f'"{field}"' if " " in field else field for field in row) for row in rows
    ]
    path.write_text("\n".join([delimiter.join("abc")] * header + quoted))
    assert csv_dialect(path) == (delimiter, decimal)
    assert csv_dialect(path, delimiter=delimiter) == (delimiter, decimal)
    if delimiter != ",":
        assert csv_dialect(path, decimal=decimal) == (delimiter, decimal)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("", (",", ".")),
        ("a\n1\n", (",", ".")),
        ("a,b\n1,2\n", (",", ".")),
        ("a;b\n1,200;3\n5,300;4\n", (";", ".")),  # perhaps thousands: never 1.2
        ("a;b\n1,200;3\n5,3;4\n", (";", ",")),
        ("215,8;7\n136,9;7\n", (";", ",")),  # also two columns by the comma
        ("a;b\n0,200;3\n0,300;4\n", (";", ",")),  # thousands do not begin with 0
        ("sep\na;b;c\n1;2;3\n", (";", ".")),
    ],
)
def test_dialects_that_could_be_another(tmp_path, text, dialect):
    path = tmp_path / "table.csv"
    path.write_text(text)
    assert csv_dialect(path) == dialect


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("price", "no column 'price'; did you mean 'prize'"),
        (9, "target expects a column from 0 to 3, got 9"),
        (-5, "target expects"),
    ],
)
def test_unknown_targets(tmp_path, target, words):
    with pytest.raises(ValueError, match=words):
        read(tmp_path, "a,prize,b,c\n1,2,3,4\n", target)


def test_missing_files_are_missing(tmp_path):
    for load in (datasets.load_csv, datasets.load_idx):
        with pytest.raises(FileNotFoundError, match="absent"):
            load(tmp_path / "absent")


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"])).map(
                "c{}".format
            ),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_table_comes_back(tmp_path_factory, rows):
    import csv

    path = tmp_path_factory.mktemp("csv") / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("a", "b", "y"), *rows])
    table = datasets.load_csv(path)
    assert table.x.tolist() == [[a, b] for a, b, _ in rows]
    composed = [unicodedata.normalize("NFC", text) for _, _, text in rows]
    assert [table.classes[i] for i in table.y] == composed
