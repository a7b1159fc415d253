"""This processor, and machine code for it, compiled or read from the cache on disk."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlpgrad._core.version import __version__
from mlpgrad.training.compiled.epoch import SIGNATURE
from mlpgrad.training.compiled.sharing import SERVE

CACHE = "MLPGRAD_CACHE"
"""The environment variable that names the cache folder; empty disables the cache."""
MOST_CACHED = 200
"""Maximum number of files; the oldest are removed first."""


class Machine:
    """LLVM's view of this processor.

    Attributes
    ----------
    width : int
        The number of bytes in a vector register.
    registers : int
        The number of vector registers.
    processor : str
        The family of the processor: x86, arm, or empty.
    fuses : bool
        Whether it multiplies and adds in one instruction; a function that does so takes ten times
        as long as NumPy's products.
    """

    def __init__(self) -> None:
        import llvmlite
        import llvmlite.binding as llvm

        self.llvm: Any = llvm
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.cpu = llvm.get_host_cpu_name()
        features = llvm.get_host_cpu_features()
        self.features = features.flatten()
        self.width = 64 if features.get("avx512f") else 32 if features.get("avx2") else 16
        family = llvm.get_process_triple().partition("-")[0]
        known = {"x86_64": "x86", "aarch64": "arm", "arm64": "arm"}
        self.processor = known.get(family, "")
        self.fuses = bool(features.get("fma")) or self.processor != "x86"
        self.registers = 32 if self.width == 64 or self.processor == "arm" else 16
        versions = f"{__version__} {llvmlite.__version__} {llvm.llvm_version_info}"
        self.identity = f"{self.cpu} {self.features} {versions}"

    def target(self) -> Any:
        """Return a new target machine, since an engine takes ownership of its own."""
        target = self.llvm.Target.from_default_triple()
        return target.create_target_machine(cpu=self.cpu, features=self.features, opt=1, jit=True)


@functools.cache
def machine() -> Machine:
    """Return the machine of this process."""
    return Machine()


@functools.lru_cache(maxsize=32)
def compiled(text: str) -> tuple[Any, int, int]:
    """The engine that holds a module's machine code; the addresses of `train` and any `serve`."""
    here = machine()
    key = hashlib.sha256(f"{here.identity}\0{text}".encode()).hexdigest()
    folder = cache_folder()
    code = read(folder / f"{key}.o") if folder else None
    if code is None:
        module = here.llvm.parse_assembly(text)
        module.verify()
        code = here.target().emit_object(module)
        if folder:
            keep(folder / f"{key}.o", code)
    shared = SERVE in text
    heads = [SIGNATURE, SERVE] if shared else [SIGNATURE]
    empty = here.llvm.parse_assembly("\n".join(f"declare {head}" for head in heads))
    engine = here.llvm.create_mcjit_compiler(empty, here.target())
    engine.add_object_file(here.llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    if not (place := engine.get_function_address("train")):
        raise RuntimeError("the compiled module has no function `train`")
    return engine, place, engine.get_function_address("serve") if shared else 0


@functools.cache
def give_way() -> int:
    """Return the address of the system's function that lets another thread run on this core."""
    if sys.platform == "win32":
        function: Any = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


# the cache holds code that is executed, so it must belong to the user


def cache_folder() -> Path | None:
    """Return the cache folder, created if necessary; None without a trusted folder."""
    if os.environ.get(CACHE) == "":
        return None
    windows = sys.platform == "win32"
    name, home = ("LOCALAPPDATA", "~") if windows else ("XDG_CACHE_HOME", "~/.cache")
    usual = Path(os.environ.get(name) or home, "mlpgrad", "compiled")
    try:
        folder = Path(os.environ.get(CACHE, usual)).expanduser()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if _own(folder) else None
    except (OSError, RuntimeError):  # no home folder, for instance
        return None


def _own(path: Path) -> bool:
    """Return whether a folder belongs to this user, and no other user may write to it."""
    if sys.platform == "win32":
        return True  # folders of the profile belong to the user
    found = path.lstat()
    others = stat.S_IWGRP | stat.S_IWOTH
    return found.st_uid == os.geteuid() and not found.st_mode & others and not path.is_symlink()


def read(path: Path) -> bytes | None:
    """Return machine code from the cache; None if it is missing or damaged."""
    with suppress(OSError):
        if _own(path):
            digest, _, code = path.read_bytes().partition(b"\n")
            if digest == hashlib.sha256(code).hexdigest().encode():
                return code
    return None


def keep(path: Path, code: bytes) -> None:
    """Write machine code to the cache, completely or not at all, and remove the oldest."""
    with suppress(OSError):
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".draft")  # for its owner only
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(code).hexdigest().encode() + b"\n" + code)
        Path(draft).replace(path)
        files = sorted(path.parent.iterdir(), key=lambda other: other.stat().st_mtime)
        for oldest in files[:-MOST_CACHED]:
            oldest.unlink(missing_ok=True)
