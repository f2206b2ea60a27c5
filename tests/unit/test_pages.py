"""Pages of what hosts say: all of it is there, and nothing of it is HTML."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_macgpu import doctor, overview
from jupyter_macgpu.findings import Check
from jupyter_macgpu.scheduling.explain import Row, TermRow
from jupyter_macgpu.wire.plain import plain_line
from tests.unit.page import ANY, Page

TAGS = {"div", "table", "thead", "tbody", "tr", "th", "td", "wbr"}
LOOKS = {"mathjax_ignore tex2jax_ignore", "text-align:left", "text-align:right"}


def ranking(host: str = "m4", reason: str = "this notebook's host", term: str = "2 before it"):
    able = Row(
        host=host,
        place=1,
        score=-1.25,
        must_wait=True,
        terms={"queue": TermRow(points=-1.25, value=2.0, text=term)},
        reasons=[],
    )
    against = {"code": "memory", "text": reason, "is_passing": True}
    unable = Row(host="m1", place=None, score=None, must_wait=False, terms={}, reasons=[against])
    return {"host": host, "reason": reason, "rows": [able, unable], "speeds": {host: term}}


def description(host: str = "m4", reason: str = "", chip: str = "Apple M4", key: str = "room"):
    return {
        "host": host,
        "labels": {"simulated": "true", key: chip},
        "reason": reason,
        "said": {key: [{"user": chip}, {"user": reason}]},
    }


def checks(host: str = "m4", detail: str = "it answers", mend: str = "Begin it."):
    skipped = Check(name="tensor", state="skipped")
    return {host: [Check(name="login", state="failed", detail=detail, mend=mend), skipped]}


@settings(max_examples=40, deadline=None)
@given(st.tuples(ANY, ANY, ANY, ANY))
def test_whatever_a_host_says_is_text_in_a_page(texts):
    host, reason, third, key = texts
    for page in (
        overview.ranked_page(ranking(host, reason, third)),
        overview.described_page(description(host, reason, third, key)),
        doctor.page(checks(host, reason, third)),
    ):
        found = Page(page)
        assert found.tags <= TAGS
        assert found.attributes <= {"class", "style"}
        assert found.looks <= LOOKS
        assert not set(found.text) & set("\x1b\x00\x9b\u202e\r\n")
        shown = " ".join(found.text.split())
        assert all(" ".join(plain_line(text).split()) in shown for text in texts[:3])


def test_a_ranking_has_what_its_text_has():
    data = ranking()
    page = overview.ranked_page(data)
    for words in ("would run on m4: this notebook&#x27;s host", "2 before it (-1.2)", "m4: 2 befo"):
        assert words in page
        assert words.replace("&#x27;", "'") in overview.ranked(data)
    assert page.count("<tr>") == 3
    nobody = {"host": None, "reason": "no host can take it now", "rows": []}
    assert Page(overview.ranked_page(nobody)).text == overview.ranked(nobody)


def test_a_run_of_a_large_fleet_says_that_not_all_hosts_are_shown():
    data = {**ranking(), "run": "0123456789abcdef"}
    assert "the best" not in overview.ranked_page(data)
    data["rows"] = data["rows"] * 5
    assert "run 01234567 went to m4" in overview.ranked_page(data)
    assert "the best 10 hosts" in overview.ranked_page(data)


def test_what_mends_a_check_stands_beside_it_where_there_is_something():
    page = Page(doctor.page(checks()))
    assert "statecheckfoundnext" in page.text
    assert "failedloginit answersBegin it." in page.text
    assert "statecheckfoundfailed" in Page(doctor.page(checks(mend=""))).text


def test_a_long_word_can_be_broken_and_is_whole_all_the_same():
    word = "SHA256:" + "Nr6sXSx5&<b>" * 4
    page = doctor.page(checks(detail=f"{word}, known by the fleet file"))
    assert page.count("<wbr>") == -(-len(word + ",") // 8) - 1
    assert f"{word}, known by the fleet file" in Page(page).text
    assert "<wbr>" not in doctor.page(checks(detail="a sentence of short words " * 9))


def test_parts_of_a_description_are_tables_of_their_own():
    data = {"host": "m4", "labels": {"room": "cellar"}, "slots": 1}
    data["telemetry"] = {"machine": {"chip": "Apple M4"}, "heat": {"level": 0}, "age": 1.5}
    text = Page(overview.described_page(data)).text
    assert (
        text == "m4slots1telemetry.age1.5labelsroomcellar"
        "telemetry: machinechipApple M4telemetry: heatlevel0"
    )
