"""A table of a file: its columns as text, with the line of each row."""

from __future__ import annotations

import argparse
import ast
import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.layout import LOOK, Layout, Row, below_header, laid_out, without_blank
from mlpgrad.datasets.amounts import decimal_shown, how_to_write, is_grouped, with_one_sign
from mlpgrad.datasets.dialect import Dialect
from mlpgrad.datasets.fields import MISSING, Fields
from mlpgrad.datasets.files import csv_dialect, csv_encoding, csv_rows

KNOWN = -1, ""
NAMED = {"tab": "\t", r"\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}
END_OF_FILE = "\x1a"
BLANK = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\ufeff" + END_OF_FILE
_ADVICE = re.compile(r"\bheader=False\b|\b(delimiter|encoding|decimal|missing)=('?)")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_LISTED = re.compile(rf"(?:^|,)({_QUOTED.pattern}(?=,|$)|[^,]*)")
_ROW = re.compile(r"column ('[^']*'|\"[^\"]*\"), row (\d+)")
_MISSING = re.compile(r"missing=(\[.*?\])(?=; |$)")
_DATES = re.compile(r"such as \S+\.dt\.year or \.dt\.day_of_week,")
_DECIMAL = re.compile(
    r"write table\[.*?\]\.str\.replace\(.*?\(or pandas\.read_csv\((decimal='.').*?\)\)"
)
_OTHERWISE = re.compile(r"; if the column holds categories, .*|, or leave the column out .*")
_COLUMNS = re.compile(r"(write| with) columns=\{('[^']*'|\"[^\"]*\"): (None|OneHot\(\))\}")


class TextTable(NamedTuple):
    """The columns of a file as text without surrounding blanks."""

    path: Path
    columns: dict[str, list[str]]
    lines: list[int]
    """The line of each row in the file."""
    fields: Fields
    decimal_is_known: bool
    """Whether the decimal sign was given, or occurs in a number of the table."""
    note: str
    """Notes on how the file was read."""
    left_out: list[str]
    """Notes on the parts of the file that are left out, with reasons."""
    unclear: tuple[int, str] | None = None
    """Row and column of a number such as `1.200`, whose sign may be that of thousands or decimals,
    if nothing in the table shows which."""
    decided: bool = False
    """Whether a model has decided on the columns, so that options for columns do not apply."""
    delimiter: str = ","

    @property
    def names(self) -> list[str]:
        return list(self.columns)

    def place(self, row: int, name: str) -> str:
        """Return the place of a field in the file."""
        return f"{self.path}, line {self.lines[row]}, column {name!r}"

    def gaps_and(self, text: str) -> str:
        """Return the texts that stand for gaps in this file, and one more, for `--missing`."""
        seen = set().union(*self.columns.values())
        return one_text(["", *sorted(t for t in seen if t and self.fields.is_missing(t)), text])

    def _missing_option(self, found: re.Match[str]) -> str:
        return f"--missing {self.gaps_and(ast.literal_eval(found[1])[-1])!r}"

    def agreed(self, advice: str) -> str:
        """Return advice without another decimal sign, if the table shows the present one."""
        texts = itertools.chain.from_iterable(self.columns.values())
        shown = self.fields.decimal in map(decimal_shown, texts)
        return with_one_sign(advice, self.fields.decimal) if shown else advice

    def refused(self, error: Exception) -> ValueError:
        """Return an error of mlpgrad about a row, with its line and command-line options."""

        def line(found: re.Match[str]) -> str:
            return f"{self.path}, line {self.lines[int(found[2])]}, column {found[1]}"

        def option(found: re.Match[str]) -> str:
            instead = "without" if found[3] == "None" else "categories"
            return f"{'pass' if found[1] == 'write' else ': pass'} --{instead} {found[2][1:-1]!r}"

        problem, between, advice = str(error).partition("; ")
        problem = _ROW.sub(line, problem)
        problem = re.sub(r" in row (\d+)", lambda m: f" in line {self.lines[int(m[1])]}", problem)
        problem = problem.removeprefix(f"{self.path}, ")
        advice = _DECIMAL.sub(r"pass \1", advice)
        advice = _DATES.sub("such as the year or the day of the week,", advice)
        advice = _OTHERWISE.sub("", advice) if self.decided else _COLUMNS.sub(option, advice)
        advice = self.agreed(_MISSING.sub(self._missing_option, advice))
        return ValueError(f"{self.path}, {problem}{between}{_as_options(advice)}")


def read_text(path: Path, options: argparse.Namespace, every: bool = False) -> TextTable:
    """Read a table, in the given or detected dialect.

    A number such as `12.345` is refused if it may be 12345 and nothing shows what the point is: a
    comma as the delimiter means that points are decimal signs.

    Parameters
    ----------
    every : bool, default False
        Whether rows whose fields are all empty stay, as for predictions.
    """
    table = parsed(path, options, every)
    if table.unclear is None or options.decimal is not None:
        return table
    row, name = table.unclear
    text = table.columns[name][row]
    raise ValueError(
        f"{table.place(row, name)}: {text!r} may be a number with three decimals or with separated "
        f"thousands; pass --decimal . or --decimal ,"
    )


def parsed(path: Path, options: argparse.Namespace, every: bool = False) -> TextTable:
    """Read a table as `read_text` does, but with numbers that are not clear."""
    check_file(path)
    try:
        encoding = csv_encoding(path) if options.encoding is None else options.encoding
        dialect = _dialect(path, options, encoding)
        with csv_rows(path, dialect, encoding, blank=every) as numbered:
            given = [
                (line, [] if every and row == [END_OF_FILE] else row) for line, row in numbered
            ]
        rows = [(line, [field.strip(BLANK) for field in row]) for line, row in given]
        rows = without_blank(rows) if every else rows
        fields = Fields(dialect.decimal, missing_texts(options))
        header, layout = _headed(rows, fields, options.header, every)
        read = f"columns separated by {dialect.delimiter!r}, decimal sign {fields.decimal!r}"
        note = f"{read}, {'a header' if header else 'no header: columns are named 0, 1, 2 ...'}"
        note += "" if encoding == "utf-8-sig" else f", encoding {encoding}"
        return _table(path, layout, header, fields, dialect, note, options)
    except ValueError as error:
        raise ValueError(as_options(str(error))) from error


def missing_texts(options: argparse.Namespace) -> list[str]:
    """Return the texts for missing values."""
    return [*MISSING] if options.missing is None else split(options.missing)


def split(given: str) -> list[str]:
    """Return the texts that `--missing` separates by commas, of which any may be quoted."""
    texts = _LISTED.findall(given)
    return [text[1:-1].replace('""', '"') if _QUOTED.fullmatch(text) else text for text in texts]


def one_text(texts: Sequence[str]) -> str:
    """Return texts as `--missing` takes them: those with a comma are quoted."""
    quoted = ('"' + text.replace('"', '""') + '"' for text in texts)
    pairs = zip(texts, quoted, strict=True)
    return ",".join(quoted if set(text) & {",", '"'} else text for text, quoted in pairs)


def check_file(path: Path) -> None:
    """Raise CommandError unless the file exists."""
    if path.is_dir():
        raise CommandError(f"expects a file, got the directory {str(path)!r}; name a file in it")
    if not path.exists():
        raise CommandError(f"found no file {str(path)!r}")


def check_directory(path: Path) -> None:
    """Raise CommandError if what is to be a directory is a file."""
    if path.exists() and not path.is_dir():
        raise CommandError(f"--output expects a directory, got the file {str(path)!r}")


def make_directory(path: Path) -> None:
    """Make the directory for the output, before the work that would be lost without one."""
    check_directory(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f" ({(error.strerror or str(error)).lower()})"
    else:
        reason = "" if os.access(path, os.W_OK) else " (permission denied)"
    if reason:
        raise CommandError(f"--output expects a directory to write to, got {str(path)!r}{reason}")


def _headed(
    rows: list[Row], fields: Fields, header: bool | None, every: bool
) -> tuple[bool, Layout]:
    """Return whether the first row of a table is a header, and the rows of the table."""
    layout = laid_out(rows, fields.is_number, header is not False, every)
    if header is not None or not layout.rows:
        return header is not False, layout
    first, *below = [row for _, row in layout.rows[: 1 + LOOK] if any(row)]
    if not _is_data(first, below, fields):
        return True, layout
    return False, laid_out(rows, fields.is_number, False, every) if every else layout


def _table(
    path: Path,
    layout: Layout,
    header: bool,
    fields: Fields,
    dialect: Dialect,
    note: str,
    options: argparse.Namespace,
) -> TextTable:
    """Return the table from rows of text, the first of which may be a header."""
    numbered, left_out = layout
    if not numbered:
        raise ValueError(f"{path} is empty; a header and rows of data are needed")
    lines, rows = [line for line, _ in numbered], [row for _, row in numbered]
    first = rows[0]
    header_line = f"{path}, line {lines[0]}"
    names = _names(first, header_line, fields) if header else [str(i) for i in range(len(first))]
    lines, rows = lines[header:], rows[header:]
    if header:
        lines, rows = below_header(names, lines, rows, fields, left_out)
    if not rows:
        fix = "at least one row is needed"
        fix += "; if it is a row of data, pass header=False" * (options.header is None)
        raise ValueError(
            f"{path} has no rows below the header, line {numbered[0][0]}, {first[:5]}; {fix}"
        )
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(names):
            raise ValueError(
                f"{path}, line {line}: expects {len(names)} fields as in the first line, "
                f"got {len(row)}; correct the line, or remove it if it is not a row of the table"
            )
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    unclear = None if options.decimal else _unclear(columns, fields, dialect.delimiter)
    known = bool(options.decimal) or unclear == KNOWN
    place = None if unclear == KNOWN else unclear
    return TextTable(
        path, columns, lines, fields, known, note, left_out, place, delimiter=dialect.delimiter
    )


def _unclear(
    columns: dict[str, list[str]], fields: Fields, delimiter: str
) -> tuple[int, str] | None:
    """Return the place of a number such as `1.200`, or KNOWN if another shows the decimal sign."""
    place = None
    for name, texts in columns.items():
        for row, text in enumerate(texts):
            if "." in text or "," in text:
                number = fields.is_number(text)
                if decimal_shown(text) == fields.decimal or (number and delimiter == ","):
                    return KNOWN
                if place is None and number and is_grouped(text):
                    place = row, name
    return place


def _is_data(first: list[str], rows: list[list[str]], fields: Fields) -> bool:
    """Return whether the first line is data: numbers are above numbers, and text is not.

    Above columns of text only, it is if most of its texts are in their columns again, besides rows
    that repeat the whole line.
    """

    def like_number(text: str) -> bool:
        return fields.is_number(text) or how_to_write(text, fields.decimal) is not None

    if _is_count(first, rows):
        return False
    above = [
        like_number(text)
        for i, text in enumerate(first)
        if text and 2 * sum(like_number(row[i]) for row in rows if i < len(row)) > len(rows)
    ]
    if above:
        return all(above)
    others = [row for row in rows if row != first and len(row) == len(first)]
    again = [text in {row[i] for row in others} for i, text in enumerate(first) if text]
    return 2 * sum(again) > len(again)


def _is_count(first: list[str], rows: list[list[str]]) -> bool:
    """Return whether the first line counts columns: from 0, or years above other numbers."""
    start = int(first[0]) if re.fullmatch(r"\d{1,4}", first[0]) else 0
    if first != [str(start + i) for i in range(len(first))]:
        return False
    below = [row[0] for row in rows if len(row) == len(first)]
    return start == 0 or (len(first) > 2 and not all(text.isdigit() for text in below))


def _names(first: list[str], place: str, fields: Fields) -> list[str]:
    """Return the names of the columns; unnamed ones are numbered from 1."""
    fix = "give each column a different name"
    fix += ", or pass header=False if the line is a row" * any(map(fields.is_number, first))
    names = [name or f"column {i}" for i, name in enumerate(first, 1)]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise ValueError(
                f"{place}: columns {names.index(name) + 1} and {position + 1} are both named "
                f"{name!r}; {fix}"
            )
    return names


def _dialect(path: Path, options: argparse.Namespace, encoding: str) -> Dialect:
    delimiter = NAMED.get(options.delimiter, options.delimiter)
    if delimiter is not None and len(delimiter) != 1:
        raise CommandError(
            f"--delimiter expects one character, or one of {', '.join(NAMED)}, got {delimiter!r}"
        )
    return csv_dialect(path, encoding, delimiter, options.decimal)


def as_options(message: str) -> str:
    """Return a message of mlpgrad with the options of the command line."""
    problem, between, advice = message.rpartition("; ")
    return problem + between + _as_options(advice)


def _as_options(advice: str) -> str:
    """Return advice of mlpgrad with the options of the command line."""

    def option(found: re.Match[str]) -> str:
        if found[1] is None:
            return "--no-header"
        return f"--{found[1]} {found[2]}" if found[2] else f"--{found[1]}"

    return _ADVICE.sub(option, advice)
