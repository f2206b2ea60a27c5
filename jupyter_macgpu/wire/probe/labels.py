"""The Kubernetes labels that a probe can know.

A label that is missing means "not known, or not so"; none is ever made up. Values keep to
Kubernetes' grammar: at most 63 letters, digits, ``-``, ``_`` and ``.``, with a letter or digit at
both ends.
"""

from __future__ import annotations

import re

from ..telemetry import Telemetry
from .chips import slug

_LONGEST = 63
_TYPES = {"apple": "metal", "nvidia": "cuda"}
_PRESENT = {"apple": "apple.com/gpu", "nvidia": "nvidia.com/gpu"}


def labels(sample: Telemetry) -> dict[str, str]:
    """Return the labels of a host.

    ``apple.com/gpu`` and ``nvidia.com/gpu`` are ``true``. ``memory`` is main memory in GiB and
    ``macos`` the major version, whole numbers both, so that ``Gt`` and ``Lt`` work on them. Apple's
    GPU in a virtual machine gets no label of a GPU: it shows Metal and may not compute.
    """
    machine, gpu = sample.machine, sample.gpu
    found: dict[str, object] = {"chip": slug(machine.chip), "model": machine.model}
    if machine.arch is not None:
        found["kubernetes.io/arch"] = {"x86_64": "amd64"}.get(machine.arch, machine.arch)
    found["kubernetes.io/os"] = _os(sample)
    if gpu is not None and gpu.vendor is not None and not _is_guest(sample):
        found["gpu-vendor"] = gpu.vendor
        found["gpu-type"] = _TYPES.get(gpu.vendor)
        found["gpu-cores"] = gpu.cores
        found["gpu-count"] = len(sample.gpus or ())
        if gpu.vendor in _PRESENT:
            found[_PRESENT[gpu.vendor]] = "true"
        if gpu.vendor == "nvidia":
            found["gpu-product"] = gpu.name
            found["gpu-memory"] = _gib(gpu.memory_bytes)
    found["memory"] = _gib(sample.memory.total_bytes)
    if sample.system.name in ("macOS", "Mac OS X", "OS X"):
        version = sample.system.version
        found["macos-version"] = version
        found["macos"] = version.split(".")[0] if version else None
    for key in ("virtual", "portable"):
        value = getattr(machine, key)
        found[key] = None if value is None else str(value).lower()
    texts = {key: _value(str(value)) for key, value in found.items() if value is not None}
    return {key: text for key, text in sorted(texts.items()) if text}


def _is_guest(sample: Telemetry) -> bool:
    gpu = sample.gpu
    return (
        gpu is not None
        and gpu.vendor == "apple"
        and (gpu.virtual or sample.machine.virtual) is True
    )


def _os(sample: Telemetry) -> str | None:
    kernel = (sample.system.kernel or "").split(" ")[0].lower()
    return kernel if kernel in ("darwin", "linux") else None


def _gib(size: int | None) -> int | None:
    return None if size is None else round(size / 2**30)


def _value(text: str) -> str:
    allowed = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:_LONGEST]
    return allowed.strip("._-")
