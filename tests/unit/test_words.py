"""What browsers are told: the same text for all, and never of yesterday."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.link import Link
from jupyter_macgpu.monitor import Monitor
from jupyter_macgpu.reach import Reach, nobody_to_ask
from jupyter_macgpu.server.board import Board, News
from jupyter_macgpu.server.inbox import Inbox
from jupyter_macgpu.server.rows import host_row, same_row
from jupyter_macgpu.server.tail import Had
from jupyter_macgpu.server.words import Words
from jupyter_macgpu.statuses import Statuses
from jupyter_macgpu.wire.errors import TransportError


class Nothing:
    def since(self, run: str, first: int, had: Had) -> tuple[dict[str, Any], Had] | None:
        return None


def host(name: str, state: str = "ready") -> dict[str, Any]:
    return {"name": name, "state": state}


def told(inbox: Inbox, words: Words) -> list[str]:
    return list(inbox.messages(words, Nothing(), "me"))


def test_all_browsers_are_told_the_same_text_which_is_made_once() -> None:
    board = Board(lambda: 0.0)
    words = Words(board)
    board.set_hosts([host("a"), host("b")])
    browsers = [Inbox() for _ in range(3)]
    texts = [told(inbox, words) for inbox in browsers]
    assert len({id(text) for (text,) in texts}) == 1
    news = board.set_hosts([host("a", "busy"), host("b")])
    assert news is not None
    for inbox in browsers:
        inbox.take(news)
    changed = [told(inbox, words) for inbox in browsers]
    assert len({id(text) for (text,) in changed}) == 1
    assert json.loads(changed[0][0])["hosts"] == [host("a", "busy")]


def test_what_changed_between_two_browsers_is_told_to_the_second() -> None:
    board = Board(lambda: 0.0)
    words = Words(board)
    board.set_hosts([host("a")])
    assert json.loads(told(Inbox(), words)[0])["problems"] == []
    board.set_problems(["macgpu.yaml, line 3: no host"])
    assert json.loads(told(Inbox(), words)[0])["problems"]
    board.set_hosts([host("a", "busy")])
    assert json.loads(told(Inbox(), words)[0])["hosts"] == [host("a", "busy")]


def test_each_user_is_told_who_it_is() -> None:
    words = Words(Board(lambda: 0.0))
    said = [json.loads(next(Inbox().messages(words, Nothing(), user))) for user in ("ana", "ben")]
    assert [each["user"] for each in said] == ["ana", "ben"]


def test_metrics_of_two_moments_are_two() -> None:
    board, inbox = Board(lambda: 0.0), Inbox()
    words = Words(board)
    told(inbox, words)
    for at in (1.0, 2.0):
        inbox.take(News(kind="metrics", content={"at": at, "hosts": {}}))
        (text,) = told(inbox, words)
        assert json.loads(text)["at"] == at


def test_a_row_is_made_anew_only_where_a_host_said_something(tmp_path: Path) -> None:
    hosts = [Host(name=name, transport="local") for name in ("a", "b")]
    reach, statuses = Reach(nobody_to_ask), Statuses(tmp_path)
    monitor = Monitor(hosts, lambda host: _link(reach, host), statuses)
    statuses.told(hosts[0], {"gpu_taken": 0.5, "lanes": {"gpu": {"slots": 1, "running": 1}}})
    before = {seen.host.name: (seen, host_row(seen)) for seen in monitor.view()}
    time.sleep(0.15)
    for seen in monitor.view():
        row = same_row(before[seen.host.name], seen)
        assert row == host_row(seen)
        # It is the same row, a little later.
        assert row["lanes"] is before[seen.host.name][1]["lanes"]
    statuses.told(hosts[0], {"gpu_taken": 0.0, "lanes": {"gpu": {"slots": 1, "running": 0}}})
    statuses.failed(hosts[1], TransportError("b does not answer"))
    for seen in monitor.view():
        row = same_row(before[seen.host.name], seen)
        assert row == host_row(seen)
        assert row != before[seen.host.name][1]


def _link(reach: Reach, host: Host) -> Link:
    return Link(reach.transport(host), "0" * 32, "0" * 32)
