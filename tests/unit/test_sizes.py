"""Sizes as people read them; the browser's half has the same ones in `values.spec.tsx`."""

from __future__ import annotations

import pytest

from jupyter_macgpu.wire.values.remote import format_size

KIB, MIB, GIB = 2**10, 2**20, 2**30


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1023, "1023 B"),
        (KIB, "1 KiB"),
        (1536, "1.5 KiB"),
        (999 * KIB, "999 KiB"),
        (999 * KIB + 511, "999 KiB"),
        (999 * KIB + 512, "1000 KiB"),
        (1000 * KIB, "1000 KiB"),
        (1023 * KIB, "1023 KiB"),
        (MIB - 1, "1 MiB"),
        (1020 * MIB, "1020 MiB"),
        (1536 * MIB, "1.5 GiB"),
        (192 * GIB, "192 GiB"),
        (1500 * GIB, "1500 GiB"),
    ],
)
def test_a_size_has_three_digits_or_four_before_the_next_unit(nbytes: int, text: str) -> None:
    assert format_size(nbytes) == text
