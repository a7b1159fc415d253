"""Names of files that users give, and what the system says about them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Any

from mlpgrad._core import arguments

FIXES = {
    errno.ENOENT: "there is no such file or folder; compare the name",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ENOTDIR: "a part of the path is a file and not a folder; compare the path",
    errno.ENAMETOOLONG: "the name is too long for the file system; give a shorter one",
    errno.ELOOP: "symbolic links lead in a circle; give another path",
    errno.EACCES: "permission is missing; choose another place, or change the permissions",
    errno.EPERM: "permission is missing; choose another place, or change the permissions",
    errno.EROFS: "the file system can only be read; choose another place",
    errno.ENOSPC: "the disk is full; remove files, or choose another place",
    errno.EDQUOT: "the quota of the disk is used up; remove files, or choose another place",
}


def path(value: Any, name: str = "path") -> str:
    """Return `value` as the text of a path.

    Examples
    --------
    >>> path(7)
    Traceback (most recent call last):
        ...
    TypeError: path expects a file's name, a str or a pathlib.Path, got 7
    """
    found = value.__fspath__() if isinstance(value, os.PathLike) else value
    if not isinstance(found, str):
        raise TypeError(
            f"{name} expects a file's name, a str or a pathlib.Path, got {arguments.shown(value)}"
        )
    if not found or "\0" in found:
        raise ValueError(f"{name} expects a file's name, got {found!r}")
    try:
        os.fsencode(found)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} expects a file's name, got {found!r}, which the file system cannot encode"
        ) from error
    return str(found)


@contextlib.contextmanager
def errors_of_system(act: str, where: Any) -> Iterator[None]:
    """Say what to do about an error of the system, which keeps its class and its number.

    Parameters
    ----------
    act : str
        What is tried, such as "read".
    where : str or Path
        The file that the user has named.

    Examples
    --------
    >>> with errors_of_system("read", "a" * 300):
    ...     open("a" * 300)
    Traceback (most recent call last):
        ...
    OSError: [Errno ...] cannot read the file: the name is too long for the file system; give a
    shorter one: 'aaa...aaa'
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FIXES or error.filename is None:
            raise
        reason = f"cannot {act} the file: {FIXES[error.errno]}"
        raise type(error)(error.errno, reason, os.fspath(where)) from error
