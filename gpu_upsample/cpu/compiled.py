"""The decorators of CPU kernels: compiled by Numba when they are first called, kept on disk, and loaded from there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import llvmlite
from numba import njit, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.ccallback import CFunc
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager
from numba.core.runtime.nrt import rtsys
from numba.core.typed_passes import NopythonRewrites

from gpu_upsample.fingerprint import fingerprint
from gpu_upsample.garbage import uncollected

if TYPE_CHECKING:
    from gpu_upsample.cpu.arguments import Arguments


class _Files(IndexDataCacheFile):
    """Files of kernels, each named after all that tells it from others.

    Numba's own are numbered. Two processes that compile at the same time may give one number to two kernels, and later
    ones then run the one for the other.
    """

    def save(self, key: Any, data: Any) -> None:
        self._save_data(self._name(key), (key, data))

    def load(self, key: Any) -> Any:
        try:
            held, data = self._load_data(self._name(key))
        except OSError:
            return None
        return data if held == key else None

    def _name(self, key: Any) -> str:
        text = repr((self._version, self._source_stamp, key))
        name: str = self._data_name(int(sha256(text.encode()).hexdigest()[:16], 16))
        return name


class _Cache(FunctionCache):
    """Numba's memory on disk, from which a kernel is loaded without what only a compiler needs.

    Numba's own loads all that it can compile before, with SciPy: half of the time to the first result of a process. And
    it compiles a kernel anew when the file that defines it has changed, but not when one that it is built from has.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp(), _fingerprint()
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)  # what machine code calls
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


@cache
def _fingerprint() -> str:
    return fingerprint("cpu", [f"llvmlite {llvmlite.__version__}"])  # Numba asks for its own version itself


class _Compiler(Compiler):
    """Numba's, but it rewrites no expressions of whole arrays: kernels have none, and the search takes its time."""

    def define_pipelines(self) -> list[Any]:
        """Return the passes of the compiler."""
        usual = DefaultPassBuilder.define_nopython_pipeline(self.state)
        fewer = PassManager(usual.pipeline_name)
        fewer.passes.extend(each for each in usual.passes if each[0] is not NopythonRewrites)
        fewer.finalize()
        return [fewer]


def compiled(function: Callable[..., Any]) -> Any:
    """Return a function compiled for the types that it is called with, which needs no GIL and divides as NumPy does."""
    made: Any = njit(nogil=True, error_model="numpy", pipeline_class=_Compiler)(function)
    made._cache = _Cache(function)  # what `cache=True` sets to Numba's own
    made.compile = uncollected()(made.compile)
    return made


class Kernel:
    """A function that does some rows of a work, compiled for native code to call it by its address.

    It must not raise: whoever calls it would go on as if all were done. So it takes the memory that it needs, too.

    Parameters
    ----------
    function : callable
        Takes the first row, the one after the last, packed arguments, and the memory of the thread.
    """

    def __init__(self, function: Callable[[Any, Any, Any, Any], None]) -> None:
        self._function = function
        self._made: dict[Arguments, Any] = {}

    def address(self, arguments: Arguments) -> int:
        """Return where the function begins for such arguments."""
        if arguments not in self._made:
            takes = (types.int64, types.int64, arguments, types.CPointer(types.uint8))
            how = {"nopython": True, "error_model": "numpy"}
            made: Any = CFunc(self._function, (takes, types.void), {}, how, _Compiler)
            made._cache = _Cache(self._function)
            with uncollected():
                made.compile()
            self._made.setdefault(arguments, made)
        address: int = self._made[arguments].address
        return address


inlined: Any = njit(inline="always")
"""The decorator of a part of a kernel, for which the kernel's integers in capitals are constants, too."""
