"""How the command interprets the columns of a table, and what it refuses."""

import gzip
import re

import numpy as np
import pytest

from mlpgrad.cli.data import load_data
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.parser import build_parser
from tests.cli.running import run

ROWS = 60


def options_of(path, *options):
    return build_parser().parse_args(["train", str(path), *options])


def read(path, text, *options):
    """The data set that the command makes from a file with this text."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_data(options_of(path, *options))


def table(y="{number:.3f}", rows=ROWS, *, head="a,b,y", x="{a:.3f},{b:.3f}"):
    """A table of two features and a target, which may use the row number or the sum a + b."""
    rng = np.random.default_rng(0)
    lines = [head] if head else []
    for row, (a, b) in enumerate(rng.normal(size=(rows, 2))):
        lines.append(f"{x},{y}".format(a=a, b=b, row=row, number=a + b))
    return "\n".join(lines) + "\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.csv"


# the kind of the target


@pytest.mark.parametrize(
    ("numbers", "classes", "reason"),
    [
        ([0.5, 1, 1.5] * 20, 0, "the target has fractions"),
        ([1, 2, 3] * 20, 3, "3 different whole numbers, each in 20 or more rows"),
        ([1.0, 0.0] * 30, 2, "2 different whole numbers, each in 30 or more rows"),
        ([*range(20)] * 3, 20, "20 different whole numbers, each in 3 or more rows"),
        ([*range(21)] * 3, 0, "21 different values are too many to be classes"),
        ([1, 2] * 29 + [3, 3], 0, "1 of 3 different values has fewer than 3 rows"),
        ([1000 * i for i in range(45)], 0, "45 different values are too many to be classes"),
        ([1000 * i for i in range(15)], 0, "15 of 15 different values have fewer than 3 rows"),
        ([1e300, -1e300] * 30, 2, "2 different whole numbers"),
    ],
)
def test_whole_numbers_are_classes_where_few_and_each_has_several_rows(
    path, numbers, classes, reason
):
    rows = "".join(f"{i % 7},{i % 5},{number}\n" for i, number in enumerate(numbers))
    data = read(path, "a,b,y\n" + rows)
    assert len(data.target.classes) == classes
    assert data.target.reason.startswith(reason)
    assert any(reason in note for note in data.notes)


def test_the_task_can_be_turned_and_the_note_says_how(path):
    text = table(y="{row}")
    few = "a,b,y\n" + "".join(f"{i % 7}.5,{i % 5},{i % 4}\n" for i in range(40))
    data = read(path, few)
    assert "(--task regression for a quantity)" in data.notes[-1]
    turned = read(path, few, "--task", "regression")
    assert (turned.target.classes, turned.target.reason) == ((), "--task regression")
    assert "(--task classification for classes)" in turned.notes[-1]
    np.testing.assert_array_equal(turned.target.y, np.arange(40) % 4)
    assert "--task" not in read(path, text).notes[-1]  # 60 classes of one row each cannot be learnt


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["no", "yes"], ["no", "yes"]),
        (["True", "False"], ["False", "True"]),
        (["<5", "5-9", ">=10"], ["5-9", "<5", ">=10"]),
        (["4 cyl", "6 cyl", "8 cyl"], ["4 cyl", "6 cyl", "8 cyl"]),
        ([f"town{i}" for i in range(60)], sorted(f"town{i}" for i in range(60))),
    ],
)
def test_text_is_classes_and_never_a_quantity(path, texts, labels):
    rows = "".join(f"{i % 7}.5,{i % 5},{texts[i % len(texts)]}\n" for i in range(300))
    data = read(path, "a,b,y\n" + rows)
    assert list(data.target.classes) == labels
    assert data.target.y.tolist() == [texts[i % len(texts)] for i in range(300)]
    if texts[0].endswith(" cyl"):
        return  # a test of its own
    with pytest.raises(ValueError, match="line 2, column 'y': --task regression expects a number"):
        read(path, "a,b,y\n" + rows, "--task", "regression")


@pytest.mark.parametrize(
    ("form", "unit", "size"),
    [
        ("${row}", "$", 1),
        ('"${row},000"', "$", 1000),
        ("{row} %", "%", 1),
        ("{row} kg", "kg", 1),
        ("€ {row}", "€", 1),
        ("{row} EUR", "EUR", 1),
        ('"Rs. {row},000"', "Rs.", 1000),
        ("Fr. {row}", "Fr.", 1),
        ("Kr {row}", "Kr", 1),
        ("{row}‰", "‰", 1),
        ('"{row},000"', "", 1000),  # a and b show that the decimal sign is a point
        ('"1{row},000.5"', "", 1),
    ],
)
def test_amounts_are_read_as_numbers_never_ranked(path, form, unit, size):
    rows = range(1, ROWS)
    lines = "".join(f"{r % 7}.5,{r % 5},{form.format(row=r)}\n" for r in rows)
    data = read(path, "a,b,y\n" + lines)
    assert (data.target.classes, data.target.unit) == ((), unit)
    if "1{row}" in form:
        np.testing.assert_array_equal(data.target.y, [float(f"1{r}000.5") for r in rows])
    else:
        np.testing.assert_array_equal(data.target.y, [size * r for r in rows])
    feature = read(
        path,
        "y,b,c\n" + "".join(f"{form.format(row=r)},{r % 5},{r % 3}\n" for r in rows)
        if unit
        else "y,b,c\n" + "".join(f"{form.format(row=r)},{r % 5}.5,{r % 3}\n" for r in rows),
    )
    assert feature.columns["y"].kind == "numbers"
    np.testing.assert_array_equal(feature.x["y"], data.target.y)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (
            [f"{i} kg" for i in range(30)] + [f"{i} g" for i in range(30)],
            r"line 2, column 'y': .* got '0 kg'; convert the amounts in 'g' and in 'kg' to one",
        ),
        (
            ["$5", "€7"] * 30,
            r"line 2, column 'y': .* got '\$5'; convert the amounts in '\$' and in '€' to one unit",
        ),
        (["5"] * 59 + ["$7"], r"line 61, column 'y': .* got '\$7' among numbers"),
        (["5"] * 59 + ["many"], r"line 61, column 'y': .* got 'many' among numbers"),
        (["1_000"] * 60, r"line 2, column 'y': .* got '1_000'; write numbers with the digits 0"),
        (["٣"] * 60, r"line 2, column 'y': .* got '٣'; write numbers with the digits 0"),
        (["(5)", "7"] * 30, r"line 2, column 'y': .* got '\(5\)' among numbers; .* minus sign"),
        (["$1.2M", "$950K"] * 30, r"got '\$1.2M'; write the number in full, without '\$' and 'M'"),
        ([f"€ {i % 9} Mrd." for i in range(60)], r"in full, without '€' and 'Mrd.'"),
        (['"12,-"', '"15,- €"'] * 30, r"got '12,-'; write the number without ',-'"),
        (["CHF 12.--", "CHF 15.–"] * 30, r"got 'CHF 12.--'; write the number without '.--'"),
    ],
)
def test_unclear_amounts_are_refused_by_line_and_column(path, cells, words):
    rows = "".join(f"{i % 7}.5,{i % 5},{cell}\n" for i, cell in enumerate(cells))
    with pytest.raises(ValueError, match=words):
        read(path, "a,b,y\n" + rows)


def test_thousands_or_decimals_are_asked_where_nothing_shows_which(path):
    text = "a;b;y\n" + '"1,200";3;0\n"1,300";4;1\n' * 9
    with pytest.raises(ValueError, match=r"line 2, column 'a': .* got '1,200'; .*--decimal ','"):
        read(path, text)
    assert read(path, text, "--decimal", ",").x["a"][:2].tolist() == [1.2, 1.3]
    assert read(path, text, "--decimal", ".").x["a"][:2].tolist() == [1200, 1300]


@pytest.mark.parametrize("several", [1, 3, 20])
def test_a_few_numbers_with_a_word_are_names_unless_an_option_takes_them_for_amounts(path, several):
    few = "a,b,y\n" + "".join(
        f"{4 + 2 * (i % 20)} kg,{i % 7}.5,{i}.5\n" for i in range(several * 20)
    )
    data = read(path, few)
    kind = data.columns["a"]
    assert kind.kind == ("left out" if several == 1 else "categories")
    assert kind.reason.endswith("(--numbers 'a' for amounts in kg)")
    data = read(path, few, "--numbers", "a")
    assert str(data.columns["a"]) == "numbers in kg: as the options say"
    assert data.x["a"][:3].tolist() == [4, 6, 8]
    as_target = ("--target", "a", "--task")
    amounts = read(path, few, *as_target, "regression").target
    assert (amounts.classes, amounts.unit, amounts.y[:3].tolist()) == ((), "kg", [4, 6, 8])
    if several == 1:
        with pytest.raises(ValueError, match=r"'4 kg' is one of 20 .*; pass --task regression for"):
            read(path, few, "--target", "a")
    else:
        assert "--task regression for a quantity" in read(path, few, "--target", "a").target.reason
    if several > 1:
        more = few.replace("8 kg", "8.25 kg", 1)
        assert read(path, more).columns["a"].unit == "kg"
        assert read(path, more, "--target", "a").target.unit == "kg"
    mixed = few.replace("6 kg", "600 g")
    with pytest.raises(ValueError, match="got '4 kg'; convert the amounts in 'g' and in 'kg' to"):
        read(path, mixed, *as_target, "regression")


# the other columns


def test_each_column_is_taken_for_something_and_said(path):
    rows = "".join(
        f"{i},{'0' * (i % 2)}{i % 9},{i % 7}.5,{['red', 'blue'][i % 2]},same,{i % 3},{i}.25\n"
        for i in range(60)
    )
    data = read(path, "id,code,size,colour,constant,few,y\n" + rows)
    kinds = {name: column.kind for name, column in data.columns.items()}
    assert kinds == {
        "id": "left out", "code": "categories", "size": "numbers", "colour": "categories",
        "constant": "left out", "few": "numbers",
    }  # fmt: skip
    told = "\n".join(data.notes)
    for name, column in data.columns.items():
        assert f"  {name!r}: {column}" in told
    assert "an id, all integers are different" in told
    assert "every value is the same" in told
    assert data.x["code"][:2].tolist() == ["0", "01"]


@pytest.mark.parametrize("name", ["id", "ID", "user_id", "userId", "row", "Index", "key"])
def test_ids_are_left_out_and_can_be_taken(path, name):
    ids = np.random.default_rng(0).permutation(10_000)[:60]
    text = f"{name},b,y\n" + "".join(f"{i},{i % 7}.5,{i % 5}.5\n" for i in ids)
    data = read(path, text)
    assert list(data.x) == ["b"]
    assert str(data.columns[name]).startswith("left out: an id")
    assert list(read(path, text, "--numbers", name).x) == [name, "b"]
    for other in ("income", "paid", "humid"):  # unique values alone do not make an id
        assert list(read(path, text.replace(name, other, 1)).x) == [other, "b"]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0.1"])
def test_the_kept_index_of_a_sampled_frame_is_an_id(path, name):
    index = np.random.default_rng(0).permutation(10_000)[:60]
    rows = [f"{i},{i % 7}.5,{i}.5" for i in index]
    text = "\n".join([f"{name},b,y", *rows])
    data = read(path, text)
    assert list(data.x) == ["b"]
    assert str(data.columns[name or "column 1"]).startswith("left out: an id")
    assert list(read(path, text, "--numbers", name or "column 1").x) == [name or "column 1", "b"]
    elsewhere = "\n".join(["b,Unnamed: 0,y", *(f"{i % 7}.5,{i},{i}.5" for i in index)])
    assert list(read(path, elsewhere).x) == ["b", "Unnamed: 0"]


def test_whole_numbers_in_a_row_are_an_id_under_any_name(path):
    text = "a,b,y\n" + "".join(f"{i},{i % 7}.5,{i % 5}.5\n" for i in range(5, 65))
    assert list(read(path, text).x) == ["b"]
    only = "a,y\n" + "".join(f"{i},{i % 5}.5\n" for i in range(60))
    assert list(read(path, only).x) == ["a"]  # the only column is kept


def test_options_decide_on_columns(path):
    text = "a,b,c,y\n" + "".join(f"{i % 4},{i % 7}.5,{i % 3},{i}.5\n" for i in range(60))
    data = read(path, text, "--categories", "a, c", "--without", "b")
    assert {n: c.kind for n, c in data.columns.items()} == {
        "a": "categories", "b": "left out", "c": "categories",
    }  # fmt: skip
    assert sorted(data.x) == ["a", "c"]
    with pytest.raises(CommandError, match="--without: the table has no column 'd'"):
        read(path, text, "--without", "d")


@pytest.mark.parametrize(
    ("cells", "words", "options"),
    [
        (["2020-01-02", "2021-05-06"] * 30, r"column 'a' holds dates .* in line 2.*--without 'a'",
         ("--without", "a")),
        (["1.5", "2.5", "much"] * 20, r"line 4, column 'a': expects a number, got 'much'",
         ("--missing", ",much")),
        (["1.5", "2.5", "much"] * 20, r"--categories 'a'", ("--categories", "a")),
        (["1.5"] * 59 + ["1_000"], r"line 61, column 'a'", ("--without", "a")),
    ],
)  # fmt: skip
def test_what_is_refused_can_be_decided(path, cells, words, options):
    text = "a,b,y\n" + "".join(f"{cell},{i % 7}.5,{i}.5\n" for i, cell in enumerate(cells))
    with pytest.raises(ValueError, match=words) as caught:
        read(path, text)
    assert str(caught.value).count(str(path)) == 1
    read(path, text, *options)


def test_gaps_stay_gaps_and_rows_without_a_target_are_left_out(path):
    rows = [f"{['1.5', '', 'NA'][i % 3]},{['x', '?', 'y'][i % 3]},{i}.5" for i in range(60)]
    rows[4] = "1.5,x,"
    rows[7] = "1.5,x,NA"
    data = read(path, "a,b,y\n" + "\n".join(rows))
    assert len(data.target.y) == 58
    assert "left out, since the target is missing: 2 rows, lines 6, 9" in data.notes
    assert np.isnan(data.x["a"][1])
    assert data.x["b"][:3].tolist() == ["x", None, "y"]
    assert data.columns["b"].reason.endswith("missing")
    classes = "a,y\n" + "1.5,NA\n2.5,US\n3.5,US\n" * 9
    with pytest.raises(ValueError, match=r"line 2, column 'y': .* got 'NA'; .* --missing"):
        read(path, classes)
    assert read(path, classes, "--missing", "").target.classes == ("NA", "US")


PRICES = np.exp(np.random.default_rng(1).normal(12, 0.5, 200)).round(2)
NOISE = np.random.default_rng(2).normal(size=200)
NAMES = np.random.default_rng(3).choice(["low", "middle", "high"], 200)


def told_about(path, column, target):
    """The warnings about a column beside a column of noise."""
    cells = "".join(f"{a:.3f},{c},{y}\n" for a, c, y in zip(NOISE, column, target, strict=True))
    found = [note for note in read(path, "a,c,y\n" + cells).notes if note.startswith("warning")]
    return "\n".join(found)


@pytest.mark.parametrize("gaps", [0, 3, 8])
@pytest.mark.parametrize(
    ("column", "target", "words"),
    [
        (PRICES, PRICES, "is the same as the target in"),
        ([f"{v} €" for v in PRICES], PRICES, "is a linear function of the target"),
        ((PRICES / 1000).round(), PRICES, "is the target, rounded"),
        (PRICES // 1000, PRICES, "is the target, rounded"),
        (PRICES, (PRICES / 1000).round(), "is the target, rounded"),
        (
            PRICES * np.where(NOISE > 2, 1.1, 1),
            PRICES,
            "is the same as the target in",
        ),
        (NAMES, NAMES, "is the same as the target in"),
        (np.char.capitalize(NAMES), NAMES, "has its own name for each class of the target"),
        (NAMES == "low", NAMES != "low", "has its own name for each class of the target"),
    ],
)
def test_copies_of_the_target_are_told_in_every_unit_and_with_gaps(
    path, gaps, column, target, words
):
    cells = ["" if i % 10 < gaps else cell for i, cell in enumerate(column)]
    assert re.search(f"column 'c' {words}.*gives the answer away", told_about(path, cells, target))


@pytest.mark.parametrize(
    ("column", "target"),
    [
        ((PRICES * (1 + 0.005 * NOISE)).round(2), PRICES),
        (np.log(PRICES).round(3), PRICES),
        ((15 + 8 * NOISE + 0.5 * NOISE[::-1]).round(), (15 + 8 * NOISE).round(1)),
        (np.where(NOISE > 2, 7, 0), np.where(NOISE < -2, 7.5, 0)),
        (np.where(NOISE > 1.7, "low", NAMES), NAMES),
        (np.where(np.arange(200) < 190, "", NAMES), NAMES),
        (np.where(NOISE > 0, PRICES, 1.1 * PRICES).round(2), PRICES),
    ],
)
def test_columns_that_only_say_much_are_not_called_copies(path, column, target):
    assert "gives the answer away" not in told_about(path, column, target)


def test_a_column_that_equals_the_target_is_told(path):
    text = "a,copy,y\n" + "".join(f"{i % 7}.5,{i}.5,{i}.5\n" for i in range(60))
    data = read(path, text)
    assert any(n.startswith("warning: column 'copy' is the same as the target") for n in data.notes)
    assert not any("warning" in note for note in read(path, text, "--without", "copy").notes)


@pytest.mark.parametrize("start", [2**62, 10**20])
def test_integers_that_float64_does_not_tell_apart_are_said_to_be_that(path, start):
    rows = [f"{start + i},{i % 7}.5,{i}.5" for i in range(60)]
    reason = read(path, "\n".join(["a,b,y", *rows])).columns["a"].reason
    assert reason.startswith("every value is the same in float64, which does not tell integers of")
    with pytest.raises(ValueError, match=r"two or more different values, got .* only in float64"):
        read(path, "\n".join(["a,b,y", *rows]), "--target", "a")
    same = "\n".join(["a,b,y", *(f"{start},{i % 7}.5,{i}.5" for i in range(60))])
    assert read(path, same).columns["a"].reason == "every value is the same"
    with pytest.raises(ValueError, match=r"two or more different values, got .* only$"):
        read(path, same, "--target", "a")


def test_classes_may_be_integers_that_float64_does_not_tell_apart(path, capsys):
    text = "a,b,y\n" + "".join(f"{i % 5}.5,{i % 7}.5,{2**62 + i % 3}\n" for i in range(60))
    assert read(path, text).target.classes == (2**62, 2**62 + 1, 2**62 + 2)
    options = ("--output", str(path.parent), "--quiet", "--epochs", "1")
    assert run(capsys, "train", str(path), *options)[0] == 0
    code, out, _ = run(capsys, "evaluate", str(path.parent / "model.npz"), str(path))
    assert (code, "accuracy on 60 rows" in out) == (0, True)


@pytest.mark.parametrize("step", [1, 17, 100])
@pytest.mark.parametrize("name", ["tweet_id", "author"])
def test_long_integers_are_told_apart_as_they_are_written(path, name, step):
    """Ids of 19 digits are ids, and repeated ones are not merged to a few values in silence."""
    ids = [1234567890123456789 + step * i for i in range(60)]
    text = f"{name},b,y\n" + "".join(f"{ids[i]},{i % 7}.5,{i}.5\n" for i in range(60))
    assert read(path, text).columns[name].kind == "left out"
    text = f"{name},b,y\n" + "".join(f"{ids[i % 30]},{i % 7}.5,{i}.5\n" for i in range(60))
    column = read(path, text).columns[name]
    assert column.kind == "left out"
    assert "in float64, which does not tell integers of more than 15" in column.reason
    levels = read(path, text, "--categories", name).columns[name]
    assert levels.kind == "categories"


def test_long_integers_of_which_float64_merges_few_are_numbers(path):
    cells = [1_700_000_000_000_000_000 + i * 300 for i in range(60)]
    text = "a,b,y\n" + "".join(f"{cells[i * i % 60]},{i % 7}.5,{i}.5\n" for i in range(60))
    assert read(path, text).columns["a"].kind == "numbers"
    ids = "key,b,y\n" + "".join(f"{cells[i] + i % 2 * 30},{i % 7}.5,{i}.5\n" for i in range(60))
    assert read(path, ids).columns["key"].reason.startswith("an id, all integers are different")


@pytest.mark.parametrize("odd", ["-", "n.a.", "#N/A", "inf", "see above"])
def test_targets_among_numbers_can_be_left_out_as_advised(path, odd):
    text = "a,y\n" + "".join(f"{i % 7}.5,{odd if i % 9 == 3 else f'{i}.25'}\n" for i in range(60))
    with pytest.raises(
        ValueError, match=r"expects a target, got .* among numbers; correct"
    ) as told:
        read(path, text)
    assert "--task classification" not in str(told.value)  # each number would be a class
    missing = re.search(r"leave such rows out with --missing '(.*)'$", str(told.value))[1]
    assert len(read(path, text, "--missing", missing).target.y) == 53


def test_a_target_that_is_missing_in_all_rows_is_told_so(path):
    text = "a,y\n" + "".join(f"{i}.5,NA\n" for i in range(30))
    with pytest.raises(ValueError, match=r"has no target in any row of column 'y'$"):
        read(path, text)


# how the file is written


@pytest.mark.parametrize("delimiter", ",;\t|")
@pytest.mark.parametrize("decimal", ".,")
@pytest.mark.parametrize("packed", [False, True])
def test_delimiter_and_decimal_sign_are_seen_and_said(path, delimiter, decimal, packed):
    if delimiter == decimal:
        pytest.skip("the fields would be quoted")
    plain = read(path, table())
    text = table().replace(",", delimiter).replace(".", decimal).encode()
    data = read(path, gzip.compress(text) if packed else text)
    assert (
        f"columns separated by {delimiter!r}, decimal sign {decimal!r}, a header" in data.notes[0]
    )
    np.testing.assert_array_equal(data.x["a"], plain.x["a"])
    np.testing.assert_array_equal(data.target.y, plain.target.y)


def test_a_decimal_comma_does_not_take_points(path):
    text = "a;b;y\n" + "1,5;3;0,5\n2,5;4;1,5\n" * 20 + "1.5;3;0,5\n"
    with pytest.raises(ValueError, match=r"line 42, column 'a': .* got '1.5'"):
        read(path, text)


def test_a_first_line_of_numbers_is_data(path):
    data = read(path, table(head=""))
    assert "no header: columns are named 0, 1, 2 ..." in data.notes[0]
    assert (list(data.x), data.target_name, len(data.target.y)) == (["0", "1"], "2", ROWS)
    assert read(path, table(head=""), "--target", "0").target_name == "0"
    assert read(path, table(head=""), "--target", "-3").target_name == "0"
    named = read(path, table(head=""), "--header")
    assert len(named.target.y) == ROWS - 1
    years = read(path, table(head="2019,2020,y"))
    assert list(years.x) == ["2019", "2020"]
    counted = read(path, table(head="0,1,2"))
    assert "a header" in counted.notes[0]
    words = "a,b\n" + "x,y\ny,x\n" * 9
    assert len(read(path, words, "--header").target.y) == 18
    assert len(read(path, words.replace("a,b", "x,y"), "--no-header").target.y) == 19


WIDE = [f"utf-{bits}{order}" for bits in (16, 32) for order in ("", "-le", "-be")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", *WIDE])
def test_encodings_are_seen(path, encoding):
    data = read(path, table(head="größe,b,y").encode(encoding))
    assert list(data.x) == ["größe", "b"]
    told = "encoding" in data.notes[0]
    assert told == (encoding not in ("utf-8", "utf-8-sig"))
    greek = table(head="μήκος,b,y").encode("cp1253")
    assert list(read(path, greek, "--encoding", "cp1253").x) == ["μήκος", "b"]


def test_an_unnamed_column_has_its_place_as_name(path):
    data = read(path, table(head=",b,y", x="{row},{b:.3f}"))
    assert str(data.columns["column 1"]).startswith("left out: an id")


@pytest.mark.parametrize(
    ("text", "words", "error"),
    [
        ("", "is empty", ValueError),
        ("\n\n", "is empty", ValueError),
        ("a,b\n", "no rows below the header", ValueError),
        ("a\n1\n2\n", "expects at least two columns, .* --delimiter", ValueError),
        ("a,b\n1,2\n3\n", "line 3: expects 2 fields .* got 1; correct the line, or", ValueError),
        ("Title\n\na,b,a\n1,2,3\n", "line 3: columns 1 and 3 are both named 'a'", ValueError),
        ("1,b,1\n", "both named '1'; .*, or pass --no-header if the line is a row", ValueError),
        ("a,b,a\n1,2,3\n", "line 1: columns 1 and 3 are both named 'a'", ValueError),
        ('a,y\n1,2\n"1,2\n3,4\n', "line 3: a quotation that begins here", ValueError),
        ("a,y\n" + "1,2\n" * 20, "expects two or more different values, got 2", ValueError),
        ("a,y\n" + "1,x\n" * 20, "expects two or more classes, got 'x' only", ValueError),
        (table(y="name{row}"), "line 2, column 'y': 'name0' is one of 60 different", ValueError),
        (table(x="same,5", y="{row}"), "no column to learn from", ValueError),
    ],
)
def test_tables_that_cannot_be_learnt_from(path, text, words, error):
    with pytest.raises(error, match=words) as caught:
        read(path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--delimiter", "ab"), "--delimiter expects one character, or one of tab"),
        (("--encoding", "latin-0"), "--encoding expects an encoding such as 'utf-8'"),
        (("--delimiter", '"'), "delimiter expects one character, no quotation mark"),
        (("--delimiter", ",", "--decimal", ","), r"line 2, .* pass --decimal '\.'"),
        (("--target", "z"), "has no column 'z'"),
    ],
)
def test_options_of_files_are_checked(path, options, words):
    with pytest.raises((ValueError, CommandError), match=words):
        read(path, table(), *options)


def test_quoted_numbers_with_decimal_commas_are_read_as_the_error_advises(path):
    rows = [f'"{i},5",{"xy"[i % 2]},"{i},{i % 7}"' for i in range(60)]
    with pytest.raises(ValueError, match="pass --decimal ','"):
        read(path, "a,b,y\n" + "\n".join(rows))
    data = read(path, "a,b,y\n" + "\n".join(rows), "--decimal", ",")
    assert data.x["a"][:3].tolist() == [0.5, 1.5, 2.5]
    assert data.target.y[8] == 8.1
    columns = [row.replace('"', "").rsplit(",", 3) for row in rows]
    other = [";".join([a.replace(",", "."), b, f"{c}.{d}"]) for a, b, c, d in columns]
    points = read(path, "a;b;y\n" + "\n".join(other))
    np.testing.assert_array_equal(points.x["a"], data.x["a"])
    semicolons = "a;b;y\n" + "\n".join(other).replace(".", ",")
    np.testing.assert_array_equal(read(path, semicolons, "--decimal", ",").x["a"], data.x["a"])


def test_errors_advise_options_that_the_command_has(path):
    (commands,) = (a.choices for a in build_parser()._actions if isinstance(a.choices, dict))
    known = {name for action in commands["train"]._actions for name in action.option_strings}
    texts = ["a,y\n1,$5\n2,€7\n" * 5, "a;y\n1,5;2\n1.5;3\n", 'a,y\n"1,500",1\n"2,500",2\n',
             "a,b,y\n" + "1,2020-01-01,3\n2,2021-01-01,4\n" * 6, "a,y\n1,NA\n1,x\n", "a\n1\n",
             "a,y\n1,5\n2,x\n3,4\n", "a,b,y\n1,5,3\n2,7,1\n3,red,2\n",
             "a,b,y\n" + "1,8:15,3\n2,17:40,4\n" * 6,
             "a,y\n" + "1,3 Jan 2020\n2,4 Feb 2021\n" * 6]  # fmt: skip
    for text in texts:
        with pytest.raises((ValueError, CommandError)) as caught:
            read(path, text)
        message = str(caught.value)
        assert set(re.findall(r"--[a-z-]+", message)) <= known
        assert not re.search(r"\b(delimiter|decimal|missing|encoding|header|columns)=", message)
        assert not re.search(r"OneHot|pandas|numpy|\.dt\b", message)


DATES = [
    "2020-01-{:02d}", "{:02d}/01/20", "{:02d}.01.2020 10:15", "2020-01-{:02d}T10:15:00+02:00",
    "2020-01-{:02d}T10:15:00Z", "{} Jan 2020", "{}-JAN-20", "{} January 2020 9:30", "Jan {}, 2020",
    "March {}th, 2020", "9:{:02d}", "09:{:02d}:12.5", "9:{:02d} PM", "9:{:02d}:00am", "20{:02d}-03",
    "12/20{:02d}", "March 20{:02d}", "Jan-{:02d}", "Sept '{:02d}",
    "Sun, {:02d} Jan 2023 10:00:00 GMT", "Monday {}.1.2020, 9:30", "Thu Jan {}, 2020",
    "201410{:02d}T000000", "2024-W{:02d}", "2024W{:02d}3", "Fri Jan {:02d} 13:07:09 2024",
    "2024-Jan-{:02d}", "{:02d}/Jan/2024:13:07:09 +0000", "Mo, {:02d}.01.2024", "{}. Mai 2024",
    "{} déc. 2024", "2024年1月{}日", "{:02d}/01/2024 13h07", "{}. Okt. 2024",
]  # fmt: skip


@pytest.mark.parametrize("form", DATES)
def test_dates_are_known_in_every_form_and_refused_as_a_column_and_as_the_target(path, form):
    texts = [f'"{form.format(i % 14 + 1)}"' for i in range(84)]
    texts[5] = texts[70] = "unknown"  # a few other texts: still dates
    rows = "".join(f"{text},{i % 7}.5,{i}.5\n" for i, text in enumerate(texts))
    with pytest.raises(ValueError, match=r"column 'when' holds dates or times .*in line 2.*; give"):
        read(path, "when,b,y\n" + rows)
    with pytest.raises(ValueError, match=r"line 2, column 'when': expects a target, got the date"):
        read(path, "when,b,y\n" + rows, "--target", "when")
    found = read(path, "when,b,y\n" + rows, "--target", "when", "--task", "classification")
    assert len(found.target.classes) == 15


@pytest.mark.parametrize("form", DATES)
def test_dates_that_are_all_different_are_refused_as_well(path, form):
    rows = "".join(f'"{form.format(i)}",{i % 7}.5,{i}.5\n' for i in range(1, 15))
    with pytest.raises(ValueError, match=r"column 'when' holds dates or times .*in line 2.*; give"):
        read(path, "when,b,y\n" + rows)


@pytest.mark.parametrize("form", ["{}h 30m", "1h {}m 5s", "52°{}'N", "{} ft 3 in"])
@pytest.mark.parametrize("different", [14, 40, 60])
def test_measurements_are_warned_about_however_many_are_different(path, form, different):
    rows = "".join(f"{form.format(i % different)},{i % 7}.5,{i}.5\n" for i in range(60))
    rows = "".join(rows.splitlines(True)[:14]) if different == 14 else rows
    told = [
        note for note in read(path, "a,b,y\n" + rows).notes if note.startswith("warning: column")
    ]
    assert len(told) == 1 + (different > 48 and different < 60)
    assert told[0].endswith("if they are measurements, write each as one number")


@pytest.mark.parametrize(
    "form",
    [
        "user {}",
        "{}-2020-X",
        "10.0.0.{}",
        "+49 30 {}",
        "A{}",
        "{}",
        "{} Long Main Street",
        "x@{}.de",
    ],
)
def test_ids_and_names_are_left_out_without_a_warning(path, form):
    rows = "".join(f"{form.format(i * 37)},{i % 7}.5,{i}.5\n" for i in range(60))
    data = read(path, "id,b,y\n" + rows)
    assert data.columns["id"].kind == "left out"
    assert not any(note.startswith("warning") for note in data.notes)


@pytest.mark.parametrize(
    "form", ["Market {}", "Mars 20{:02d}", "Sunny {}", "{}/20", "20{:02d}-99", "3 W{}"]
)
def test_what_only_begins_as_a_date_is_text(path, form):
    rows = "".join(f"{form.format(i % 9 + 10)},{i % 7}.5,{i}.5\n" for i in range(60))
    assert read(path, "a,b,y\n" + rows).columns["a"].kind == "categories"


def test_what_to_do_about_a_column_of_dates_is_an_option_of_the_command(path):
    rows = "".join(f"2020-01-{i % 28 + 1:02d},{i % 7}.5,{i}.5\n" for i in range(60))
    with pytest.raises(ValueError, match=r"leave the column out: pass --without 'when'$"):
        read(path, "when,b,y\n" + rows)
    assert list(read(path, "when,b,y\n" + rows, "--without", "when").x) == ["b"]
