"""What all layers share: their arguments, checked, and their text."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from gpu_upsample.plan.cache import plain
from gpu_upsample.plan.shapes import as_integer
from gpu_upsample.plan.windows import integers


class Layer:
    """A layer whose arguments are its fields.

    Its text shows what torch's shows, and the other arguments (fields without `repr`) where they are not the default.
    """

    _IMPLIED: ClassVar[tuple[str, ...]] = ()
    """Arguments that the class itself decides."""

    def __repr__(self) -> str:
        values = {f: getattr(self, f.name) for f in fields(self) if f.name not in self._IMPLIED}  # type: ignore[arg-type]
        text = ", ".join(f"{f.name}={value!r}" for f, value in values.items() if f.repr or value != f.default)
        return f"{type(self).__name__}({text})"

    def _set(self, **arguments: Any) -> None:
        for name, value in arguments.items():
            object.__setattr__(self, name, value)


def checked(name: str, value: Any, rank: int | None, least: int) -> Any:
    """Return one integer if it was one, or a tuple of `rank` integers (None: of any number), none below `least`."""
    given = plain(value)
    if not isinstance(given, tuple):
        return integers(name, given, 1, least)[0]
    return integers(name, given, len(given) if rank is None else rank, least)


def checked_rank(ndim: Any, arguments: dict[str, Any], most: int | None) -> Any:
    """Return `ndim` as an int or None, if it and the arguments agree in the number of spatial axes."""
    from gpu_upsample.plan.rearrange import rank_of

    rank_of(ndim, arguments, most)
    return None if ndim is None else as_integer("ndim", ndim)
