"""Reading files: tables (CSV), and arrays in MNIST's format (IDX), gzipped or not."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import math
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mlpgrad._core import arguments, paths
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.datasets.dialect import Dialect, dialect_of
from mlpgrad.datasets.fields import MISSING, Fields
from mlpgrad.datasets.formats import other_format, wide_encoding
from mlpgrad.datasets.table import Table, table_from

LOOK = 200  # lines from which the dialect of a table is detected
BEGINNING = 4096  # bytes from which the kind of a file is detected
COMPOSED = partial(unicodedata.normalize, "NFC")
"""Writes letters with accents in one way, since macOS and others write them in two characters."""
IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


@suggesting
def load_idx(path: str | Path) -> Array:
    """Read an IDX file, as MNIST's images and labels are stored, gzipped or not.

    Parameters
    ----------
    path : str or Path
        Name of the file. Compression by gzip is detected from the content.

    Returns
    -------
    array
        The array, with the shape and type stated in the file, in native byte order. For a network,
        use `images.reshape(len(images), -1) / 255`.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is in another format, truncated, or longer than it states.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> content = bytes([0, 0, 8, 2,  0, 0, 0, 2,  0, 0, 0, 3,  1, 2, 3, 4, 5, 6])
    >>> path = pathlib.Path(tempfile.mkdtemp(), "tiny-idx2-ubyte")
    >>> _ = path.write_bytes(content)
    >>> load_idx(path)
    array([[1, 2, 3],
           [4, 5, 6]], dtype=uint8)
    """
    with _opened(path) as file:
        content = file.read()
    kind, dimensions = content[2:4].ljust(2, b"\0")
    if content[:2] != b"\0\0" or kind not in IDX_TYPES or not dimensions:
        raise ValueError(
            f"{path} expects IDX format (bytes 0, 0, a type from 8 to 14, the number of "
            f"dimensions), got {list(content[:4])}; is it another kind of file?"
        )
    start = 4 + 4 * dimensions
    header = content[4:start].ljust(start - 4, b"\0")
    shape = tuple(np.frombuffer(header, ">u4").tolist())
    dtype = np.dtype(IDX_TYPES[kind])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) < start or len(content) != expected:
        raise ValueError(
            f"{path} expects {expected:,} bytes for shape {shape} of {dtype.newbyteorder('=')}, "
            f"got {len(content):,}; download or copy it again"
        )
    data = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return data.astype(dtype.newbyteorder("="))


def is_idx(path: str | Path) -> bool:
    """Whether a file begins as IDX files do."""
    with _opened(path) as file:
        start = file.read(4)
    return start[:2] == b"\0\0" and len(start) == 4 and start[2] in IDX_TYPES


@suggesting
def load_csv(
    path: str | Path,
    target: int | str = -1,
    *,
    delimiter: str = ",",
    header: bool = True,
    encoding: str = "utf-8-sig",
    decimal: str = ".",
    missing: Iterable[str] = MISSING,
) -> Table:
    r"""Read a numeric table, gzipped or not; one column is the target.

    Parameters
    ----------
    path : str or Path
        Name of the file. Compression by gzip is detected from the content.
    target : int or str
        The target's column, by position (negative from the end) or by name. The default -1 is
        the last column.
    delimiter : str
        The delimiter of the columns, by default a comma; often `";"` in countries that use a
        decimal comma.
    header : bool
        Whether the first line has the names of the columns, which is the default; otherwise they
        are named "0", "1" ...
    encoding : str
        The encoding of the text, by default UTF-8 with or without byte-order mark.
    decimal : str
        The decimal sign, `"."` by default or `","`. The other sign is not accepted as a thousands
        separator; write numbers without separators.
    missing : iterable of str
        The texts that mean a missing value, regardless of case: by default an empty field, `?`,
        `NA`, `N/A`, `NaN` and `null`. Given texts replace these: if NA is a name, such as
        Namibia's country code, pass `missing=[""]`; to add a text, write all of them.

    Returns
    -------
    Table
        `x`, `y`, `feature_names`, `target_name`, `classes`. A text target is read as class indices
        into `classes`. Amounts are not text: a target such as `$5` or `1,200` is refused. So are
        dates and times, unless they are few and have several rows each.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a feature is missing or not a number, a target is missing, or a row has another length
        (the message names line and column); if two columns have the same name, or a column has no
        name; or if the target column does not exist, or the text has another encoding. Numbers
        must be written with the digits 0 to 9: `1_000` and Arabic digits, which Python accepts,
        are not numbers here, nor are `$5`, `1,200` and `12 kg`.
    TypeError
        If `missing` is a single text.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "flowers.csv")
    >>> _ = path.write_text("length,width,kind\n5.1,1.4,setosa\n6.2,4.5,versicolor\n")
    >>> table = load_csv(path)
    >>> table.x.tolist(), table.y.tolist()
    ([[5.1, 1.4], [6.2, 4.5]], [0, 1])
    >>> table.feature_names, table.classes
    (('length', 'width'), ('setosa', 'versicolor'))
    """
    delimiter, encoding = _text(delimiter, "delimiter"), _encoding(encoding)
    header = arguments.flag(header, "header")
    fields = Fields(decimal, missing)
    if delimiter == decimal:
        raise ValueError(
            f"delimiter expects one character other than the decimal sign {decimal!r}, "
            f"got {arguments.shown(delimiter)}"
        )
    with csv_rows(path, Dialect(delimiter, decimal), encoding) as rows:
        return table_from(rows, path, target, header, fields)


@contextmanager
def csv_rows(
    path: str | Path, dialect: Dialect, encoding: str, blank: bool = False
) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Yield the line number and the fields of each row, which may be `blank` only if asked for.

    Raises
    ------
    ValueError
        If a row cannot be read, or the text has another encoding.
    """
    with _opened(path) as file:
        if other := other_format(file.read(BEGINNING)):
            raise ValueError(f"{path} is {other}")
        file.seek(0)
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        reader = dialect.rows(_lines(text), strict=True)
        ends = [0]
        try:
            yield _rows(reader, ends, blank)
        except UnicodeError as error:
            raise _not_text(path, encoding, error) from error
        except csv.Error as error:
            line, said = reader.line_num, f"not a readable table ({error})"
            if "field larger" in str(error) or "unexpected end" in str(error):
                line, said = ends[0] + 1, 'a quotation that begins here has no closing "'
            raise ValueError(f"{path}, line {line}: {said}") from error


def _lines(text: Iterable[str]) -> Iterator[str]:
    """Yield lines with composed characters; raise UnicodeError if one has a zero byte."""
    for number, line in enumerate(text, 1):
        if "\0" in line:
            raise UnicodeError(f"line {number} has zero bytes")
        yield COMPOSED(line)


def _not_text(path: str | Path, encoding: str, error: UnicodeError) -> ValueError:
    """Return the error for a file that cannot be read in an encoding."""
    found = csv_encoding(path)
    may_be = f", which may be {found!r}" if found != encoding else ""
    tried = f"neither utf-8 nor {encoding}" if found == encoding == "cp1252" else f"not {encoding}"
    return ValueError(
        f"{path} is {tried} text ({getattr(error, 'reason', error)}); pass its "
        f"encoding={may_be}, or export the table as CSV"
    )


def _text(value: Any, name: str) -> str:
    """Return an option that must be a string, possibly empty."""
    if not isinstance(value, str):
        raise TypeError(f"{name} expects text, got {arguments.shown(value)}")
    return value


def _encoding(name: Any) -> str:
    """Return the name of an encoding; raise ValueError if Python does not know it."""
    text = _text(name, "encoding=")
    try:
        known = getattr(codecs.lookup(text), "_is_text_encoding", True)
    except (LookupError, ValueError):
        known = False
    if not known:
        raise ValueError(
            f"encoding= expects an encoding such as 'utf-8', 'latin-1' or 'utf-16', "
            f"got {arguments.shown(text)}"
        )
    return text


def csv_dialect(
    path: str | Path,
    encoding: str = "utf-8-sig",
    delimiter: str | None = None,
    decimal: str | None = None,
) -> Dialect:
    """Return the delimiter and the decimal sign of a file, if they are not given."""
    encoding = _encoding(encoding)
    with _opened(path) as file:
        text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
        try:
            return dialect_of(list(islice(text, LOOK)), delimiter, decimal)
        except UnicodeError as error:  # such as no byte-order mark
            raise _not_text(path, encoding, error) from error


def csv_encoding(path: str | Path) -> str:
    """Return the encoding of a text file: UTF-16 or UTF-32 by its first bytes, UTF-8, or cp1252.

    Almost any bytes are valid cp1252, so callers must report that it was assumed.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _opened(path) as file:
        start = file.read(BEGINNING)
        if wide := wide_encoding(start):
            return wide
        try:
            decoder.decode(start)
            while piece := file.read(1 << 20):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def _rows(
    reader: Iterator[list[str]], ends: list[int], blank: bool
) -> Iterator[tuple[int, list[str]]]:
    """The line number and the fields of each row; `ends` keeps the last line."""
    for row in reader:
        ends[0] = reader.line_num  # type: ignore[attr-defined]
        if blank or len(row) > 1 or any(map(str.strip, row)):
            yield reader.line_num, row  # type: ignore[attr-defined]


@contextmanager
def _opened(path: str | Path) -> Iterator[gzip.GzipFile | io.BufferedReader]:
    """Return the file's content, decompressed if it starts like gzip."""
    with paths.errors_of_system("read", paths.path(path)):
        opened = Path(path).open("rb")  # noqa: SIM115  # closed below
    with opened as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            yield gzip.GzipFile(fileobj=raw) if packed else raw
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{path} is a damaged gzip file ({error}); download or copy it again"
            ) from error
