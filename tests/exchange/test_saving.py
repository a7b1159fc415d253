"""Saving over a file keeps its mode and owner, and leaves no temporary files."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.exchange.replacing import replacing

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes, owners and pipes of POSIX")
as_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="changes owners")

FOREIGN = 54321
"""The ids of a user and group that do not exist."""


def small(seed=0):
    return mg.Sequential([mg.Dense(3, 2)], loss=mg.HalfSquaredError(), random_state=seed)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o444, 0o400, 0o755])
def test_an_older_files_mode_is_kept(tmp_path, bits):
    path = tmp_path / "model.npz"
    small().save(path)
    path.chmod(bits)
    small(1).save(path)
    assert mode(path) == bits
    np.testing.assert_array_equal(mg.load(path).params, small(1).params)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_follows_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        small().save(tmp_path / "model.npz")
    finally:
        os.umask(before)
    assert mode(tmp_path / "model.npz") == 0o666 & ~mask


def test_nobody_else_can_read_the_draft_of_a_private_file(tmp_path):
    path = tmp_path / "private"
    path.touch(0o600)
    with replacing(path) as file:
        draft = next(each for each in tmp_path.iterdir() if each != path)
        assert mode(draft) == 0o600
        file.write(b"secret")
    assert (mode(path), path.read_bytes()) == (0o600, b"secret")


@as_root
def test_an_older_files_owner_is_kept(tmp_path):
    path = tmp_path / "model.npz"
    small().save(path)
    os.chown(path, FOREIGN, FOREIGN + 1)
    path.chmod(0o640)
    small(1).save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (FOREIGN, FOREIGN + 1)
    assert mode(path) == 0o640


@as_root
def test_a_group_that_cannot_be_kept_does_not_open_the_file_to_another(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    small().save(path)
    os.chown(path, -1, FOREIGN)
    path.chmod(0o664)

    def denied(*_):
        raise PermissionError

    monkeypatch.setattr(os, "fchown", denied)
    small(1).save(path)
    assert path.stat().st_gid != FOREIGN
    assert mode(path) == 0o644


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


def make_link_to_pipe(path):
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def make_folder(path):
    path.mkdir()


@pytest.mark.parametrize("make", [make_pipe, make_socket, make_link_to_pipe, make_folder])
def test_only_regular_files_are_replaced(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    path = tmp_path / "model.npz"
    make(path.relative_to(tmp_path))
    before = {each.name: each.lstat() for each in tmp_path.iterdir()}
    with pytest.raises(OSError, match=r"is a folder|not a regular file"):
        small().save(path)
    after = {each.name: each.lstat() for each in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    assert all(after[name].st_ino == before[name].st_ino for name in before)


@pytest.mark.parametrize("make", [make_pipe, make_link_to_pipe])
def test_a_pipe_is_not_read(tmp_path, make):
    path = tmp_path / "model.npz"
    make(path)
    with pytest.raises(ValueError, match="not a regular file but a pipe"):  # and does not wait
        mg.load(path)


def test_devices_and_folders_are_not_read(tmp_path):
    with pytest.raises(ValueError, match="not a regular file"):
        mg.load(os.devnull)
    with pytest.raises(IsADirectoryError):
        mg.load(tmp_path)


def test_devices_are_not_replaced():
    with pytest.raises(FileExistsError, match="not a regular file"):
        small().save(os.devnull)


KILLED = """
import os, pathlib, signal, sys, numpy, mlpgrad as mg
def savez(file, **arrays):
    file.write(b"half of it")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
numpy.savez = savez
model = mg.Sequential([mg.Dense(3, 2)], loss=mg.HalfSquaredError())
model.save(sys.argv[1])
"""


def test_what_a_killed_save_leaves_is_removed_by_the_next(tmp_path):
    path, other = tmp_path / "model.npz", tmp_path / "other.npz"
    small().save(path)
    for target in (path, other):
        result = subprocess.run([sys.executable, "-c", KILLED, target], check=False)
        assert result.returncode == -signal.SIGKILL
    left = {each for each in tmp_path.iterdir() if each.suffix == ".tmp"}
    assert len(left) == 2
    foreign = [tmp_path / name for name in (".0123456789abcdef.tmp", ".mlpgrad-notes.tmp")]
    for each in foreign:
        each.touch()
    small(1).save(path)
    assert mg.load(path).params.tobytes() == small(1).params.tobytes()
    still = {each for each in left if each.exists()}
    assert len(still) == 1  # the temporary file of the other one
    other.touch()
    small().save(other)
    assert set(tmp_path.iterdir()) == {path, other, *foreign}


def test_without_locks_old_drafts_are_removed(tmp_path, monkeypatch):
    """Imitate Windows, where fcntl does not exist and open files cannot be removed."""
    path = tmp_path / "model.npz"
    with replacing(path) as file:
        name = next(tmp_path.iterdir()).name
        file.write(b"1")
    young, old = tmp_path / name, tmp_path / f"{name[:18]}{'0' * 16}.tmp"
    assert young.name[:18] == old.name[:18]
    young.touch()
    old.touch()
    os.utime(old, (0, 0))
    monkeypatch.setattr("mlpgrad.exchange.replacing.fcntl", None)
    small().save(path)
    assert set(tmp_path.iterdir()) == {path, young}


def test_drafts_in_use_are_left_alone(tmp_path):
    path = tmp_path / "model.npz"
    with replacing(path) as slow:
        slow.write(b"first half, ")
        small().save(path)  # by another thread, say
        assert isinstance(mg.load(path), mg.Sequential)
        slow.write(b"second half")
    assert path.read_bytes() == b"first half, second half"
    assert list(tmp_path.iterdir()) == [path]


def test_many_at_once_end_with_one_whole_file(tmp_path):
    path = tmp_path / "model.npz"
    errors = []

    def work(seed):
        try:
            for _ in range(20):
                small(seed).save(path)
                mg.load(path)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(tmp_path.iterdir()) == [path]
