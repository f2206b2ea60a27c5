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
    device = tensor.__dict__.get(DEVICE_TAG) or str(tensor.device)
    made_from = (storage, device, *_form(tensor), type(tensor) is torch.nn.Parameter)
    return build_tensor, made_from, _extras(tensor), None, None, set_extras


@builder
def build_tensor(
    decoder: Decoder,
    storage: Any,
    device: str,
    dtype: Any,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
    is_parameter: bool,
) -> Any:
    """Make a tensor on a received storage, on its device where this side has it."""
    if storage.device.type == "cpu" and device != "cpu" and decoder.on_worker:
        storage = _on_device(decoder, storage, device)
    tensor: Any = torch.empty(0, dtype=dtype, device=storage.device)
    tensor.set_(storage, offset, size, stride)
    if is_parameter:
        tensor = torch.nn.Parameter(tensor, requires_grad=requires_grad)
    elif requires_grad:
        tensor.requires_grad_()
    if device != "cpu" and tensor.device.type == "cpu":
        setattr(tensor, DEVICE_TAG, device)
    return tensor


def set_extras(tensor: Any, extras: tuple[Any, dict[str, Any]]) -> None:
    """Give a tensor its gradient and its Python attributes."""
    gradient, attributes = extras
    with torch.no_grad():
        tensor.grad = gradient
    tensor.__dict__.update(attributes)


def reduce_storage(encoder: Encoder, storage: Any) -> Any:
    """Send the bytes of a storage, out of band."""
    return build_storage, (pickle.PickleBuffer(memory_of(storage)),)


def build_storage(memory: Any) -> Any:
    """Make a storage on received memory, which must be writable."""
    if memoryview(memory).nbytes == 0:
        return torch.UntypedStorage(0)
    return torch.frombuffer(memory, dtype=torch.uint8).untyped_storage()


def memory_of(storage: Any) -> Any:
    """Return the bytes of a storage as a numpy array, without a copy in host memory."""
    if storage.nbytes() == 0:
        return np.empty(0, np.uint8)
    flat: Any = torch.empty(0, dtype=torch.uint8, device=storage.device)
    return flat.set_(storage).cpu().numpy()


class StorageContent:
    """The bytes of a storage."""

    code = "torch.storage"

    def snapshot(self, obj: Any) -> Any:
        return bytes(memoryview(memory_of(obj)))

    def changed(self, obj: Any, before: Any) -> bool:
        return not same_bytes(memory_of(obj), before)

    def elements(self, obj: Any) -> Iterable[object]:
        return ()

    def export(self, obj: Any, before: Any) -> Any:
        return pickle.PickleBuffer(memory_of(obj))

    def restore(self, obj: Any, state: Any) -> None:
        new = build_storage(state)
        if new.nbytes() != obj.nbytes():
            obj.resize_(new.nbytes())
        obj.copy_(new)


class TensorForm:
    """Window, gradient and attributes of a tensor; its bytes are its storage's."""

    code = "torch.tensor"

    def snapshot(self, obj: Any) -> Any:
        gradient, attributes = _extras(obj)
        # Holding the storage keeps its wrapper, and so its id, while the run lives.
        return obj.untyped_storage(), _form(obj), gradient, attributes

    def changed(self, obj: Any, before: Any) -> bool:
        storage, form, gradient, attributes = before
        now = _extras(obj)
        return (
            obj.untyped_storage()._cdata != storage._cdata
            or _form(obj) != form
            or now[0] is not gradient
            or now[1].keys() != attributes.keys()
            or any(now[1][key] is not attributes[key] for key in attributes)
        )

    def elements(self, obj: Any) -> Iterable[object]:
        gradient, attributes = _extras(obj)
        return (obj.untyped_storage(), gradient, *attributes.values())

    def export(self, obj: Any, before: Any) -> Any:
        if obj.grad_fn is not None and before[1][-1]:
            raise CannotUpdate
        window = torch.empty(0, dtype=obj.dtype, device=obj.device)
        window.set_(obj.untyped_storage(), obj.storage_offset(), obj.size(), obj.stride())
        return window, obj.requires_grad and obj.is_leaf, _extras(obj)

    def restore(self, obj: Any, state: Any) -> None:
        window, requires_grad, extras = state
        with torch.no_grad():
            if _form(obj)[:4] != _form(window)[:4] or (
                obj.untyped_storage()._cdata != window.untyped_storage()._cdata
            ):
                obj.data = window
        obj.requires_grad_(requires_grad)
        set_extras(obj, extras)


TENSOR, STORAGE = TensorForm(), StorageContent()
PARTS[TENSOR.code] = TENSOR
PARTS[STORAGE.code] = STORAGE


def reduce_scheduled_step(encoder: Encoder, step: types.FunctionType) -> Any:
    """Send the wrapper that a learning-rate scheduler puts around `optimizer.step`.

    It is a function inside torch that holds its optimizer weakly: it is made again on
    the other side, so that the scheduler goes on seeing that the optimizer stepped.
    """
    variables = dict(zip(step.__code__.co_freevars, step.__closure__ or (), strict=True))
    optimizer = variables["opt_ref"].cell_contents()
    return build_scheduled_step, (), (optimizer,), None, None, set_scheduled_step


def build_scheduled_step() -> Any:
    """Make a wrapper that counts calls of `step`, not yet tied to its optimizer."""

    def scheduled_step(*args: Any, **kwargs: Any) -> Any:
        optimizer: Any = opt_ref()
        optimizer._opt_called = True
        return type(optimizer).step(optimizer, *args, **kwargs)

    def opt_ref() -> Any:
        return vars(scheduled_step)["_optimizer"]()

    vars(scheduled_step)["_wrapped_by_lr_sched"] = True
    return scheduled_step


def set_scheduled_step(step: Any, state: tuple[Any]) -> None:
    """Tie a wrapper to its optimizer."""
    vars(step)["_optimizer"] = weakref.ref(state[0])
    functools.update_wrapper(step, type(state[0]).step, updated=())


def _form(tensor: Any) -> tuple[Any, ...]:
    # An inner node of a graph arrives as a leaf: only leaves require a gradient there.
    wants_gradient = tensor.requires_grad and tensor.is_leaf
    window = (tensor.storage_offset(), tuple(tensor.size()), tuple(tensor.stride()))
    return (tensor.dtype, *window, wants_gradient)


def _extras(tensor: Any) -> tuple[Any, dict[str, Any]]:
    gradient = tensor.grad if tensor.is_leaf else None
    return gradient, dict(tensor.__dict__)


def _on_device(decoder: Decoder, storage: Any, device: str) -> Any:
    """Move a storage once for all tensors on it, or leave it where there is no device."""
    moved = decoder.scratch.setdefault("moved", {})
    if id(storage) not in moved:
        try:
            flat: Any = torch.empty(0, dtype=torch.uint8).set_(storage)
            moved[id(storage)] = flat.to(device).untyped_storage()
        except (RuntimeError, AssertionError, NotImplementedError):
            moved[id(storage)] = storage
    return moved[id(storage)]
