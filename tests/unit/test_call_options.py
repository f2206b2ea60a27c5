"""Options of calls from Python: plain values mean what texts mean, and nothing else is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_macgpu.calls import options_of
from jupyter_macgpu.options import parse_cell
from jupyter_macgpu.wire.errors import InputError

#: What is given in Python -> the same on a cell's first line.
SAME: list[tuple[dict[str, Any], str]] = [
    ({"timeout": 90}, "--timeout 90s"),
    ({"timeout": 0.5, "wait": "5m"}, "--timeout 500ms --wait 5m"),
    ({"mem": 24 * 10**9}, "--mem 24GB"),
    ({"mem": "24GB"}, "--mem 24GB"),
    ({"timeout": np.int64(90), "wait": np.float32(2)}, "--timeout 90s --wait 2s"),
    ({"priority": -2, "retry": 3}, "--priority -2 --retry 3"),
    ({"files": Path("a b/data.csv")}, "--files 'a b/data.csv'"),
    ({"files": [Path("a"), "b"]}, "--files a --files b"),
    ({"setenv": ("A", "B")}, "--setenv A --setenv B"),
    ({"after": ["any:first", "second"]}, "--after any:first --after second"),
    ({"cpu": True, "yes": False, "on": None}, "--cpu"),
]


@pytest.mark.parametrize(("given", "line"), SAME, ids=[line for _, line in SAME])
def test_a_plain_value_means_what_its_text_means(given: dict[str, Any], line: str) -> None:
    assert options_of(given) == parse_cell(line)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"mem": 24}, "mem=24: the unit is missing"),
    ({"mem": -1}, "mem=-1: this is not a size"),
    ({"timeout": -5}, "timeout=-5: this is no length of time"),
    ({"timeout": 0}, "timeout=0: a limit of nothing"),
    ({"wait": float("nan")}, "wait=nan: this is no length of time"),
    ({"wait": float("inf")}, "wait=inf: this is no length of time"),
    ({"priority": 99}, "priority=99: a priority is a whole number from -5 to 5"),
    ({"priority": 1.5}, "priority=1.5: a priority is a whole number"),
    ({"retry": -1}, "retry=-1: this is no whole number from 1 to 100"),
    ({"on": ["a"]}, "on=['a']: this is no text"),
    ({"on": b"a"}, "on=b'a': this is no text"),
    ({"timeout": True}, "timeout=True: this is no text"),
    ({"prefer": [object()]}, "this is no text"),
    ({"files": object()}, "this is no text"),
    ({"cpu": "no"}, "cpu='no': this is neither True nor False"),
    ({"yes": 1}, "yes=1: this is neither True nor False"),
]


@pytest.mark.parametrize(("given", "mistake"), BAD, ids=[mistake for _, mistake in BAD])
def test_what_is_no_value_of_an_option_is_refused_before_anything_is_sent(
    given: dict[str, Any], mistake: str
) -> None:
    with pytest.raises(InputError) as caught:
        options_of(given)
    assert mistake in caught.value.what
    assert caught.value.next
