"""Whether tensors can be computed here, each time with a kernel that was never compiled before.

A kernel that Metal has compiled once goes on working in a process that has lost the compiler's
service, so only a new one shows the loss. It is made new by a constant of chance in its source.
"""

from __future__ import annotations

import importlib.util
import json
import secrets
import sys
from typing import TYPE_CHECKING, Any

from .. import hardware

if TYPE_CHECKING:
    from collections.abc import Callable

_LANES = 8


def torch_compiles() -> str:
    """Compute with a new kernel of PyTorch's on the best device; return what was used, in words.

    Raises
    ------
    Exception
        Whatever PyTorch raises, or ArithmeticError for a wrong result.
    """
    import torch

    device = "cpu"
    if torch.backends.mps.is_available():
        device = "mps"
    elif torch.cuda.is_available():
        device = "cuda"
    elif hardware.gpu_device() == "mps":
        raise RuntimeError("PyTorch sees no Metal device")
    constant, lanes = _chance(), _LANES + secrets.randbelow(1000)
    total = (torch.ones(lanes, device=device) * constant).sum().item()
    _expect(float(total), float(lanes * constant))
    how = f"torch {torch.__version__} on {device}"
    if device != "mps":
        return how
    limit = torch.mps.recommended_max_memory() / 2**30
    if not hasattr(torch.mps, "compile_shader"):
        return f"{how}, {limit:.1f} GiB; no kernel of its own: compile_shader is not there"
    source = (
        "kernel void add(device float* x, uint i [[thread_position_in_grid]]) "
        f"{{ x[i] += {constant}.0f; }}"
    )
    values = torch.zeros(_LANES, device=device)
    torch.mps.compile_shader(source).add(values)
    _expect(float(values.sum().item()), float(_LANES * constant))
    return f"{how} with a new kernel, {limit:.1f} GiB"


def mlx_compiles() -> str:
    """Compute with a new kernel of MLX's; return what was used, in words.

    Raises
    ------
    Exception
        Whatever MLX raises, or ArithmeticError for a wrong result.
    """
    import mlx.core as mx

    if not mx.metal.is_available() and hardware.gpu_device() == "mps":
        raise RuntimeError("MLX sees no Metal device")
    constant = _chance()
    ones = mx.ones(_LANES)
    if mx.metal.is_available():
        kernel: Any = mx.fast.metal_kernel(
            name=f"macgpu_add_{constant}",
            input_names=["x"],
            output_names=["y"],
            source=f"uint i = thread_position_in_grid.x; y[i] = x[i] * {constant}.0f;",
        )
        (made,) = kernel(
            inputs=[ones],
            output_shapes=[ones.shape],
            output_dtypes=[ones.dtype],
            grid=(_LANES, 1, 1),
            threadgroup=(_LANES, 1, 1),
        )
    else:
        made = mx.compile(lambda x: x * constant)(ones)
    _expect(float(made.sum().item()), float(_LANES * constant))
    return f"mlx on {'metal' if mx.metal.is_available() else 'cpu'} with a new kernel"


#: What can compute, by the module that it comes in.
PROBES: dict[str, Callable[[], str]] = {"torch": torch_compiles, "mlx.core": mlx_compiles}


def still_compiles() -> str:
    """Try those packages that this process has loaded and that use Metal; return what fails.

    Nothing is imported for it: what was not used here cannot be lost here. Empty: all is well.
    """
    torch, mlx = sys.modules.get("torch"), sys.modules.get("mlx.core")
    used = []
    if torch is not None and torch.backends.mps.is_built():
        used += ["torch"]
    if mlx is not None and mlx.metal.is_available():
        used += ["mlx.core"]
    for name in used:
        try:
            PROBES[name]()
        except Exception as error:  # whatever a broken Metal makes them raise
            return f"{name.partition('.')[0]}: {type(error).__name__}: {error}"
    return ""


def main() -> None:
    """Print the verdict on one package as JSON: the command line names it.

    It is a process of its own, since a broken Metal may end it or never answer.
    """
    name = sys.argv[1]
    state, line = "unknown", "not installed here"
    if importlib.util.find_spec(name.partition(".")[0]) is not None:
        try:
            state, line = "ok", PROBES[name]()
        except Exception as error:  # whatever a broken Metal makes them raise
            state, line = "failed", f"{type(error).__name__}: {str(error)[:300]}"
    print("\n" + json.dumps([state, " ".join(line.split())]))


def _chance() -> int:
    # So small that eight, or a thousand, of it are exact in 32-bit floats.
    return 2 + secrets.randbelow(9_000)


def _expect(found: float, wanted: float) -> None:
    if found != wanted:
        raise ArithmeticError(f"the result is {found}, not {wanted}")


if __name__ == "__main__":
    main()
