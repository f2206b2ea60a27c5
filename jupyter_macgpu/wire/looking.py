"""What is said of how a host is. Read it through `messages`, which has all messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch(Message):
    """Asks how the host is; answered by `Telemetry`, at once with what is known now.

    If that is old, the host asks its tools, and a second answer follows when they have answered:
    `Telemetry.sample` says so as ``probing``.

    Attributes
    ----------
    every
        Seconds between further answers, at least 1, until another `Watch` or the end of the
        connection; 0 asks for no further one.
    """

    every: float | int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry(Message):
    """How a host is. What is unknown is null or absent, never 0.

    Attributes
    ----------
    sample
        ``telemetry``, as `telemetry.to_json` has it, and its ``age`` in seconds, null if there is
        none yet; ``probing``, whether a newer one is on its way. ``lanes``: by kind of slot the
        number of ``slots``, cells ``running`` and ``queued``, and the estimated ``wait`` of a new
        one in seconds. ``policy``, as `policy.HostPolicy.plain` has it; ``draining`` and
        ``paused``, whether the administrator or the owner lets nothing new start, and the
        ``reason``. ``queue``: whether it is ``shared`` by all accounts, the ``problem`` with that,
        and of each of the ``others`` that runs or waits ``login``, ``kind``, seconds ``since``,
        ``mem``, ``priority`` and ``place``, null for one that runs. ``devices``, torch's names,
        the best first. ``gpu_taken`` and ``cpu_taken``, shares of 0 to 1 that others than cells
        take; ``asked``, bytes that cells asked for. ``gpu_test``, whether tensors compute on the
        GPU, null if that is not known, with ``gpu_testing``, whether it soon will be,
        ``gpu_test_line``, what was computed with, and ``gpu_test_reason``, why it failed;
        ``gpu_with``, the ``device``, ``package`` and ``version`` of that test;
        ``gpu_limit``, bytes that the GPU may use.
        ``calibration``, what was measured, empty if nothing was: ``tflops`` and ``half_tflops`` of
        32 and 16 bits, ``gb_per_s``, and with which ``device``, ``package``, ``version`` and
        ``system``; ``calibration_note``, why a measurement was not kept.
    """

    sample: dict[str, Any] = field(default_factory=dict)
