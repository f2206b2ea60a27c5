"""Label selectors, affinity and taints beside what Kubernetes' own tables say of them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_macgpu.scheduling.affinity import Affinity, preferred_terms, required_terms, spread
from jupyter_macgpu.scheduling.labels import (
    SelectorError,
    canonical_integer,
    integer,
    key_problem,
    value_problem,
)
from jupyter_macgpu.scheduling.selectors import Selector, parse_selector
from jupyter_macgpu.scheduling.taints import (
    Taint,
    Toleration,
    parse_toleration,
    stay,
    taint_from,
    toleration_problems,
    untolerated,
)

#: A selector, and how it is written when it is written again.
CANONICAL = {
    "gpu-type=metal,chip in (m3-ultra, m2-ultra)": "chip in (m2-ultra,m3-ultra),gpu-type=metal",
    " ! x , a != b , a notin ( ) ": "a!=b,a notin (),!x",
    "x==y": "x==y",
    "memory>64,memory<0512": "memory>64,memory<0512",
    "in in (in,notin)": "in in (in,notin)",
    "x in (,a)": "x in (,a)",
    "x in (a,)": "x in (,a)",
    "x in (a,,b)": "x in (,a,b)",
    "x in (,)": "x in ()",
    "x=in": "x=in",
    "x=,y": "x=,y",
    "apple.com/gpu,notin": "apple.com/gpu,notin",
    " \t\r\n": "",
    "x!=": "x!=",
}
#: What cannot be read, and what the error has to name.
MISREAD = {
    "x,": "after ','",
    ",": "found ','",
    "x y": "found 'y'",
    "x in a": "found 'a'",
    "x in (a": "found ''",
    "x in (a,,)": "found ')'",
    "x in (": "found ''",
    "x in (=)": "found '='",
    "!": "expected: identifier",
    "!!x": "found '!'",
    "!x=a": "found '='",
    "x=a=b": "found '='",
    "x===a": "found '='",
    "x=<": "found '<'",
    "x!a": "found '!'",
    "x>1.5": "whole number",
    "x>": "whole number",
    "x<-5": "either end",
    "x>9223372036854775808": "64 bits",
    "x=-a": "either end",
    "-x": "either end",
    "a/b/c=d": "DNS name",
    "/x": "prefix before the slash is empty",
    "Apple.com/x": "DNS name",
    "x/": "name is empty",
    "x=" + "a" * 64: "63",
    "a" * 64: "63",
    "a" * 254 + "/x": "253",
    "käse": "either end",
    "x=a\0": "either end",
}


@pytest.mark.parametrize("text", CANONICAL)
def test_a_selector_is_written_in_one_way(text: str) -> None:
    assert str(parse_selector(text)) == CANONICAL[text]
    assert parse_selector(CANONICAL[text]) == parse_selector(text)


@pytest.mark.parametrize("text", MISREAD)
def test_an_error_names_what_was_found(text: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_selector(text)
    assert MISREAD[text] in caught.value.what
    assert "nothing was sent" in str(caught.value)


WORDS = st.sampled_from(["x", "y", "in", "notin", "a.b/c", "1", "-1", "é", "", "exists"])
SIGNS = st.sampled_from([",", "=", "==", "!=", "!", "(", ")", "<", ">", " ", "\t", "in", "notin"])
TEXTS = st.lists(st.one_of(WORDS, SIGNS), max_size=14).map("".join)


@given(TEXTS | st.text(max_size=20))
@example("x in (,,)")
@example("!in")
def test_any_text_is_a_selector_or_an_error_with_four_parts(text: str) -> None:
    read = outcome(text)
    if isinstance(read, SelectorError):
        assert all([read.what, read.known, read.kept, read.next, read.problems])
    else:
        assert parse_selector(str(read)) == read


def outcome(text: str) -> Selector | SelectorError:
    try:
        return parse_selector(text)
    except SelectorError as error:
        return error


LABELS = st.dictionaries(
    st.sampled_from(["x", "y"]), st.sampled_from(["", "1", "2", "007", "a"]), max_size=2
)


@given(LABELS, st.sampled_from(["x", "y"]), st.sampled_from(["1", "2", "a", ""]))
def test_opposites_are_opposites(labels: dict[str, str], key: str, value: str) -> None:
    def holds(selector: str) -> bool:
        return parse_selector(selector).matches(labels)

    assert holds(f"{key}={value}") != holds(f"{key}!={value}")
    assert holds(f"{key} in ({value},2)") != holds(f"{key} notin ({value},2)")
    assert holds(key) != holds(f"!{key}")
    assert not (holds(f"{key}>1") and holds(f"{key}<2"))
    assert holds(f"{key}<8,{key}>6") == (labels.get(key) == "007")


def test_unmet_requirements_can_be_named() -> None:
    selector = parse_selector("chip in (m2,m3),gpu-type=metal")
    assert [str(one) for one in selector.unmet({"gpu-type": "metal"})] == ["chip in (m2,m3)"]


#: A text; the number that it is, if it is one; and whether it is written in the normal way.
NUMBERS = {
    "0": (0, True),
    "-5": (-5, True),
    "+5": (5, False),
    "-0": (0, False),
    "0100": (100, False),
    "9223372036854775807": (2**63 - 1, True),
    "-9223372036854775808": (-(2**63), True),
    "9223372036854775808": (None, False),
    "-9223372036854775809": (None, False),
    "0" * 5000 + "7": (7, False),
    "1" * 5000: (None, False),
    "": (None, False),
    "-": (None, False),
    "1.5": (None, False),
    " 1": (None, False),
    "1_0": (None, False),
    "\u0661": (None, False),
    "1\n": (None, False),
}


@pytest.mark.parametrize("text", NUMBERS, ids=lambda text: ascii(text[:24]))
def test_numbers_have_64_bits(text: str) -> None:
    number, is_canonical = NUMBERS[text]
    assert integer(text) == number
    assert canonical_integer(text) == (number if is_canonical else None)


def test_longest_names_are_still_names() -> None:
    assert key_problem("a" * 63) == key_problem(f"{'a' * 253}/{'b' * 63}") == ""
    assert value_problem("") == value_problem("a" * 63) == ""
    assert key_problem("a\n")
    assert value_problem("a\n")


def term(**condition: object) -> dict[str, object]:
    return {"matchExpressions": [condition]}


def test_a_wrong_term_is_skipped_and_named() -> None:
    terms = required_terms([term(key="x", operator="Near"), term(key="x", operator="Exists"), 7])
    assert terms.matches("", {"x": ""})
    assert terms.problems == (
        "nodeSelectorTerms[0].matchExpressions[0].operator: 'Near' is none of In, NotIn, Exists, "
        "DoesNotExist, Gt, Lt",
        "nodeSelectorTerms[2]: must have matchExpressions or matchFields",
    )
    with pytest.raises(SelectorError, match="Near"):
        terms.check()


#: Terms of a wrong shape, and what names the place.
MISSHAPEN = {
    "matchExpressions: must be a list": {"matchExpressions": {"key": "x"}},
    "matchExpressions[0]: must have texts": {"matchExpressions": ["x"]},
    "matchFields[0]: must have texts": {"matchFields": [{"key": "x", "values": [1]}]},
    "matchExpressions[0].values: 'gt' needs a whole": term(key="x", operator="Gt", values=["a"]),
    "matchFields[0].operator: 'Exists' is none": {
        "matchFields": [{"key": "metadata.name", "operator": "Exists"}]
    },
}


@pytest.mark.parametrize("problem", MISSHAPEN)
def test_a_misshapen_term_is_named_with_its_place(problem: str) -> None:
    assert problem in required_terms([MISSHAPEN[problem]]).problems[0]


def test_weights_go_from_1_to_100_and_0_is_ignored() -> None:
    wrong = {"weight": 101, "preference": term(key="x", operator="Exists")}
    with pytest.raises(SelectorError, match="from 1 to 100"):
        preferred_terms([wrong])
    assert preferred_terms([wrong | {"weight": 0}, {"weight": 5, "preference": {}}]) == ()


def test_a_field_that_no_host_has_is_empty() -> None:
    there, away = (
        required_terms([{"matchFields": [{"key": "spec.zone", "operator": o, "values": ["a"]}]}])
        for o in ("In", "NotIn")
    )
    assert not there.matches("h", {})
    assert away.matches("h", {})


def test_nothing_is_asked_of_the_fields_of_a_host_without_a_name() -> None:
    condition = {"key": "metadata.name", "operator": "In", "values": ["a"]}
    terms = required_terms([{"matchFields": [condition]}])
    assert terms.matches("", {})
    assert not terms.matches("b", {})


def test_what_is_required_and_missing_can_be_named() -> None:
    required = required_terms([term(key="x", operator="In", values=["b", "a"])])
    affinity = Affinity(node_selector={"k": "v"}, required=(required, required_terms([])))
    assert affinity.unmet("h", {"x": "c"}) == ["k=v", "x in (a,b)", "nothing"]


@given(st.lists(st.integers(0, 1000), max_size=6))
def test_scores_are_spread_up_to_100(raw: list[int]) -> None:
    for is_reversed in (False, True):
        scores = spread(raw, is_reversed=is_reversed)
        assert all(0 <= score <= 100 for score in scores)
        by_raw = [score for _, score in sorted(zip(raw, scores, strict=True))]
        assert by_raw == sorted(by_raw, reverse=is_reversed)


#: What --tolerate is given, a taint that it covers, and that taint as kubectl writes it.
TOLERATED = {
    "apple.com/gpu": (
        Taint(key="apple.com/gpu", value="present"),
        "apple.com/gpu=present:NoSchedule",
    ),
    "lab=a": (Taint(key="lab", value="a", effect="NoExecute"), "lab=a:NoExecute"),
    "lab=": (Taint(key="lab"), "lab:NoSchedule"),
    "lab:NoExecute": (Taint(key="lab", value="b", effect="NoExecute"), "lab=b:NoExecute"),
    "lab=a:NoSchedule": (Taint(key="lab", value="a"), "lab=a:NoSchedule"),
}


@pytest.mark.parametrize("text", TOLERATED)
def test_tolerations_as_typed(text: str) -> None:
    toleration = parse_toleration(text)
    taint, written = TOLERATED[text]
    assert str(taint) == written
    assert toleration.tolerates(taint)
    assert not toleration.tolerates(Taint(key="other", value="z", effect="PreferNoSchedule"))


@pytest.mark.parametrize("text", ["", ":NoExecute", "a b", "x=-", "x:Never", "=a", "a/b/c"])
def test_what_cannot_be_tolerated(text: str) -> None:
    with pytest.raises(SelectorError, match="is not valid") as caught:
        parse_toleration(text)
    assert "KEY=VALUE:EFFECT" in caught.value.next


#: Tolerations that Kubernetes' API refuses, by the place that it names.
REFUSED = {
    "operator: must be Exists": Toleration(operator="Equal"),
    "value: must be empty": Toleration(key="x", operator="Exists", value="a"),
    "value: must be a whole": Toleration(key="x", operator="Gt", value="07"),
    "effect: 'Never' is none of": Toleration(key="x", effect="Never"),
    "tolerationSeconds: needs": Toleration(key="x", effect="NoSchedule", seconds=5),
    "operator: 'Near' is none of": Toleration(key="x", operator="Near"),
}


@pytest.mark.parametrize("place", REFUSED)
def test_a_toleration_that_breaks_the_rules_is_refused(place: str) -> None:
    (problem,) = toleration_problems(REFUSED[place])
    assert problem.startswith(place)


def test_taints_are_read_with_kubernetes_keys() -> None:
    read = taint_from({"key": "apple.com/gpu", "value": "present", "effect": "NoSchedule"})
    assert read == Taint(key="apple.com/gpu", value="present")
    with pytest.raises(SelectorError, match="effect"):
        taint_from({"key": "x"})
    with pytest.raises(SelectorError, match="colour"):
        taint_from({"key": "x", "effect": "NoExecute", "colour": "red"})


def test_an_empty_key_that_exists_covers_everything() -> None:
    taints = [Taint(key="a"), Taint(key="b", value="c", effect="NoExecute")]
    assert untolerated(taints, [Toleration(operator="Exists")], effects=None) == []


GONE = Taint(key="gone", effect="NoExecute")


def bears(seconds: int | None, key: str = "gone") -> Toleration:
    return Toleration(key=key, operator="Exists", effect="NoExecute", seconds=seconds)


#: Taints, tolerations, and how long work may stay.
STAYS = {
    "no taint": ([], [], None),
    "one that does not end work": ([Taint(key="x")], [], None),
    "not tolerated": ([GONE], [], 0.0),
    "tolerated for ever": ([GONE], [bears(None)], None),
    "tolerated for a while": ([GONE], [bears(300)], 300.0),
    "less than nothing": ([GONE], [bears(-3)], 0.0),
    "the first that covers it counts": ([GONE], [bears(None), bears(3)], None),
    "the shortest of two": (
        [GONE, Taint(key="hot", effect="NoExecute")],
        [bears(30), bears(20, "hot")],
        20.0,
    ),
    "one of two is not tolerated": ([GONE, Taint(key="hot", effect="NoExecute")], [bears(30)], 0.0),
}


@pytest.mark.parametrize("name", STAYS)
def test_how_long_work_may_stay(name: str) -> None:
    taints, tolerations, seconds = STAYS[name]
    assert stay(taints, tolerations) == seconds
