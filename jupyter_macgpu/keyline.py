"""A key that opens nothing but our door: its line in a host's ``authorized_keys``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .transport.script import Program
from .wire.errors import ConfigError

if TYPE_CHECKING:
    from .fleet.hosts import Host
    from .reach import Reach

#: Where the door is kept, on a Mac and on Linux. No shell that an account may have, csh and fish
#: included, finds anything of its own in it.
_DOOR = (
    'd="${MACGPU_STATE:-$HOME/Library/Application Support/macgpu}/door"; '
    '[ -x "$d" ] || d="${XDG_STATE_HOME:-$HOME/.local/state}/macgpu/door"; exec "$d"'
)


def options() -> str:
    """Return what stands before the key."""
    command = f"exec /bin/sh -c '{_DOOR}'".replace("\\", "\\\\").replace('"', '\\"')
    return f'restrict,command="{command}"'


def key_line(host: Host, reach: Reach) -> str:
    """Return the whole line, for the key that a login on a host offers first.

    Raises
    ------
    ConfigError
        If there is no public key that could stand in it.
    """
    return f"{options()} {_public(host, reach)}"


def restrict(host: Host, reach: Reach) -> str:
    """Let our key open nothing but the door on a host; return what is so now.

    Lines of other keys stay as they are, and the file is replaced in one step. Doing it again
    changes nothing.

    Raises
    ------
    ConfigError
        If the file there cannot be changed. It is as it was.
    TransportError
        If the host cannot be reached.
    """
    kind, blob = _public(host, reach).split()[:2]
    values = {"before": f"{options()} {kind} ", "blob": blob}
    ran = reach.run(host, Program(text=_RESTRICT, values=values))
    if ran.word == "door":
        return f"{host.name}: this key opens nothing but the door already"
    if ran.word != "done":
        raise ConfigError(
            f"The key on {host.name} cannot be restricted: {ran.text or ran.complaint}.",
            known="The key logs in as before.",
            kept="Its authorized_keys is as it was.",
            next="Write the line there yourself: macgpu add --print-key-line.",
        )
    if reach.run(host, Program(text="say open")).word == "door":
        return f"{host.name}: this key opens nothing but the door from now on ({ran.text})"
    return (
        f"{host.name}: {ran.text} has the restricted line, but the login goes by another key "
        "or file, and still opens a shell"
    )


def _public(host: Host, reach: Reach) -> str:
    public = reach.key_line(host)
    if not public:
        raise ConfigError(
            "There is no public key for that host: no .pub file beside its keys, none in the "
            "agent.",
            known="Nothing was run.",
            kept="No file was changed.",
            next="Make one with `ssh-keygen -t ed25519`, or name it: identity_file.",
        )
    return public


_RESTRICT = """
umask 077
door="${MACGPU_STATE:-$HOME/Library/Application Support/macgpu}/door"
[ -x "$door" ] || door="${XDG_STATE_HOME:-$HOME/.local/state}/macgpu/door"
[ -x "$door" ] || { say failed "there is no door yet at $door"; return; }
folder=$HOME/.ssh
file=$folder/authorized_keys
if [ -L "$file" ]; then say failed "$file is a link"; return; fi
[ -d "$folder" ] || mkdir "$folder" || { say failed "$folder cannot be made"; return; }
[ -e "$file" ] || : > "$file" || { say failed "$file cannot be made"; return; }
new=$folder/.authorized_keys.$$
cp -p "$file" "$new" || { say failed "$folder cannot be written"; return; }
BEFORE=$before BLOB=$blob awk '
  BEGIN { before = ENVIRON["BEFORE"]; blob = ENVIRON["BLOB"] }
  { at = index($0, blob) }
  /^[ \\t]*#/ || !at { print; next }
  { print before substr($0, at); found = 1 }
  END { if (!found) print before blob }
' "$file" > "$new" && mv -f "$new" "$file" && { say done "$file"; return; }
rm -f "$new"
say failed "$file cannot be written"
"""
