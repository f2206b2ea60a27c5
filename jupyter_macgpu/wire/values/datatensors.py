"""PyTorch tensors from a host of data only: on memory that came, inside its bounds."""

from __future__ import annotations

import re
from typing import Any

import torch

from .dataarrays import memory_of
from .known import Args, are, need
from .placeholders import Known, Maker, Memory
from .tensors import TENSOR, build_tensor, build_view, flat, host_storage, set_extras

_TYPES = {str(found)[6:]: found for found in vars(torch).values() if type(found) is torch.dtype}
_DEVICE = re.compile(r"(cpu|cuda|mps|meta|xpu)(:[0-9]{1,3})?")
_NUMBERS = re.compile(r"torch\.(bool|uint\d+|int\d+|b?float\d+\w*|complex\d+)")
_TENSORS = (torch.Tensor, torch.nn.Parameter)


def known(module: str, name: str) -> object | None:
    """Return what a name in torch means, or None."""
    if module != "torch":
        return None
    if name == "Size":
        return Known("a size", _size)
    if name == "device":
        return Known("a device", _device)
    return _TYPES.get(name)


def _size(_reader: Maker, args: Args) -> object:
    need(are(args, tuple) and all(type(length) is int for length in args[0]))
    return torch.Size(args[0])


def _device(_reader: Maker, args: Args) -> object:
    need(are(args, str) or are(args, str, int))
    need(_DEVICE.fullmatch(args[0]) is not None)
    return torch.device(*args)


def storage(reader: Maker, args: Args) -> object:
    """Make a storage in host memory, whatever its device there."""
    memory, device = args
    need(type(device) is str)
    raw = memory_of(memory)
    if isinstance(memory, Memory) and raw.readonly:
        reader.spend(len(raw))
        raw = bytearray(raw)
    return host_storage(raw)


def tensor(reader: Maker, args: Args) -> object:
    """Make a tensor on a storage that is large enough for it."""
    base, device, dtype, offset, size, stride, requires_grad, is_parameter = args
    need(type(base) is torch.UntypedStorage and type(dtype) is torch.dtype)
    need(_NUMBERS.fullmatch(str(dtype)) is not None)
    if dtype is torch.bool and base.nbytes():
        # torch counts on nothing but 0 and 1 where it uses one as a mask.
        need(int(flat(base).max()) <= 1)
    need(type(device) is str and _DEVICE.fullmatch(device) is not None)
    check_window(base.nbytes() // dtype.itemsize, size, stride, offset)
    need(are((requires_grad, is_parameter), bool, bool))
    made = build_tensor(base, device, dtype, offset, size, stride, requires_grad, is_parameter)
    return reader.keep(made)


def view(reader: Maker, args: Args) -> object:
    """Make a view of a tensor, inside the memory that it has."""
    base, window, requires_grad, is_leaf, attributes = args
    need(type(base) in _TENSORS and are(tuple(window), tuple, tuple, int))
    check_window(base.untyped_storage().nbytes() // base.dtype.itemsize, *window)
    need(are((requires_grad, is_leaf), bool, bool))
    check_attributes(attributes)
    return reader.keep(build_view(base, window, requires_grad, is_leaf, attributes))


def extras(reader: Maker, args: Args) -> object:
    """Give a tensor that was made here its gradient and its attributes."""
    made, given = args
    need(type(made) in _TENSORS and id(made) in reader.made)
    check_extras(given)
    set_extras(made, given)
    return None


def check_extras(given: Any) -> None:
    """Check what `set_extras` is given."""
    need(type(given) is tuple and len(given) == 2)
    gradient, attributes = given
    need(gradient is None or type(gradient) in _TENSORS)
    check_attributes(attributes)


def check_attributes(attributes: Any) -> None:
    """Check the attributes of a tensor: its own hold hooks, and are private."""
    need(type(attributes) is dict)
    need(all(type(name) is str and not name.startswith("_") for name in attributes))


def check_window(room: int, size: Any, stride: Any, offset: Any) -> None:
    """Check that a window lies within `room` elements: torch enlarges a storage where not."""
    need(type(size) is tuple and type(stride) is tuple and len(size) == len(stride) <= 64)
    numbers = (*size, *stride, offset)
    need(all(type(number) is int and 0 <= number < 2**62 for number in numbers))
    elements = 1
    for length in size:
        elements *= length
    if elements == 0:
        need(max(size) < 2**40 and offset <= max(room, 0))
        return
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    need(last < room and elements <= max(room, 2**28))


def fill(obj: Any, code: str, state: Any) -> None:
    """Put a change into a tensor or a storage of the notebook, if it is one that fits."""
    if code == "torch.storage":
        raw = memory_of(state)
        # Memory that others look into must neither shrink under them nor move.
        need(type(obj) is torch.UntypedStorage and len(raw) == obj.nbytes())
        if len(raw):
            obj.copy_(host_storage(raw if not memoryview(raw).readonly else bytearray(raw)))
        return
    window, device, requires_grad, given = state
    need(type(obj) in _TENSORS and type(window) in _TENSORS and type(requires_grad) is bool)
    need(type(device) is str and _DEVICE.fullmatch(device) is not None)
    check_extras((given[0], {}) if _keeps(obj, given) else given)
    TENSOR.restore(obj, (window, device, requires_grad, given))


def _keeps(obj: Any, given: Any) -> bool:
    """Say whether attributes are those that a tensor has."""
    before = vars(obj)
    return (
        type(given) is tuple
        and len(given) == 2
        and type(given[1]) is dict
        and all(name in before and before[name] is value for name, value in given[1].items())
    )
