"""Data from files: numeric tables (CSV) and MNIST's format (IDX), gzipped or not."""

from __future__ import annotations

import array
import csv
import gzip
import io
import itertools
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import nearest, suggesting

IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
MISSING = {"", "?", "na", "n/a", "nan", "null"}


class Table(NamedTuple):
    """A numeric table with one column set apart as the target."""

    x: Array
    """`(n, features)`, float64."""
    y: Array
    """`(n,)`: class indices for text, int64 for whole numbers, else float64."""
    feature_names: tuple[str, ...]
    """The columns of `x`."""
    target_name: str
    classes: tuple[str, ...] | None
    """The text that each class index stands for, in alphabetical order; None for numbers."""


def load_idx(path: str | Path) -> Array:
    """Read an IDX file, as MNIST's images and labels are stored, gzipped or not.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    array
        In the shape and type that the file states, native byte order. For a network:
        `images.reshape(len(images), -1) / 255`.

    Raises
    ------
    ValueError
        If the file is in another format, cut short, or longer than it says.

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


@suggesting
def load_csv(
    path: str | Path,
    target: int | str = -1,
    *,
    delimiter: str = ",",
    header: bool = True,
    encoding: str = "utf-8-sig",
) -> Table:
    r"""Read a numeric table, gzipped or not; one column is the target.

    Parameters
    ----------
    path : str or Path
    target : int or str
        The target's column, by position (negative from the end) or by name.
    delimiter : str
        What parts the columns; often `";"` where numbers are written with a comma.
    header : bool
        Whether the first line names the columns; otherwise their names are "0", "1" ...
    encoding : str
        Of the text; by default UTF-8, with or without byte-order mark.

    Returns
    -------
    Table
        `x`, `y`, `feature_names`, `target_name`, `classes`. A target of text is read as
        classes: indices into `classes`.

    Raises
    ------
    ValueError
        For a missing or non-numeric feature, a missing target, or a row of another length,
        naming line and column.

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
    with _opened(path) as file:
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            return _table(_rows(reader), path, target, header)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path} is not {encoding} text ({error.reason} at byte {error.start}); pass its "
                f"encoding=, for instance 'latin-1' or 'utf-16'"
            ) from error
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {reader.line_num}: not a readable table ({error})"
            ) from error


def _rows(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each row that is not blank."""
    for row in reader:
        if len(row) > 1 or any(map(str.strip, row)):
            yield reader.line_num, row  # type: ignore[attr-defined]


def _table(
    rows: Iterator[tuple[int, list[str]]], path: str | Path, target: int | str, header: bool
) -> Table:
    """`load_csv` on fields."""
    line, first = next(rows, (1, []))
    first = [field.strip() for field in first]
    if not header:
        rows = itertools.chain([(line, first)], rows)
    names = _names(first, path) if header else [str(i) for i in range(len(first))]
    if len(names) < 2:
        raise ValueError(
            f"{path} expects at least two columns, a feature and the target, got {names}; does it "
            f"use another delimiter than a comma? pass delimiter="
        )
    chosen = _position(target, names, path)
    target_name, values, texts = names.pop(chosen), array.array("d"), {}
    for line, row in rows:
        if len(row) != len(names) + 1:
            raise ValueError(
                f"{path}, line {line}: expects {len(names) + 1} fields as in the first line, "
                f"got {len(row)}"
            )
        texts[line] = row.pop(chosen).strip()
        try:
            numbers = [float(field) for field in row]
        except ValueError:
            numbers = [math.nan]
        # the sum is quicker, but may overflow
        if not math.isfinite(sum(numbers)) and not all(map(math.isfinite, numbers)):
            _refuse(path, line, row, names)
        values.extend(numbers)
    if not texts:
        raise ValueError(f"{path} has no rows below the header; at least one sample is needed")
    y, classes = _target(texts, path, target_name)
    x = np.array(values).reshape(len(texts), len(names))
    return Table(x, y, tuple(names), target_name, classes)


def _names(first: list[str], path: str | Path) -> list[str]:
    """Column names, or an error where the first line is not a header."""
    if any(map(_is_number, first)) and first != [str(i) for i in range(len(first))]:
        raise ValueError(
            f"{path}, line 1: expects column names, got {first[:5]}; for a file without them "
            f"pass header=False"
        )
    if "" in first:
        raise ValueError(
            f"{path}, line 1: column {first.index('')} has no name; name it, or remove it "
            f"(a row index? pandas: to_csv(index=False))"
        )
    return first


def _position(target: int | str, names: list[str], path: str | Path) -> int:
    """The target's column, from its position or name."""
    if isinstance(target, str):
        if names.count(target) != 1:
            problem = "several columns" if target in names else "no column"
            advice = "; pass its position" if target in names else nearest(target, names)
            raise ValueError(f"{path} has {problem} {target!r}{advice}")
        return names.index(target)
    if not -len(names) <= target < len(names):
        raise ValueError(f"target expects a column from 0 to {len(names) - 1}, got {target}")
    return target % len(names)


def _refuse(path: str | Path, line: int, row: list[str], names: list[str]) -> NoReturn:
    """Say which feature of a row is no finite number."""
    column = next(i for i, field in enumerate(row) if not _is_number(field))
    field, name = row[column].strip(), names[column]
    if field.lower() in MISSING:
        problem, fix = f"missing value {field!r}", "remove the row or fill the value in"
    else:
        problem, fix = f"expects a finite number, got {field!r}", "encode it as numbers or drop it"
    raise ValueError(f"{path}, line {line}, column {name!r}: {problem}; {fix}")


def _target(
    texts: dict[int, str], path: str | Path, name: str
) -> tuple[Array, tuple[str, ...] | None]:
    """The target as numbers, and the classes where it is text; `texts` are by line."""
    numeric = [_is_number(text) for text in texts.values()]
    for (line, text), is_number in zip(texts.items(), numeric, strict=True):
        if text.lower() in MISSING or (any(numeric) and not is_number):
            raise ValueError(
                f"{path}, line {line}, column {name!r}: expects a target, got {text!r}"
                f"{' among numbers' if any(numeric) else ''}; remove the row or correct it"
            )
    if not any(numeric):
        classes, y = np.unique(list(texts.values()), return_inverse=True)
        return y, tuple(classes.tolist())
    try:
        return np.array([int(text) for text in texts.values()], np.int64), None
    except (ValueError, OverflowError):
        return np.array([float(text) for text in texts.values()]), None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@contextmanager
def _opened(path: str | Path) -> Iterator[gzip.GzipFile | io.BufferedReader]:
    """The file's content, unpacked where it begins as gzip does."""
    with Path(path).open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            yield gzip.GzipFile(fileobj=raw) if packed else raw
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{path} is a damaged gzip file ({error}); download or copy it again"
            ) from error
