"""Fleet files laid over each other: from what files say to the hosts that result.

Rule 1: what a file says of one host beats what any file says of all; among files the first wins.
So a user's ``user`` and ``identity_file`` beat the site's defaults, and an account that the site
gives for one host is kept unless the user names another for that host. Defaults of the user's
file hold for all hosts, those of a site file for the hosts that it names itself.

Labels, limits of a policy and profiles are laid over each other key by key; a host's own list of
taints takes the place of a shared one.

Rule 2: nobody but the user makes a host of somebody else's file one whose data may run code
here. Such hosts have ``trust: data`` until the user says ``full``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..wire.policy import Limits
from .draft import Draft, Settings, read_draft
from .fields import SSH_ONLY
from .hosts import Host
from .problems import FleetFileError, Problem
from .profiles import Profile, profile_from


def parse_fleet(text: str, file: str) -> tuple[Host, ...]:
    """Read the hosts from the text of a fleet file that stands alone.

    Parameters
    ----------
    text
        The file's content.
    file
        What errors call the file.

    Raises
    ------
    FleetFileError
        With every problem that was found.
    """
    return join([read_draft(text, file)])


def join(drafts: Sequence[Draft]) -> tuple[Host, ...]:
    """Return the hosts that files describe together.

    Parameters
    ----------
    drafts
        At least one; what stands in an earlier one beats what stands in a later one. The hosts
        come in this order too.

    Raises
    ------
    FleetFileError
        With every problem of every file.
    """
    problems = [problem for draft in drafts for problem in draft.problems]
    problems += _without_hosts(drafts)
    names = dict.fromkeys(name for draft in drafts for name in draft.hosts)
    problems += [problem for name in names for problem in _misplaced(name, drafts)]
    if problems:
        order = [draft.file for draft in drafts]
        problems.sort(key=lambda problem: (order.index(problem.file), problem.line))
        raise FleetFileError(drafts[0].file, problems)
    return tuple(_host(name, drafts) for name in names)


def join_profiles(drafts: Sequence[Draft]) -> dict[str, Profile]:
    """Return the profiles that files describe together, the first file's first.

    Parameters
    ----------
    drafts
        As for `join`, which says what is wrong with them.
    """
    names = dict.fromkeys(name for draft in drafts for name in draft.profiles)
    found: dict[str, Profile] = {}
    for name in names:
        said: dict[str, Any] = {}
        for draft in reversed(drafts):
            said |= draft.profiles.get(name, {})
        found[name] = profile_from(name, said)
    return found


def _without_hosts(drafts: Sequence[Draft]) -> list[Problem]:
    """Return the problem of files that name no host at all."""
    if any(draft.hosts or not draft.readable for draft in drafts):
        return []
    written = [draft for draft in drafts if draft.hosts_line]
    if not written:
        text = "this key is missing; write the hosts under it, by name"
        return [Problem(line=0, key="hosts", text=text, file=drafts[0].file)]
    if any(draft.problems for draft in drafts):
        return []
    text = "there is no host under this key"
    return [Problem(line=written[0].hosts_line, key="hosts", text=text, file=written[0].file)]


def _misplaced(name: str, drafts: Sequence[Draft]) -> list[Problem]:
    """Return the settings of a local host that belong to hosts over SSH alone."""
    if _said(name, drafts).get("transport") != "local":
        return []
    text = f"this is for hosts over ssh, and {name} has transport: local; leave one of them out"
    return [
        Problem(line=said[key][1], key=f"hosts.{name}.{key}", text=text, file=draft.file)
        for draft in drafts
        for said in [draft.hosts.get(name, {})]
        for key in SSH_ONLY
        if key in said
    ]


def _said(name: str, drafts: Sequence[Draft]) -> dict[str, Any]:
    """Return what files say of one host, the strongest word for each key."""
    said: dict[str, Any] = {}
    labels: dict[str, str] = {}
    policy: dict[str, Any] = {}
    for layer in reversed(_layers(name, drafts)):
        values = {key: value for key, (value, _) in layer.items()}
        labels |= values.pop("labels", {})
        policy |= values.pop("policy", {})
        said |= values
    return said | {"labels": labels, "policy": Limits(**policy)}


def _layers(name: str, drafts: Sequence[Draft]) -> list[Settings]:
    own = [draft.hosts.get(name, {}) for draft in drafts]
    # A site's account or interpreter means nothing on a machine that the user alone has listed.
    shared = [draft.defaults for draft in drafts if draft.origin == "own" or name in draft.hosts]
    return [*own, *shared]


def _host(name: str, drafts: Sequence[Draft]) -> Host:
    said = _said(name, drafts)
    if said.get("transport") == "local":
        said = {key: value for key, value in said.items() if key not in SSH_ONLY}
        # What runs on this machine runs as the user anyway.
        said.setdefault("trust", "full")
    elif any(draft.origin != "own" for draft in drafts if name in draft.hosts):
        said.setdefault("trust", "data")
    return Host(name=name, **said)
