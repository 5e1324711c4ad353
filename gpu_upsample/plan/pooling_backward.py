"""From the arguments of the gradients of max pooling and unpooling to a plan; every error is raised here."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.plan.dtypes import STORAGE, check_floating, scalars
from gpu_upsample.plan.pooling import (
    AXES,
    PoolStep,
    UnpoolStep,
    check_index_dtype,
    named_index,
    plan_max_pool,
)
from gpu_upsample.plan.shapes import as_flag, as_shape, check_addressable
from gpu_upsample.plan.steps import Output, Plan
from gpu_upsample.plan.windows import Ints, reach

_REAL = tuple(name for name in STORAGE if "float" in name)


@dataclass(frozen=True, eq=False)
class Cover:
    """The windows that reach each sample of an axis, ascending: ``first[o] + t * step`` for ``t < count[o]``.

    Attributes
    ----------
    first, count : ndarray of int64, one per sample
        The lowest window and the number of windows; zeros where no window reaches the sample.
    step : int
        Distance of two windows that reach the same sample.
    """

    first: Ints
    count: Ints
    step: int


@dataclass(frozen=True, eq=False)
class PoolBackwardStep:
    """For every sample, the sum of the gradients of the windows that chose it.

    A sum starts at 0.0, which is left where no window chose the sample, and adds one fused multiply-add by 1 per
    window, in ascending order of the windows, in the accumulator of the storage.

    Attributes
    ----------
    forward : PoolStep
        The pooling; it turns the shape of the result here into that of the gradients and indices given.
    shape : tuple of int
        Shape of the gradients and indices.
    validate : bool
        Whether a backend that would not wait for the indices has to check them first.
    """

    forward: PoolStep
    shape: tuple[int, ...]
    validate: bool

    def cover(self, axis: int) -> Cover:
        """Return which windows reach the samples of a spatial axis."""
        pool = self.forward
        n_out, n_in = pool.size_out[axis], pool.size_in[axis]
        table = reach(n_out, n_in, pool.kernel[axis], pool.stride[axis], pool.padding[axis], pool.dilation[axis])
        first = table.window - np.maximum(table.count - 1, 0) * table.window_step
        return Cover(first, table.count, table.window_step)


@dataclass(frozen=True, eq=False)
class UnpoolBackwardStep:
    """For every sample that was put somewhere the gradient of that place, and zero for those that were replaced.

    Attributes
    ----------
    forward : UnpoolStep
        The unpooling, with the storage of the gradient.
    """

    forward: UnpoolStep


def window_error(step: PoolBackwardStep, indices: NDArray[Any]) -> ValueError:
    """Return the error for the first of the indices, given flat, that names no sample of its own window."""
    pool = step.forward
    place = indices.astype(np.int64).reshape(-1, *pool.size_out)
    inside = (place >= 0) & (place < prod(pool.size_in))
    for axis in (2, 1, 0):
        place, coordinate = np.divmod(place, pool.size_in[axis])
        windows = np.arange(pool.size_out[axis]).reshape([-1 if axis == other else 1 for other in range(3)])
        offset = coordinate + pool.padding[axis] - windows * pool.stride[axis]
        tap, between = np.divmod(offset, pool.dilation[axis])
        inside &= (between == 0) & (tap >= 0) & (tap < pool.kernel[axis])
    position = int(np.argmin(inside))
    return ValueError(
        f"indices must each name a sample of their own window; "
        f"{named_index(step.shape, position, int(indices[position]))}"
    )


def _checked_size(operator: str, rank: int, value: Any, dtype: str) -> tuple[int, ...]:
    """Return the shape of a batch or of one unbatched array."""
    size = as_shape("input_size", value)
    if len(size) not in (rank + 1, rank + 2):
        axes = AXES[rank]
        raise ValueError(
            f"{operator}{rank}d_backward takes input_size of the form (N, C, {axes}) or (C, {axes}); got {value!r}"
        )
    if 0 in size[-rank:]:
        raise ValueError(f"a spatial axis must not be empty; got input_size={value!r}")
    check_addressable(size, dtype)
    return size


def plan_max_pool_backward(
    shape: tuple[int, ...],
    dtype: str,
    indices_shape: tuple[int, ...],
    indices_dtype: str,
    rank: int,
    input_size: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
    validate: Any,
) -> Plan:
    """Plan the gradient of a max pooling with respect to its input.

    Examples
    --------
    >>> grad = (2, 3, 3, 3)
    >>> plan = plan_max_pool_backward(
    ...     grad, "float32", grad, "int64", 2, (2, 3, 5, 6), 3, 2, 1, 1, False, False
    ... )
    >>> plan.outputs[0].shape
    (2, 3, 5, 6)
    >>> cover = plan.steps[0].cover(2)
    >>> cover.first, cover.count
    (array([0, 0, 1, 1, 2, 2]), array([1, 2, 1, 2, 1, 1]))
    """
    if dtype not in _REAL:
        raise TypeError(f"grad_output must have one of the dtypes {', '.join(_REAL)}; got {dtype}")
    check_index_dtype(indices_dtype)
    size = _checked_size("max_pool", rank, input_size, dtype)
    checked = as_flag("validate", validate)
    forward = plan_max_pool(size, dtype, rank, kernel_size, stride, padding, dilation, ceil_mode, True)
    pooled = forward.outputs[0].shape
    for name, given in (("grad_output", shape), ("indices", indices_shape)):
        if given != pooled:
            raise ValueError(f"{name} must have shape {pooled}, to which input_size {size} is pooled; got {given}")
    return Plan((Output(size, dtype),), (PoolBackwardStep(forward.steps[0], pooled, checked),))


def plan_max_unpool_backward(
    shape: tuple[int, ...],
    dtype: str,
    indices_shape: tuple[int, ...],
    indices_dtype: str,
    rank: int,
    input_size: Any,
    validate: Any,
) -> Plan:
    """Plan the gradient of an unpooling with respect to its input.

    Examples
    --------
    >>> plan = plan_max_unpool_backward((1, 2, 6), "float32", (1, 2, 3), "int64", 1, (1, 2, 3), False)
    >>> plan.outputs[0].shape, plan.steps[0].forward.n_in, plan.steps[0].forward.n_out
    ((1, 2, 3), 3, 6)
    """
    check_floating("grad_output", dtype)
    storage, parts = scalars(dtype)
    check_index_dtype(indices_dtype)
    size = _checked_size("max_unpool", rank, input_size, dtype)
    checked = as_flag("validate", validate)
    if indices_shape != size:
        raise ValueError(f"indices must have the shape of x, input_size {size}; got {indices_shape}")
    planes, unpooled = size[:-rank], shape[-rank:]
    if len(shape) != len(size) or shape[:-rank] != planes or 0 in unpooled:
        raise ValueError(
            f"grad_output must have the axes of input_size {size} and begin like it, "
            f"with no empty spatial axis; got shape {shape}"
        )
    forward = UnpoolStep(size, prod(planes), prod(size[-rank:]), prod(unpooled), storage, parts, checked)
    return Plan((Output(size, dtype),), (UnpoolBackwardStep(forward),))
