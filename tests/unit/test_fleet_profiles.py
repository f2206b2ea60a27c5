"""Taints, profiles and policy of a fleet file: what they may say, and what results."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_macgpu.fleet.draft import read_draft
from jupyter_macgpu.fleet.file import FleetFileError, load_fleet, parse_fleet
from jupyter_macgpu.fleet.hosts import Fleet
from jupyter_macgpu.fleet.layers import join_profiles
from jupyter_macgpu.fleet.places import Places
from jupyter_macgpu.fleet.profiles import Profile, choose
from jupyter_macgpu.scheduling.affinity import Affinity
from jupyter_macgpu.scheduling.taints import Taint, Toleration
from jupyter_macgpu.wire.errors import ConfigError
from jupyter_macgpu.wire.policy import HostPolicy, Limits

WHOLE = """\
version: 1
defaults:
  taints: [{key: apple.com/gpu, value: present, effect: NoSchedule}]
  policy: {max_time: 2h, managed_by: slurm}
hosts:
  one: {}
  two:
    slots: 2
    labels: {room: lab}
    taints: [{key: owner, effect: PreferNoSchedule}, {key: owner, effect: NoExecute}]
    policy: {max_time: 1h30m, max_runs: 3, max_memory: 48GB, drain: true,
             owner_hours: ["Mon-Fri 09:00-17:00", "22:00-06:00"]}
  three: {taints: []}
profiles:
  train:
    nodeSelector: {gpu-type: metal}
    tolerations:
      - {key: apple.com/gpu, operator: Exists}
      - {key: spot, value: "yes", effect: NoExecute, tolerationSeconds: 60}
    mem: 24GB
  small: {cpu: true, mem: 512MiB}
  nothing: {}
  near:
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
            - matchExpressions: [{key: chip, operator: In, values: [m2-ultra, m3-ultra]}]
            - matchFields: [{key: metadata.name, operator: NotIn, values: [one]}]
        preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 50
            preference: {matchExpressions: [{key: room, operator: Exists}]}
"""
GPU = Taint(key="apple.com/gpu", value="present", effect="NoSchedule")


def profiles(text: str) -> dict[str, Profile]:
    draft = read_draft(text, "f")
    assert not draft.problems
    return join_profiles([draft])


def test_taints_come_from_the_defaults_or_from_the_host_alone() -> None:
    one, two, three = parse_fleet(WHOLE, "f")
    assert one.taints == (GPU,)
    assert two.taints == (
        Taint(key="owner", effect="PreferNoSchedule"),
        Taint(key="owner", effect="NoExecute"),
    )
    assert three.taints == ()


def test_limits_are_laid_over_each_other_key_by_key() -> None:
    one, two, _ = parse_fleet(WHOLE, "f")
    assert one.policy == Limits(max_time=7200.0, managed_by="slurm")
    assert two.policy == Limits(
        max_time=5400.0,
        managed_by="slurm",
        max_runs=3,
        max_memory=48 * 10**9,
        drain=True,
        owner_hours=("Mon-Fri 09:00-17:00", "22:00-06:00"),
    )


def test_the_whole_policy_has_what_the_file_says_of_the_host() -> None:
    one, two, three = parse_fleet(WHOLE, "f")
    assert two.whole_policy == HostPolicy(
        labels={"room": "lab"},
        taints=(
            {"key": "owner", "value": "", "effect": "PreferNoSchedule"},
            {"key": "owner", "value": "", "effect": "NoExecute"},
        ),
        slots=2,
        limits=two.policy,
    )
    assert one.whole_policy.slots is None
    assert three.whole_policy.taints == ()


def test_profiles_have_kubernetes_keys() -> None:
    found = profiles(WHOLE)
    assert list(found) == ["train", "small", "nothing", "near"]
    assert found["train"] == Profile(
        name="train",
        affinity=Affinity(node_selector={"gpu-type": "metal"}),
        tolerations=(
            Toleration(key="apple.com/gpu", operator="Exists"),
            Toleration(key="spot", value="yes", effect="NoExecute", seconds=60),
        ),
        mem=24 * 10**9,
    )
    assert found["small"] == Profile(name="small", cpu=True, mem=512 * 2**20)
    assert found["nothing"] == Profile(name="nothing")
    near = found["near"].affinity
    assert near.matches("two", {"chip": "m1"})
    assert near.matches("one", {"chip": "m3-ultra"})
    assert not near.matches("one", {"chip": "m1"})
    assert near.preference("one", {"room": "lab"}) == 50


def test_a_profile_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(ConfigError) as caught:
        choose(profiles(WHOLE), "trian")
    assert caught.value.next == "Did you mean train?"
    with pytest.raises(ConfigError) as caught:
        choose(profiles(WHOLE), "qqqqqq")
    assert "train, small, nothing, near" in caught.value.next
    assert choose(profiles(WHOLE), "train").name == "train"


def load(tmp_path: Path, user: str, site: str) -> Fleet:
    for name, text in (("user", user), ("site", site)):
        (tmp_path / name).mkdir(mode=0o755)
        (tmp_path / name / "macgpu.yaml").write_text(text)
    places = Places(user=tmp_path / "user", site=tmp_path / "site", site_owner=os.getuid())
    return load_fleet({}, places)


def test_profiles_of_two_files_are_laid_over_each_other_key_by_key(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        "version: 1\nhosts: {own: {}}\nprofiles: {train: {mem: 8GB}, mine: {cpu: true}}\n",
        "version: 1\nhosts: {shared: {}}\nprofiles: {train: {mem: 24GB, cpu: true}, all: {}}\n",
    )
    assert fleet.profiles == {
        "train": Profile(name="train", mem=8 * 10**9, cpu=True),
        "mine": Profile(name="mine", cpu=True),
        "all": Profile(name="all"),
    }


def taints(text: str) -> str:
    return f"version: 1\nhosts:\n  a:\n    taints: {text}\n"


def policy(text: str) -> str:
    return f"version: 1\nhosts:\n  a:\n    policy: {{{text}}}\n"


def profile(text: str) -> str:
    return f"version: 1\nhosts: {{a: {{}}}}\nprofiles:\n  p: {{{text}}}\n"


def affinity(text: str) -> str:
    head = "version: 1\nhosts: {a: {}}\nprofiles:\n  p:\n    affinity:\n      nodeAffinity:\n"
    return head + text


_NODE = "profiles.p.affinity.nodeAffinity"
_REQUIRED = f"{_NODE}.requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = f"{_NODE}.preferredDuringSchedulingIgnoredDuringExecution"
#: text -> line, key and text of the problems.
BAD = {
    taints("{}"): [(4, "hosts.a.taints", "must be a list")],
    taints("[{effect: NoSchedule}]"): [(4, "hosts.a.taints[0].key", "is missing")],
    taints("[{key: a}]"): [(4, "hosts.a.taints[0].effect", "is missing")],
    taints("[{key: a, efect: NoSchedule}]"): [
        (4, "hosts.a.taints[0].efect", "did you mean effect?"),
        (4, "hosts.a.taints[0].effect", "is missing"),
    ],
    taints("[{key: a, effect: Never}]"): [(4, "hosts.a.taints[0].effect", "PreferNoSchedule or")],
    taints("[{key: /a, effect: NoSchedule}]"): [(4, "hosts.a.taints[0].key", "prefix")],
    taints("[{key: a, value: 1, effect: NoSchedule}]"): [
        (4, "hosts.a.taints[0].value", 'write it as "1"')
    ],
    taints("\n    - {key: a, effect: NoExecute}\n    - {key: a, value: b, effect: NoExecute}"): [
        (6, "hosts.a.taints[1]", "stands there already")
    ],
    policy("max_runs: 0"): [(4, "hosts.a.policy.max_runs", "from 1 to 1000")],
    policy("max_time: 60"): [(4, "hosts.a.policy.max_time", "the unit is missing")],
    policy("max_memory: lots"): [(4, "hosts.a.policy.max_memory", "not a size")],
    policy("drain: yes"): [(4, "hosts.a.policy.drain", "true or false")],
    policy("owner_hours: 09:00-17:00"): [(4, "hosts.a.policy.owner_hours", "must be a list")],
    policy("owner_hours: [9-17]"): [(4, "hosts.a.policy.owner_hours[0]", "Mon-Fri 09:00-17:00")],
    policy("managed_by: the slurm team"): [(4, "hosts.a.policy.managed_by", "one word")],
    policy("slots: 1"): [(4, "hosts.a.policy.slots", "unknown key")],
    "version: 1\nhosts: {a: {}}\nprofiles: {'a b': {}}": [(3, "profiles", "cannot be one")],
    profile("environment: nlp"): [(4, "profiles.p.environment", "not available in this version")],
    profile("env: nlp"): [(4, "profiles.p.env", "not available in this version")],
    profile("engine: lab"): [(4, "profiles.p.engine", "not available in this version")],
    profile("partition: gpu"): [(4, "profiles.p.partition", "not available in this version")],
    profile("nodeselector: {}"): [(4, "profiles.p.nodeselector", "did you mean nodeSelector?")],
    profile("nodeSelector: {a: 1}"): [(4, "profiles.p.nodeSelector.a", 'write it as "1"')],
    profile("mem: 24"): [(4, "profiles.p.mem", "the unit is missing. Write 24GB")],
    profile("cpu: 1"): [(4, "profiles.p.cpu", "true or false")],
    profile("tolerations: [{operator: Equal, value: x}]"): [
        (4, "profiles.p.tolerations[0].operator", "Exists where there is no key")
    ],
    profile("tolerations: [{key: a, tolerationSeconds: 5}]"): [
        (4, "profiles.p.tolerations[0].tolerationSeconds", "needs the effect NoExecute")
    ],
    profile("tolerations: [{key: a, operator: Gt, value: 007}]"): [
        (4, "profiles.p.tolerations[0].value", 'write it as "007"')
    ],
    profile("affinity: {}"): [(4, "profiles.p.affinity.nodeAffinity", "is missing")],
    profile("affinity: {podAffinity: {}, nodeAffinity: {}}"): [
        (4, "profiles.p.affinity.podAffinity", "not available in this version")
    ],
    affinity(
        "        requiredDuringSchedulingIgnoredDuringExecution:\n"
        "          nodeSelectorTerms:\n"
        "            - {}\n"
        "            - matchExpressions:\n"
        "                - {key: a, operator: In}\n"
        "                - {key: b, operator: Gt, values: [x]}\n"
    ): [
        (9, f"{_REQUIRED}.nodeSelectorTerms[0]", "fits no host"),
        (11, f"{_REQUIRED}.nodeSelectorTerms[1].matchExpressions[0].values", "at least one"),
        (12, f"{_REQUIRED}.nodeSelectorTerms[1].matchExpressions[1].values", "whole number"),
    ],
    affinity(
        "        requiredDuringSchedulingIgnoredDuringExecution:\n          nodeSelectorTerms: []\n"
    ): [(8, f"{_REQUIRED}.nodeSelectorTerms", "this is empty")],
    affinity(
        "        preferredDuringSchedulingIgnoredDuringExecution:\n"
        "          - {weight: 0, preference: {matchExpressions: []}}\n"
        "          - preference: {matchExpresions: []}\n"
    ): [
        (8, f"{_PREFERRED}[0].weight", "from 1 to 100"),
        (9, f"{_PREFERRED}[1].preference.matchExpresions", "did you mean matchExpressions?"),
        (9, f"{_PREFERRED}[1].weight", "is missing"),
    ],
    affinity(
        "        preferredDuringSchedulingIgnoredDuringExecution:\n"
        "          - weight: 5\n"
        "            preference:\n"
        "              matchExpressions:\n"
        "                - {key: -a, operator: Exists}\n"
        "                - {key: a, operator: Exists, values: [b]}\n"
    ): [
        (11, f"{_PREFERRED}[0].preference.matchExpressions[0].key", "letter or digit"),
        (12, f"{_PREFERRED}[0].preference.matchExpressions[1].values", "takes none"),
    ],
    "version: 1\nhosts: {a: {}}\nengines: {}\nenvironments: {}\n": [
        (3, "engines", "not available in this version"),
        (4, "environments", "not available in this version"),
    ],
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[-60:]))
def test_what_is_wrong_is_said_with_its_line_and_key(text: str) -> None:
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, "macgpu.yaml")
    problems = sorted(caught.value.problems, key=lambda problem: (problem.line, problem.key))
    assert [(each.line, each.key) for each in problems] == [each[:2] for each in BAD[text]]
    for problem, (_, _, said) in zip(problems, BAD[text], strict=True):
        assert said in problem.text
        assert len(problem.text) < 250
