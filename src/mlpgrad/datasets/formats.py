"""Files that are not text tables, recognized by their first bytes."""

from __future__ import annotations

import codecs
import re

AS_CSV = "save the sheet as CSV"
IN_PANDAS = "read it with pandas, and save it by to_csv(..., index=False)"
_MARKUP = rb"<(?:[!?][A-Za-z]|!--|[A-Za-z][\w:.-]*(?:\s[^>]*)?>(?!\s*[,;\t|]))"
STARTS = {
    rb"PK(?:\x03\x04|\x05\x06)": (
        "a zip archive, as Excel workbooks and .npz files are",
        f"unpack it, or {AS_CSV}",
    ),
    rb"\xd0\xcf\x11\xe0": ("an old Excel workbook", AS_CSV),
    rb"PAR1[\x00-\x08\x0e-\x1f]": ("a Parquet file", IN_PANDAS),
    rb"ARROW1\x00": ("a Feather file", IN_PANDAS),
    rb"\x89HDF": ("an HDF5 file", IN_PANDAS),
    rb"\x80[\x02-\x05]": ("a pickle file of Python", IN_PANDAS),
    rb"\$FL[23]@": ("an SPSS file", IN_PANDAS),
    b"<stata_dta>": ("a Stata file", IN_PANDAS),
    rb"RD[AX][23]\n|X\n\x00\x00\x00": (
        "a file of R",
        "load it in R, and save the table by write.csv(..., row.names=FALSE)",
    ),
    b"MATLAB 5.0 MAT-file": ("a MATLAB file", "save its table by writetable in MATLAB"),
    rb"\x93NUMPY": ("a NumPy array", "save it by numpy.savetxt(..., delimiter=',')"),
    b"SQLite format 3": ("an SQLite database", IN_PANDAS),
    b"%PDF-": ("a PDF document", "copy its table into a spreadsheet, and save it as CSV"),
    rb"\x89PNG": ("a PNG image", "write its numbers as a table"),
    rb"\xff\xd8\xff": ("a JPEG image", "write its numbers as a table"),
    b"BZh[1-9]1AY&SY": ("packed by bzip2", "unpack it"),
    rb"\xfd7zXZ": ("packed by xz", "unpack it"),
    rb"\x28\xb5\x2f\xfd": ("packed by zstd", "unpack it"),
    rb"\x1f\x8b": ("packed by gzip twice", "unpack it once"),
    rb"7z\xbc\xaf": ("a 7z archive", "unpack it"),
    rb"Rar!\x1a\x07": ("a RAR archive", "unpack it"),
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
    if start[257:262] == b"ustar":
        return "a tar archive, not a text table; unpack it"
    start = start.lstrip(b" \r\n\t")
    for begin, (what, fix) in STARTS.items():
        if re.match(begin, start):
            return f"{what}, not a text table; {fix}"
    return None


def wide_encoding(start: bytes) -> str | None:
    """Return the encoding of a text in UTF-16 or UTF-32, by its first bytes, or None.

    It begins with a byte-order mark, or most of its characters are below 256 and have zero bytes.
    """
    for name, marks in (
        ("utf-32", (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
        ("utf-16", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
    ):
        if start.startswith(marks):
            return name
    for name, zeros, others in (
        ("utf-32-le", start[2::4] + start[3::4], start[::4]),
        ("utf-32-be", start[::4] + start[1::4], start[3::4]),
        ("utf-16-le", start[1::2], start[::2]),
        ("utf-16-be", start[::2], start[1::2]),
    ):
        if 2 * zeros.count(0) > len(zeros) and not others.count(0):
            return name
    return None
