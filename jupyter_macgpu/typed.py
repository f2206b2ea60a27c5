"""A cell as it was typed, made into plain Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .reading import names_read
from .wire.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable


def plain_code(shell: Any, body: str, transform: Callable[[str], str], above: str) -> str:
    """Return a cell's body as plain Python, which begins behind what stands above it.

    A syntax error is found here, before anything is sent, at the line that the user sees.

    Parameters
    ----------
    shell
        The notebook's, which compiles and shows errors.
    above
        A line's end for the magic's own line, or the empty text.

    Raises
    ------
    RemoteError
        If it is no Python, as the shell would show it.
    """
    code = ""
    try:
        code = above + transform(body)
        names_read(code, flags=shell.compile.flags, transform=transform)
    except SyntaxError as error:
        if not code and error.lineno is not None:
            # It was found before the line was put in front.
            error.lineno += len(above)
        number = shell.displayhook.prompt_count
        error.filename = shell.compile.cache(code or above + body, number, raw_code=body)
        lines = shell.SyntaxTB.structured_traceback(type(error), error, None)
        raise RemoteError.rebuilt(type(error).__name__, str(error), lines) from None
    return code
