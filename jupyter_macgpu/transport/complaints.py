"""What a host's door or installer complains of, in words for the person who can mend it."""

from __future__ import annotations

_INSTALL = (
    "Install one there (on a Mac: `brew install python`, the installer of python.org, or "
    "`uv python install`; elsewhere the system's packages), or name one with `python:` of the "
    "host in the fleet file."
)
#: What happened and what to do next, by the host's word.
_KNOWN = {
    "no-python": (
        "{host} has no Python 3.11 or newer in /opt/homebrew, /usr/local, /opt/local, "
        "/Library/Frameworks, ~/.local/bin, or of uv, pyenv or conda.{dead}",
        _INSTALL,
    ),
    "old-python": ("{host} has no Python 3.11 or newer; found: {detail}.", _INSTALL),
    "intel-python": (
        "{detail} of {host} is a Python for Intel, which Rosetta translates: it sees no GPU on "
        "this Mac.",
        "Install one for Apple silicon there: `arch -arm64 brew install python`, or `uv python "
        "install`; or name one with `python:` of the host in the fleet file.",
    ),
    "bad-python": (
        "The interpreter {detail} of {host} is not there or does not run.",
        "Mend `python:` of the host in the fleet file, or leave it out: then one is looked for.",
    ),
    "mac-python": ("{detail} of {host} is only Apple's placeholder for a Python.", _INSTALL),
    "disk-full": (
        "The disk of {host} is full: {detail}.",
        "Make room there: our code needs 40 MiB.",
    ),
    "read-only": (
        "{detail} on {host} cannot be written: its file system is read-only.",
        "Make the home folder writable, or let MACGPU_STATE name another folder there.",
    ),
    "no-permission": (
        "The account on {host} may not write to {detail}.",
        "Make it the account's own: `ls -ld` of the folder shows whose it is.",
    ),
    "mac-privacy": (
        "macOS on {host} does not let remote logins write to {detail}.",
        "Turn on System Settings > General > Sharing > Remote Login > Allow full disk access for "
        "remote users, or let MACGPU_STATE name a folder elsewhere.",
    ),
    "not-private": (
        "{host} keeps nothing of ours there: {detail}.",
        "Others could change what your cells run. Mend the rights of that folder, or remove it "
        "if it is not yours.",
    ),
    "broken-archive": (
        "What was sent to {host} did not arrive as it was sent: {detail}.",
        "Run the cell again. If it comes again, restart the kernel.",
    ),
}
_OTHER = (
    "{host} could not take our code: {detail}.",
    "Run the cell again. If it comes again, install the same version on both sides.",
)


def complaint(text: str, host: str) -> tuple[str, str]:
    """Return what happened, and what to do next.

    Parameters
    ----------
    text
        What the host said behind ``error``: a word, then what is known.
    host
        Its name.
    """
    kind, _, detail = text.partition(" ")
    detail = detail.strip()
    what, remedy = _KNOWN.get(kind, _OTHER)
    dead = f" These do not run: {detail}." if detail else ""
    return what.format(host=host, detail=detail or kind, dead=dead), remedy
