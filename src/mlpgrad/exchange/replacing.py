"""Atomic replacement of a file: it is written completely or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mlpgrad._core.paths import errors_of_system

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where an open file cannot be moved
    fcntl = None  # type: ignore[assignment]

ABANDONED = 3600.0
"""Seconds after its last write after which a closed draft counts as abandoned."""


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    r"""Open a draft for writing, which replaces the file at `path` at the end.

    After an error the file is unchanged. Symbolic links are followed. The mode of an existing file
    is kept, and also its owner and group if this process is allowed to set them. Drafts for the
    same file that were left by killed processes are removed: at once if files can be locked, on
    Windows after an hour.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    PermissionError, OSError
        If the system refuses the name or the file.
    IsADirectoryError, FileExistsError
        If there is something other than a regular file at `path`, such as a named pipe.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "numbers.bin")
    >>> with replacing(path) as file:
    ...     _ = file.write(bytes(3))
    >>> path.read_bytes()
    b'\x00\x00\x00'
    """
    target = Path(os.path.realpath(path))
    with errors_of_system("write", path):
        older = _older(target)
        prefix = f".mlpgrad-{zlib.crc32(os.fsencode(target.name)):08x}-"
        _remove_abandoned(target.parent, prefix)
        draft, file = _draft(target.parent, prefix, 0o666 if older is None else 0o600)
    try:
        with file:
            yield file
            if older is not None:
                _keep_permissions(file, older)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:
                draft.replace(target)  # while it is locked
        if fcntl is None:
            draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _older(target: Path) -> os.stat_result | None:
    """Return the status of the file to replace, or None; raise an error if it must be kept."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(target.parent)!r} to save into; create it first")
    try:
        older = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(older.st_mode):
        raise IsADirectoryError(f"{target} is a folder; give the name of a file")
    if not stat.S_ISREG(older.st_mode):
        raise FileExistsError(
            f"{target} is not a regular file but a pipe, socket or device, which saving would "
            f"replace; give another name"
        )
    return older


def _draft(folder: Path, prefix: str, mode: int) -> tuple[Path, BinaryIO]:
    """Create a file and lock it while it is open, which shows that it is in use."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        draft = folder / f"{prefix}{secrets.token_hex(8)}.tmp"
        file = os.fdopen(os.open(draft, flags, mode), "wb")
        if fcntl is not None:
            with contextlib.suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
        if draft.exists():  # another process may have removed it before it was locked
            return draft, file
        file.close()


def _remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove drafts that no process is writing."""
    for draft in folder.glob(f"{prefix}{'[0-9a-f]' * 16}.tmp"):
        # an error: it is in use, belongs to another user, or no longer exists
        with contextlib.suppress(OSError):
            if fcntl is None:  # no locks, but an open file cannot be removed
                if time.time() - draft.stat().st_mtime > ABANDONED:
                    draft.unlink()
                continue
            with draft.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink()


def _keep_permissions(file: BinaryIO, older: os.stat_result) -> None:
    """Give a draft the owner, group and mode of the file that it will replace."""
    if not hasattr(os, "fchown"):  # Windows
        return
    for owner, group in ((-1, older.st_gid), (older.st_uid, -1)):
        with contextlib.suppress(OSError):
            os.fchown(file.fileno(), owner, group)
    mode = stat.S_IMODE(older.st_mode)
    if os.fstat(file.fileno()).st_gid != older.st_gid:
        # another group gets the permissions of all users
        mode = mode & ~0o070 | (mode & 0o007) << 3
    os.fchmod(file.fileno(), mode)
