"""Reads what the compiler made of a kernel, on a machine without a GPU."""

from __future__ import annotations

import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from gpu_upsample.cuda.compile import cubin_of, ptx_of


@cache
def ptx(spec, capability=(9, 0)):
    """Return the PTX of a kernel."""
    return ptx_of(spec, capability)


def _cuobjdump(spec, capability, option):
    import nvidia.cu13

    tool = Path(next(iter(nvidia.cu13.__path__))) / "bin" / "cuobjdump"
    code, _ = cubin_of(spec, capability)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        done = subprocess.run([tool, option, file.name], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@cache
def resources(spec, capability=(9, 0)):
    """Return registers, stack bytes and local-memory bytes of a thread."""
    text = _cuobjdump(spec, capability, "--dump-resource-usage")
    return {name: int(re.search(rf"{name}:(\d+)", text).group(1)) for name in ("REG", "STACK", "LOCAL")}


@cache
def instructions(spec, capability=(9, 0)):
    """Return the SASS instructions as (address, text)."""
    text = _cuobjdump(spec, capability, "--dump-sass")
    return [(int(a, 16), t) for a, t in re.findall(r"/\*([0-9a-f]{4,})\*/\s+(\S.*?);", text)]


def row_loop(spec, capability=(9, 0)):
    """Return the instructions of the loop over output rows: from a backward branch's target, with a store inside.

    Both the filtering of a source row and the emission of an output row count in full, although a 2x
    enlargement filters a source row at every other turn only: an upper bound.
    """
    listing = instructions(spec, capability)
    bodies = []
    for address, text in listing:
        branch = re.search(r"BRA\S*\s.*?(0x[0-9a-f]+)", text)
        if branch and int(branch.group(1), 16) < address:
            body = [t for a, t in listing if int(branch.group(1), 16) <= a <= address]
            if any("STG" in t for t in body):
                bodies.append(body)
    return max(bodies, key=len)
