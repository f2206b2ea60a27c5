"""The environment variables that a cell may see: those that ``--setenv`` names, and no others."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .wire.errors import InputError

if TYPE_CHECKING:
    from .options import CellOptions

#: Variables that say what programs load or run before their own first line: their values are
#: paths of this machine, and to whatever a cell starts there somebody else's code.
_LOADERS = re.compile(
    r"(LD|DYLD)_\w+|PYTHON(STARTUP|PATH|HOME|INSPECT|WARNINGS|BREAKPOINT|USERBASE|EXECUTABLE"
    r"|PLATLIBDIR|PYCACHEPREFIX)|BASH_ENV|ENV|SHELLOPTS|BASHOPTS|PROMPT_COMMAND|PS4|IFS|ZDOTDIR"
    r"|PERL5(OPT|LIB|DB)|RUBY(OPT|LIB)|NODE_(OPTIONS|PATH)|(_JAVA|JAVA_TOOL)_OPTIONS"
)
#: What the names of secrets have in them. A name that only looks like one costs a `--yes`.
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|KEYS?(_|$)|(^|_)(PWD|AUTH)(_|$)")


def variables(options: CellOptions) -> dict[str, str]:
    """Return the variables that a cell is given, with the notebook's own values.

    Raises
    ------
    InputError
        If one does not exist, says what programs load, or looks like a secret and nobody said
        ``--yes``. Nothing was sent.
    """
    loaders = [name for name in options.setenv if _LOADERS.fullmatch(name)]
    if loaders:
        raise InputError(
            f"--setenv {', '.join(loaders)}: this says what programs load, and names places on "
            "this machine.",
            next="Leave it out. A cell can set it in os.environ for programs that it starts.",
        )
    missing = [name for name in options.setenv if name not in os.environ]
    if missing:
        raise InputError(
            f"The notebook's environment has no variable {', '.join(missing)}.",
            next="Set it with os.environ in the notebook, or leave out --setenv.",
        )
    secret = [name for name in options.setenv if _SECRET.search(name.upper())]
    if secret and not options.yes:
        raise InputError(
            f"By its name, {', '.join(secret)} is a secret. On the host, whoever has this account "
            "there can read it while the run's inputs are kept.",
            next="Add --yes to send it all the same, or leave out --setenv.",
        )
    return {name: os.environ[name] for name in options.setenv}
