"""Labels, selectors, affinity and taints against the tables of Kubernetes' own tests.

``pytest tests/conformance --k8s-cases FILE`` takes another file of the same format.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu.scheduling.affinity import (
    Affinity,
    Preference,
    preferred_terms,
    required_terms,
    spread,
)
from jupyter_macgpu.scheduling.labels import SelectorError
from jupyter_macgpu.scheduling.selectors import Selector, parse_selector, requirement
from jupyter_macgpu.scheduling.taints import Taint, Toleration, avoided, untolerated

OWN_CASES = Path(__file__).with_name("k8s_cases.json")
Case = dict[str, Any]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    file = metafunc.config.getoption("--k8s-cases") or OWN_CASES
    cases = json.loads(file.read_text(encoding="utf-8"))["cases"]
    if "case" in metafunc.fixturenames:
        names = [f"{case['id']}-{case['kind']}" for case in cases]
        metafunc.parametrize("case", cases, ids=names)


def affinity(pod: Case) -> Affinity:
    required = [pod[key] for key in ("required", "added_required") if pod.get(key) is not None]
    return Affinity(
        node_selector=pod.get("nodeSelector") or {},
        required=tuple(map(required_terms, required)),
        preferred=preferences(pod),
    )


def preferences(pod: Case) -> tuple[Preference, ...]:
    return preferred_terms([*(pod.get("preferred") or []), *(pod.get("added_preferred") or [])])


def taints(raw: list[Case] | None) -> list[Taint]:
    return [Taint(**one) for one in raw or []]


def tolerations(raw: list[Case] | None) -> list[Toleration]:
    return [
        Toleration(**{"seconds" if key == "tolerationSeconds" else key: one[key] for key in one})
        for one in raw or []
    ]


def is_feasible(case: Case) -> Case:
    node, pod = case["node"], case["pod"]
    compares = case.get("comparison_operators", False)
    tolerated = not untolerated(
        taints(node.get("taints")), tolerations(pod.get("tolerations")), compares=compares
    )
    matches = affinity(pod).matches(node.get("name", ""), node.get("labels") or {})
    return {"feasible": tolerated and matches}


def scores_of_affinity(case: Case) -> Case:
    asked = affinity(case["pod"])
    raw = [asked.preference(node["name"], node.get("labels") or {}) for node in case["nodes"]]
    return {"scores": by_name(case, spread(raw))}


def scores_of_taints(case: Case) -> Case:
    borne = tolerations(case["pod"].get("tolerations"))
    compares = case.get("comparison_operators", False)
    raw = [avoided(taints(n.get("taints")), borne, compares=compares) for n in case["nodes"]]
    return {"scores": by_name(case, spread(raw, is_reversed=True))}


def by_name(case: Case, scores: list[int]) -> dict[str, int]:
    return dict(zip([node["name"] for node in case["nodes"]], scores, strict=True))


def is_untolerated(case: Case) -> Case:
    borne = tolerations(case["tolerations"])
    effects, compares = case.get("considered_effects"), case.get("comparison_operators", False)
    left = untolerated(taints(case["taints"]), borne, effects=effects, compares=compares)
    return {"tolerated": not left}


def is_tolerated(case: Case) -> Case:
    (one,), (taint,) = tolerations([case["toleration"]]), taints([case["taint"]])
    return {"tolerated": one.tolerates(taint, compares=case.get("comparison_operators", False))}


def preferred_score(case: Case) -> Case:
    node = case["node"]
    score = affinity(case["pod"]).preference(node.get("name", ""), node.get("labels") or {})
    return {"raw_score": score}


def refused(action: Callable[[], object]) -> bool:
    try:
        action()
    except SelectorError as error:
        return bool(error.problems)
    return False


def matches(selector: Selector, case: Case) -> Case:
    return {"match": selector.matches(case["labels"])}


def all_of(raw: list[Case]) -> Selector:
    return Selector(
        requirements=tuple(requirement(o["key"], o["op"], o["values"] or []) for o in raw)
    )


def is_valid_requirement(case: Case) -> Case:
    raw = case["requirement"]
    return {"valid": not refused(lambda: requirement(raw["key"], raw["op"], raw["values"] or []))}


KINDS: dict[str, Callable[[Case], Case]] = {
    "feasible": is_feasible,
    "score_nodeaffinity": scores_of_affinity,
    "score_tainttoleration": scores_of_taints,
    "untolerated": is_untolerated,
    "tolerates": is_tolerated,
    "preferred_raw": preferred_score,
    "invalid_selector": lambda case: {
        "error": refused(required_terms(case["pod"]["required"]).check)
    },
    "invalid_preferred": lambda case: {"error": refused(lambda: preferences(case["pod"]))},
    "selector_match": lambda case: matches(parse_selector(case["selector"]), case),
    "selector_parse": lambda case: {"valid": not refused(lambda: parse_selector(case["selector"]))},
    "requirements_match": lambda case: matches(all_of(case["requirements"]), case),
    "requirement_valid": is_valid_requirement,
}


def test_kubernetes_says_the_same(case: Case) -> None:
    assert KINDS[case["kind"]](case) == case["expect"]
