"""Recorded Macs, and what a person reads in each record.

Whole: what is not named here must be unknown. Each value was taken from the record itself, so
that pages are written as their number times the size of a page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "macsamples"
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix != ".source")

BIG, SMALL = 16384, 4096
GIB, MIB = 2**30, 2**20


def apple(**known: Any) -> dict[str, Any]:
    return {"vendor": "apple", **known}


def silicon(**known: Any) -> dict[str, Any]:
    return {"arch": "arm64", **known}


def macos(version: str, build: str, *, beta: bool = False) -> dict[str, Any]:
    return {"system": {"name": "macOS", "version": version, "build": build, "beta": beta}}


def plugged(**known: Any) -> dict[str, Any]:
    return {"power": {"source": "ac", "on_battery": False, "battery": True, **known}}


def load(one: float, five: float, fifteen: float) -> dict[str, Any]:
    return {"load_1": one, "load_5": five, "load_15": fifteen}


EXPECTED: dict[str, dict[str, Any]] = {
    "ioreg-accel-plist__m5pro-macos27.plist": {
        "machine": silicon(chip="Apple M5 Pro", soc="t6050"),
        "gpus": [
            apple(
                name="Apple M5 Pro",
                driver="AGXAcceleratorG17X",
                cores=16,
                utilization=0.12,
                renderer=0.12,
                tiler=0.05,
                in_use_bytes=1046872064,
                allocated_bytes=6614056960,
                restarts=0,
            )
        ],
    },
    # Nothing here says whose GPU it is.
    "ioreg-accel-plist__unknown-busy86.plist": {
        "gpus": [
            {
                "utilization": 0.86,
                "renderer": 0.83,
                "in_use_bytes": 1334083584,
                "allocated_bytes": 22620471296,
                "restarts": 2,
            }
        ]
    },
    # Two records of one AMD GPU (6 and 11 %); 19, 10 and 29 belong to decoys.
    "ioreg-accel__intel-amd-dual-mbp.txt": {
        "gpus": [
            {
                "vendor": "amd",
                "driver": "AMDRadeonX4000_AMDBaffinGraphicsAccelerator",
                "utilization": 0.11,
            },
            {"vendor": "intel", "driver": "IntelAccelerator", "utilization": 0.27},
        ]
    },
    "ioreg-accel__m1max-64gb.txt": {
        "machine": silicon(chip="Apple M1 Max", soc="t6000"),
        "gpus": [
            apple(
                name="Apple M1 Max",
                driver="AGXAcceleratorG13X",
                cores=32,
                utilization=0.25,
                renderer=0.23,
                tiler=0.25,
                in_use_bytes=745570304,
                allocated_bytes=23611097088,
                restarts=0,
            )
        ],
    },
    # t6000 is M1 Pro, Max and Ultra alike: the chip is not known.
    "ioreg-accel__m1pro-macos12.6.txt": {
        "machine": silicon(soc="t6000"),
        "gpus": [
            apple(
                driver="AGXAcceleratorG13X",
                utilization=0.02,
                renderer=0.02,
                tiler=0.02,
                in_use_bytes=340983808,
                allocated_bytes=1214005248,
                restarts=0,
                last_pid=390,
            )
        ],
    },
    "ioreg-accel__m1pro14-17gb-model-loaded.txt": {
        "machine": silicon(),
        "gpus": [
            apple(
                driver="AGXAcceleratorG13X",
                cores=14,
                utilization=0.22,
                renderer=0.2,
                tiler=0.22,
                in_use_bytes=507330560,
                allocated_bytes=21343043584,
                last_pid=615,
            )
        ],
    },
    "ioreg-accel__m2pro.txt": {
        "machine": silicon(chip="Apple M2 Pro"),
        "gpus": [
            apple(
                name="Apple M2 Pro",
                driver="AGXAcceleratorG14X",
                utilization=0.42,
                renderer=0.03,
                tiler=0.03,
                in_use_bytes=830029824,
                allocated_bytes=16541990912,
                restarts=0,
            )
        ],
    },
    "ioreg-accel__m3-macbook-grepped.txt": {
        "machine": silicon(chip="Apple M3"),
        "gpus": [
            apple(
                name="Apple M3",
                driver="AGXAcceleratorG15G",
                cores=10,
                utilization=0.26,
                renderer=0.25,
                tiler=0.26,
                in_use_bytes=862388224,
                allocated_bytes=5437849600,
                restarts=0,
            )
        ],
    },
    "ioreg-accel__m4-idle-line.txt": {
        "gpus": [
            {
                "utilization": 0.0,
                "renderer": 0.0,
                "tiler": 0.0,
                "in_use_bytes": 763723776,
                "allocated_bytes": 2629632000,
                "restarts": 0,
            }
        ]
    },
    "ioreg-accel__m4-macos27.txt": {
        "machine": silicon(chip="Apple M4", soc="t8132"),
        "gpus": [
            apple(
                name="Apple M4",
                driver="AGXAcceleratorG16G",
                cores=10,
                utilization=0.17,
                renderer=0.15,
                tiler=0.15,
                in_use_bytes=430571520,
                allocated_bytes=4597121024,
                restarts=0,
                last_pid=835,
            )
        ],
    },
    "ioreg-accel__m5max-idle.txt": {
        "machine": silicon(chip="Apple M5 Max"),
        "gpus": [
            apple(
                name="Apple M5 Max",
                driver="AGXAcceleratorG17X",
                utilization=0.0,
                renderer=0.0,
                tiler=0.0,
                in_use_bytes=1009385472,
                allocated_bytes=47937765376,
            )
        ],
    },
    # A virtual machine says nothing of its utilisation.
    "ioreg-accel__vm-m1-gha-macos14.txt": {
        "machine": {"virtual": True},
        "gpus": [
            apple(
                virtual=True,
                driver="AppleParavirtGPU",
                in_use_bytes=50103936,
                allocated_bytes=39108608,
                restarts=0,
                last_pid=138,
            )
        ],
    },
    "ioreg-battery__m1max-mbp-onbattery.txt": {
        "power": {
            "source": "battery",
            "on_battery": True,
            "battery": True,
            "charge": 1.0,
            "battery_state": "discharging",
            "battery_cycles": 35,
            "battery_celsius": 29.73,
            "system_watts": 6.879,
        }
    },
    "ioreg-classtree__m1air-macos11.2.3.txt": {
        "machine": silicon(),
        "gpus": [apple(driver="AGXAcceleratorG13G_B0")],
    },
    # Two further tables of statistics belong to a shim.
    "ioreg-grep-perfstats__vm-m1-gha-macos14.txt": {
        "gpus": [{"in_use_bytes": 50103936, "allocated_bytes": 39108608, "restarts": 0}]
    },
    "ioreg-hidsystem__a.txt": {"people": {"idle_seconds": 0.194607375}},
    "ioreg-root-console__nobody.txt": {"people": {"console_user": False}},
    "ioreg-root-console__unlocked.txt": {"people": {"console_user": True, "locked": False}},
    "last__intel-10.14.6.txt": {"people": {"console_user": True, "logins": 4}},
    "macmon-pipe__v0.8-readme.json": {
        "gpus": [apple(utilization=0.09, mhz=461.0, watts=0.017451683, celsius=36.95167)],
        "memory": {
            "total_bytes": 25769803776,
            "used_bytes": 20985479168,
            "swap_total_bytes": 4294967296,
            "swap_used_bytes": 2602434560,
        },
        "power": {"system_watts": 5.876533, "cpu_watts": 0.20486385},
        "heat": {"cpu_celsius": 43.73614, "fan_rpm": [999.0, 1200.0]},
    },
    "memory_pressure__macmini-32gb.txt": {
        "memory": {
            "total_bytes": 34359738368,
            "page_bytes": BIG,
            "free_bytes": 6597 * BIG,
            "active_bytes": 905546 * BIG,
            "inactive_bytes": 902369 * BIG,
            "speculative_bytes": 3462 * BIG,
            "wired_bytes": 143935 * BIG,
            "purgeable_bytes": 30897 * BIG,
            "compressor_bytes": 100325 * BIG,
            "free_fraction": 0.88,
            "swap_ins": 0,
            "swap_outs": 0,
        }
    },
    "pmset-assertions__excerpt-caffeinate.txt": {
        "power": {"sleep_prevented": True, "assertions": ["PreventUserIdleDisplaySleep"]}
    },
    "pmset-batt__macbook-a-ac-not-charging.txt": plugged(charge=0.79, battery_state="not charging"),
    # "0:00 remaining" of a full battery is no time.
    "pmset-batt__macbook-a-charged.txt": plugged(charge=1.0, battery_state="charged"),
    "pmset-batt__macbook-a-charging-noestimate.txt": plugged(charge=0.78, battery_state="charging"),
    "pmset-batt__macbook-a-discharging.txt": {
        "power": {
            "source": "battery",
            "on_battery": True,
            "battery": True,
            "charge": 1.0,
            "battery_state": "discharging",
            "remaining_seconds": 7 * 3600.0 + 26 * 60,
        }
    },
    "pmset-custom__m4mini-26.3.txt": {
        "power": {"low_power_mode": False, "never_sleeps": True, "wake_on_network": True}
    },
    # Three notes that nothing was recorded: no proof of anything.
    "pmset-therm__m1pro-macos12.1.txt": {},
    "powermetrics-gpu__m4.txt": {"gpus": [apple(utilization=0.0163, mhz=338.0, watts=0.028)]},
    "sp-displays__m1air-7core.json": {
        "machine": silicon(chip="Apple M1", displays=1),
        "gpus": [apple(name="Apple M1", cores=7, metal="metal3")],
    },
    "sp-displays__m1pro14-2dell-macos12.json": {
        "machine": silicon(chip="Apple M1 Pro", displays=3),
        "gpus": [apple(name="Apple M1 Pro", cores=14, metal="apple7")],
    },
    # No list of displays: somebody cut it. In the next one there is no display.
    "sp-displays__m3pro14.json": {
        "machine": silicon(chip="Apple M3 Pro"),
        "gpus": [apple(name="Apple M3 Pro", cores=14, metal="metal3")],
    },
    "sp-displays__m4mini-headless-15.3.1.json": {
        "machine": silicon(chip="Apple M4"),
        "gpus": [apple(name="Apple M4", cores=10, metal="metal4")],
    },
    "sp-hardware__m1air-macos12.json": {
        "machine": silicon(
            model="MacBookAir10,1", name="MacBook Air", chip="Apple M1", portable=True
        ),
        "memory": {"total_bytes": 16 * GIB},
    },
    # A translated process is told nothing of the chip.
    "sp-hardware__m1air-rosetta-macos12.json": {
        "machine": {"model": "MacBookAir10,1", "name": "MacBook Air", "portable": True},
        "memory": {"total_bytes": 16 * GIB},
    },
    "sp-hardware__m2-mbp13-macos14.json": {
        "machine": silicon(model="Mac14,7", name="MacBook Pro", chip="Apple M2", portable=True),
        "memory": {"total_bytes": 16 * GIB},
    },
    "sp-hardware__m5max-macos26.json": {
        "machine": silicon(model="Mac17,6", name="MacBook Pro", chip="Apple M5 Max", portable=True),
        "memory": {"total_bytes": 128 * GIB},
    },
    "sp-hardware__vm-m1-gha-macos26.json": {
        "machine": silicon(
            model="VirtualMac2,1", name="Apple Virtual Machine 1", chip="Apple M1", virtual=True
        ),
        "memory": {"total_bytes": 7 * GIB},
    },
    "sp-text__intel-amd-mojave.txt": {
        "machine": {"displays": 1},
        "gpus": [
            {"name": "AMD Radeon Pro 450", "vendor": "amd", "memory_bytes": 2 * GIB},
            {"name": "Intel HD Graphics 530", "vendor": "intel", "memory_bytes": 1536 * MIB},
        ],
    },
    "sp-text__m1air-macos11.2.3.txt": {
        "machine": silicon(
            model="MacBookAir10,1", name="MacBook Air", chip="Apple M1", portable=True, displays=1
        ),
        "system": {
            "name": "macOS",
            "version": "11.2.3",
            "build": "20D91",
            "beta": False,
            "kernel": "Darwin 20.3.0",
            "uptime_seconds": 86400.0 + 23 * 3600 + 56 * 60,
        },
        "gpus": [apple(name="Apple M1", cores=8, metal="apple7")],
        "memory": {"total_bytes": 16 * GIB},
        "power": {
            "source": "ac",
            "on_battery": False,
            "battery": True,
            "charge": 1.0,
            "battery_state": "charged",
            "battery_cycles": 1,
        },
    },
    "sw_vers__27.2beta.txt": macos("27.2", "26B5091g", beta=True),
    "sw_vers__m3max-26.5.1.txt": macos("26.5.1", "25F80"),
    "sw_vers__m4-27.0.txt": macos("27.0", "26A428"),
    "sw_vers__m4mini-26.3.txt": macos("26.3", "25D125"),
    "sw_vers__tart-vm-26.5.txt": macos("26.5", "25F71"),
    "sw_vers__vm-gha-26.6.2.txt": macos("26.6.2", "25G83"),
    "sysctl-cpu__m1pro.txt": {
        "machine": silicon(chip="Apple M1 Pro", cpus=10, cpu_levels=[{"cores": 8}, {"cores": 2}])
    },
    # The last value, 1, could be anything.
    "sysctl-n-identity__vm-m1-gha-macos14.txt": {
        "machine": silicon(model="VirtualMac2,1", chip="Apple M1", virtual=True, cpus=3),
        "memory": {"total_bytes": 7516192768, "page_bytes": BIG},
    },
    "sysctl-n-swapusage__vm-m1-gha-macos14.txt": {
        "memory": {"swap_total_bytes": 0, "swap_used_bytes": 0, "swap_free_bytes": 0}
    },
    "sysctl-perflevels__m5max.txt": {
        "machine": {
            "cpu_levels": [{"name": "Super", "cores": 6}, {"name": "Performance", "cores": 12}]
        }
    },
    "sysctl__m1-8gb-pressure-swap.txt": {
        "memory": {
            "pressure": "normal",
            "swap_total_bytes": 12800 * MIB,
            "swap_used_bytes": round(11947.44 * MIB),
            "swap_free_bytes": round(852.56 * MIB),
        }
    },
    "sysctl__m2pro-mini-26.5.1.txt": {
        "machine": {"model": "Mac14,12"},
        "memory": {"total_bytes": 34359738368, "wired_limit_bytes": 0},
    },
    "sysctl__m3ultra.txt": {
        "machine": silicon(
            chip="Apple M3 Ultra", cpus=28, cpu_levels=[{"cores": 20}, {"cores": 8}]
        ),
        "memory": {"total_bytes": 103079215104},
    },
    "sysctl__macos11-m1.txt": {"machine": silicon(chip="Apple M1", cpus=8)},
    "sysctl__vm-m1-gha-macos26.txt": {
        "machine": silicon(
            model="VirtualMac2,1",
            chip="Apple M1",
            virtual=True,
            cpu_levels=[{"name": "Standard", "cores": 3}],
        ),
        "memory": {"total_bytes": 7516192768},
    },
    "uname__m4-27.0.txt": {
        "machine": silicon(chip="Apple M4", soc="t8132", rosetta=False),
        "system": {"kernel": "Darwin 27.0.0"},
    },
    "uptime__intel-10.14.6.txt": {
        "system": {
            "uptime_seconds": 20 * 86400.0 + 19 * 3600 + 45 * 60,
            **load(1.63, 0.65, 0.44),
        },
        "people": {"logins": 8},
    },
    "uptime__macmini-32gb.txt": {
        "system": {"uptime_seconds": 9 * 86400.0 + 6 * 3600 + 26 * 60, **load(3.23, 2.87, 2.88)},
        "people": {"logins": 6},
    },
    "vm_stat__intel-10.6-era.txt": {
        "memory": {
            "page_bytes": SMALL,
            "free_bytes": 2155305 * SMALL,
            "active_bytes": 924164 * SMALL,
            "inactive_bytes": 189127 * SMALL,
            "speculative_bytes": 531321 * SMALL,
            "wired_bytes": 391749 * SMALL,
        }
    },
    "vm_stat__intel-4k-2016.txt": {
        "memory": {
            "used_bytes": (1839499 - 59751 + 801506 + 156894) * SMALL,
            "page_bytes": SMALL,
            "free_bytes": 235271 * SMALL,
            "active_bytes": 1552064 * SMALL,
            "inactive_bytes": 1419355 * SMALL,
            "speculative_bytes": 28612 * SMALL,
            "wired_bytes": 801506 * SMALL,
            "purgeable_bytes": 59751 * SMALL,
            "file_backed_bytes": 1160532 * SMALL,
            "anonymous_bytes": 1839499 * SMALL,
            "compressor_bytes": 156894 * SMALL,
            "compressed_bytes": 422034 * SMALL,
            "swap_ins": 2439008,
            "swap_outs": 2552292,
        }
    },
    "vm_stat__m5pro-48gb-mte.txt": {
        "memory": {
            "used_bytes": (1217525 - 24598 + 266791 + 301746) * BIG,
            "page_bytes": BIG,
            "free_bytes": 971349 * BIG,
            "active_bytes": 768537 * BIG,
            "inactive_bytes": 736092 * BIG,
            "speculative_bytes": 39094 * BIG,
            "wired_bytes": 266791 * BIG,
            "purgeable_bytes": 24598 * BIG,
            "file_backed_bytes": 326198 * BIG,
            "anonymous_bytes": 1217525 * BIG,
            "compressor_bytes": 301746 * BIG,
            "compressed_bytes": 1343522 * BIG,
            "swap_ins": 43902362,
            "swap_outs": 77401851,
        }
    },
    "vm_stat__macmini-32gb.txt": {
        "memory": {
            "used_bytes": (1405082 - 30897 + 143935 + 100325) * BIG,
            "page_bytes": BIG,
            "free_bytes": 6374 * BIG,
            "active_bytes": 905539 * BIG,
            "inactive_bytes": 902368 * BIG,
            "speculative_bytes": 3456 * BIG,
            "wired_bytes": 143935 * BIG,
            "purgeable_bytes": 30897 * BIG,
            "file_backed_bytes": 406281 * BIG,
            "anonymous_bytes": 1405082 * BIG,
            "compressor_bytes": 100325 * BIG,
            "compressed_bytes": 270809 * BIG,
            "swap_ins": 0,
            "swap_outs": 0,
        }
    },
    "vm_stat__vm-m1-gha-macos14.txt": {
        "memory": {
            "used_bytes": (213536 - 1635 + 46474 + 690) * BIG,
            "page_bytes": BIG,
            "free_bytes": 6704 * BIG,
            "active_bytes": 195886 * BIG,
            "inactive_bytes": 195584 * BIG,
            "speculative_bytes": 12548 * BIG,
            "wired_bytes": 46474 * BIG,
            "purgeable_bytes": 1635 * BIG,
            "file_backed_bytes": 190482 * BIG,
            "anonymous_bytes": 213536 * BIG,
            "compressor_bytes": 690 * BIG,
            "compressed_bytes": 2455 * BIG,
            "swap_ins": 0,
            "swap_outs": 0,
        }
    },
    "w__intel-10.14.6.txt": {
        "system": {
            "uptime_seconds": 20 * 86400.0 + 19 * 3600 + 44 * 60,
            **load(0.86, 0.45, 0.37),
        },
        "people": {"console_user": True, "logins": 8},
    },
    # Six rows of a terminal, of which two have an exit status.
    "who-a__intel-10.14.6.txt": {"people": {"console_user": True, "logins": 4}},
    "who__intel-10.14.6.txt": {"people": {"console_user": True, "logins": 4}},
}
