"""Optional packages, imported on use."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, extra: str) -> Any:
    """Import an optional module.

    Parameters
    ----------
    module : str
        The module, such as "matplotlib.figure".
    extra : str
        The extra of mlpgrad that installs it, for the error.

    Raises
    ------
    ModuleNotFoundError
        If the module is not installed; the message has the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ModuleNotFoundError(
            f"this needs {package}, which is not installed; run pip install 'mlpgrad[{extra}]'"
        ) from error
