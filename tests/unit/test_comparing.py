"""How far two computations are apart: the norm, what is exact, and the way to what differs."""

from __future__ import annotations

import collections
import copy
import dataclasses
import math
from decimal import Decimal

import mlx.core as mx
import numpy as np
import pandas as pd
import pytest
import torch

from jupyter_macgpu.comparing import TOLERANCE, TOLERANCES, Comparison


def compared(ours: object, reference: object, tolerance: float | None = None) -> Comparison:
    comparison = Comparison(tolerance)
    comparison.add("x", ours, reference)
    return comparison


def agree(ours: object, reference: object) -> bool:
    return not compared(ours, reference).beyond


def rounded(size: int, relative: float) -> tuple[torch.Tensor, torch.Tensor]:
    reference = torch.randn(size, generator=torch.Generator().manual_seed(1))
    return reference * (1 + relative), reference


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.complex64]
)
def test_what_rounding_explains_is_within_and_ten_times_that_is_not(dtype):
    allowed = TOLERANCES.get(str(dtype).removeprefix("torch."), TOLERANCE)
    for factor, within in ((0.3, True), (10.0, False)):
        ours, reference = rounded(1000, allowed * factor)
        found = compared(ours.to(dtype), reference.to(dtype))
        assert (not found.beyond) is within
        assert found.worst is not None
        assert found.worst.amount == pytest.approx(allowed * factor, rel=0.6)


def test_a_product_of_matrices_in_single_precision_is_within_and_one_wrong_row_is_not():
    generator = torch.Generator().manual_seed(2)
    a, b = (torch.randn(600, 600, generator=generator) for _ in range(2))
    reference = (a.double() @ b.double()).float()
    ours = a @ b
    assert agree(ours, reference)
    ours[417] *= 1.01
    found = compared({"layer": [ours]}, {"layer": [reference]})
    (wrong,) = found.beyond
    assert wrong.path.startswith("x['layer'][0][417, ")
    assert wrong.amount == pytest.approx(0.01, rel=0.05)


def test_elements_near_zero_are_measured_by_the_array_and_a_large_one_hides_nothing():
    reference = np.ones(100_000, np.float32)
    reference[7] = 0.0
    ours = reference.copy()
    ours[7] = 1e-6
    assert agree(ours, reference)
    reference[3] = ours[3] = 1e6
    ours[50_000] = 1.2
    (wrong,) = compared(ours, reference).beyond
    assert wrong.path == "x[50000]"


def test_where_the_reference_is_zero_the_difference_itself_counts():
    assert agree(np.full(4, 1e-6, np.float32), np.zeros(4, np.float32))
    assert not agree(np.full(4, 0.5, np.float32), np.zeros(4, np.float32))
    assert agree(1e-7, 0.0)
    assert not agree(0.1, 0.0)


def test_nan_and_infinity_must_stand_at_the_same_places():
    reference = np.array([[1.0, math.nan], [math.inf, -math.inf]])
    assert agree(reference.copy(), reference)
    for place, value in (((0, 0), math.nan), ((0, 1), 2.0), ((1, 0), -math.inf), ((1, 1), 3.0)):
        ours = reference.copy()
        ours[place] = value
        (wrong,) = compared(ours, reference).beyond
        assert wrong.path == f"x[{place[0]}, {place[1]}]"
        assert "1 of 4 places" in wrong.text
    assert agree(math.nan, math.nan)
    assert not agree(math.nan, 1.0)
    assert not agree(math.inf, 1.0)


def test_whole_numbers_texts_and_shapes_are_exact_whatever_is_allowed():
    reference = np.arange(10_000)
    ours = reference.copy()
    ours[[5, 9]] += 1
    (wrong,) = compared(ours, reference, 1.0).beyond
    assert (wrong.path, wrong.text) == (
        "x[5]",
        "6, and 5 on the CPU; 2 of 10,000 elements differ",
    )
    assert not agree(torch.tensor([True, False]), torch.tensor([True, True]))
    assert not agree("cat", "dog")
    assert not agree(3, 4)
    assert not agree(np.array(["a"]), np.array(["b"]))
    (wrong,) = compared(np.ones((2, 3)), np.ones((3, 2)), 1.0).beyond
    assert "shape (2, 3)" in wrong.text
    assert not agree([1.0, 2.0], [1.0])
    assert not agree({"a": 1.0}, {"b": 1.0})
    assert not agree(np.ones(1), "one")
    assert not agree({1, 2}, {1, 3})


def test_the_name_of_a_device_says_where_and_not_what():
    for ours in ("mps", "mps:0", "cuda:1", "gpu"):
        assert compared(ours, "cpu").compared == 0
        assert agree(ours, "cpu")
    assert not agree("mps2", "cpu")
    assert not agree("mps", "the cpu")


def test_a_tolerance_of_ones_own_counts_for_all_floating_numbers():
    ours, reference = rounded(100, 0.01)
    for kind in (torch.float32, torch.float16):
        assert not compared(ours.to(kind), reference.to(kind), 0.02).beyond
        assert compared(ours.to(kind), reference.to(kind), 0.001).beyond
    assert compared(1.0 + 1e-12, 1.0, 0.0).beyond


def trained() -> dict[str, object]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer}


def test_models_optimizers_and_gradients_are_entered_by_name():
    for change, path in (
        (lambda m: m["model"][2].weight.data.mul_(1.5), "x['model'].2.weight["),
        (lambda m: m["model"][0].bias.grad.add_(1.0), "x['model'].0.bias.grad["),
        (
            lambda m: m["optimizer"].state_dict()["state"][0]["exp_avg"].add_(1.0),
            "x['optimizer'].state_dict()['state'][0]['exp_avg'][",
        ),
    ):
        ours = trained()
        assert agree(ours, trained())
        change(ours)
        assert any(each.path.startswith(path) for each in compared(ours, trained()).beyond)


class Thing:
    def __init__(self, value: object) -> None:
        self.value = value
        self.itself = self


def test_circles_end_and_what_cannot_be_compared_is_named():
    assert agree(Thing(1.0), Thing(1.0))
    assert [each.path for each in compared(Thing(1.0), Thing(2.0)).beyond] == ["x.value"]
    found = compared([1.0, iter([])], [1.0, iter([])])
    assert found.compared == 1
    assert found.left_out == ["x[1] (list_iterator)"]


def test_arrays_of_other_packages_are_compared_too():
    assert agree(mx.array([1.0, 2.0], mx.bfloat16), mx.array([1.0, 2.01], mx.bfloat16))
    assert not agree(mx.array([1.0, 2.0]), mx.array([1.0, 2.01]))
    table = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    other = table.assign(a=[1.0, 2.5])
    assert [each.path for each in compared(other, table).beyond] == ["x['a'][1]"]
    assert not agree(table["a"], other["a"])
    assert not agree(torch.eye(3).to_sparse(), (2 * torch.eye(3)).to_sparse())


def test_a_tensor_alone_is_compared_with_its_gradient():
    leaf, other = (torch.ones(2, requires_grad=True) for _ in range(2))
    (leaf * 2).sum().backward()
    (other * 3).sum().backward()
    assert [each.path for each in compared(leaf, other).beyond] == ["x.grad[0]"]


def test_the_worst_is_what_exceeds_its_own_tolerance_most():
    found = Comparison()
    found.add("half", torch.tensor([1.01], dtype=torch.float16), torch.ones(1, dtype=torch.float16))
    found.add("single", torch.tensor([1.001]), torch.ones(1))
    assert found.worst is not None
    assert found.worst.path == "single[0]"
    assert [each.path for each in found.beyond] == ["single[0]"]


DATES = pd.to_datetime(["2020-01-01", None])
SLOTTED = dataclasses.make_dataclass("Slotted", ["size"], slots=True)
#: By what they are: a value, and one that is another.
TOLD_APART = {
    "a column of texts": [pd.DataFrame({"a": [x, "y"]}) for x in "xz"],
    "the second of two columns of one name": [
        pd.DataFrame([[x, 2]], columns=["a", "a"]) for x in (1, 9)
    ],
    "whole numbers, one missing": [pd.Series([x, None], dtype="Int64") for x in (1, 2)],
    "categories": [pd.Categorical(["a", x], categories=["a", "b"]) for x in "ab"],
    "a column of categories": [
        pd.DataFrame({"a": pd.Categorical(["a", x], categories=["a", "b"])}) for x in "ab"
    ],
    "an index": [pd.Series([1.0, 2.0], index=["a", x]) for x in "bc"],
    "an index of two levels": [pd.MultiIndex.from_product([[1], [2, x]]) for x in (3, 4)],
    "times of a zone": [pd.Series(DATES.tz_localize(zone)) for zone in ("UTC", "Asia/Tokyo")],
    "periods": [pd.period_range(year, periods=2, freq="M") for year in ("2020", "2021")],
    "one time": [pd.Timestamp(year) for year in ("2020", "2021")],
    "dates": [DATES, DATES[::-1]],
    "records": [np.array([(1, x)], dtype=[("a", "i4"), ("b", "f4")]) for x in (1.0, 2.0)],
    "objects in an array": [np.array(["a", x, None], dtype=object) for x in (1, 2)],
    "arrays in an array": [np.array([np.ones(2) * x, None], dtype=object) for x in (1, 2)],
    "a mask": [np.ma.array([1, 2], mask=[0, x]) for x in (0, 1)],
    "exact numbers": [Decimal("1.1"), Decimal("1.2")],
    "what was text": [np.array(["1"]), np.array([1.0])],
    "attributes without a dict": [SLOTTED(1), SLOTTED(2)],
    "a queue": [collections.deque([1]), collections.deque([2])],
}


@pytest.mark.parametrize("kind", TOLD_APART)
def test_values_of_every_kind_are_told_apart_and_equal_ones_are_not(kind):
    ours, reference = TOLD_APART[kind]
    found = compared(ours, reference)
    assert found.beyond
    assert found.left_out == []
    same = compared(copy.deepcopy(ours), ours)
    assert (same.differences, same.left_out) == ([], [])
    assert same.compared


class Refuses:
    @property
    def __dict__(self):
        raise ValueError("not today")


def test_one_value_that_cannot_be_asked_costs_no_other_its_comparison():
    ours, reference = [np.array([1.0, Refuses()], dtype=object), Refuses(), 1.0], [2.0] * 3
    reference[0] = np.array([2.0, Refuses()], dtype=object)
    reference[1] = Refuses()
    found = compared(ours, reference)
    assert [each.path for each in found.beyond] == ["x[0][0]", "x[2]"]
    refused = "(Refuses: ValueError: not today)"
    assert found.left_out == [f"x[0][1] {refused}", f"x[1] {refused}"]
