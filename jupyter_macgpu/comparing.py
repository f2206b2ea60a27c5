"""How far two computations of the same values are apart: pure.

Rule 1: floating numbers are compared by their difference relative to the scale of the reference.
An element's scale is its own size, or the mean size of the array's elements that are not zero,
whichever is larger: rounding is relative to what was summed up, and an element near zero is the
sum of larger ones. Where all of the reference is zero the difference itself counts.

Rule 2: all else is exact: whole numbers, truth values, texts, shapes, where NaN and infinity are.

Rule 3: what is neither a number nor holds any is left out, and named.

Rule 4: a text that names a device, `mps` here and `cpu` there, says where it was computed and not
what: it is passed over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .entered import array, held, is_elements, is_equal_alone

#: Largest differences, by Rule 1, that rounding explains. PyTorch compares its own operations on
#: MPS with those on the CPU by these (``test/test_mps.py``, ``_compute_tolerances``: 1e-4 for
#: float32, 2e-2 for float16, 5e-2 for bfloat16). MPS has no float64: one that came from there was
#: float32 on the way, and is compared as such. For float8 it is one step of the type.
TOLERANCES = {"float16": 2e-2, "bfloat16": 5e-2, "float8_e4m3fn": 0.125, "float8_e5m2": 0.25}
TOLERANCE = 1e-4
#: Elements that are compared at once: their copies in double precision stay small.
_PIECE = 1 << 18
#: Values in values, and values in all, after which no more are looked for.
_DEPTH, _MOST = 30, 100_000
_DEVICE = re.compile(r"(cpu|gpu|mps|cuda)(:\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far one value is from its reference.

    Attributes
    ----------
    path
        Where it is: ``model.0.weight[3, 17]``.
    text
        What differs, in words.
    amount
        By Rule 1; infinite where Rule 2 holds and they are not equal.
    allowed
        How much of that rounding explains.
    """

    path: str
    text: str
    amount: float
    allowed: float

    @property
    def is_beyond(self) -> bool:
        """Whether rounding does not explain it."""
        return not self.amount <= self.allowed


@dataclass(slots=True)
class Comparison:
    """What came of comparing values by name.

    Attributes
    ----------
    tolerance
        What is allowed for all floating numbers; None goes by their type.
    compared
        How many values were compared: arrays, numbers, texts.
    differences
        Those that are not equal.
    left_out
        Where there is something that cannot be compared, and its type.
    """

    tolerance: float | None = None
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    #: Kept, so that no other pair gets their ids meanwhile.
    _seen: dict[tuple[int, int], tuple[object, object]] = field(default_factory=dict)

    @property
    def worst(self) -> Difference | None:
        """The largest difference, measured by what is allowed for it."""
        return max(self.differences, key=_excess, default=None)

    @property
    def beyond(self) -> list[Difference]:
        """The differences that rounding does not explain, the largest first."""
        found = [each for each in self.differences if each.is_beyond]
        return sorted(found, key=_excess, reverse=True)

    def add(self, path: str, ours: object, reference: object, depth: int = 0) -> None:
        """Compare one value, and all that it holds."""
        if depth > _DEPTH or self.compared >= _MOST:
            self.left_out.append(f"{path} and more")
            return
        try:
            self._add(path, ours, reference, depth)
        except Exception as error:  # whatever a value's own code raises
            why = f"{type(ours).__name__}: {type(error).__name__}: {_short(error, str)}"
            self.left_out.append(f"{path} ({why})")

    def _add(self, path: str, ours: object, reference: object, depth: int) -> None:
        arrays = array(ours), array(reference)
        if arrays[0] is not None and arrays[1] is not None:
            self.compared += 1
            self._note(path, compare_arrays(*arrays[0], *arrays[1], self.tolerance))
            self._add_gradients(path, ours, reference, depth)
            return
        inside = held(ours), held(reference)
        if inside[0] is not None and inside[1] is not None:
            self._add_held(path, (ours, reference), inside[0], inside[1], depth)
        elif is_elements(ours) and is_elements(reference):
            self._add_elements(path, ours, reference, depth)
        elif _is_floating(ours, reference):
            self.compared += 1
            self._note(path, compare_numbers(ours, reference, self.tolerance))
        elif _name_devices(ours, reference):
            return
        elif is_equal_alone(ours) and is_equal_alone(reference):
            self.compared += 1
            # What stands for a missing date equals nothing, not even itself.
            if ours is not reference and ours != reference:
                self._differs(path, f"{_short(ours)}, and {_short(reference)} on the CPU")
        elif type(ours) is not type(reference):
            self.compared += 1
            names = type(ours).__name__, type(reference).__name__
            self._differs(path, f"type {names[0]}, and {names[1]} on the CPU")
        elif ours is not reference:
            self.left_out.append(f"{path} ({type(ours).__name__})")

    def _add_elements(self, path: str, ours: Any, reference: Any, depth: int) -> None:
        """Compare arrays of objects: one value with one difference, as any other array."""
        if ours.shape != reference.shape:
            self.compared += 1
            self._differs(path, f"shape {ours.shape}, and {reference.shape} on the CPU")
            return
        inside = Comparison(self.tolerance)
        pairs = zip(ours.reshape(-1).tolist(), reference.reshape(-1).tolist(), strict=True)
        for place, (each, its) in enumerate(pairs):
            inside.add(_index(place, ours.shape), each, its, depth + 1)
            if inside.compared >= _MOST:
                inside.left_out.append(f"{_index(place + 1, ours.shape)} and more")
                break
        self.compared += bool(inside.compared) or not ours.size
        self._note(path, inside.worst)
        self.left_out += [path + each for each in inside.left_out[:1]]

    def _add_held(
        self,
        path: str,
        both: tuple[object, object],
        ours: Mapping[str, object],
        reference: Mapping[str, object],
        depth: int,
    ) -> None:
        # The same pair again, by another name or in a circle, says nothing new.
        pair = (id(both[0]), id(both[1]))
        if pair in self._seen:
            return
        self._seen[pair] = both
        for step in (*ours, *(step for step in reference if step not in ours)):
            if step in ours and step in reference:
                self.add(path + step, ours[step], reference[step], depth + 1)
            else:
                self.compared += 1
                side = "not on the CPU" if step in ours else "only on the CPU"
                self._differs(path + step, f"there is one {side}")

    def _add_gradients(self, path: str, ours: Any, reference: Any, depth: int) -> None:
        # Other tensors warn when they are asked.
        if getattr(ours, "is_leaf", False) and getattr(reference, "is_leaf", False):
            gradients = ours.grad, reference.grad
            if any(gradient is not None for gradient in gradients):
                self.add(f"{path}.grad", *gradients, depth + 1)

    def _note(self, path: str, found: Difference | None) -> None:
        if found is not None:
            self.differences.append(
                Difference(
                    path=path + found.path,
                    text=found.text,
                    amount=found.amount,
                    allowed=found.allowed,
                )
            )

    def _differs(self, path: str, text: str) -> None:
        self.differences.append(Difference(path=path, text=text, amount=math.inf, allowed=0.0))


def compare_arrays(
    ours: Any, our_type: str, reference: Any, its_type: str, tolerance: float | None = None
) -> Difference | None:
    """Return how far an array is from its reference, or None if they are equal.

    Parameters
    ----------
    ours, reference
        Arrays of numpy.
    our_type, its_type
        What their elements were before they became numpy's: ``bfloat16`` is float32 there.
    """
    if ours.shape != reference.shape:
        text = f"shape {ours.shape}, and {reference.shape} on the CPU"
        return Difference(path="", text=text, amount=math.inf, allowed=0.0)
    kinds = {ours.dtype.kind, reference.dtype.kind}
    if len(kinds) > 1 and not kinds <= set("biufc"):
        text = f"elements of {our_type}, and of {its_type} on the CPU"
        return Difference(path="", text=text, amount=math.inf, allowed=0.0)
    if ours.dtype.kind not in "fc" and reference.dtype.kind not in "fc":
        return _compare_exactly(ours, reference)
    allowed = tolerance
    if allowed is None:
        allowed = max(TOLERANCES.get(name, TOLERANCE) for name in (our_type, its_type))
    return _compare_floating(ours.reshape(-1), reference.reshape(-1), ours.shape, allowed)


def compare_numbers(ours: Any, reference: Any, tolerance: float | None) -> Difference | None:
    """Return how far a number is from its reference, or None if they are equal."""
    both_nan = ours != ours and reference != reference
    if ours == reference or both_nan:
        return None
    apart = abs(ours - reference) / (abs(reference) or 1.0)
    return Difference(
        path="",
        text=f"{ours:.6g}, and {reference:.6g} on the CPU",
        amount=apart if math.isfinite(apart) else math.inf,
        allowed=TOLERANCE if tolerance is None else tolerance,
    )


def _compare_exactly(ours: Any, reference: Any) -> Difference | None:
    import numpy as np

    differ = (ours != reference).reshape(-1)
    if ours.dtype.kind in "mM":  # a missing date equals nothing, not even itself
        differ &= ~(np.isnat(ours) & np.isnat(reference)).reshape(-1)
    many = int(differ.sum())
    if not many:
        return None
    first = int(differ.argmax())
    values = f"{ours.reshape(-1)[first]}, and {reference.reshape(-1)[first]} on the CPU"
    among = "" if differ.size == 1 else f"; {many:,} of {differ.size:,} elements differ"
    index = _index(first, ours.shape)
    return Difference(path=index, text=values + among, amount=math.inf, allowed=0.0)


def _compare_floating(ours: Any, reference: Any, shape: Any, allowed: float) -> Difference | None:
    import numpy as np

    wide = np.complex128 if "c" in (ours.dtype.kind, reference.dtype.kind) else np.float64
    scale = _scale(reference, wide)
    most, where, odd, first_odd = 0.0, 0, 0, 0
    for begin in range(0, reference.size, _PIECE):
        x = ours[begin : begin + _PIECE].astype(wide)
        y = reference[begin : begin + _PIECE].astype(wide)
        equal = (x == y) | (np.isnan(x) & np.isnan(y))
        strange = ~equal & ~(np.isfinite(x) & np.isfinite(y))
        if strange.any():
            first_odd = first_odd if odd else begin + int(strange.argmax())
            odd += int(strange.sum())
        x[equal | strange] = 0.0
        y[equal | strange] = 0.0
        apart = np.abs(x - y) / np.maximum(np.abs(y), scale)
        if (largest := float(apart.max())) > most:
            most, where = largest, begin + int(apart.argmax())
    if not most and not odd:
        return None
    place = first_odd if odd else where
    text = f"{ours[place].item():.6g}, and {reference[place].item():.6g} on the CPU"
    if odd:
        text += f"; NaN or infinity at {odd:,} of {reference.size:,} places differ"
    amount = math.inf if odd else most
    return Difference(path=_index(place, shape), text=text, amount=amount, allowed=allowed)


def _scale(reference: Any, wide: Any) -> float:
    """Return the mean size of the elements that are neither zero nor infinite; 1 if none is."""
    import numpy as np

    total, many = 0.0, 0
    for begin in range(0, reference.size, _PIECE):
        sizes = np.abs(reference[begin : begin + _PIECE].astype(wide))
        sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
        total, many = total + float(sizes.sum()), many + sizes.size
    return total / many if total else 1.0


def _index(flat: int, shape: Any) -> str:
    if not shape:
        return ""
    steps = []
    for length in reversed(shape):
        flat, step = divmod(flat, length)
        steps.append(str(step))
    return f"[{', '.join(reversed(steps))}]"


def _is_floating(ours: object, reference: object) -> bool:
    both = (ours, reference)
    numbers = all(isinstance(each, (int, float, complex)) for each in both)
    return numbers and any(isinstance(each, (float, complex)) for each in both)


def _name_devices(ours: object, reference: object) -> bool:
    both = (ours, reference)
    return all(isinstance(each, str) and _DEVICE.fullmatch(each) for each in both)


def _short(value: object, words: Callable[[object], str] = repr) -> str:
    text = words(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _excess(difference: Difference) -> float:
    if not difference.amount:
        return 0.0
    return difference.amount / difference.allowed if difference.allowed else math.inf
