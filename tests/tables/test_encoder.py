"""The encoder of tables: the kinds of columns, their features, and errors."""

import ast
import copy
import datetime
import decimal
import fractions
import itertools
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpgrad import tables
from mlpgrad.tables import (
    Codes,
    ColumnEncoding,
    OneHot,
    QuantileBins,
    Robust,
    Standard,
    TableEncoder,
    TargetBins,
)

ENCODINGS = [Standard, Robust, QuantileBins, TargetBins, OneHot, Codes]
NUMERIC = [cls for cls in ENCODINGS if cls.of_numbers]


def encoder_with(encoding, **options):
    if encoding.of_numbers:
        return TableEncoder(numeric=encoding, **options)
    return TableEncoder(categories=encoding, **options)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return {
        "size": rng.normal(50, 10, 40).round(1),
        "rooms": [int(n) for n in rng.integers(1, 6, 40)],
        "town": [("Bonn", "Ulm", "Trier")[i] for i in rng.integers(0, 3, 40)],
        "balcony": rng.random(40) < 0.5,
    }


def reasons(encoder):
    return {line.split()[0]: line for line in encoder.summary().splitlines()}


# kinds of columns


def test_every_encoding_is_tried_here():
    found = {getattr(tables, name) for name in tables.__all__}
    assert {cls for cls in found if issubclass(cls, ColumnEncoding)} == {*ENCODINGS, ColumnEncoding}


@pytest.mark.parametrize("cls", [*ENCODINGS, TableEncoder])
def test_encodings_are_described(cls):
    made = cls.example()
    assert repr(cls(**made.config())) == repr(made)
    assert repr(eval(repr(made), vars(tables))) == repr(made)
    with pytest.raises(TypeError, match="has no option 'binns'"):
        cls(binns=3)


@pytest.mark.parametrize(
    ("values", "width"),
    [
        ([1, 2, 3], 1),
        ([1.5, None, 3.0], 2),
        (["1", "2.5", " 3e2 "], 1),
        (["1", "NA", "?"], 2),
        ([True, False, True], 1),
        (["b", "a", "b"], 2),
        (["a", None, "b", "b"], 3),
        (["0049", "0041", "0041"], 2),
        ([b"a", b"b", b"b"], 2),
        ([decimal.Decimal("1.5"), 2, np.float32(3)], 1),
        (np.array([1, 2, 4], np.uint8), 1),
        (["4 cyl", "6 cyl", "6 cyl", "x"], 3),
    ],
)
def test_kinds_are_recognised(values, width):
    encoder = TableEncoder().fit({"a": values})
    assert encoder.width == width == len(encoder.feature_names_out())
    assert encoder.transform({"a": values}).shape == (len(values), width)


def test_advice_about_decimal_commas_works_as_it_stands():
    pd = pytest.importorskip("pandas")
    for text in ("1,5", "1,500"):
        table = pd.DataFrame({"a b": [text, "2,250"] * 9})
        with pytest.raises(ValueError, match="pandas") as told:
            TableEncoder().fit(table)
        code = re.search(r"write (table\[.*?astype\(float\))", str(told.value))[1]
        numbers = eval(code, {"table": table})
        assert TableEncoder().fit(table.assign(**{"a b": numbers})).width == 1
        assert numbers[0] == 1.5


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([7, 7, 7], "every value is the same"),
        ([2**62, 2**62 + 1, 2**62], "every value is the same in float64"),
        (np.array([2**62, 2**62 + 1, 2**62]), "every value is the same in float64"),
        (["36028797018963968", "36028797018963969"] * 2, "every value is the same in float64"),
        ([2**62 + i // 9 for i in range(36)] + [None], "every value is the same in float64"),
        ([str(2**62 + 200 * i) for i in range(36)], "36 integers are 8 values in float64"),
        (np.arange(36) * 200 + 2**62, "36 integers are 8 values in float64"),
        (["x", "x", "x"], "every value is the same"),
        ([None, np.nan, None], "every value is missing"),
        (["", "", "NA"], "every value is missing"),
        (["an", "ide", "ntity"], "every text is different"),
        (["007", "008", "009"], "every text is different"),
    ],
)
def test_columns_that_tell_nothing_are_left_out_and_named(values, reason):
    encoder = TableEncoder().fit({"a": values, "b": range(len(values))})
    assert encoder.feature_names_out() == ["b"]
    assert "left out" in reasons(encoder)["a"]
    assert reason in reasons(encoder)["a"]
    assert encoder.transform({"b": [1, 2, 3]}).shape == (3, 1)  # the column may be missing
    with pytest.raises(ValueError, match=f"no column of the table holds information.*{reason}"):
        TableEncoder().fit({"a": values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["$675,553", "$1,200", "$3"], "'a', row 0: .*without the sign"),
        (["1200", "1,300", "1400"], "'a', row 1: expects a number, got '1,300'.*separator"),
        (["1,5", "2,5", "3,5"], "'a', row 0: .*decimal"),
        (["12", "13", "forty"], "'a', row 2: expects a number, got 'forty'.*OneHot"),
        (["1%", "0.02", "0.03"], "'a', row 0: .*; divide it by 100 if .*, or write all numbers"),
        (["1,5", "2,25"] * 9, r"; write table\['a'\]\.str\.replace\(',', '\.'\)\.astype\(float\)"),
        (
            ["935,88", "1.234,50"] * 9,
            r"; write table\['a'\]\.str\.replace\('\.', ''\)\.str\.replace\(',', '\.'\)\.astype"
            r"\(float\) "
            r"\(or pandas\.read_csv\(decimal=',', thousands='\.'\)\)",
        ),
        (
            ["1,500", "2,250"] * 9,
            r"separator ',', or write .* \(or pandas.read_csv\(decimal=','\)\)",
        ),
        (["50%", "20%", "10%"], "'a', row 0: .*without the sign '%'"),
        (["100k", "250000", "300000"], "'a', row 0: .*write the number in full, without the unit"),
        (["text", 3, None], "'a' mixes text and numbers: 'text' in row 0, 3 in row 1"),
        ([1.0, np.inf, 2.0], "'a', row 1: expects a finite number, got inf"),
        (["2020-01-31", "2020-02-28", "2021-03-01"], r"'a' holds dates.*pandas.to_datetime"),
        (["31.01.2020", "28.02.2020"], "'a' holds dates"),
        (["2020-01-31 12:00", "NA"], "'a' holds dates"),
        ([datetime.date(2020, 1, 1), None], r"'a' holds dates.*\.dt\.year.*columns={'a': None}"),
        (np.array(["2020-01-01"], "M8[D]"), "'a' holds dates"),
        (np.array([3], "m8[D]"), "'a' holds dates.*timedelta64"),
        ([[1], [2]], "'a', row 0: expects a number or text, got list"),
        (np.array([1j]), "'a' expects real numbers"),
    ],
)
def test_what_cannot_be_used_is_refused_by_row_and_column(values, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TableEncoder().fit({"a": values})


def test_advice_for_a_refused_column_works():
    dates = ["2020-01-31", "2020-02-28", "2020-02-28"]
    made = TableEncoder(columns={"a": None}).fit({"a": dates, "b": [1, 2, 3]})
    assert made.feature_names_out() == ["b"]
    made = TableEncoder(columns={"a": OneHot()}).fit({"a": ["12", "13", "forty"]})
    assert made.feature_names_out() == ["a=12", "a=13", "a=forty"]
    made = TableEncoder(missing=["", "forty"]).fit({"a": ["12", "13", "forty"]})
    assert made.feature_names_out() == ["a", "a=missing"]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": pandas.to_datetime(["2020-01-31", "2021-02-28"])})
    assert TableEncoder().fit({"a": frame["a"].dt.year}).width == 1
    assert TableEncoder().fit({"a": frame["a"].dt.day_of_week}).width == 1


def test_columns_decide_otherwise():
    table = {"zip": [53111, 89073, 53111], "id": ["a", "b", "c"], "size": ["1", "2", "4"]}
    columns = {"zip": OneHot(), "id": OneHot(), "size": QuantileBins(2)}
    encoder = TableEncoder(columns=columns).fit(table)
    assert encoder.feature_names_out() == [
        *("zip=53111", "zip=89073", "id=a", "id=b", "id=c", "size<2", "size>=2"),
    ]
    assert TableEncoder(columns={2: None}).fit(np.arange(6).reshape(2, 3)).width == 2
    with pytest.raises(ValueError, match=r"columns names 'zap'.*did you mean 'zip'"):
        TableEncoder(columns={"zap": None}).fit(table)
    with pytest.raises(TypeError, match=r"columns\['zip'\] expects a ColumnEncoding"):
        TableEncoder(columns={"zip": "onehot"})
    with pytest.raises(TypeError, match="numeric expects an encoding of numbers"):
        TableEncoder(numeric=OneHot())


# the same table in every form


def test_every_form_of_a_table_gives_the_same(table):
    expected = TableEncoder().fit_transform(table)
    rows = np.array([*zip(*table.values(), strict=True)], object)
    structured = np.empty(40, [("size", float), ("rooms", int), ("town", "U5"), ("balcony", bool)])
    for name, values in table.items():
        structured[name] = values
    forms = [rows, rows.tolist(), structured, {k: list(v) for k, v in table.items()}]
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pandas.DataFrame(table)
    forms += [frame, frame.convert_dtypes(), frame.astype({"town": "category"})]
    forms += [polars.DataFrame(table), polars.DataFrame(table).cast({"town": polars.Categorical})]
    for form in forms:
        np.testing.assert_array_equal(TableEncoder().fit_transform(form), expected)
    np.testing.assert_array_equal(
        TableEncoder().fit(frame).transform(frame[["town", "size", "balcony", "rooms"]]), expected
    )


def test_gaps_of_every_kind_are_the_same():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    numbers, texts = [1.0, None, 3.0, 4.0], ["a", None, "b", "a"]
    expected = TableEncoder().fit_transform({"n": numbers, "t": texts})
    assert expected[1].tolist() == [0, 1, 0, 0, 1] or expected[1, 1] == expected[1, 4] == 1
    forms = [
        {"n": [1, np.nan, 3, 4], "t": ["a", np.nan, "b", "a"]},
        {"n": ["1", "", "3", "4"], "t": ["a", "", "b", "a"]},
        pandas.DataFrame({"n": numbers, "t": texts}),
        pandas.DataFrame({"n": numbers, "t": texts}).convert_dtypes(),
        pandas.DataFrame({"n": numbers, "t": pandas.Categorical(texts)}),
        pandas.DataFrame({"n": pandas.array([1, pandas.NA, 3, 4], "Int64"), "t": texts}),
        polars.DataFrame({"n": numbers, "t": texts}),
        polars.DataFrame({"n": [1, None, 3, 4], "t": texts}),
    ]
    for form in forms:
        np.testing.assert_array_equal(TableEncoder().fit_transform(form), expected)


def test_a_numeric_array_is_not_copied_by_columns():
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_allclose(
        TableEncoder().fit_transform(x), (x - x.mean(0)) / x.std(0), atol=1e-5
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1, 2, 3], "a list expects rows of equal length"),
        (np.arange(3), r"an array of shape \(3,\); one column: table\[:, None\]"),
        ({}, "the table is empty: 0 rows, 0 columns"),
        ({"a": []}, "the table is empty: 0 rows, 1 columns"),
        ({"a": [1, 2], "b": [1]}, r"columns of equal length, got lengths \[1, 2\]"),
        ({"a": "text"}, "column 'a' expects a list of values"),
        (3, "a table expects a DataFrame"),
        (np.ma.masked_array([[1, 2]], [[True, False]]), "masked array with a masked value"),
    ],
)
def test_what_is_no_table_is_refused(table, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TableEncoder().fit(table)


@pytest.mark.parametrize(
    "size", [10**400, -(10**400), fractions.Fraction(10**400, 3), decimal.Decimal("1e400")]
)
def test_numbers_beyond_float64_are_refused(size):
    with pytest.raises(ValueError, match=r"column 'a', row 1: expects a finite number, got -?inf"):
        TableEncoder().fit({"a": [1, size, 3], "b": [1.0, 2.0, 3.0]})


def test_names_are_checked(table):
    pandas = pytest.importorskip("pandas")
    encoder = TableEncoder().fit(table)
    with pytest.raises(ValueError, match="lacks 'town'; give"):
        encoder.transform({k: v for k, v in table.items() if k != "town"})
    with pytest.raises(ValueError, match="'price' was not in the training data; leave it out"):
        encoder.transform(table | {"price": table["size"]})
    with pytest.raises(ValueError, match="columns are numbered: give a DataFrame, or a dict"):
        encoder.transform([[*row] for row in zip(*table.values(), strict=True)])
    nameless = TableEncoder().fit(np.ones((4, 2)) * np.arange(4)[:, None])
    with pytest.raises(ValueError, match=r"numbered, without names: pass table\.to_numpy\(\)"):
        nameless.transform(pandas.DataFrame({"a": [1.0], "b": [2.0]}))
    years = TableEncoder().fit({2010: np.arange(4.0), 2011: np.ones(4)})  # as pivot tables have
    for other in (np.ones((2, 2)), pandas.DataFrame({"2010": [1.0], "2011": [2.0]})):
        with pytest.raises(ValueError, match=r"or a dict such as \{2010: \[\.\.\.\], \.\.\.\}"):
            years.transform(other)
    assert years.transform({2010: [1.0], 2011: [1.0]}).shape == (1, 1)
    with pytest.raises(ValueError, match="lacks 'size' and 'Size' was not in the training data"):
        encoder.transform({("Size" if k == "size" else k): v for k, v in table.items()})
    with pytest.raises(ValueError, match="two columns are named 'a'"):
        TableEncoder().fit(pandas.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]))
    with pytest.raises(ValueError, match="expects a number, got 'big'"):
        encoder.transform(table | {"size": ["big"] * 40})
    with pytest.raises(RuntimeError, match=r"not fitted yet; call encoder\.fit"):
        TableEncoder().transform(table)
    with pytest.raises(RuntimeError, match="is not planned yet"):
        TableEncoder().width  # noqa: B018


# against other libraries


def test_one_hot_equals_scikit_learn(table):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    towns = np.array(table["town"], object)[:, None]
    new = np.array([["Ulm"], ["Berlin"], ["Bonn"]], object)
    for options, theirs in [
        ({}, {}),
        ({"least_rows": 14}, {"min_frequency": 14}),
        ({"most": 1}, {"max_categories": 2}),
    ]:
        ours = TableEncoder(categories=OneHot(**options)).fit(towns)
        expected = preprocessing.OneHotEncoder(
            sparse_output=False, handle_unknown="infrequent_if_exist", **theirs
        ).fit(towns)
        for x in (towns, new):
            np.testing.assert_array_equal(ours.transform(x), expected.transform(x))


def test_standard_equals_scikit_learn():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    rng = np.random.default_rng(0)
    x, weights = rng.normal(1e6, 1, (50, 3)), rng.integers(0, 3, 50)
    expected = preprocessing.StandardScaler().fit(x, sample_weight=weights).transform(x)
    ours = TableEncoder().fit_transform(x, sample_weight=weights)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_quantile_bins_equal_scikit_learn_and_pandas():
    preprocessing, pandas = (
        pytest.importorskip("sklearn.preprocessing"),
        pytest.importorskip("pandas"),
    )
    rng = np.random.default_rng(1)
    for values in (rng.normal(size=200), rng.integers(0, 9, 200) / 2, rng.exponential(size=37)):
        x = values[:, None].astype(np.float64)
        encoder = TableEncoder(numeric=QuantileBins(8)).fit(x)
        edges = encoder.snapshot()["states"][0][0]["edges"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about coinciding edges
            theirs = preprocessing.KBinsDiscretizer(
                8, encode="ordinal", quantile_method="inverted_cdf", subsample=None
            ).fit(x)
        np.testing.assert_array_equal(edges, theirs.bin_edges_[0])
    counts = np.unique(np.searchsorted(edges[1:-1], values), return_counts=True)[1]
    pandas_counts = pandas.qcut(values, 8).value_counts()
    assert abs(counts - pandas_counts.to_numpy()).max() <= 1


@pytest.mark.parametrize("least_rows", [1, 7])
@pytest.mark.parametrize("outputs", [1, 3])
def test_target_bins_are_the_leaves_of_scikit_learns_tree(least_rows, outputs):
    tree = pytest.importorskip("sklearn.tree")
    rng = np.random.default_rng(least_rows)
    for values in (rng.normal(size=300), rng.integers(0, 40, 300), rng.exponential(size=300)):
        x = values.astype(np.float32)[:, None]
        y = np.sin(3 * x) + rng.normal(0, 0.3, (300, outputs))
        weights = rng.uniform(0.5, 2, 300)
        theirs = tree.DecisionTreeRegressor(
            max_leaf_nodes=9, min_samples_leaf=least_rows, random_state=0
        ).fit(x, y, sample_weight=weights)
        expected = np.sort(theirs.tree_.threshold[theirs.tree_.feature >= 0])
        encoder = TableEncoder(numeric=TargetBins(9, least_rows=least_rows))
        edges = encoder.fit(x, y, sample_weight=weights).snapshot()["states"][0][0]["edges"]
        np.testing.assert_allclose(edges[1:-1], expected, rtol=1e-6)
        assert [edges[0], edges[-1]] == [x.min(), x.max()]


def test_target_bins_of_classes_split_by_gini():
    tree = pytest.importorskip("sklearn.tree")
    rng = np.random.default_rng(3)
    x = rng.normal(size=400).astype(np.float32)
    y = np.array(["low", "mid", "high"])[np.digitize(x + rng.normal(0, 0.5, 400), [-0.5, 0.5])]
    theirs = tree.DecisionTreeClassifier(max_leaf_nodes=6, min_samples_leaf=16).fit(x[:, None], y)
    edges = TableEncoder(numeric=TargetBins(6)).fit(x[:, None], y).snapshot()["states"][0][0]
    expected = np.sort(theirs.tree_.threshold[theirs.tree_.feature >= 0])
    np.testing.assert_allclose(edges["edges"][1:-1], expected, rtol=1e-6)


def test_bins_are_those_of_the_paper():
    x = np.linspace(-1, 11, 25)
    encoder = TableEncoder(numeric=QuantileBins(3)).fit([[0.0], [2.0], [5.0], [10.0]])
    edges = encoder.snapshot()["states"][0][0]["edges"]
    expected = [
        [min(max((v - a) / (b - a), 0), 1) for a, b in itertools.pairwise(edges)] for v in x
    ]
    np.testing.assert_allclose(encoder.transform(x[:, None]), expected, rtol=1e-6)


def test_robust_is_the_papers_formula():
    x = np.random.default_rng(0).standard_cauchy(101)[:, None]
    low, median, high = np.quantile(x, [0.25, 0.5, 0.75], method="inverted_cdf")
    z = (x - median) / (high - low)
    np.testing.assert_allclose(
        TableEncoder(numeric=Robust()).fit_transform(x), z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-5
    )
    mostly = np.array([0.0] * 50 + [1.0, 4.0])[:, None]  # equal quartiles: scale by half the range
    np.testing.assert_allclose(
        TableEncoder(numeric=Robust()).fit_transform(mostly)[-1], 2 / np.sqrt(1 + 4 / 9), rtol=1e-6
    )


def test_numbers_of_any_size_are_scaled():
    for size in (1e-300, 1e-5, 1.0, 1e5, 1e150, 1e300):
        x = size * np.array([[1.0], [2.0], [4.0]])
        expected = TableEncoder().fit_transform([[1.0], [2.0], [4.0]])
        np.testing.assert_allclose(TableEncoder().fit_transform(x), expected, rtol=1e-6)
    mean = 1e9 + np.array([[1.0], [2.0], [4.0]])
    np.testing.assert_allclose(TableEncoder().fit_transform(mean), expected, rtol=1e-6)
    encoder = TableEncoder().fit([[0.0], [1e-30]])
    with pytest.raises(ValueError, match=r"column 0, row 1: 1e.30 is too far"):
        encoder.transform([[0.0], [1e30]])


# hostile tables


def hostile():
    """Hostile tables by name, with their features."""
    n = 60
    rng = np.random.default_rng(2)
    y = rng.normal(size=n)
    rare = ["x"] * (n - 1) + ["y"]
    yield "one level nearly everywhere", {"a": rare}, y, ["a=x", "a=y"]
    yield "constant column", {"a": [1] * n, "b": y}, y, ["b"]
    yield "column equal to the target", {"a": y}, y, ["a"]
    yield (
        "leading zeros",
        {"a": [f"{i % 7:03}" for i in range(n)]},
        y,
        [f"a=00{i}" for i in range(7)],
    )
    yield "an id", {"id": [f"{i:05}" for i in range(n)], "b": y}, y, ["b"]
    yield "constant with gaps", {"a": [5.0] * 30 + [None] * 30}, y, ["a", "a=missing"]
    yield "one level with gaps", {"a": ["x"] * 30 + [None] * 30}, y, ["a=x", "a=missing"]
    wide = {f"c{i}": rng.normal(size=3) for i in range(50)}
    yield "more columns than rows", wide, y[:3], list(wide)
    yield "three rows", {"a": [1, 2, 3], "b": ["u", "v", "v"]}, y[:3], ["a", "b=u", "b=v"]


@pytest.mark.parametrize("case", [*hostile()], ids=lambda case: case[0])
def test_hostile_tables(case):
    _, table, y, names = case
    encoder = TableEncoder().fit(table, y)
    assert encoder.feature_names_out() == names
    for numeric in NUMERIC:
        features = TableEncoder(numeric=numeric.example()).fit_transform(table, y)
        assert features.dtype == np.float32
        assert np.isfinite(features).all()


# properties

# to six places: a column with a spread of 1e-86 correctly refuses a number of 1e9
NUMBERS = st.one_of(
    st.none(), st.floats(-1e6, 1e6).map(lambda x: round(x, 6)), st.integers(-9, 9).map(float)
)
TEXTS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d", ""]))
SMALL = st.floats(-1, 1).map(lambda x: round(x, 6))
ROWS = st.lists(st.tuples(NUMBERS, TEXTS, SMALL), min_size=2, max_size=30)


def usable(encoder, rows, **options):
    """The fitted encoder, or None for a table without information."""
    table = {"n": [row[0] for row in rows], "t": [row[1] for row in rows]}
    try:
        return encoder.fit(table, [row[2] for row in rows], **options), table
    except ValueError as error:
        if "holds information" not in str(error):
            raise
        return None, table


@given(rows=ROWS, seed=st.integers(0, 99), encoding=st.sampled_from(ENCODINGS))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_does_not_matter(rows, seed, encoding):
    order = np.random.default_rng(seed).permutation(len(rows))
    encoder, table = usable(encoder_with(encoding.example()), rows)
    shuffled, _ = usable(encoder_with(encoding.example()), [rows[i] for i in order])
    if encoder is None:
        assert shuffled is None
        return
    assert encoder.feature_names_out() == shuffled.feature_names_out()
    np.testing.assert_allclose(encoder.transform(table), shuffled.transform(table), atol=1e-5)


@given(rows=ROWS, encoding=st.sampled_from(ENCODINGS), new=st.lists(st.tuples(NUMBERS, TEXTS)))
@settings(max_examples=60, deadline=None)
def test_any_row_is_encoded_by_itself(rows, encoding, new):
    encoder, table = usable(encoder_with(encoding.example()), rows)
    if encoder is None:
        return
    before = encoder.snapshot()
    values = [*zip(table["n"], table["t"], strict=True), *new, (None, "unseen"), (1e9, None)]
    together = encoder.transform({"n": [v[0] for v in values], "t": [v[1] for v in values]})
    assert together.shape == (len(values), encoder.width)
    assert np.isfinite(together).all()
    for row, (number, text) in zip(together, values, strict=True):
        np.testing.assert_array_equal(encoder.transform({"n": [number], "t": [text]})[0], row)
    assert repr(encoder.snapshot()) == repr(before)


@given(rows=ROWS, encoding=st.sampled_from(ENCODINGS), counts=st.data())
@settings(max_examples=60, deadline=None)
def test_a_weight_counts_as_so_many_rows(rows, encoding, counts):
    many = counts.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    if encoding is TargetBins or not encoding.of_numbers or not any(many):
        return  # counts rows, not weights
    numbers = np.array([[row[2]] for row in rows])
    if len(np.unique(np.repeat(numbers, many))) < 2:
        return
    weighted = TableEncoder(encoding.example()).fit(numbers, sample_weight=many)
    repeated = TableEncoder(encoding.example()).fit(np.repeat(numbers, many, axis=0))
    np.testing.assert_allclose(
        weighted.transform(numbers), repeated.transform(numbers), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_only_target_bins_see_the_target(encoding, table):
    y = np.random.default_rng(0).normal(size=40)
    one = encoder_with(encoding.example()).fit(table, y)
    other = encoder_with(encoding.example()).fit(table, y**2)
    same = repr(one.snapshot()) == repr(other.snapshot())
    assert same is not encoding.sees_target
    np.testing.assert_array_equal(one.transform(table), one.transform(table))
    if encoding.sees_target:
        with pytest.raises(ValueError, match="uses the target; call fit"):
            encoder_with(encoding.example()).fit(table)


# gaps and new levels


def test_gaps_that_were_not_there_in_training():
    numbers = [[1.0], [2.0], [4.0], [8.0]]
    for numeric in NUMERIC:
        encoder = TableEncoder(numeric=numeric.example()).fit(numbers, [1.0, 2.0, 3.0, 4.0])
        filled = encoder.transform([[None], [2.0]])  # the median
        np.testing.assert_array_equal(filled[0], filled[1])


def test_a_gap_has_a_bin_of_its_own():
    encoder = TableEncoder(numeric=QuantileBins(2)).fit([[0.0], [1.0], [2.0], [None]])
    assert encoder.transform([[None], [2.0]]).tolist() == [[0, 0, 1], [1, 1, 0]]


def test_unseen_levels_have_their_place():
    towns = [["Bonn"], ["Ulm"], ["Bonn"], ["Ulm"], ["Trier"], [None]]
    encoder = TableEncoder(categories=OneHot(least_rows=2)).fit(towns)
    assert encoder.feature_names_out() == ["0=Bonn", "0=Ulm", "0=other", "0=missing"]
    assert encoder.transform([["Berlin"], ["Trier"], [""]]).tolist() == [
        *([0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]),
    ]
    codes = TableEncoder(categories=Codes(least_rows=2)).fit(towns)
    assert codes.transform([["Berlin"], ["Bonn"], ["Ulm"], [None]]).ravel().tolist() == [0, 1, 2, 3]
    assert codes.codes() == {0: 4}


# a plan, and encoders of members


def test_a_plan_has_room_for_every_part_of_the_rows(table):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(40, 1))
    towns = table | {"size": [None, *table["size"][1:]], "town": ["Jena", *table["town"][1:]]}
    for numeric in NUMERIC:
        encoder = TableEncoder(numeric=numeric.example(), categories=Codes()).plan(towns)
        width, codes = encoder.width, encoder.codes()
        for _ in range(5):
            rows = np.sort(rng.choice(40, 25, replace=False))
            encoder.fit_members(towns, y, None, rows)
            assert (encoder.width, encoder.codes()) == (width, codes)
            features = encoder.transform(towns)
            assert features.shape == (40, width)
            (place,) = codes
            assert features[:, place].max() < codes[place]
            assert len(set(encoder.feature_names_out())) == width
            some = {name: np.array(values, object)[rows] for name, values in towns.items()}
            alone = TableEncoder(numeric=numeric.example(), categories=Codes()).fit(some, y[rows])
            used = np.flatnonzero(features.any(axis=0))
            np.testing.assert_array_equal(
                features[:, used],
                alone.transform(towns)[:, alone.transform(towns).any(axis=0)],
            )


def test_target_aware_bins_are_learnt_once_for_each_member(table):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(40, 1))
    members = [np.setdiff1d(np.arange(40), np.arange(j, 40, 3)) for j in range(3)]
    encoder = TableEncoder(TargetBins(4, least_rows=2)).plan(table)
    features = encoder.fit_members(table, y, None, None, members).transform(table)
    assert features.shape == (3, 40, encoder.width)
    for j, rows in enumerate(members):
        changed = y.copy()
        changed[np.setdiff1d(np.arange(40), rows)] = 99  # the own fold has no influence
        again = TableEncoder(TargetBins(4, least_rows=2)).plan(table)
        again.fit_members(table, changed, None, None, members)
        np.testing.assert_array_equal(again.transform(table)[j], features[j])
        assert (again.transform(table)[j - 1] != features[j - 1]).any()
    shared = TableEncoder(QuantileBins(4)).plan(table)
    assert shared.fit_members(table, y, None, None, members).transform(table).ndim == 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_learnt_can_be_kept(encoding, table):
    encoder = encoder_with(encoding.example()).fit(table, np.arange(40.0))
    again = encoder_with(encoding.example())
    again.restore(encoder.snapshot())
    for twin in (again, copy.deepcopy(encoder)):
        np.testing.assert_array_equal(twin.transform(table), encoder.transform(table))
        assert twin.feature_names_out() == encoder.feature_names_out()
        assert twin.summary() == encoder.summary()


def test_options_act_when_they_are_assigned(table):
    encoder = TableEncoder(QuantileBins(4)).fit(table)
    encoder.numeric = Standard()
    assert not encoder.fitted
    assert not encoder.planned
    expected = TableEncoder(Standard()).fit_transform(table)
    np.testing.assert_array_equal(encoder.fit_transform(table), expected)
    with pytest.raises(TypeError, match="numeric expects"):
        encoder.numeric = OneHot()
    encoder.columns = {"town": None}
    assert "town" not in encoder.fit(table).column_names()
    bins = QuantileBins(4)
    encoder = TableEncoder(bins).fit(table)
    bins.bins = 2  # for the next fit
    assert encoder.width == TableEncoder(QuantileBins(4)).fit(table).width
    assert encoder.fit(table).width == TableEncoder(QuantileBins(2)).fit(table).width
    with pytest.raises(ValueError, match="QuantileBins: bins expects"):
        bins.bins = 0


def test_weights_and_targets_are_checked(table):
    for y in (np.arange(3), np.zeros((40, 2, 2)), [np.nan] * 40, [["a"]] * 40):
        with pytest.raises((ValueError, TypeError), match=r"y expects"):
            TableEncoder().fit(table, y)
    for weights in ([1.0], [-1.0] * 40, [0.0] * 40, [np.nan] * 40):
        with pytest.raises(ValueError, match="sample_weight expects"):
            TableEncoder().fit(table, sample_weight=weights)


def test_what_is_nearly_a_table_is_refused_with_the_fix():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    frame = pandas.DataFrame({"a": [1.0, 2.0, 3.5], "b": ["x", "y", "x"]})
    made = TableEncoder().fit(frame)
    rows = frame.to_dict("records")
    with pytest.raises(TypeError, match=r"got a list of dicts; write pandas\.DataFrame"):
        made.transform(rows)
    by_name = {name: [row[name] for row in rows] for name in rows[0]}
    np.testing.assert_array_equal(made.transform(by_name), made.transform(frame))
    with pytest.raises(ValueError, match=r"a row of a frame as a table: frame\[i : i \+ 1\]"):
        made.transform(frame.iloc[1])
    np.testing.assert_array_equal(made.transform(frame[1:2]), made.transform(frame)[1:2])
    with pytest.raises(TypeError, match=r"got a LazyFrame; pass frame\.collect\(\)"):
        made.transform(polars.DataFrame(by_name).lazy())

    class Table:  # what pyarrow's has of a frame
        columns, column_names, to_pandas = [[1.0], ["x"]], ["a", "b"], None

    with pytest.raises(TypeError, match=r"got a Table of Arrow; pass table\.to_pandas\(\)"):
        made.transform(Table())


def test_the_advice_about_a_mask_works_when_it_is_followed():
    masked = np.ma.masked_less([1.0, -5.0, 2.0, 4.0], 0)
    given = {"column 'a'": {"a": masked}, "the table": masked[:, None]}
    for name, table in given.items():
        with pytest.raises(ValueError, match=f"{name} is a masked array.* its method .filled") as e:
            TableEncoder().fit(table)
        assert str(e.value).endswith("fill them in with its method .filled(numpy.nan)")
    made = TableEncoder().fit({"a": masked.filled(np.nan)})
    assert made.feature_names_out() == ["a", "a=missing"]


def test_the_advice_about_a_text_that_stands_for_a_gap_works_when_it_is_followed():
    table = {"a": ["1", "NA", "?", "none", "3"]}
    with pytest.raises(ValueError, match="mark it as missing with") as caught:
        TableEncoder().fit(table)
    missing = re.search(r"missing=(\[.*?\]);", str(caught.value))[1]
    made = TableEncoder(missing=ast.literal_eval(missing)).fit(table)
    assert made.feature_names_out() == ["a", "a=missing"]
