"""``macgpu verify``: a GPU cell and a CPU cell on each host, and where they ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .trial import value_of
from .wire.errors import MacGPUError
from .wire.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .fleet.hosts import Host
    from .pool import Pool

COLUMNS = ("host", "cell", "state", "place", "device", "detail")
#: Multiplies two matrices on the best device, or on the processor, and says where that was.
_WORK = """
def work(is_cpu):
    import importlib.util, socket, sys
    def has(name):
        return importlib.util.find_spec(name) is not None
    if has("torch"):
        import torch
        best = "mps" if torch.backends.mps.is_available() else (
            "cuda" if torch.cuda.is_available() else "cpu")
        a = torch.full((64, 64), 0.5, device="cpu" if is_cpu else best)
        return socket.gethostname(), a.device.type, float((a @ a).sum()), "torch"
    if has("mlx"):
        import mlx.core as mx
        device = mx.cpu if is_cpu else mx.default_device()
        a = mx.full((64, 64), 0.5)
        total = mx.sum(mx.matmul(a, a, stream=device), stream=device)
        name = "cpu" if is_cpu or "cpu" in str(device) else "mps"
        return socket.gethostname(), name, float(total), "mlx"
    rows = [[0.5] * 64 for _ in range(64)]
    columns = list(zip(*rows))
    total = sum(sum(a * b for a, b in zip(row, column)) for row in rows for column in columns)
    return socket.gethostname(), "cpu", total, "Python alone: neither torch nor mlx is there"
"""
_RIGHT = 64 * 64 * 64 * 0.25


def verify(pool: Pool, hosts: Iterable[Host]) -> Iterator[dict[str, Any]]:
    """Run the two cells on each host. Yields a row for each when it is done.

    ``state`` is ``ok``; ``failed``: it did not run, ran elsewhere or on another device, or gave a
    wrong result; or ``note``: there is no GPU, so that the GPU cell ran without one.
    """
    before = pool.current
    try:
        for host in hosts:
            for cell in ("gpu", "cpu"):
                yield _verified(pool, host, cell)
    finally:
        # A check does not move the notebook.
        pool.current = before


def _verified(pool: Pool, host: Host, cell: str) -> dict[str, Any]:
    row: dict[str, Any] = {"host": host.name, "cell": cell, "state": "failed"}
    is_cpu = cell == "cpu"
    try:
        value = value_of(pool, host, f"{_WORK}work({is_cpu})\n", cpu=is_cpu)
        hello = pool.session(host).link.connect()
    except MacGPUError as error:
        return {**row, "detail": error.what}
    try:
        place, device, total, means = value
    except (TypeError, ValueError):
        return {**row, "detail": "the cell's value is not what it should be"}
    row |= {"place": plain_line(str(place)), "device": plain_line(str(device))}
    row["detail"] = plain_line(str(means))
    expected = hello.detail.get("host")
    if place != expected:
        return {**row, "detail": f"it ran on {row['place']}, and the host is {expected}"}
    if total != _RIGHT:
        return {**row, "detail": "a wrong result"}
    best = (hello.detail.get("devices") or ["cpu"])[0]
    wanted = "cpu" if is_cpu else best
    if device != wanted and row["detail"] in ("torch", "mlx"):
        return {**row, "detail": f"it ran on {row['device']}, and should have on {wanted}"}
    no_gpu = not is_cpu and device == "cpu"
    return {**row, "state": "note" if no_gpu else "ok"}
