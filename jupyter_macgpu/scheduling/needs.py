"""What a cell asks of the host it runs on, as plain values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .affinity import Affinity
from .selectors import Selector
from .taints import GPU_TOLERATIONS, Toleration


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one cell asks.

    Attributes
    ----------
    host
        Name of the host that it must be (``--on HOST``); None leaves it open. A host that is
        named may be on battery.
    selector
        What the host's labels must meet (``--on SELECTOR``).
    affinity
        The same in Kubernetes' terms (``--profile``), with preferences (``--prefer``).
    tolerations
        Taints that it puts up with. Work of ``%%macgpu`` tolerates those that reserve a GPU,
        with ``--cpu`` too: in a fleet of Macs alone there is nowhere else to go.
    is_cpu
        Whether it goes without a GPU (``--cpu``); then hosts without one are liked better.
    mem
        Bytes that it needs (``--mem``); None leaves it open.
    input_bytes
        Bytes of its inputs.
    holders
        Hosts on which values that it reads live, and nowhere else. It must be one of these.
    home
        The notebook's host, where its worker is warm.
    seconds
        How long it took the last time, on a machine of speed 1.0; None is not known.
    """

    host: str | None = None
    selector: Selector | None = None
    affinity: Affinity = Affinity()  # noqa: RUF009 - frozen
    tolerations: tuple[Toleration, ...] = GPU_TOLERATIONS
    is_cpu: bool = False
    mem: int | None = None
    input_bytes: int = 0
    holders: frozenset[str] = frozenset()
    home: str | None = None
    seconds: float | None = None
