"""A frame and the file that is written of it name the same levels."""

import io
import unicodedata

import numpy as np
import pytest

from mlpgrad.tables import Codes, OneHot, TableEncoder

pd = pytest.importorskip("pandas")

COLUMNS = {
    "integers with gaps": pd.Series([1.0, 2.0, None, 3.0] * 6),
    "fractions": pd.Series([0.1, 1.5, -2.0, 0.0] * 6),
    "float32": pd.Series(np.float32([0.1, 1.5, 2.0, 3.0] * 6)),
    "far from one": pd.Series([1e-7, 1e16, 1e22, 123456.5] * 6),
    "integers": pd.Series([1, 2, 30, -4] * 6),
    "integers of 19 digits": pd.Series([2**62, 2**62 + 1, 2**62 + 2, 5] * 6),
    "truth": pd.Series([True, False, True, None] * 6, dtype="object"),
    "text": pd.Series(["a", "b", None, "1.10"] * 6),
}


def through_a_file(frame, **options):
    """The frame as text fields of a file, all of them strings."""
    text = frame.to_csv(index=False, **options)
    return pd.read_csv(
        io.StringIO(text), dtype=str, keep_default_na=False, sep=";" if options else ","
    )


@pytest.mark.parametrize("encoding", [OneHot(), Codes(), OneHot(2)], ids=repr)
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_file_of_a_frame_has_the_levels_of_the_frame_and_the_other_way(name, decimal, encoding):
    frame = pd.DataFrame({"level": COLUMNS[name].astype("category")})
    options = {} if decimal == "." else {"decimal": ",", "sep": ";"}
    file = through_a_file(frame, **options)
    for trained, given in ((frame, file), (file, frame)):
        encoder = TableEncoder(columns={"level": encoding}).fit(trained)
        np.testing.assert_array_equal(encoder.transform(given), encoder.transform(trained))
        np.testing.assert_array_equal(encoder.transform(given[:1]), encoder.transform(trained[:1]))


def encoded(levels, given):
    encoder = TableEncoder(columns={"level": Codes()}).fit({"level": levels})
    return encoder.transform({"level": given}).ravel().tolist()


def test_levels_of_text_that_look_alike_stay_apart():
    assert encoded(["1", "1.0", "01"], ["1", "1.0", "01"]) == [2, 3, 1]
    assert encoded(["1", "2"], ["01", "1.00", "1e0", "+1", "2.0", "1,0"]) == [0, 0, 0, 0, 2, 1]
    assert encoded(["1.1", "2.2"], ["1.10", "2.20", "1,1"]) == [0, 0, 1]
    assert encoded(["1", "1.0"], ["1,0"]) == [0]  # either of the two
    assert encoded(["inf", "nine"], ["Infinity", "nan", "inf"]) == [0, 0, 1]


def test_accents_in_one_character_or_two_are_the_same():
    levels = ["Zürich", "Genève"]
    apart = [unicodedata.normalize("NFD", level) for level in levels]
    assert encoded(levels, apart) == encoded(apart, levels) == [2, 1]
