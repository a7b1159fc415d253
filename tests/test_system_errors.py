"""Names and files that the operating system refuses end in an error that says what to do."""

import os

import numpy as np
import pytest

import mlpgrad as mg


def model():
    return mg.Sequential([mg.Dense(2, 1)], loss=mg.HalfSquaredError(), random_state=0)


def fit_with_checkpoint(name):
    x = np.ones((4, 2))
    saving = [mg.ModelCheckpoint(name)]
    model().fit(x, x[:, :1], optimizer=mg.SGD(0.1), epochs=1, verbose=0, callbacks=saving)


CALLS = {
    "save": lambda name: model().save(name),
    "checkpoint": fit_with_checkpoint,
    "to_html": lambda name: mg.explain(model(), np.ones((1, 2)), np.ones((1, 1))).to_html(name),
    "load": mg.load,
    "load_csv": mg.datasets.load_csv,
    "load_idx": mg.datasets.load_idx,
}

NAMES = {
    "too long": (lambda folder: folder / ("x" * 300), OSError, "give a shorter one"),
    "a long path": (lambda folder: folder / "/".join(["x"] * 3000), OSError, "shorter"),
    "below a file": (lambda folder: folder / "file" / "x", OSError, "folder"),
    "a folder": (lambda folder: folder, IsADirectoryError, "give the name of a file"),
    "a circle": (lambda folder: folder / "circle", OSError, "circle|regular file"),
    "no encoding": (lambda folder: str(folder / "\ud800"), ValueError, "cannot encode"),
    "a null byte": (lambda folder: str(folder / "a\0b"), ValueError, "expects a file's name"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "file").write_text("a,b\n1,2\n")
    os.symlink(tmp_path / "circle", tmp_path / "circle")
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call", CALLS)
def test_a_refused_name_says_what_to_do(call, name, folder):
    made, kind, advice = NAMES[name]
    with pytest.raises(kind, match=advice) as info:
        CALLS[call](made(folder))
    assert type(info.value) is not UnicodeEncodeError
    assert info.traceback[-1].path.name in ("paths.py", "replacing.py")


@pytest.mark.parametrize("call", ["load", "load_csv", "load_idx"])
def test_an_absent_file_keeps_its_class_and_number(call, folder):
    with pytest.raises(FileNotFoundError, match="compare the name") as info:
        CALLS[call](folder / "absent")
    assert info.value.errno
    assert info.value.filename == str(folder / "absent")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind root")
@pytest.mark.parametrize("call", CALLS)
def test_missing_permission_says_what_to_do(call, folder):
    (folder / "file").chmod(0)
    folder.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="permission is missing"):
            CALLS[call](folder / "file")
    finally:
        folder.chmod(0o700)
