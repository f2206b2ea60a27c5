"""Words that act where they are taken for more than text, and what sees whether they have."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

WORDS = Path(__file__).with_name("hostile.txt").read_text(encoding="utf-8").splitlines()
#: What a hostile word does if it is obeyed, beside opening a dialog.
_TRAP = """
    window.executions = 0;
    window.hostile = () => { window.executions += 1; };
"""
#: Front ends make links of addresses and of paths in tracebacks.
SCRIPT_LINKS = """area => [...area.querySelectorAll('a')]
    .filter(each => each.protocol === 'javascript:').length"""


class Trap:
    """Waits in a page for words that act.

    Parameters
    ----------
    page
        A page with something in it, or one that is still empty.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._dialogs: list[str] = []
        page.on("dialog", lambda dialog: (self._dialogs.append(dialog.message), dialog.dismiss()))
        page.add_init_script(_TRAP)
        page.evaluate(f"() => {{ {_TRAP} }}")

    def sprung(self) -> list[str]:
        """Return what has acted: nothing is right."""
        self._page.wait_for_timeout(300)
        called, kept = self._page.evaluate("[window.executions, window.hostileGlobal ?? null]")
        acted = [f"hostile() was called {called} times"] if called else []
        return [*acted, *([] if kept is None else ["a name was bound"]), *self._dialogs]
