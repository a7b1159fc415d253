"""`load`: read a model from a file that `Sequential.save` wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpgrad._core import paths
from mlpgrad._core.described import suggesting
from mlpgrad.sequential import Sequential

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load"]


@suggesting
def load(path: str | Path) -> Sequential:
    """Read a model that `Sequential.save` wrote.

    A file from an untrusted source is safe to load: it can only call the constructors of classes
    that the program has defined, and reading needs at most about three times the size of the file
    in memory.

    Parameters
    ----------
    path : str or Path
        Name of the file.

    Returns
    -------
    Sequential
        The saved model: it gives the same predictions, has the same random states and continues
        training in the same way.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If the file does not exist, or is a folder.
    ValueError
        If the file is damaged, is not a model, is a pipe or a device, or was written by a newer
        version of mlpgrad; if its arrays do not have the sizes that its layers need, are
        compressed, or hold Python objects; or if it needs a class that is not defined: import the
        module that defines it first.

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

    model = npz.load(paths.path(path))
    if not isinstance(model, Sequential):
        raise ValueError(f"{path} holds a {type(model).__name__}, not a Sequential")
    return model
