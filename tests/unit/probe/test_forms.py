"""Forms that no record shows, written after the source code of the tools."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any

import pytest

from jupyter_macgpu.wire.gauges import Gpu, GpuClient, Machine, Memory, System
from jupyter_macgpu.wire.probe import labels, prior, read, replay
from jupyter_macgpu.wire.probe.chips import slug
from jupyter_macgpu.wire.telemetry import Telemetry, from_json, gpu_limit, merge, to_json
from tests.unit.probe.samples import FOLDER

GIB = 2**30


def known(kind: str, text: str) -> dict[str, Any]:
    return to_json(read(kind, text))


@pytest.mark.parametrize(
    ("text", "seconds", "logins", "load"),
    [
        ("9:01  up 45 mins, 2 users, load averages: 1.10 1.20 1.30", 2700.0, 2, 1.1),
        ("9:01  up 3:26, 1 user, load averages: 1,10 1,20 1,30", 12360.0, 1, 1.1),
        ("9:01  up 12 secs, 1 user, load averages: 0.00 0.10 0.20", 12.0, 1, 0.0),
        ("9:01  up 1 day, 5 mins, 3 users, load averages: 9.5 1 1", 86700.0, 3, 9.5),
        ("9:01  up 2 days, 3 hrs, 3 users, load averages: 9.5 1 1", 183600.0, 3, 9.5),
        (" 10:15:01 up 20 days, 19:45,  8 users,  load average: 0.5, 0.6, 0.7", 1799100.0, 8, 0.5),
        (" 10:15:01 up 5 min,  load average: 0.5, 0.6, 0.7", 300.0, None, 0.5),
    ],
)
def test_uptimes(text: str, seconds: float, logins: int | None, load: float) -> None:
    sample = read("uptime", text)
    assert sample.system.uptime_seconds == seconds
    assert sample.people.logins == logins
    assert sample.system.load_1 == load


def test_heat_that_was_recorded() -> None:
    text = (
        "2026-08-01 10:00:00 +0200 Thermal Warning Level = 2\n"
        "2026-08-01 10:00:00 +0200 Performance Warning Level = 1\n"
        "2026-08-01 10:00:00 +0200 CPU Power notify\n"
        "\tCPU_Scheduler_Limit \t= 100\n\tCPU_Available_CPUs \t= 8\n\tCPU_Speed_Limit \t= 67\n"
    )
    assert known("pmset-therm", text) == {
        "heat": {
            "thermal_warning": 2,
            "performance_warning": 1,
            "cpu_speed_limit": 0.67,
            "cpu_scheduler_limit": 1.0,
        }
    }


@pytest.mark.parametrize(
    ("said", "heat"),
    [
        ("com.apple.system.thermalpressurelevel 0", {"pressure": "nominal", "level": 0}),
        ("com.apple.system.thermalpressurelevel 2", {"pressure": "heavy", "level": 2}),
        ("com.apple.system.thermalpressurelevel: Failed with code 8", None),
        ("com.apple.system.thermalpressurelevel 9", None),
    ],
)
def test_thermal_pressure(said: str, heat: dict[str, Any] | None) -> None:
    assert known("notifyutil", said + "\n") == ({"heat": heat} if heat else {})


def test_settings_of_power_in_use() -> None:
    text = (
        "System-wide power settings:\n SleepDisabled\t\t1\nCurrently in use:\n powermode 1\n"
        " womp                 0\n"
        " sleep                10 (sleep prevented by caffeinate, runningboardd)\n"
        " displaysleep         2\n"
    )
    assert known("pmset", text) == {
        "power": {
            "low_power_mode": True,
            "never_sleeps": False,
            "sleep_after_seconds": 600.0,
            "sleep_disabled": True,
            "sleep_prevented": True,
            "wake_on_network": False,
        }
    }


def test_settings_of_the_mains_count() -> None:
    text = "Battery Power:\n sleep 1\n lowpowermode 1\nAC Power:\n sleep 0\n lowpowermode 0\n"
    assert known("pmset-custom", text) == {"power": {"low_power_mode": False, "never_sleeps": True}}


def test_a_summary_without_assertions_is_known_to_be_none() -> None:
    text = "Assertion status:\n   PreventUserIdleSystemSleep     0\n   PreventSystemSleep  0\n"
    power = read("pmset-assertions", text).power
    assert (power.sleep_prevented, power.assertions) == (False, ())


def test_power_of_a_desktop_and_of_a_ups() -> None:
    desktop = read("pmset-batt", "Now drawing from 'AC Power'\n").power
    assert (desktop.battery, desktop.on_battery, desktop.charge) == (False, False, None)
    ups = (
        "Now drawing from 'UPS Power'\n"
        " -Smart-UPS 750 (id=1)\t97%; discharging; 0:41 remaining present: true\n"
    )
    power = read("pmset-batt", ups).power
    assert (power.source, power.on_battery, power.battery, power.charge) == (
        "ups",
        True,
        False,
        None,
    )


def test_a_battery_with_more_words_and_foreign_bytes() -> None:
    line = (
        b"Now drawing from 'AC Power'\n -InternalBattery-0 (id=1)\t41%; finishing charge; 1:05 "
        b"remaining (Poor/Fair) \xa5 present: true rawExternalConnected: 1\n"
    )
    power = read("pmset-batt", line).power
    assert (power.charge, power.battery_state) == (0.41, "finishing charge")


def test_a_battery_that_drains_says_its_power() -> None:
    amperes = 2**64 - 1366
    text = f'"Amperage" = {amperes}\n"Voltage" = 12000\n"ExternalConnected" = No\n'
    assert read("ioreg-battery", text).power.system_watts == 16.392
    on_mains = text.replace("= No", "= Yes")
    assert read("ioreg-battery", on_mains).power.system_watts is None


CLIENTS = """
+-o AGXDeviceUserClient  <class AGXDeviceUserClient, id 0x1, !registered, !matched, active>
    {
      "IOUserClientCreator" = "pid 443, WindowServer"
      "AppUsage" = ({"a"=1,"accumulatedGPUTime"=2000000000},{"accumulatedGPUTime"=500000000})
    }
+-o AGXDeviceUserClient  <class AGXDeviceUserClient, id 0x2, !registered, !matched, active>
    {
      "AppUsage" = ()
      "IOUserClientCreator" = "pid 900, python3.12"
    }
+-o AGXDeviceUserClient  <class AGXDeviceUserClient, id 0x3, !registered, !matched, active>
    {
      "AppUsage" = ({"accumulatedGPUTime"=7000000000})
      "IOUserClientCreator" = "pid 900, python3.12"
    }
"""


def test_time_of_each_process_is_summed_without_its_name() -> None:
    gpu = read("ioreg-clients", CLIENTS).gpu
    assert gpu is not None
    assert gpu.clients == (
        GpuClient(pid=443, seconds=2.5, system=True),
        GpuClient(pid=900, seconds=7.0, system=False),
    )
    assert "python" not in json.dumps(to_json(read("ioreg-clients", CLIENTS)))


def test_the_highest_clock() -> None:
    pairs = [(396_000_000, 600), (1_398_000_000, 900)]
    data = b"".join(hz.to_bytes(4, "little") + mv.to_bytes(4, "little") for hz, mv in pairs)
    gpu = read("ioreg-pmgr", f'      "voltage-states9" = <{data.hex()}>\n').gpu
    assert gpu is not None
    assert gpu.max_mhz == 1398.0
    assert read("ioreg-pmgr", '"voltage-states9" = <0000000000000000>').gpu is None


@pytest.mark.parametrize(
    ("users", "console"),
    [
        (
            '({"kCGSSessionOnConsoleKey"=Yes,"kCGSSessionUserIDKey"=502,"kCGSessionLoginDoneKey"=Yes})',
            True,
        ),
        ('({"kCGSSessionOnConsoleKey"=No,"kCGSSessionUserNameKey"="a"})', False),
        ('({"kCGSSessionOnConsoleKey"=Yes,"kCGSSessionUserIDKey"=0})', False),
        (
            '({"kCGSSessionOnConsoleKey"=Yes,"kCGSessionLoginDoneKey"=No,"kCGSSessionUserIDKey"=501})',
            False,
        ),
        ('({"kCGSSessionOnConsoleKey"=Yes})', False),
    ],
)
def test_who_is_at_the_console(users: str, console: bool) -> None:
    assert (
        read("ioreg-root-console", f'  "IOConsoleUsers" = {users}').people.console_user is console
    )


def test_a_locked_screen() -> None:
    seat = '({"CGSSessionScreenIsLocked"=Yes,"kCGSSessionOnConsoleKey"=Yes})'
    assert read("ioreg-root-console", f'"IOConsoleUsers" = {seat}').people.locked is True
    assert read("ioreg-root-console", '"IOConsoleLocked" = Yes').people.locked is True
    assert read("ioreg-root-console", '"IOConsoleLocked" = Yes').people.console_user is None


def test_a_translated_process_is_not_believed() -> None:
    text = "machdep.cpu.brand_string: VirtualApple @ 2.50GHz\nhw.cputype: 7\n"
    assert known("sysctl", text) == {"machine": {"arch": "arm64", "rosetta": True}}
    arm_kernel = (
        "Darwin mac 25.1.0 Darwin Kernel Version 25.1.0: x; root:xnu/RELEASE_ARM64_T6041 x86_64"
    )
    assert known("uname", arm_kernel)["machine"] == {
        "soc": "t6041",
        "arch": "arm64",
        "rosetta": True,
    }


def test_kernels_of_guests_intel_and_linux() -> None:
    guest = read(
        "uname",
        "Darwin vm 25.0.0 Darwin Kernel Version 25.0.0: x; root:xnu/RELEASE_ARM64_VMAPPLE arm64",
    )
    assert (guest.machine.virtual, guest.machine.chip, guest.machine.soc) == (True, None, None)
    intel = "Darwin Kernel Version 19.6.0: x; root:xnu-6153.141.1~1/RELEASE_X86_64 x86_64"
    assert known("uname", f"Darwin host 19.6.0 {intel}")["machine"] == {"arch": "x86_64"}
    assert known("uname", "Linux 6.1.0-13-arm64 #1 SMP x aarch64")["machine"] == {"arch": "arm64"}


@pytest.mark.parametrize(
    ("build", "is_beta"),
    [
        ("25F80", False),
        ("26B5091g", True),
        ("20A4299v", True),
        ("22E772610a", False),  # a security response, 13.3.1 (a), is no test version
        ("25B771280a", False),
        ("21A559", False),
        ("", None),
    ],
)
def test_a_test_version_is_told_by_its_build(build: str, is_beta: bool | None) -> None:
    system = read("sw_vers", f"ProductVersion: 13.3.1\nBuildVersion: {build}\n").system
    assert system.beta is is_beta


def test_sysctl_whole() -> None:
    text = (
        "hw.model: Mac15,9\nhw.optional.arm64: 1\nkern.hv_vmm_present: 0\nkern.osversion: 25F80\n"
        "kern.osproductversion: 26.5.1\nvm.loadavg: { 2,10 1,90 1,80 }\n"
        "kern.boottime: { sec = 1778436993, usec = 1 } Sun May 10 20:16:33 2026\n"
        "kern.osrelease: 25.5.0\nhw.machine: arm64\nvm.pagesize: 16384\n"
        "iogpu.wired_limit_mb: 98304\nkern.memorystatus_level: 61\n"
        "kern.memorystatus_vm_pressure_level: 2\nsysctl: unknown oid 'hw.perflevel2.name'\n"
    )
    sample = read("sysctl", text)
    assert sample.machine == Machine(model="Mac15,9", arch="arm64", virtual=False)
    assert sample.system == System(
        name="macOS",
        version="26.5.1",
        build="25F80",
        beta=False,
        kernel="Darwin 25.5.0",
        boot_time=1778436993.0,
        load_1=2.1,
        load_5=1.9,
        load_15=1.8,
    )
    assert sample.memory == Memory(
        page_bytes=16384, pressure="warn", free_fraction=0.61, wired_limit_bytes=98304 * 2**20
    )


def test_a_lonely_value_is_not_guessed() -> None:
    assert known("sysctl-n", "1\n") == {}
    assert known("sysctl-n-ncpu", "12\n") == {"machine": {"cpus": 12}}
    assert known("sysctl-n-memorystatus_vm_pressure_level", "4\n") == {
        "memory": {"pressure": "critical"}
    }


def test_pages_without_their_size_are_not_bytes() -> None:
    text = "Pages free:   6374.\nAnonymous pages: 10.\nSwapouts: 3.\n"
    assert known("vm_stat", text) == {"memory": {"swap_outs": 3}}


def test_memory_pressure_in_short() -> None:
    text = (
        "The system has 68719476736 (4194304 pages with a page size of 16384).\n"
        "System-wide memory free percentage: 60%\n"
    )
    assert known("memory_pressure", text) == {
        "memory": {"total_bytes": 68719476736, "page_bytes": 16384, "free_fraction": 0.6}
    }


def test_an_intel_gpu_says_more_than_everything() -> None:
    head = "+-o IntelAccelerator  <class IntelAccelerator, id 0x2>"
    text = head + '\n"PerformanceStatistics" = {"Device Utilization %"=118}'
    gpu = read("ioreg-accel", text).gpu
    assert gpu is not None
    assert gpu.utilization == 1.0
    amd = text.replace("IntelAccelerator", "AMDRadeonX6000_AMDNavi21GraphicsAccelerator")
    busy = read(
        "ioreg-accel", amd.replace("Device Utilization %", "GPU Activity(%)").replace("118", "40")
    ).gpu
    assert busy is not None
    assert busy.utilization == 0.4


@pytest.mark.parametrize(
    "text",
    [
        '"Device Utilization %"=17\n',
        '33:      "PerformanceStatistics" = {"Device Utilization %"=17}\n',
        '    "PerformanceStatistics" =\n    {\n      "Device Utilization %" = 17,\n    }\n',
        '| |   "PerformanceStatistics" = {"Device Utilization %"=17,"In use sys',
    ],
)
def test_a_find_of_grep_or_a_pretty_print(text: str) -> None:
    assert known("ioreg-accel", text) == {"gpus": [{"utilization": 0.17}]}


def test_sockets_without_a_display_are_none() -> None:
    socket = {"_name": "connector", "spdisplays_status": "spdisplays_not_connected"}
    entry = {
        "sppci_model": "AMD Radeon Pro 5700",
        "spdisplays_vendor": "sppci_vendor_amd",
        "spdisplays_vram": "8 GB",
        "spdisplays_ndrvs": [{"_name": "iMac"}, socket],
    }
    sample = read("sp-displays", "noise before\n" + json.dumps([entry]) + "\nnoise behind")
    assert sample.machine.displays == 1
    assert sample.gpu == Gpu(name="AMD Radeon Pro 5700", vendor="amd", memory_bytes=8 * GIB)


def test_a_number_that_was_cut_is_unknown() -> None:
    gpu = read(
        "ioreg-accel",
        '"PerformanceStatistics" = {"In use system memory"=763723776,"Device Utilization %"=2',
    ).gpu
    assert gpu == Gpu(in_use_bytes=763723776)


def test_the_shim_is_no_gpu() -> None:
    shim = (
        "+-o IOAccelerator  <class IOServiceCompatibility, id 0x1>\n"
        '  "IOClass" = "IOAccelerator"\n  "CFBundleIdentifier" = "com.unknown.bundle"\n'
        '  "PerformanceStatistics" = {"vramFreeBytes"=15728640}\n'
    )
    assert read("ioreg-accel", shim).gpus is None


def test_a_plist_inside_others() -> None:
    whole = (FOLDER / "ioreg-accel-plist__m5pro-macos27.plist").read_text(encoding="utf-8")
    node = re.search(r"<dict>.*</dict>", whole, re.DOTALL)
    assert node is not None
    outer = (
        "<plist><dict><key>a&amp;b</key><true/><key>IORegistryEntryChildren</key>"
        f"<array>{node[0]}</array></dict></plist>"
    )
    assert read("ioreg-accel", outer).gpus == read("ioreg-accel", whole).gpus
    assert read("ioreg-accel", node[0]).gpus == read("ioreg-accel", whole).gpus


def test_two_nodes_of_one_chip_are_one_gpu() -> None:
    line = (
        "+-o AGXAcceleratorG15X  <class AGXAcceleratorG15X, id 0x{0}>\n"
        + '"gpu-core-count" = 80\n'
        + '"PerformanceStatistics" = {{"Device Utilization %"={1}}}\n'
    )
    gpus = read("ioreg-accel", line.format(1, 20) + line.format(2, 70)).gpus
    assert gpus is not None
    assert [(gpu.cores, gpu.utilization) for gpu in gpus] == [(80, 0.7)]


def test_displays_of_a_guest_and_tokens() -> None:
    entry = {
        "_name": "kHW_AppleM3MaxItem",
        "sppci_device_type": "spdisplays_gpu",
        "spdisplays_vendor": "sppci_vendor_Apple",
    }
    gpu = read("sp-displays", json.dumps({"SPDisplaysDataType": [entry]})).gpu
    assert gpu == Gpu(name="Apple M3 Max", vendor="apple")
    guest = {**entry, "sppci_model": "Apple M1 (Virtual)"}
    sample = read("sp-displays", json.dumps([guest]))
    assert sample.gpu == Gpu(name="Apple M1", vendor="apple", virtual=True)
    assert labels(sample) == {"chip": "m1", "kubernetes.io/arch": "arm64", "virtual": "true"}


def test_powermetrics_with_everything() -> None:
    text = (
        "GPU HW active residency:  63.10% (338 MHz: 1.2% 618 MHz: 3%)\nGPU Power: 5123 mW\n"
        "CPU Power: 812 mW\nCombined Power (CPU + GPU + ANE): 5935 mW\n"
        "Current pressure level: Moderate\n"
    )
    assert known("powermetrics", text) == {
        "gpus": [{"vendor": "apple", "utilization": 0.631, "watts": 5.123}],
        "power": {"cpu_watts": 0.812},
        "heat": {"pressure": "moderate"},
    }


def test_macmon_old_names_and_lines_and_unknown_zeroes() -> None:
    old = {"gpu_usage": [461, 0.25], "sys_power": 0.0, "temp": {"gpu_temp_avg": 0.0}, "new": {}}
    text = json.dumps({"gpu_usage": [1, 0.99]}) + "\n" + json.dumps(old) + '\n{"gpu_usage": [4'
    assert known("macmon", text) == {
        "gpus": [{"vendor": "apple", "utilization": 0.25, "mhz": 461.0}]
    }


NVIDIA = (
    "name, driver_version, utilization.gpu [%], memory.total [MiB], memory.used [MiB], "
    "power.draw [W], temperature.gpu, clocks.current.sm [MHz], clocks.max.sm [MHz]\n"
    "NVIDIA H200, 580.159.04, 0 %, 143771 MiB, 0 MiB, 127.90 W, 35, 1980 MHz, 1980 MHz\n"
)


def test_nvidia_recorded() -> None:
    gpu = Gpu(
        name="NVIDIA H200",
        vendor="nvidia",
        driver="580.159.04",
        utilization=0.0,
        memory_bytes=143771 * 2**20,
        memory_used_bytes=0,
        watts=127.9,
        celsius=35.0,
        mhz=1980.0,
        max_mhz=1980.0,
    )
    assert read("nvidia-smi", NVIDIA).gpus == (gpu,)
    shy = NVIDIA.replace("0 %,", "[N/A],").replace("127.90 W", "[Unknown Error]")
    assert read("nvidia-smi", shy).gpus == (dataclasses.replace(gpu, utilization=None, watts=None),)
    assert read("nvidia-smi", "NVIDIA-SMI has failed because ...").gpus is None
    assert read("nvidia-smi", "no driver\n").gpus == ()


@pytest.mark.parametrize(
    ("some", "full", "pressure"),
    [("0.00", "0.00", "normal"), ("12.50", "3.00", "warn"), ("80.00", "25.10", "critical")],
)
def test_linux_pressure(some: str, full: str, pressure: str) -> None:
    rest = "avg60=0.00 avg300=0.00 total=0"
    text = f"some avg10={some} {rest}\nfull avg10={full} {rest}\n"
    assert read("psi-memory", text).memory.pressure == pressure


def test_linux_power() -> None:
    text = (
        "supply Mains\nonline 0\nsupply Battery\nstatus Discharging\ncapacity 64\n"
        "supply Battery\nscope Device\ncapacity 3\n"
    )
    power = read("power_supply", text).power
    assert (power.on_battery, power.charge, power.battery_state) == (True, 0.64, "discharging")
    assert read("power_supply", "").power.on_battery is None


GRAMMAR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def test_labels_of_a_mac_and_of_a_host_with_cuda() -> None:
    mac = Telemetry(
        machine=Machine(
            model="Mac14,14", chip="Apple M2 Ultra", arch="arm64", virtual=False, portable=False
        ),
        system=System(name="macOS", version="26.5.1", kernel="Darwin 25.5.0"),
        gpus=(Gpu(vendor="apple", cores=76),),
        memory=Memory(total_bytes=192 * GIB),
    )
    assert labels(mac) == {
        "apple.com/gpu": "true",
        "chip": "m2-ultra",
        "gpu-cores": "76",
        "gpu-count": "1",
        "gpu-type": "metal",
        "gpu-vendor": "apple",
        "kubernetes.io/arch": "arm64",
        "kubernetes.io/os": "darwin",
        "macos": "26",
        "macos-version": "26.5.1",
        "memory": "192",
        "model": "Mac14-14",
        "portable": "false",
        "virtual": "false",
    }
    cuda = labels(read("nvidia-smi", NVIDIA))
    assert cuda["nvidia.com/gpu"] == "true"
    assert (cuda["gpu-type"], cuda["gpu-vendor"]) == ("cuda", "nvidia")
    odd = Telemetry(
        machine=Machine(model="-Ü" * 90 + " a,b;"), gpus=(Gpu(vendor="nvidia", name=" x" * 80),)
    )
    for value in [*labels(mac).values(), *cuda.values(), *labels(odd).values()]:
        assert GRAMMAR.fullmatch(value)
    assert labels(Telemetry()) == {}


@pytest.mark.parametrize(
    ("chip", "cores", "tflops", "bandwidth"),
    [
        ("Apple M2 Ultra", 76, 27.2, 819.0),
        ("M1", None, 2.29, 68.0),
        ("Apple M3 Max", 40, 14.1, 410.0),
        ("Apple M9 Max", 40, None, None),
        ("Apple A18 Pro", 5, None, None),
        ("Intel(R) Core(TM) i7", None, None, None),
        (None, None, None, None),
    ],
)
def test_speed_of_a_chip(
    chip: str | None, cores: int | None, tflops: float | None, bandwidth: float | None
) -> None:
    speed = prior(chip, cores)
    assert (speed.tflops, speed.gb_per_s) == (tflops, bandwidth)


def test_speed_of_a_new_chip_is_computed() -> None:
    assert prior("Apple M9 Max", 40, 2000.0).tflops == 20.48
    assert prior("Apple M4", 9, 1578.0).tflops == 3.64
    assert [slug(name) for name in ("Apple M4", "m2-ultra", "M2 Ultra", "AMD M1x")] == [
        "m4",
        None,
        "m2-ultra",
        None,
    ]


def test_what_the_gpu_may_use() -> None:
    assert gpu_limit(Memory(total_bytes=36 * GIB)) == 24 * GIB
    assert gpu_limit(Memory(total_bytes=64 * GIB, wired_limit_bytes=0)) == 48 * GIB
    assert gpu_limit(Memory(total_bytes=64 * GIB, wired_limit_bytes=60 * GIB)) == 60 * GIB
    assert gpu_limit(Memory()) is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        [],
        {"unheard of": 1},
        {"machine": 3},
        {"gpus": {}},
        {"gpus": [1, None, []]},
        {"memory": {"total_bytes": "9"}},
        {"memory": {"total_bytes": True}},
        {"memory": {"total_bytes": 2**70}},
        {"system": {"load_1": math.inf}},
        {"system": {"load_1": math.nan}},
        {"people": {"locked": 1}},
    ],
)
def test_json_of_a_wrong_type_is_unknown(data: object) -> None:
    assert to_json(from_json(data)) in ({}, {"gpus": []})


def test_known_none_and_unknown_differ() -> None:
    assert to_json(Telemetry(gpus=())) == {"gpus": []}
    assert from_json({"gpus": []}).gpus == ()
    assert merge(Telemetry(gpus=()), Telemetry(gpus=(Gpu(),))).gpus == ()
    assert merge(Telemetry(), Telemetry(gpus=())).gpus == ()


def test_a_replay_names_what_is_unknown() -> None:
    path = FOLDER / "ioreg-accel__vm-m1-gha-macos14.txt"
    found = replay(path.read_bytes(), "ioreg-accel")
    assert found["read"]["gpus"][0]["utilization"] is None
    assert found["labels"] == {"virtual": "true"}
    assert json.loads(json.dumps(found)) == found
