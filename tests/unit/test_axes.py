"""What `--sweep` means."""

from __future__ import annotations

import pandas as pd
import pytest

from jupyter_macgpu.axes import Axes, line_that_sets, read_axes, rows_of
from jupyter_macgpu.grammar import Unreadable

GOOD = {
    "lr=1e-3,1e-4": "lr 0.001 0.0001",
    "seed=0..4": "seed 0 1 2 3 4",
    "seed=-1..1": "seed -1 0 1",
    "seed=3..3": "seed 3",
    "n=1,2 opt=adam,sgd": "n 1 2, opt adam sgd",
    "flag=True,False,None": "flag True False None",
    "size=(1,2),(3,4)": "size (1, 2) (3, 4)",
    "path='a,b',c": "path a,b c",
    "name=one": "name one",
    "x=0..4,9": "x 0..4 9",
}


@pytest.mark.parametrize("line", GOOD)
def test_values_are_understood(line: str) -> None:
    assert read_axes(line.split()).text() == GOOD[line]


def test_every_combination_comes_and_the_last_name_changes_fastest() -> None:
    assert list(read_axes(["a=1,2", "b=x,y"]).combinations()) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_a_variable_may_hold_the_combinations() -> None:
    assert read_axes(["@grid"]) == Axes(grid="grid")
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert rows_of(rows) == rows_of(pd.DataFrame(rows)) == rows


BAD = {
    "lr": "lr is not NAME=VALUES",
    "lr=": "a value is missing",
    "lr=1,,2": "a value is missing",
    "1a=3": "1a=3 is not NAME=VALUES",
    "for=3": "for=3 is not NAME=VALUES",
    "a=1 a=2": "a stands there twice",
    "seed=4..0": "4..0 is no range",
    "seed=0..999999999": "is no range",
    "@grid a=1": "@ stands before the name",
    "@": "@ stands before the name",
}


@pytest.mark.parametrize("line", BAD)
def test_what_is_not_understood_is_said(line: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_axes(line.split())
    assert BAD[line] in caught.value.problem


@pytest.mark.parametrize(
    ("grid", "why"),
    [
        ([], "no combination"),
        ([{}], "no combination"),
        ({"a": 1}, "it is a dict"),
        ("text", "it is a str"),
        (5, "it is a int"),
        ([1], "its item 0 is a int"),
        ([{"a": 1}, {"b": 2}], "its item 1 has other names"),
        ([{"a b": 1}], "no name of a variable"),
    ],
)
def test_a_variable_that_holds_something_else_is_refused(grid: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rows_of(grid)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("x = 1", 1),
        ("y = 2\nif y:\n    x = 3", 3),
        ("for x in y: pass", 1),
        ("with open('f') as x: pass", 1),
        ("import a.b as x", 1),
        ("import x.y", 1),
        ("def x(): pass", 1),
        ("a, (b, *x) = y", 1),
        ("x += 1", 1),
        ("print(x := 3)", 1),
        ("def f():\n    x = 1", None),
        ("[x for x in y]", None),
        ("y = x\nx.a = 1\nx[0] = 2", None),
    ],
)
def test_a_cell_that_sets_a_name_itself_is_found(code: str, line: int | None) -> None:
    assert line_that_sets(code, "x") == line
