"""Files that a person could have: the text, and the options to train and to predict."""

import gzip

import numpy as np

ROWS = 90


def _numbers(columns=3, rows=ROWS, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns)).round(3)


def _lines(head, rows, delimiter=","):
    return "\n".join([delimiter.join(head), *(delimiter.join(row) for row in rows)]) + "\n"


def money():
    x = _numbers(2)
    rows = [[f"{a}", f"{b}", f'"${200_000 + 50_000 * a:,.0f}"'] for a, b in x]
    return _lines(["area", "rooms", "price"], rows), ()


def thousands_and_percent():
    x = _numbers(2)
    rows = [[f'"{1_000_000 + 1e5 * a:,.0f}"', f"{50 + b:.1f} %", f"{a - b:.3f}"] for a, b in x]
    return _lines(["people", "share", "y"], rows), ()


def mixed_types_in_a_column():
    x = _numbers(1)
    levels = ["3", "high", "7", "low", "unknown", "?"]
    rows = [[f"{a}", levels[i % 6], f"{a + (i % 6):.3f}"] for i, (a,) in enumerate(x)]
    return _lines(["a", "grade", "y"], rows), ("--categories", "grade")


def leading_zeros_in_ids():
    x = _numbers(1)
    rows = [[f"{i:06d}", f"{i % 9:05d}", f"{a}", f"{a + i % 9:.3f}"] for i, (a,) in enumerate(x)]
    return _lines(["customer", "postcode", "a", "y"], rows), ()


def one_level_of_99_percent():
    x = _numbers(1, rows=300)
    rows = [[f"{a}", "rare" if i % 100 == 7 else "usual", f"{a:.2f}"] for i, (a,) in enumerate(x)]
    return _lines(["a", "level", "y"], rows), ()


def a_constant_column():
    rows = [[f"{a}", "7", f"{a + b:.3f}"] for a, b in _numbers(2)]
    return _lines(["a", "seven", "y"], rows), ()


def a_column_equal_to_the_target():
    rows = [[f"{a}", f"{b}", f"{b}"] for a, b in _numbers(2)]
    return _lines(["a", "leak", "y"], rows), ()


def more_columns_than_rows():
    x = _numbers(80, rows=40)
    rows = [[*map(str, row), f"{row[0] - row[1]:.3f}"] for row in x]
    return _lines([*(f"x{i}" for i in range(80)), "y"], rows), ()


def semicolons_commas_and_umlauts():
    x = _numbers(2)
    rows = [[str(a).replace(".", ","), ["süß", "herb"][i % 2], str(b).replace(".", ",")]
            for i, (a, b) in enumerate(x)]  # fmt: skip
    return _lines(["größe", "art", "y"], rows, ";").encode("cp1252"), ()


def tabs_without_header():
    rows = [[f"{a}", f"{b}", "yes" if a > b else "no"] for a, b in _numbers(2)]
    return _lines(rows[0], rows[1:], "\t"), ()


def gaps():
    rows = [
        ["" if i % 5 == 1 else f"{a}", "NA" if i % 7 == 2 else ["x", "y"][i % 2], f"{a + b:.3f}"]
        for i, (a, b) in enumerate(_numbers(2))
    ]
    return _lines(["a", "kind", "y"], rows), ()


def quoted_text_in_gzip():
    names = ['"one, two"', '"a ""word"""', '"two\nlines"']
    rows = [[f"{a}", names[i % 3], str(a > 0)] for i, (a,) in enumerate(_numbers(1))]
    return gzip.compress(_lines(["a", "name", "true"], rows).encode()), ()


def a_spreadsheets_unicode_text():
    rows = [[f"{a}", f"{b}", str([1, 2, 3][i % 3])] for i, (a, b) in enumerate(_numbers(2))]
    return _lines(["länge", "breite", "art"], rows, "\t").encode("utf-16"), ()


def many_towns_and_units():
    x = _numbers(1, rows=240)
    rows = [[f"town {i % 60}", f"{70 + 9 * a:.1f} kg", f"{a + i % 60:.2f}"]
            for i, (a,) in enumerate(x)]  # fmt: skip
    return _lines(["town", "weight", "y"], rows), ()


def labels_below_zero():
    rows = [[f"{a}", f"{b}", str(-1 if a > b else 1)] for a, b in _numbers(2)]
    return _lines(["a", "b", "side"], rows), ("--members", "2")


def an_index_without_a_name():
    rows = [[f"{i}", f"{a}", f"{100 * a + b:.2f}"] for i, (a, b) in enumerate(_numbers(2))]
    return _lines(["", "a", "y"], rows), ("--members", "3")


def excels_first_line():
    rows = [[str(a).replace(".", ","), str(b).replace(".", ",")] for a, b in _numbers(2)]
    return "sep=;\r\n" + _lines(["a", "y"], rows, ";").replace("\n", "\r\n"), ()


def a_title_comments_and_commas_at_the_end():
    rows = [[f"{a}", f"{b}", f"{a + b:.3f}", ""] for a, b in _numbers(2)]
    return "Sales 2024\n# in thousands\n" + _lines(["a", "b", "y", ""], rows) + "# the end\n", ()


def blanks_between_columns():
    rows = [[f"{a:9.3f}", f"{b:9.3f}", f"{a - b:9.3f}"] for a, b in _numbers(2)]
    return _lines(rows[0], rows[1:], " "), ()


def utf_16_without_a_mark():
    rows = [[f"{a}", ["ja", "nein"][i % 2], f"{b}"] for i, (a, b) in enumerate(_numbers(2))]
    return _lines(["a", "größer", "y"], rows).encode("utf-16-le"), ()


def row_names_without_a_name():
    rows = [[f'"{i + 1}"', f"{a}", f"{a + b:.3f}"] for i, (a, b) in enumerate(_numbers(2))]
    return _lines(['"a"', '"y"'], rows), ()


def carriage_returns_and_numbers_for_gaps():
    rows = [[f"{a}", "-999" if i % 5 == 2 else f"{b}", f"{a + b:.3f}"]
            for i, (a, b) in enumerate(_numbers(2))]  # fmt: skip
    return _lines(["a", "b", "y"], rows).replace("\n", "\r"), ("--missing", ",-999")


def a_bank_statement():
    rows = [[f"{1 + i % 28:02d}.03.2024", ["Miete", "Gehalt", "Einkauf"][i % 3],
             f"{1000 * a + 500 * (i % 3):,.2f}".translate({44: ".", 46: ","}) + " EUR"]
            for i, (a,) in enumerate(_numbers(1))]  # fmt: skip
    above = "Umsätze;;\nKonto;;\n\n"
    text = above + _lines(["Tag", "Zweck", "Betrag"], rows, ";").replace("\n", "\r\n")
    return text.encode("cp1252"), ("--without", "Tag")


def units_in_the_second_line():
    rows = [[f"{20 + 3 * a:.2f}", f"{1000 + b:.1f}", f"{a + b:.3f}"] for a, b in _numbers(2)]
    return _lines(["temperature", "pressure", "flow"], [["°C", "hPa", "l/min"], *rows]), ()


def indian_thousands():
    rows = [[f"{a}", f'"₹ 12,{40 + int(9 * a):02d},{500 + int(99 * b):03d}"']
            for a, b in _numbers(2).clip(-3, 3)]  # fmt: skip
    return _lines(["area", "price"], rows), ()


def postcodes_as_classes():
    codes = ["01067", "10115", "20095"]
    rows = [[f"{a}", f"{b}", codes[i % 3]] for i, (a, b) in enumerate(_numbers(2))]
    return _lines(["a", "b", "postcode"], rows), ()


FILES = [
    money, thousands_and_percent, mixed_types_in_a_column, leading_zeros_in_ids,
    one_level_of_99_percent, a_constant_column, a_column_equal_to_the_target,
    more_columns_than_rows, semicolons_commas_and_umlauts, tabs_without_header, gaps,
    quoted_text_in_gzip, a_spreadsheets_unicode_text, many_towns_and_units, labels_below_zero,
    an_index_without_a_name, excels_first_line, a_title_comments_and_commas_at_the_end,
    blanks_between_columns, utf_16_without_a_mark, row_names_without_a_name,
    carriage_returns_and_numbers_for_gaps, a_bank_statement, units_in_the_second_line,
    indian_thousands, postcodes_as_classes,
]  # fmt: skip
