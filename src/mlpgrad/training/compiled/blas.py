"""The addresses of sgemm and dgemm in NumPy's OpenBLAS, or else in SciPy."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {"f4": "sgemm", "f8": "dgemm"}


class Blas:
    """The addresses of gemm.

    Attributes
    ----------
    integer : str
        The LLVM type of the integers in the interface.
    addresses : dict of str to int
        The addresses by element type.
    """

    def __init__(self, integer: str, addresses: dict[str, int]) -> None:
        self.integer, self.addresses = integer, addresses

    @classmethod
    def of_numpy(cls) -> Blas | None:
        """Return the BLAS of NumPy's wheels: faster than SciPy's, but not a public interface."""
        folder = Path(np.__file__).parent.parent / "numpy.libs"
        for path in sorted(folder.glob("libscipy_openblas64*")):
            with suppress(OSError, AttributeError):
                library = ctypes.CDLL(str(path))
                found = {kind: getattr(library, f"scipy_{n}_64_") for kind, n in NAMES.items()}
                pointers = {k: ctypes.cast(f, ctypes.c_void_p) for k, f in found.items()}
                return cls("i64", {kind: p.value or 0 for kind, p in pointers.items()})
        return None

    @classmethod
    def of_scipy(cls) -> Blas | None:
        """Return the BLAS of SciPy, from its public table of pointers for Cython."""
        with suppress(ImportError, AttributeError, KeyError, ValueError):
            from scipy.linalg import cython_blas

            table: Any = cython_blas.__pyx_capi__
            return cls("i32", {kind: _pointer(table[name]) for kind, name in NAMES.items()})
        return None

    @classmethod
    def found(cls) -> Blas | None:
        """Return the first one that is available; without any, our kernels compute all products."""
        return cls.of_numpy() or cls.of_scipy()


def _pointer(capsule: Any) -> int:
    """Return the address in a capsule."""
    name, get = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(get(capsule, name(capsule)))
