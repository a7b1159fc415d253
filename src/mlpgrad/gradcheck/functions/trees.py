"""Parameters of any structure (arrays, tuples, lists, dicts, nested) as one flat vector."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from mlpgrad._core import arguments, checks
from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.numeric.problem import Leaf


def leaves_of(tree: Any, name: str, like: Any = None) -> Iterator[tuple[str, Any]]:
    """Yield every array of a tree with its path, in the order of `like`, which nests alike."""
    like = tree if like is None else like
    if isinstance(like, dict):
        for key in like:
            yield from leaves_of(tree[key], f"{name}[{key!r}]", like[key])
    elif isinstance(like, (tuple, list)):
        for number, branch in enumerate(tree):
            yield from leaves_of(branch, f"{name}[{number}]", like[number])
    else:
        yield name, tree


def as_array(leaf: Any, name: str) -> Array:
    """Return a leaf as a NumPy array: a number, or an array of NumPy or another library."""
    if hasattr(leaf, "detach"):  # a PyTorch tensor refuses __array__ while it requires a gradient
        leaf = leaf.detach().cpu()
    checks.refuse_hidden(leaf, name)
    try:
        array = np.asarray(leaf)
    except ValueError:  # rows of different lengths
        array = np.empty(0, object)
    except TypeError as error:  # such as bfloat16, which NumPy does not have
        dtype = getattr(leaf, "dtype", type(leaf).__name__)
        raise TypeError(
            f"{name} expects numbers in a dtype of NumPy, got {dtype}; convert with .float()"
        ) from error
    if array.dtype.kind not in "biufc":
        given = isinstance(leaf, np.ndarray)
        got = f"an array of dtype {leaf.dtype}" if given else arguments.shown(leaf)
        fix = "structures may hold arrays, numbers, tuples, lists and dicts"
        if array.dtype.names:
            fix = "pass a dict of its fields: {name: array[name] for name in array.dtype.names}"
        raise TypeError(f"{name} expects an array of numbers, got {got}; {fix}")
    return array


def layout(tree: Any, name: str = "params") -> tuple[list[Leaf], Array]:
    """Return the leaves of a tree of parameters, and their values as one float64 vector."""
    leaves: list[Leaf] = []
    parts: list[Array] = []
    start = 0
    for path, leaf in leaves_of(tree, name):
        array = as_array(leaf, path)
        if array.dtype.kind in "biu":
            raise TypeError(
                f"{path} expects floating-point numbers, got {array.dtype}: a derivative needs "
                f"small steps; convert with .astype(float)"
            )
        if array.dtype.kind == "c":
            raise TypeError(
                f"{path} expects real numbers, got {array.dtype}; pass real and imaginary parts "
                f"as two arrays"
            )
        leaves.append(Leaf(path, start, start + array.size, array.shape, array.dtype))
        parts.append(array.astype(np.float64).ravel())
        start += array.size
    if not start:
        raise ValueError(f"{name} expects at least one number, got none: there is nothing to check")
    vector = np.concatenate(parts)
    if not np.isfinite(vector).all():
        leaf = next(leaf for leaf in leaves if not np.isfinite(vector[leaf.slice]).all())
        raise ValueError(f"{leaf.name} expects finite numbers, got NaN or infinity")
    return leaves, vector


def rebuild(tree: Any, vector: Array, own_dtype: bool = False) -> Any:
    """Return a tree like `tree` with the values of a flat vector, in new arrays.

    The arrays have the dtype of the vector or, with `own_dtype`, the dtypes of `tree`.
    """
    return _taken(tree, vector, own_dtype)[0]


def _taken(node: Any, left: Array, own_dtype: bool) -> tuple[Any, Array]:
    """Return a tree with the first values of a vector, and the values that are left."""
    if isinstance(node, dict):
        new = copy.copy(node)  # of the same class
        for key, branch in node.items():
            new[key], left = _taken(branch, left, own_dtype)
        return new, left
    if isinstance(node, (tuple, list)):
        branches = []
        for branch in node:
            taken, left = _taken(branch, left, own_dtype)
            branches.append(taken)
        return (type(node)(*branches) if hasattr(node, "_fields") else type(node)(branches)), left
    array = as_array(node, "params")
    values, left = left[: array.size].reshape(array.shape), left[array.size :]
    if isinstance(node, float):
        return values.item(), left
    return (values.astype(array.dtype) if own_dtype else values.copy()), left


def same_structure(tree: Any, other: Any) -> bool:
    """Return whether both nest in the same way; lists, tuples and arrays of parts are the same."""
    if isinstance(tree, dict):
        same = isinstance(other, dict) and tree.keys() == other.keys()
        return same and all(same_structure(tree[key], other[key]) for key in tree)
    if isinstance(tree, (tuple, list)):
        is_row = isinstance(other, (tuple, list)) or bool(getattr(other, "shape", ()))
        same = is_row and len(tree) == len(other)
        return same and all(map(same_structure, tree, other))
    if isinstance(other, (tuple, list)):  # numbers listed row by row count as an array
        try:
            return np.ndim(tree) == np.ndim(other)
        except ValueError:  # rows of different lengths
            return False
    return not isinstance(other, dict)
