"""From a kernel's specialisation to machine code: Numba to PTX, nvJitLink to a cubin, cached on disk.

No driver is needed. Cubins are cached instead of PTX because an older driver refuses the PTX of a newer NVVM.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numba.cuda
from cuda.core import Linker, LinkerOptions, ObjectCode

from gpu_upsample.cuda.kernels import THREADS, min_blocks_of
from gpu_upsample.cuda.machine import DEVICE
from gpu_upsample.cuda.registry import KERNELS
from gpu_upsample.fingerprint import digest, fingerprint
from gpu_upsample.garbage import uncollected

Capability = tuple[int, int]


def ptx_of(spec: Any, capability: Capability) -> str:
    """Return the PTX of a kernel for a compute capability, as (major, minor)."""
    builder, signature = KERNELS[type(spec)]
    with uncollected():
        text, _ = numba.cuda.compile(  # type: ignore[attr-defined]
            builder(DEVICE, spec),
            signature(spec),
            cc=capability,
            device=False,
            abi="numba",
            output="ptx",
            launch_bounds=(THREADS, min_blocks_of(spec)),
        )
    return str(text)


def entry_of(ptx: str) -> str:
    """Return the name of the kernel in a PTX text."""
    found = re.search(r"\.entry\s+([^\s(]+)", ptx)
    if found is None:
        raise RuntimeError("the compiled PTX has no entry point")
    return found.group(1)


def assembled(ptx: str, capability: Capability) -> bytes:
    """Return the machine code of a PTX text.

    A multiprocessor holds as many blocks of it as the text asks for, or fewer, where so many would leave their threads
    too few registers: one that is spilled is written to memory and read again in each turn of a loop.
    """
    asked, *_ = map(int, re.findall(r"\.minnctapersm (\d+)", ptx))
    for blocks in range(asked, 0, -1):
        code, log = _linked(ptx.replace(f".minnctapersm {asked}", f".minnctapersm {blocks}"), capability)
        if not re.search(r"[1-9]\d* bytes spill", log):
            break
    return code


def _linked(ptx: str, capability: Capability) -> tuple[bytes, str]:
    """Return the machine code of a PTX text, and what the assembler tells of it."""
    # fma=False: only what a kernel calls a fused multiply-add may become one.
    options = LinkerOptions(arch=f"sm_{capability[0]}{capability[1]}", fma=False, verbose=True)
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    return bytes(linker.link("cubin").code), linker.get_info_log()


def cubin_of(spec: Any, capability: Capability) -> tuple[bytes, str]:
    """Return the machine code of a kernel and the kernel's name in it, from the cache where it is there."""
    path = cache_directory() / f"{_fingerprint()}-sm_{capability[0]}{capability[1]}-{digest(repr(spec).encode())}.cubin"
    try:
        name, _, code = path.read_bytes().partition(b"\0")
    except OSError:
        code = b""
    if code.startswith(b"\x7fELF"):
        return code, name.decode()
    ptx = ptx_of(spec, capability)
    code = assembled(ptx, capability)
    _write(path, entry_of(ptx).encode() + b"\0" + code)
    return code, entry_of(ptx)


def cache_directory() -> Path:
    """Return where cubins are kept: GPU_UPSAMPLE_CACHE_DIR, or the user's cache folder."""
    asked = os.environ.get("GPU_UPSAMPLE_CACHE_DIR")
    if asked:
        return Path(asked)
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gpu_upsample"


def _write(path: Path, content: bytes) -> None:
    """Put a file in place as a whole, or not at all: a cache that cannot be written is no error."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            file = Path(folder) / path.name
            file.write_bytes(content)  # others may read it, as the user's umask says: a temporary file is private
            file.replace(path)


@lru_cache(maxsize=1)
def _fingerprint() -> str:
    names = ("numba", "numba-cuda", "llvmlite", "cuda-core", "nvidia-nvvm", "nvidia-nvjitlink")
    return fingerprint("cuda", [f"{name} {_version(name)}" for name in names])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
