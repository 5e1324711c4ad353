"""What tells kernels that were compiled earlier from those that would be compiled now."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gpu_upsample import __version__


def digest(content: bytes) -> str:
    """Return a short digest.

    Examples
    --------
    >>> digest(b"kernel") == digest(b"kernel"), digest(b"kernel") == digest(b"another")
    (True, False)
    """
    return hashlib.sha256(content).hexdigest()[:16]


def fingerprint(backend: str, compilers: list[str]) -> str:
    """Return a digest of all that the code of a backend's kernels depends on, beside their specialisation.

    Parameters
    ----------
    backend : str
        The subpackage with the kernels. All of its sources count, since kernels are built from others' parts.
    compilers : list of str
        Names and versions of what compiles them.
    """
    package = Path(__file__).parent
    sources = (source for name in ("arithmetic", backend) for source in sorted((package / name).glob("*.py")))
    try:
        parts = [source.read_bytes() for source in (package / "plan" / "dtypes.py", *sources)]
    except OSError:  # in an archive, or a frozen program: there only a version changes
        parts = [__version__.encode()]
    return digest(b"\0".join([*parts, *map(str.encode, compilers)]))
