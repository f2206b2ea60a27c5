"""``macgpu diff`` and ``macgpu apply``: the fleet file is the truth about what hosts are to hold.

What a host holds is its ``host.yaml`` (`wire.policy`), which belongs to root, so that no account
there can change what holds for all of them. Its supervisors say what it says; `write` replaces it
in one step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .transport.script import Program
from .wire import policy
from .wire.errors import ConfigError, MacGPUError, TransportError
from .wire.policy import HostPolicy, PolicyError

if TYPE_CHECKING:
    from .fleet.hosts import Host
    from .pool import Pool
    from .reach import Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that a host holds otherwise than the fleet file says; None is nothing."""

    key: str
    held: Any = None
    wanted: Any = None

    def __str__(self) -> str:
        held, wanted = _shown(self.key, self.held), _shown(self.key, self.wanted)
        if self.held is None:
            return f"+ {self.key}: {wanted}"
        if self.wanted is None:
            return f"- {self.key}: {held}"
        return f"~ {self.key}: {held} -> {wanted}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One host against the fleet file.

    Attributes
    ----------
    host
        Its name.
    path
        Where its policy is, there.
    changes
        What is to change so that it holds what the file says.
    problem
        Why it is not known what it holds, or why it does not obey it.
    is_known
        Whether it is known what it holds.
    """

    host: str
    path: str = ""
    changes: tuple[Change, ...] = ()
    problem: str = ""
    is_known: bool = True

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        changes = [
            {"key": each.key, "held": each.held, "wanted": each.wanted} for each in self.changes
        ]
        return {
            "host": self.host,
            "path": self.path,
            "same": self.is_known and not self.changes and not self.problem,
            "changes": changes,
            "problem": self.problem or None,
        }


def compare(pool: Pool, hosts: Sequence[Host]) -> list[Compared]:
    """Ask hosts at once what they hold, and compare it with the fleet file."""
    answers = pool.ask(hosts)
    found = []
    for host in hosts:
        error = answers[host.name].error
        found.append(_unknown(host, error.what) if error is not None else _compare(pool, host))
    return found


def changes_between(held: HostPolicy, wanted: HostPolicy) -> tuple[Change, ...]:
    """Return what differs, by key; a label and a taint is a key of its own."""
    before, after = _flat(held.plain()), _flat(wanted.plain())
    return tuple(
        Change(key=key, held=before.get(key), wanted=after.get(key))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    )


def write(reach: Reach, host: Host, wanted: HostPolicy, as_user: str = "") -> str:
    """Write a host's policy; return where it stands there now.

    The file is replaced in one step. It is written as root, or by ``sudo -n`` where whoever logs
    in is not root.

    Parameters
    ----------
    as_user
        Who logs in; empty: whom the fleet file names.

    Raises
    ------
    ConfigError
        If whoever logs in may not write it. It is as it was.
    TransportError
        If the host cannot be reached. It is as it was, or as it is to be.
    """
    there = replace(host, user=as_user) if as_user and host.transport == "ssh" else host
    content = policy.render(wanted).decode("ascii")
    ran = reach.run(there, Program(text=_WRITE, values={"content": content}))
    if ran.word == "done":
        return ran.text
    if ran.word:
        raise _refused(host, ran.word, ran.text or ran.complaint)
    raise TransportError(
        f"The shell of {host.name} ended without an answer. It said: {ran.complaint or 'nothing'}",
        known="The policy there is as it was, or as it is to be: macgpu diff says which.",
        next=f"See what `ssh {host.address} /bin/sh -c true` says.",
    )


def apply(pool: Pool, host: Host, as_user: str = "") -> Compared:
    """Bring one host to what the fleet file says; return what still differs: nothing, if well.

    Raises
    ------
    MacGPUError
        As `write`, or if the host does not answer after that.
    """
    write(pool.reach, host, host.whole_policy, as_user)
    # The hello of an open connection is that of its beginning.
    pool.session(host).link.close()
    return _compare(pool, host)


def _compare(pool: Pool, host: Host) -> Compared:
    try:
        said = pool.session(host).link.connect().detail.get("policy")
    except MacGPUError as error:
        return _unknown(host, error.what)
    if not isinstance(said, Mapping):
        return _unknown(host, "its supervisor is of a version that knows no policy")
    plain = said.get("policy") or {}
    try:
        held = policy.from_plain(plain if isinstance(plain, Mapping) else {"?": plain})
    except PolicyError as error:
        return _unknown(host, f"its policy is of another version ({error})")
    return Compared(
        host=host.name,
        path=str(said.get("path", "")),
        changes=changes_between(held, host.whole_policy),
        problem=str(said.get("problem") or ""),
    )


def _unknown(host: Host, why: str) -> Compared:
    return Compared(host=host.name, problem=why, is_known=False)


def _flat(plain: Mapping[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in plain.items() if key not in ("labels", "taints")}
    flat |= {f"labels.{key}": value for key, value in plain.get("labels", {}).items()}
    for taint in plain.get("taints", ()):
        flat[f"taints.{taint['key']}:{taint['effect']}"] = taint.get("value", "")
    return flat


#: What numbers of a policy count.
_UNITS = {"max_time": "s", "max_memory": "bytes"}


def _shown(key: str, value: Any) -> str:
    if key in _UNITS and isinstance(value, (int, float)):
        return f"{value:.15g} {_UNITS[key]}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value) or "(no value)"


def _refused(host: Host, word: str, text: str) -> ConfigError:
    what = {
        "no-sudo": "whoever logs in is not root, and there is no sudo",
        "sudo": f"sudo asks for a password or forbids it ({text})",
        "door": "the key that logs in may open nothing but our door",
    }.get(word, text or word)
    return ConfigError(
        f"The policy of {host.name} cannot be written: {what}.",
        known="Nothing was run.",
        kept="The policy there is as it was.",
        next="Log in as somebody who may: macgpu apply --as-user root.",
    )


#: Finds `content`; a file that only root may write is written by nobody else.
_WRITE = """
umask 022
file=${MACGPU_HOST_POLICY:-}
sudo=
if [ -z "$file" ]; then
  if [ -d /System/Library/CoreServices ]; then
    file="/Library/Application Support/macgpu/host.yaml"
  else
    file=/etc/macgpu/host.yaml
  fi
  if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null 2>&1 || { say no-sudo; return; }
    refusal=$(sudo -n true 2>&1) || { say sudo "$refusal"; return; }
    sudo="sudo -n"
  fi
fi
problem=$(printf '%s' "$content" | $sudo /bin/sh -c '
  umask 022
  folder=${1%/*}
  new="$folder/.host.yaml.$$"
  mkdir -p "$folder" && cat > "$new" && chmod 0644 "$new" && mv -f "$new" "$1" && exit 0
  rm -f "$new"
  exit 1
' policy "$file" 2>&1)
if [ $? = 0 ]; then say done "$file"; else say failed "$problem"; fi
"""
