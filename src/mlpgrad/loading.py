"""`load`: a model from the file that `Sequential.save` has written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpgrad._core import arguments
from mlpgrad.sequential import Sequential

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load"]


def load(path: str | Path) -> Sequential:
    """Read a model that `Sequential.save` has written.

    A file of a stranger can do no harm: no code runs but the constructors of classes that the
    program has defined, and reading takes at most about three times the file's size of memory.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Sequential
        With the same predictions, the same random states and the same further training.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file, or it is a folder.
    ValueError
        If it is a pipe or a device; if the file is damaged, was written by a newer mlpgrad, or is
        not a model; if its arrays do not have the sizes that its layers need, are compressed, or
        hold Python objects; or if it needs a class that is not defined: import the module that
        defines it first.

    Examples
    --------
    >>> import pathlib, tempfile, mlpgrad as mg
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.HalfSquaredError(), random_state=0)
    >>> path = pathlib.Path(tempfile.mkdtemp(), "model.npz")
    >>> model.save(path)
    >>> bool((mg.load(path).params == model.params).all())
    True
    """
    from mlpgrad.exchange import npz

    model = npz.load(arguments.path(path))
    if not isinstance(model, Sequential):
        raise ValueError(f"{path} holds a {type(model).__name__}, not a Sequential")
    return model
