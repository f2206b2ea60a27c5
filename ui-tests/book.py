"""Notebooks in a browser: opened in JupyterLab or Notebook 7, run, looked at, saved, reopened."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat
from axe_playwright_python.sync_playwright import Axe
from jupyter_server_process import JupyterServer
from playwright.sync_api import BrowserContext, Locator, Page

#: Where screenshots go; continuous integration may keep the folder.
SCREENSHOTS = Path(__file__).parent / "screenshots"
#: The first cell of almost every notebook.
LOAD = "%load_ext jupyter_macgpu"
LAB, NOTEBOOK = "lab", "notebook"
#: Milliseconds for what a busy machine may take long for.
_LONG = 120_000
_URLS = {LAB: "lab/workspaces/ui-{number}/tree/{name}", NOTEBOOK: "notebooks/{name}"}
_THEMES = {
    "light": "JupyterLab Light",
    "dark": "JupyterLab Dark",
    "contrast": "JupyterLab Dark High Contrast",
}
_PANEL = "window.jupyterapp.shell.currentWidget"
_FRONT_ENDS = [[".jp-RenderedImage img"], ["[data-mime-type$='jupyter.stderr'] pre"]]
_numbers = itertools.count(1)


class Front:
    """One front end of a server: JupyterLab or Notebook 7.

    Parameters
    ----------
    app
        `LAB` or `NOTEBOOK`.
    """

    def __init__(self, app: str, server: JupyterServer, context: BrowserContext) -> None:
        self.app = app
        self.server = server
        self._context = context
        self._pages: list[Page] = []

    def open(
        self,
        cells: Sequence[str],
        *,
        kernel: str = "python3",
        before: Callable[[Page], None] | None = None,
    ) -> Book:
        """Open a new notebook with these code cells; its kernel is up when this returns.

        Parameters
        ----------
        before
            Called with the page before anything is loaded.
        """
        made = [nbformat.v4.new_code_cell(source) for source in cells]
        spec = {"name": kernel, "display_name": kernel, "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec})
        book = self._show(self._write(notebook), before)
        book.wait_for_kernel()
        return book

    def reopen(self, book: Book, *, trusted: bool) -> Book:
        """Open a saved notebook as it is where its kernel is not known, and take none.

        Parameters
        ----------
        trusted
            Whether its outputs count as the user's own, or as somebody else's.
        """
        notebook = nbformat.read(book.file, as_version=4)
        notebook.metadata.kernelspec = {
            "name": "gone",
            "display_name": "Gone",
            "language": "python",
        }
        # A signature is of what a notebook holds, wherever it stands.
        notebook.metadata["opened"] = next(_numbers)
        file = self._write(notebook)
        if trusted:
            self.server.trust(file)
        again = self._show(file)
        dialog = again.page.locator(".jp-Dialog")
        dialog.locator("select").select_option(label="No Kernel")
        dialog.get_by_role("button", name="Select").click()
        dialog.wait_for(state="detached")
        return again

    def again(self, book: Book) -> Book:
        """Open a notebook as it is saved in a page of its own; it finds the kernel that it has."""
        return self._show(book.file)

    def page(self) -> Page:
        """Return an empty page, which is closed with the others."""
        page = self._context.new_page()
        self._pages.append(page)
        return page

    def close(self) -> None:
        """Close all pages, and end all kernels."""
        for page in self._pages:
            page.close()
        self._pages = []
        self.server.end_kernels()

    def _write(self, notebook: nbformat.NotebookNode) -> Path:
        file = self.server.root / f"{self.app}-{next(_numbers)}.ipynb"
        nbformat.write(notebook, file)
        return file

    def _show(self, file: Path, before: Callable[[Page], None] | None = None) -> Book:
        page = self.page()
        if before is not None:
            before(page)
        place = _URLS[self.app].format(number=next(_numbers), name=file.name)
        page.goto(f"{self.server.url}/{place}?token={self.server.token}")
        page.wait_for_function("window.jupyterapp !== undefined", timeout=_LONG)
        page.evaluate("async () => { await window.jupyterapp.restored; }")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=_LONG)
        page.wait_for_function(f"{_PANEL}?.content?.widgets?.length > 0", timeout=_LONG)
        return Book(page, file)


class Book:
    """One notebook that is open in a page. Cells are counted from 0.

    Attributes
    ----------
    page
        The page, for what is not here.
    file
        Where it is saved.
    """

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.file = file

    def wait_for_kernel(self) -> None:
        """Wait until the notebook has a kernel that answers."""
        self.page.evaluate(f"async () => {{ await {_PANEL}.sessionContext.ready; }}")
        self._wait_for(f"{_PANEL}.sessionContext.session?.kernel?.status === 'idle'")

    def without_subshells(self) -> None:
        """Have widgets speak to the kernel itself: it hears them when no cell runs."""
        kernel = f"{_PANEL}.sessionContext.session.kernel"
        self.page.evaluate(f"{kernel}.commsOverSubshells = 'disabled'")

    def command(self, name: str, **arguments: Any) -> None:
        """Carry out a command of the front end, to its end."""
        self.page.evaluate(
            "async ([name, given]) => { await window.jupyterapp.commands.execute(name, given); }",
            [name, arguments],
        )

    def start_all(self) -> None:
        """Begin to run all cells."""
        self._start("notebook:run-all-cells")

    def start(self, number: int) -> None:
        """Begin to run one cell."""
        self.page.evaluate(
            f"number => {{ {_PANEL}.content.deselectAll();"
            f" {_PANEL}.content.activeCellIndex = number; }}",
            number,
        )
        self._start("notebook:run-cell")

    def wait_idle(self, seconds: float = 60) -> None:
        """Wait until what was started has ended, and the kernel is idle."""
        self._wait_for("window.uiTestsRan === true", seconds)
        self._wait_for(f"{_PANEL}.sessionContext.session?.kernel?.status === 'idle'", seconds)

    def run_all(self, seconds: float = 60) -> None:
        """Run all cells to their end."""
        self.start_all()
        self.wait_idle(seconds)

    def run(self, number: int, seconds: float = 60) -> None:
        """Run one cell to its end."""
        self.start(number)
        self.wait_idle(seconds)

    def add(self, source: str) -> None:
        """Add a code cell at the end."""
        self.page.evaluate(
            f"source => {{ const {{ model }} = {_PANEL}.content;"
            " model.sharedModel.addCell({ cell_type: 'code', source }); }",
            source,
        )

    def cell(self, number: int) -> Locator:
        """Return a whole cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def output(self, number: int) -> Locator:
        """Return what a cell shows."""
        return self.cell(number).locator(".jp-Cell-outputArea")

    def source(self, number: int) -> str:
        """Return what stands in a cell."""
        found = f"number => {_PANEL}.content.widgets[number].model.sharedModel.getSource()"
        return str(self.page.evaluate(found, number))

    def outputs(self, number: int) -> list[dict[str, Any]]:
        """Return a cell's outputs as the notebook holds them."""
        found = self.page.evaluate(
            f"number => JSON.stringify({_PANEL}.content.widgets[number].outputArea.model.toJSON())",
            number,
        )
        return list(json.loads(found))

    def trusted(self) -> list[bool]:
        """Say of each cell whether its outputs count as the user's own."""
        found = self.page.evaluate(f"[...{_PANEL}.content.model.cells].map(cell => cell.trusted)")
        return list(found)

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")

    def theme(self, name: str) -> None:
        """Change to the ``light`` or ``dark`` theme, or to the dark one of high ``contrast``."""
        self.command("apputils:change-theme", theme=_THEMES[name])
        lightness = str(name == "light").lower()
        self._wait_for(f"document.body.dataset.jpThemeLight === '{lightness}'")
        self._wait_for(f"document.body.dataset.jpThemeName === '{_THEMES[name]}'")

    def screenshot(self, name: str, *, of: Locator | None = None) -> Path:
        """Keep a picture of the page, or of a part of it, in `SCREENSHOTS`."""
        file = SCREENSHOTS / f"{name}.png"
        (self.page if of is None else of).screenshot(path=file, animations="disabled")
        return file

    def violations(self, selector: str = ".jp-OutputArea-output") -> list[str]:
        """Return what axe finds wrong with parts of the page, a line each.

        Left out is what the front end makes alone: a cell's pictures, for which it has no words,
        and the colours of tracebacks.

        Raises
        ------
        AssertionError
            If the page has no such part.
        """
        assert self.page.locator(selector).count(), f"nothing is {selector}"
        # JupyterLab's body has no height and hides what is outside of it, so that axe takes all
        # text for unseen and says nothing of its contrast.
        self.page.add_style_tag(content="body { height: 100vh }")
        parts = {"include": [[selector]], "exclude": _FRONT_ENDS}
        found = Axe().run(self.page, context=parts).response["violations"]
        return [
            f"{rule['id']}: {rule['help']}: {node['html']}"
            for rule in found
            for node in rule["nodes"]
        ]

    def _start(self, command: str) -> None:
        self.page.evaluate(
            "name => { window.uiTestsRan = false;"
            " window.jupyterapp.commands.execute(name)"
            " .finally(() => { window.uiTestsRan = true; }); }",
            command,
        )

    def _wait_for(self, expression: str, seconds: float = _LONG / 1000) -> None:
        self.page.wait_for_function(expression, timeout=seconds * 1000)
