"""Files that are not text tables, recognized by their first bytes."""

from __future__ import annotations

import codecs
import re

AS_CSV = "save the sheet as CSV"
IN_PANDAS = "read it with pandas, and save it by to_csv(..., index=False)"
_MARKUP = rb"<(?:[!?][A-Za-z]|!--|[A-Za-z][\w:.-]*(?:\s[^>]*)?>(?!\s*[,;\t|]))"
STARTS = {
    rb"PK\x03\x04": (
        "a zip archive, as Excel workbooks and .npz files are",
        f"unpack it, or {AS_CSV}",
    ),
    rb"\xd0\xcf\x11\xe0": ("an old Excel workbook", AS_CSV),
    rb"PAR1[\x00-\x08\x0e-\x1f]": ("a Parquet file", IN_PANDAS),
    rb"ARROW1\x00": ("a Feather file", IN_PANDAS),
    rb"\x89HDF": ("an HDF5 file", IN_PANDAS),
    rb"\x93NUMPY": ("a NumPy array", "save it by numpy.savetxt(..., delimiter=',')"),
    b"SQLite format 3": ("an SQLite database", IN_PANDAS),
    b"%PDF-": ("a PDF document", "copy its table into a spreadsheet, and save it as CSV"),
    rb"\x89PNG": ("a PNG image", "write its numbers as a table"),
    rb"\xff\xd8\xff": ("a JPEG image", "write its numbers as a table"),
    b"BZh[1-9]1AY&SY": ("packed by bzip2", "unpack it"),
    rb"\xfd7zXZ": ("packed by xz", "unpack it"),
    rb"7z\xbc\xaf": ("a 7z archive", "unpack it"),
    rb"\{\s*[\"}]": ("JSON", IN_PANDAS),
    rb"\[\s*\{": ("JSON", IN_PANDAS),
    _MARKUP: ("a web page or XML", "copy its table into a spreadsheet, and save it as CSV"),
}
"""Patterns of the first bytes of files, with the format and a fix.

Texts that begin a table match none of them: the names PAR1 and PAR2, `<id>` before a delimiter, or
a field `<5`.
"""


def other_format(start: bytes) -> str | None:
    r"""Return the format of a file by its first bytes, and a fix; None if it may be text.

    Examples
    --------
    >>> other_format(b"PAR1\x15\x04")
    'a Parquet file, not a text table; read it with pandas, and save it by to_csv(..., index=False)'
    """
    start = start.lstrip(b" \r\n\t")
    for begin, (what, fix) in STARTS.items():
        if re.match(begin, start):
            return f"{what}, not a text table; {fix}"
    return None


def wide_encoding(start: bytes) -> str | None:
    """Return the UTF-16 encoding of a text, by its byte-order mark or zero bytes, or None."""
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    pairs = len(start) // 2
    for name, zeros, others in (
        ("utf-16-le", start[1::2], start[::2]),
        ("utf-16-be", start[::2], start[1::2]),
    ):
        if pairs and 2 * zeros.count(0) > pairs and not others.count(0):
            return name
    return None
