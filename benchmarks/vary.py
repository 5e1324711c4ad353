"""Compare the speed of the package with itself, with other values of the constants that it chooses its ways by.

A variant is one or more assignments, such as ``cuda.grid._STRIP=8`` or
``cuda.filter_spec.MORE_BLOCKS=8,cuda.grid._BUSY=65536``. A cell is the time of the package as it is in parts of the
variant's: above 1 the variant is faster. It says ``differs`` where the results are not the same bits.

What compiled CPU kernels hold cannot be varied so, since Numba compiles a constant in.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import gpu_upsample as gu
from benchmarks.cases import CASES, Case
from benchmarks.compare import make_inputs
from benchmarks.peers import OURS
from benchmarks.timing import CLOCKS, EFFORTS, QUICK, Effort, interleaved

_PACKAGE = gu.__name__
_BASE = "as it is"
Assignments = dict[str, Any]


def parsed(variant: str) -> Assignments:
    """Return the assignments of a variant: names below the package, and values.

    Raises
    ------
    ValueError
        If it is none, or names something that is not there.
    """
    found = {}
    for assignment in variant.split(","):
        path, equals, value = assignment.partition("=")
        module, _, name = path.rpartition(".")
        if not equals or not module:
            raise ValueError(f"a variant is MODULE.NAME=VALUE, or several with commas between; got {variant!r}")
        try:
            getattr(import_module(f"{_PACKAGE}.{module}"), name)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"{path}: {error}") from None
        found[path] = ast.literal_eval(value)
    return found


def _modules() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.partition(".")[0] == _PACKAGE]


class Variants:
    """The package as it is and its variants, one of which is in force."""

    def __init__(self, variants: Sequence[str], folder: Path) -> None:
        self._assignments = {_BASE: {}, **{variant: parsed(variant) for variant in variants}}
        self._folder, self._inside, self._undo = folder, _BASE, list[Callable[[], None]]()

    @property
    def names(self) -> tuple[str, ...]:
        """The variants, the package as it is first."""
        return tuple(self._assignments)

    def enter(self, name: str) -> None:
        """Put a variant in force, unless it is; nothing remembers then what another one chose."""
        if name == self._inside:
            return
        while self._undo:
            self._undo.pop()()
        for path, value in self._assignments[name].items():
            self._assign(path, value)
        # A kernel on disk may be another variant's.
        os.environ["GPU_UPSAMPLE_CACHE_DIR"] = str(self._folder / str(self.names.index(name)))
        for module in _modules():
            for held in list(vars(module).values()):
                if hasattr(held, "cache_clear"):
                    held.cache_clear()
        self._inside = name

    def _assign(self, path: str, value: Any) -> None:
        """Give a name another value, in the modules that have imported it, too."""
        module, _, name = path.rpartition(".")
        before = getattr(import_module(f"{_PACKAGE}.{module}"), name)
        for holder in _modules():
            if vars(holder).get(name) is before:
                setattr(holder, name, value)
                self._undo.append(lambda holder=holder: setattr(holder, name, before))

    def within(self, name: str, call: Callable[[], Any]) -> Callable[[], Any]:
        """Return a call that puts a variant in force first."""

        def run() -> Any:
            self.enter(name)
            return call()

        return run


def row(case: Case, variants: Variants, place: str, effort: Effort) -> list[str]:
    """Return the cells of a case."""
    inputs = make_inputs(case, place)
    job = OURS.builders[type(case.work)](case, *inputs)
    assert job is not None
    calls = {name: variants.within(name, job.run) for name in variants.names}
    bits = {name: _bits(job.read(call())) for name, call in calls.items()}
    times = interleaved(calls, CLOCKS[place], effort)
    base = times[_BASE].median
    cells = [
        f"{base / times[name].median:.2f}" if bits[name] == bits[_BASE] else "differs" for name in variants.names[1:]
    ]
    return [f"{1e3 * base:.3g}", *cells]


def _bits(result: Any) -> bytes:
    arrays = result if isinstance(result, tuple) else (result,)
    return b"".join(array.tobytes() for array in arrays)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.vary", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="+", metavar="VARIANT", help="MODULE.NAME=VALUE, or several with commas")
    parser.add_argument("--device", action="store_true", help="on the GPU")
    parser.add_argument("--quick", action="store_true", help="small arrays, few rounds: only to see that it runs")
    parser.add_argument("--only", metavar="PATTERN", default="", help="only the rows whose name matches")
    options = parser.parse_args(arguments)
    place = "cuda" if options.device else "cpu"
    effort = QUICK if options.quick else EFFORTS[place]
    cases = [case.small() if options.quick else case for case in CASES if re.search(options.only, case.name)]
    with tempfile.TemporaryDirectory() as folder:
        try:
            variants = Variants(options.variants, Path(folder))
        except ValueError as error:
            parser.error(str(error))
        before = os.environ.get("GPU_UPSAMPLE_CACHE_DIR")
        try:
            print("\t".join(["case", "ms", *variants.names[1:]]))
            for case in cases:
                print("\t".join([case.name, *row(case, variants, place, effort)]), flush=True)
        finally:
            variants.enter(_BASE)
            os.environ.pop("GPU_UPSAMPLE_CACHE_DIR", None)
            if before is not None:
                os.environ["GPU_UPSAMPLE_CACHE_DIR"] = before
    return 0


if __name__ == "__main__":
    sys.exit(main())
