"""The arrays of a `.npz` file, whose sizes are checked before anything is allocated or read.

Members are read only on request. They must not be compressed, so that they take no more memory
than the file.
"""

from __future__ import annotations

import math
import os
import re
import stat
import zipfile
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np

from mlpgrad._core import paths
from mlpgrad._core.arrays import Array, Shape

FORM = re.compile(
    rb"{'descr': '([<>|][biufcSU]\d{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}, )*(?:\d{1,18},?)?)\), } *\n"
)
"""The header that NumPy writes for an array of numbers or text. No other header is accepted:
NumPy's own reader evaluates the header, and warns about some.
"""

PIECE = 1 << 20  # bytes read at once
SHARE, SPARE = 2.7, 8 << 20  # bytes of memory per byte of the file, and a constant for small files


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file for reading, without waiting for the other end of a pipe.

    Raises
    ------
    ValueError
        If there is something other than a regular file at `path`.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    with paths.errors_of_system("read", path):
        file = open(path, "rb", opener=lambda name, _: os.open(name, flags))  # noqa: SIM115
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise ValueError(
        f"{path} is not a regular file but a pipe, socket or device, in which sizes cannot be "
        f"compared before reading; write it to a file first"
    )


class Header(NamedTuple):
    """The header of a member."""

    shape: Shape
    dtype: np.dtype[Any]
    by_columns: bool
    """Whether the first index changes fastest."""


class Archive:
    """Arrays by name, read from the file on access.

    Parameters
    ----------
    file : binary file
        A file open for reading, at any position.

    Raises
    ------
    ValueError
        If it is not a `.npz` file, or the file is truncated.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.size = file.seek(0, 2)
        self.afford(11 * _directory_size(file), "a list of its members")
        self._zip = zipfile.ZipFile(file)
        members = self._zip.infolist()
        self._members = {member.filename: member for member in members}
        if len(self._members) < len(members):
            raise ValueError("two of its members have the same name")
        if sum(member.compress_size for member in members) > self.size:
            raise ValueError("its members are longer than the file; is the file truncated?")

    def names(self) -> list[str]:
        """Return the names of the arrays, in the order of the file."""
        return [name.removesuffix(".npy") for name in self._members]

    def afford(self, memory: int, what: str) -> None:
        """Raise ValueError if something takes more memory than a file of this size may."""
        if memory > SHARE * self.size + SPARE:
            raise ValueError(f"it has {what} that needs too much memory for a file of its size")

    def __getitem__(self, name: str) -> Array:
        """Read an array."""
        with self._open(name) as member:
            header = self._header(member, name)
            shape = header.shape[::-1] if header.by_columns else header.shape
            array = np.empty(shape, header.dtype)
            _read_into(member, array)
        return array.T if header.by_columns else array

    def check(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> None:
        """Raise ValueError unless an array has this shape and dtype, in either byte order."""
        with self._open(name) as member:
            kept = self._header(member, name)
        if kept.shape != shape or kept.dtype.newbyteorder("=") != dtype:
            raise ValueError(
                f"{name} expects shape {shape} of {dtype} for the described layers, "
                f"got {kept.shape} of {kept.dtype}"
            )
        if kept.by_columns:
            raise ValueError(f"{name} expects C order, got Fortran order")

    def read_into(self, name: str, flat: Array) -> None:
        """Read an array into an existing one of the same shape and dtype."""
        self.check(name, flat.shape, flat.dtype)
        with self._open(name) as member:
            header = self._header(member, name)
            _read_into(member, flat)
        if header.dtype != flat.dtype:
            flat.byteswap(inplace=True)

    def _open(self, name: str) -> IO[bytes]:
        member = self._members.get(f"{name}.npy")
        if member is None:
            raise ValueError(f"its member {name!r:.80} is missing")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"its member {name!r} is compressed, which `save` never does")
        return self._zip.open(member)

    def _header(self, member: IO[bytes], name: str) -> Header:
        """Return shape and dtype, if they agree with the length of the member."""
        start = member.read(10)
        length = int.from_bytes(start[8:], "little")
        text = member.read(length)
        if b"|O" in text:
            raise ValueError(f"{name}: Object arrays cannot be loaded, since they may run code")
        found = FORM.fullmatch(text)
        if start[:8] != b"\x93NUMPY\x01\x00" or found is None:
            raise ValueError(f"its member {name!r} is not an array of numbers or text")
        dtype, order, shape = (group.decode() for group in found.groups())
        header = Header(
            tuple(int(n) for n in shape.split(",") if n.strip()), np.dtype(dtype), order == "True"
        )
        size = math.prod(header.shape) * header.dtype.itemsize
        kept = self._members[f"{name}.npy"].file_size - 10 - length
        if size != kept:
            raise ValueError(
                f"its member {name!r} expects {size:,} bytes for shape {header.shape} of "
                f"{header.dtype}, got {kept:,}"
            )
        return header


def _read_into(member: IO[bytes], array: Array) -> None:
    """Fill a contiguous array; the checksum is verified at the end of the member."""
    if not array.nbytes:
        return
    content = array.reshape(-1).view(np.uint8)
    for start in range(0, len(content), PIECE):
        piece = member.read(min(PIECE, len(content) - start))
        content[start : start + PIECE] = np.frombuffer(piece, np.uint8)


def _directory_size(file: BinaryIO) -> int:
    """Return the length of an archive's list of members, from the records at the file's end."""
    file.seek(-min(file.seek(0, 2), 98), 2)
    content = file.read().rjust(98, b"\0")
    large, pointer, end = content[:56], content[56:76], content[76:]
    if not (end.startswith(b"PK\5\6") and end.endswith(b"\0\0")):
        raise ValueError("not a .npz file, or the file is truncated")
    if pointer.startswith(b"PK\6\7"):  # a file of more than 4 GB has an additional record
        return int.from_bytes(large[40:48], "little")
    return int.from_bytes(end[12:16], "little")
