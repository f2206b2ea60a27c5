"""How a simulated Mac fares over time: pure, from a seed and the seconds since it began.

Time goes in spells of `SPELL` seconds. Each round of spells is a shuffled bag, so that every state
comes in every round, whatever the seed. The first spells of the first round are calm: whoever
starts a fleet finds it well.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

#: Seconds that one state lasts.
SPELL = 60.0
#: Seconds in which a Mac that has crashed is back; the rest of the spell is calm.
REBOOT = 25.0

CALM, BUSY, HOT, PRESSED, OWNER, BATTERY, ASLEEP, CRASHED = STATES = (
    "calm",
    "busy",
    "hot",
    "pressed",
    "owner",
    "battery",
    "asleep",
    "crashed",
)
#: States in which a Mac says nothing.
SILENT = (ASLEEP, CRASHED)
#: One round: how many spells of each state.
_BAG = [CALM] * 5 + [BUSY] * 3 + [HOT] * 2 + [PRESSED, OWNER, OWNER, BATTERY, ASLEEP, CRASHED]
_CALM_AT_FIRST = 3

#: GPU load from and to, by state; what is not named has the load of `CALM`.
_LOADS = {CALM: (0.0, 0.1), BUSY: (0.7, 1.0), HOT: (0.85, 1.0), OWNER: (0.1, 0.45)}
#: Share of memory in use, likewise.
_USED = {CALM: (0.2, 0.35), BUSY: (0.4, 0.6), PRESSED: (0.93, 0.985), OWNER: (0.35, 0.6)}
#: Seconds that the owner was away where he is.
_AWAY = 4 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How a Mac is at one moment.

    Attributes
    ----------
    state
        One of `STATES`.
    age
        Seconds since it began.
    gpu
        Utilisation, 0 to 1.
    load
        Load average for each processor core, 0 to 1.2.
    used
        Share of memory in use, 0 to 1.
    heat
        Level of thermal pressure, 0 to 3.
    pressure
        The system's level of memory pressure: 1 normal, 2 warning, 4 critical.
    swapping
        Pages that go to disk in a second.
    idle
        Seconds since the last key or movement.
    on_battery, charge
        Of a laptop: whether the mains are out; what the battery holds, 0 to 1.
    up
        Seconds since the last crash; None if there was none.
    """

    state: str
    age: float
    gpu: float
    load: float
    used: float
    heat: int
    pressure: int
    swapping: int
    idle: float
    on_battery: bool
    charge: float
    up: float | None

    @property
    def answers(self) -> bool:
        """Whether the Mac says anything."""
        return self.state not in SILENT


def state_at(seed: int, seconds: float) -> str:
    """Return the state of the Mac of a seed, `seconds` after it began."""
    spell, into = _spell(seconds)
    state = _spell_state(seed, spell)
    return CALM if state == CRASHED and into >= REBOOT else state


def weather_at(seed: int, seconds: float) -> Weather:
    """Return how the Mac of a seed is, `seconds` after it began."""
    seconds = max(0.0, seconds)
    _, into = _spell(seconds)
    state = state_at(seed, seconds)
    # Heat and pressure come and go slowly; the first and the last seconds of a spell are milder.
    height = min(1.0, into / 10, (SPELL - into) / 10)
    gpu = _between(_LOADS, state, _noise(seed, "gpu", seconds))
    return Weather(
        state=state,
        age=seconds,
        gpu=gpu,
        load=0.05 + gpu * 0.5 + 0.4 * _noise(seed, "load", seconds),
        used=_between(_USED, state, _noise(seed, "used", seconds)),
        heat=round(1 + height + _noise(seed, "heat", seconds)) if state == HOT else 0,
        pressure=(4 if height == 1 else 2) if state == PRESSED else 1,
        swapping=round(4000 * height) if state == PRESSED else 0,
        idle=_idle(seed, state, seconds, into),
        on_battery=state == BATTERY,
        charge=1.0 - 0.5 * into / SPELL if state == BATTERY else 1.0,
        up=_since_crash(seed, seconds),
    )


def _spell(seconds: float) -> tuple[int, float]:
    """Return the number of the spell, and how far into it, in seconds."""
    number = math.floor(max(0.0, seconds) / SPELL)
    return number, max(0.0, seconds) - number * SPELL


def _spell_state(seed: int, spell: int) -> str:
    turn, place = divmod(spell, len(_BAG))
    first = _CALM_AT_FIRST if turn == 0 else 0
    if place < first:
        return CALM
    # Calm spells lead the bag: the first round leaves out of the shuffle those it began with.
    left = range(first, len(_BAG))
    order = sorted(left, key=lambda card: _chance(seed, "order", turn * len(_BAG) + card))
    return _BAG[order[place - first]]


def _since_crash(seed: int, seconds: float) -> float | None:
    spell, _ = _spell(seconds)
    for earlier in range(spell, max(-1, spell - 2 * len(_BAG)), -1):
        back = earlier * SPELL + REBOOT
        if _spell_state(seed, earlier) == CRASHED and back <= seconds:
            return seconds - back
    return None


def _idle(seed: int, state: str, seconds: float, into: float) -> float:
    if state == OWNER:
        return 30 * _noise(seed, "idle", seconds)
    return _AWAY + into


def _between(table: dict[str, tuple[float, float]], state: str, where: float) -> float:
    low, high = table.get(state, table[CALM])
    return low + (high - low) * where


def _noise(seed: int, what: str, seconds: float) -> float:
    """Return a value from 0 to 1 that moves smoothly, with a new aim every seven seconds."""
    step, into = divmod(seconds, 7.0)
    here, there = (_chance(seed, what, int(step) + i) for i in (0, 1))
    turn = (1 - math.cos(math.pi * into / 7.0)) / 2
    return here + (there - here) * turn


def _chance(seed: int, what: str, number: int) -> float:
    """Return the same number from 0 to 1 for the same arguments, on every machine."""
    digest = hashlib.blake2b(f"{seed} {what} {number}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48
