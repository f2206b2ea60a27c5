"""PyTorch: storages once, tensors as windows on them, gradients and optimizers with them.

The bytes belong to the storage and the form to the tensor. Tied weights and views stay
tied because they name one storage; a change of the bytes is copied into the storage
that the other side has, so that every tensor on it sees it.
"""

from __future__ import annotations

import functools
import pickle
import types
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .arrays import same_bytes
from .naming import builder
from .opaque import CannotUpdate
from .parts import PARTS, Part

if TYPE_CHECKING:
    from .graph import Decoder, Encoder

#: On a tensor in host memory: the device on which the worker had it.
DEVICE_TAG = "_macgpu_device"
_TENSORS = (torch.Tensor, torch.nn.Parameter)


def reducer_for(cls: type) -> Any:
    """Return the reducer of a torch type, or None for pickle's own way."""
    if cls in _TENSORS:
        return reduce_tensor
    if issubclass(cls, torch.UntypedStorage):
        return reduce_storage
    return None


def parts_for(cls: type) -> tuple[Part, ...] | None:
    """Return what can change in a torch object, or None to ask the object."""
    if cls in _TENSORS:
        return (TENSOR,)
    if issubclass(cls, torch.UntypedStorage):
        return (STORAGE,)
    return () if issubclass(cls, (torch.Size, torch.dtype, torch.device)) else None


def reduce_tensor(encoder: Encoder, tensor: Any) -> Any:
    """Send a tensor as a window on its storage, with its gradient and attributes."""
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        return NotImplemented
    base = _viewed(tensor)
    if base is not None:
        window = (tuple(tensor.size()), tuple(tensor.stride()), tensor.storage_offset())
        flags = (tensor.requires_grad, tensor.is_leaf)
        return build_view, (base, window, *flags, _extras(tensor)[1])
    if tensor.grad_fn is not None:
        encoder.note(
            "a tensor came without its autograd graph: call backward() in the cell that "
            "makes it, or detach it there"
        )
    tensor = tensor.resolve_conj().resolve_neg() if type(tensor) is torch.Tensor else tensor
    storage = tensor.untyped_storage()
    # torch may make a new wrapper for the same memory; pickle knows it by the wrapper.
    storages = encoder.scratch.setdefault("storages", {})
    storage = storages.setdefault(storage._cdata, storage)
    # The storage is pickled right after this, and must know where it belongs.
    encoder.scratch.setdefault("devices", {})[storage._cdata] = device_of(tensor)
    made_from = (storage, *_form(tensor), type(tensor) is torch.nn.Parameter)
    return build_tensor, made_from, _extras(tensor), None, None, set_extras


def build_view(
    base: Any,
    window: tuple[Any, ...],
    requires_grad: bool,
    is_leaf: bool,
    attributes: dict[str, Any],
) -> Any:
    """Make a view that autograd knows as one: a gradient through it reaches its base."""
    if requires_grad and is_leaf:
        # It was made before its base wanted a gradient, or wants one for itself.
        wanted = base.requires_grad
        base.requires_grad_(False)
        view = base.as_strided(*window)
        base.requires_grad_(wanted)
        if not view.requires_grad:
            view.requires_grad_()
    else:
        with torch.set_grad_enabled(requires_grad or not base.requires_grad):
            view = base.as_strided(*window)
    vars(view).update(attributes)
    return view


def build_tensor(
    storage: Any,
    device: str,
    dtype: Any,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
    is_parameter: bool,
) -> Any:
    """Make a tensor on a received storage, tagged with its device if it is not there."""
    tensor: Any = torch.empty(0, dtype=dtype, device=storage.device)
    tensor.set_(storage, offset, size, stride)
    if is_parameter:
        tensor = torch.nn.Parameter(tensor, requires_grad=requires_grad)
    elif requires_grad:
        tensor.requires_grad_()
    tag(tensor, device)
    return tensor


def set_extras(tensor: Any, extras: tuple[Any, dict[str, Any]]) -> None:
    """Give a tensor its gradient and its Python attributes."""
    gradient, attributes = extras
    if tensor.is_leaf:
        tensor.grad = gradient
    tensor.__dict__.update(attributes)


def reduce_storage(encoder: Encoder, storage: Any) -> Any:
    """Send the bytes of a storage, out of band, and the device that it belongs to."""
    device = encoder.scratch.get("devices", {}).get(storage._cdata, str(storage.device))
    return build_storage, (pickle.PickleBuffer(memory_of(storage)), device)


@builder
def build_storage(decoder: Decoder, memory: Any, device: str) -> Any:
    """Make a storage on received memory, on its device if that is here and may be used.

    The storage on the device is the object of the graph: what is computed there has to
    be found when the run's changes are looked for.
    """
    storage = host_storage(memory)
    if device == "cpu" or not decoder.to_devices or storage.nbytes() == 0:
        return storage
    try:
        return flat(storage).to(device).untyped_storage()
    except (RuntimeError, AssertionError, NotImplementedError):
        return storage


def host_storage(memory: Any) -> Any:
    """Make a storage on received memory, which must be writable."""
    if memoryview(memory).nbytes == 0:
        return torch.empty(0, dtype=torch.uint8).untyped_storage()
    return torch.frombuffer(memory, dtype=torch.uint8).untyped_storage()


def flat(storage: Any) -> Any:
    """Return the bytes of a storage as a tensor on its device."""
    window: Any = torch.empty(0, dtype=torch.uint8, device=storage.device)
    return window.set_(storage, 0, (storage.nbytes(),), (1,))


def device_of(tensor: Any) -> str:
    """Return the device of a tensor, or the one that its copy in host memory came from."""
    return str(tensor.__dict__.get(DEVICE_TAG) or tensor.device)


def tag(tensor: Any, device: str) -> None:
    """Remember on a tensor in host memory the device that it belongs to."""
    tensor.__dict__.pop(DEVICE_TAG, None)
    if device != "cpu" and tensor.device.type == "cpu":
        setattr(tensor, DEVICE_TAG, device)


def memory_of(storage: Any) -> Any:
    """Return the bytes of a storage as a numpy array, without a copy in host memory."""
    if storage.nbytes() == 0:
        return np.empty(0, np.uint8)
    return flat(storage).cpu().numpy()


class _StorageContent:
    """The bytes of a storage."""

    code = "torch.storage"

    def snapshot(self, obj: Any) -> Any:
        return bytes(memoryview(memory_of(obj)))

    def changed(self, obj: Any, before: Any) -> bool:
        return not same_bytes(memory_of(obj), before)

    def elements(self, _obj: Any) -> Iterable[object]:
        return ()

    def export(self, obj: Any, _before: Any) -> Any:
        return pickle.PickleBuffer(memory_of(obj))

    def restore(self, obj: Any, state: Any) -> None:
        new = host_storage(state)
        if new.nbytes() != obj.nbytes():
            obj.resize_(new.nbytes())
        obj.copy_(new)


class _TensorForm:
    """Window, gradient and attributes of a tensor; its bytes are its storage's."""

    code = "torch.tensor"

    def snapshot(self, obj: Any) -> Any:
        gradient, attributes = _extras(obj)
        # Holding the storage keeps its wrapper, and so its id, while the run lives.
        return obj.untyped_storage(), _form(obj), gradient, attributes, _is_inner(obj)

    def changed(self, obj: Any, before: Any) -> bool:
        storage, form, gradient, attributes, was_inner = before
        now = _extras(obj)
        return (
            obj.untyped_storage()._cdata != storage._cdata
            or _form(obj) != form
            or _is_inner(obj) != was_inner
            or now[0] is not gradient
            or now[1].keys() != attributes.keys()
            or any(now[1][key] is not attributes[key] for key in attributes)
        )

    def elements(self, obj: Any) -> Iterable[object]:
        gradient, attributes = _extras(obj)
        return (obj.untyped_storage(), _viewed(obj), gradient, *attributes.values())

    def export(self, obj: Any, _before: Any) -> Any:
        if _is_inner(obj):
            # It became a node of a graph: as a new value it is detached, with a note.
            raise CannotUpdate
        window = torch.empty(0, dtype=obj.dtype, device=obj.device)
        window.set_(obj.untyped_storage(), obj.storage_offset(), obj.size(), obj.stride())
        return window, device_of(obj), obj.requires_grad and obj.is_leaf, _extras(obj)

    def restore(self, obj: Any, state: Any) -> None:
        window, device, requires_grad, extras = state
        moved = obj.untyped_storage()._cdata != window.untyped_storage()._cdata
        if moved or _form(obj)[:-1] != (device, *_form(window)[1:-1]):
            obj.data = window
            tag(obj, device)
        if obj.is_leaf:
            obj.requires_grad_(requires_grad)
        set_extras(obj, extras)


TENSOR, STORAGE = _TensorForm(), _StorageContent()
PARTS[TENSOR.code] = TENSOR
PARTS[STORAGE.code] = STORAGE


def reduce_scheduled_step(_encoder: Encoder, step: types.FunctionType) -> Any:
    """Send the wrapper that a learning-rate scheduler puts around `optimizer.step`.

    It is a function inside torch that holds its optimizer weakly: it is made again on
    the other side, so that the scheduler goes on seeing that the optimizer stepped.
    """
    variables = dict(zip(step.__code__.co_freevars, step.__closure__ or (), strict=True))
    optimizer = variables["opt_ref"].cell_contents()
    return build_scheduled_step, (), (optimizer,), None, None, set_scheduled_step


def build_scheduled_step() -> Any:
    """Make a wrapper that counts calls of `step`, not yet tied to its optimizer."""
    opt_ref: Any = None

    def scheduled_step(*args: Any, **kwargs: Any) -> Any:
        optimizer = opt_ref()
        optimizer._opt_called = True
        return type(optimizer).step(optimizer, *args, **kwargs)

    return scheduled_step


def set_scheduled_step(step: Any, state: tuple[Any]) -> None:
    """Tie a wrapper to its optimizer."""
    optimizer = state[0]
    step.__closure__[0].cell_contents = weakref.ref(optimizer)
    functools.update_wrapper(step, type(optimizer).step)
    step._wrapped_by_lr_sched = True


def _viewed(tensor: Any) -> Any:
    """Return the leaf that a tensor is a view of for autograd, or None."""
    base = tensor._base if tensor._is_view() else None
    if base is None or base.grad_fn is not None or base.dtype != tensor.dtype:
        return None
    if base.untyped_storage()._cdata != tensor.untyped_storage()._cdata:
        return None  # `base.data = …` took the memory away from under the view
    return base if type(base) in _TENSORS and type(tensor) is torch.Tensor else None


def _is_inner(tensor: Any) -> bool:
    return tensor.grad_fn is not None and _viewed(tensor) is None


def _form(tensor: Any) -> tuple[Any, ...]:
    # An inner node of a graph arrives as a leaf: only leaves require a gradient there.
    wants_gradient = tensor.requires_grad and tensor.is_leaf
    window = (tensor.storage_offset(), tuple(tensor.size()), tuple(tensor.stride()))
    return (device_of(tensor), tensor.dtype, *window, wants_gradient)


def _extras(tensor: Any) -> tuple[Any, dict[str, Any]]:
    gradient = tensor.grad if tensor.is_leaf else None
    return gradient, {k: v for k, v in tensor.__dict__.items() if k != DEVICE_TAG}
