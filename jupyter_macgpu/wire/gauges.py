"""What a sample of a host tells, group by group; `telemetry` puts them together.

Names carry their unit: ``_bytes``, ``_seconds`` and ``_celsius``; ``watts``; ``mhz``; a share
or a utilisation is a fraction from 0 to 1. Every field may be None: unknown.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuLevel:
    """One kind of processor core: what the system calls it, and how many there are."""

    name: str | None = None
    cores: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What was built, and does not change while it runs.

    Attributes
    ----------
    model
        Apple's identifier, ``Mac14,12``; on other systems what the processor is in.
    name
        What it is sold as, ``MacBook Pro``.
    chip
        ``Apple M2 Pro``, without "(Virtual)"; the processor's name elsewhere.
    soc
        Apple's number of the chip, ``t6000``. The chips of a family may share one.
    arch
        Of the machine, ``arm64`` or ``x86_64``, also where the probe ran translated.
    virtual
        Whether it is a virtual machine.
    rosetta
        Whether the probe itself was translated: its other facts are then Intel's.
    portable
        Whether it is a laptop.
    cpus
        Processor cores that the system has.
    cpu_levels
        The kinds of cores, the fastest first.
    displays
        How many are connected.
    """

    model: str | None = None
    name: str | None = None
    chip: str | None = None
    soc: str | None = None
    arch: str | None = None
    virtual: bool | None = None
    rosetta: bool | None = None
    portable: bool | None = None
    cpus: int | None = None
    cpu_levels: tuple[CpuLevel, ...] | None = None
    displays: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The operating system and how long it has been up.

    Attributes
    ----------
    name, version, build
        ``macOS``, ``26.5.1``, ``25F80``; on Linux the distribution's name and version.
    beta
        Whether the build is a test version.
    kernel
        ``Darwin 27.0.0``.
    boot_time, clock
        Seconds since 1970: of the last start, and by the machine's clock when it was asked.
    boot_id
        Linux' own name of this boot.
    load_1, load_5, load_15
        Processes that ran or wanted to, mean of so many minutes.
    """

    name: str | None = None
    version: str | None = None
    build: str | None = None
    beta: bool | None = None
    kernel: str | None = None
    boot_time: float | None = None
    clock: float | None = None
    boot_id: str | None = None
    uptime_seconds: float | None = None
    load_1: float | None = None
    load_5: float | None = None
    load_15: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuClient:
    """One process that uses the GPU.

    Attributes
    ----------
    seconds
        GPU time since it opened the GPU.
    share
        GPU time between two readings by the time between them, 0 to 1.
    system
        Whether it is the system's own window server.
    """

    pid: int | None = None
    seconds: float | None = None
    share: float | None = None
    system: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU.

    Attributes
    ----------
    name
        ``Apple M4``, ``NVIDIA H200``.
    vendor
        ``apple``, ``amd``, ``intel`` or ``nvidia``.
    virtual
        Whether it is the paravirtual GPU of a virtual machine.
    driver
        Class of the driver, ``AGXAcceleratorG16G``; its version for NVIDIA.
    cores, metal
        GPU cores; Metal's feature set as the system names it, ``metal3``, ``apple7``.
    utilization
        Busy share of the whole device since the last reading. It does not know the clock: a
        GPU that is busy all the time at a third of its clock says 1.
    renderer, tiler
        Busy shares of units that compute kernels may leave idle: not for placement.
    in_use_bytes
        Resident for the GPU now; near nothing when idle, whatever models are loaded.
    allocated_bytes
        All allocations that were ever kept. Large on an idle machine: no gate for memory.
    memory_bytes, memory_used_bytes
        Memory of its own, where it has some.
    restarts
        How often the GPU was restarted since the boot. Rising means trouble.
    last_pid
        The last process that used it.
    mhz, max_mhz
        Clock.
    clients
        Who uses it.
    """

    name: str | None = None
    vendor: str | None = None
    virtual: bool | None = None
    driver: str | None = None
    cores: int | None = None
    metal: str | None = None
    utilization: float | None = None
    renderer: float | None = None
    tiler: float | None = None
    in_use_bytes: int | None = None
    allocated_bytes: int | None = None
    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    restarts: int | None = None
    last_pid: int | None = None
    mhz: float | None = None
    max_mhz: float | None = None
    watts: float | None = None
    celsius: float | None = None
    clients: tuple[GpuClient, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Main memory, which Apple's GPUs share.

    Attributes
    ----------
    used_bytes
        As Activity Monitor counts: anonymous less purgeable, wired, and what the compressor
        occupies.
    available_bytes
        Total less used. Never "free", which is near nothing on a healthy Mac.
    compressor_bytes, compressed_bytes
        What the compressor occupies; what was put into it.
    pressure
        ``normal``, ``warn`` or ``critical``, the system's own judgement.
    free_fraction
        The system's own percentage of memory that is free.
    swap_ins, swap_outs
        Pages since the boot.
    swap_out_bytes_per_second
        Between the two readings of one probe. What is swapped already says nothing: a Mac may
        keep gigabytes there at normal pressure.
    wired_limit_bytes
        The owner's limit for GPU memory; 0 is the system's default (`gpu_limit`).
    """

    total_bytes: int | None = None
    used_bytes: int | None = None
    available_bytes: int | None = None
    page_bytes: int | None = None
    free_bytes: int | None = None
    active_bytes: int | None = None
    inactive_bytes: int | None = None
    speculative_bytes: int | None = None
    wired_bytes: int | None = None
    purgeable_bytes: int | None = None
    file_backed_bytes: int | None = None
    anonymous_bytes: int | None = None
    compressor_bytes: int | None = None
    compressed_bytes: int | None = None
    pressure: str | None = None
    free_fraction: float | None = None
    swap_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    swap_free_bytes: int | None = None
    swap_ins: int | None = None
    swap_outs: int | None = None
    swap_out_bytes_per_second: float | None = None
    wired_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Where power comes from, what is drawn, and whether the machine may fall asleep.

    Attributes
    ----------
    source
        ``ac``, ``battery`` or ``ups``.
    on_battery
        Whether the mains are out: on a battery or on a UPS.
    battery
        Whether it has a battery of its own.
    charge
        Fraction of what the battery holds.
    battery_state
        ``charging``, ``discharging``, ``charged``, ``finishing charge`` or ``not charging``.
    remaining_seconds
        Until empty when it discharges, until full when it charges.
    system_watts
        Of the whole machine; laptops alone say it.
    never_sleeps, sleep_after_seconds, sleep_disabled
        The setting for idle sleep: never, or after so long; whether sleep is off altogether.
    sleep_prevented, assertions
        Whether some program holds it awake now; the kinds of holds.
    wake_on_network
        Whether a network packet may wake it.
    """

    source: str | None = None
    on_battery: bool | None = None
    battery: bool | None = None
    charge: float | None = None
    battery_state: str | None = None
    remaining_seconds: float | None = None
    battery_cycles: int | None = None
    battery_celsius: float | None = None
    system_watts: float | None = None
    cpu_watts: float | None = None
    low_power_mode: bool | None = None
    never_sleeps: bool | None = None
    sleep_after_seconds: float | None = None
    sleep_disabled: bool | None = None
    sleep_prevented: bool | None = None
    assertions: tuple[str, ...] | None = None
    wake_on_network: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """How hot it is.

    Attributes
    ----------
    pressure
        ``nominal``, ``moderate``, ``heavy``, ``trapping`` or ``sleeping``. ``nominal`` means
        no more than "not known to be hot": a level that was never posted reads the same.
    level
        The same as a number, 0 to 4.
    thermal_warning, performance_warning
        Levels that `pmset` recorded. Apple silicon records none, hot or not.
    cpu_speed_limit, cpu_scheduler_limit
        What heat leaves of the processor, 0 to 1 (Intel).
    """

    pressure: str | None = None
    level: int | None = None
    thermal_warning: int | None = None
    performance_warning: int | None = None
    cpu_speed_limit: float | None = None
    cpu_scheduler_limit: float | None = None
    cpu_celsius: float | None = None
    fan_rpm: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who is there, without names.

    Attributes
    ----------
    console_user
        Whether somebody is logged in at the screen; that says nothing about being there.
    locked
        Whether the screen is locked.
    idle_seconds
        Since the last key or mouse movement.
    logins
        Sessions of people, terminals included.
    """

    console_user: bool | None = None
    locked: bool | None = None
    idle_seconds: float | None = None
    logins: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system of the home folder."""

    total_bytes: int | None = None
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the account has to work with.

    Attributes
    ----------
    uid
        Number of the account.
    developer_tools
        Where Xcode's tools are; without them ``/usr/bin/python3`` must not be called.
    uv
        Where `uv` is.
    launchd
        ``Aqua`` in a session at the screen, ``Background`` without.
    open_files, open_files_most
        Limit of open files, and how far it may be raised; None also where there is none.
    """

    uid: int | None = None
    developer_tools: str | None = None
    uv: str | None = None
    launchd: str | None = None
    open_files: int | None = None
    open_files_most: int | None = None
