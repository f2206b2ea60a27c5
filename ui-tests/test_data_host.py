"""What a host with `trust: data` shows: text and pictures as they are, pages in a closed frame."""

from __future__ import annotations

from pathlib import Path

import pytest
from book import LOAD, Front
from jupyter_server_process import JupyterServer
from playwright.sync_api import expect

FLEET = "version: 1\nhosts:\n  lab: {transport: local, trust: data}\n"
SHOWS = """%%macgpu
from IPython.display import HTML, Javascript, SVG, Markdown, Latex, display
import matplotlib.pyplot as plt
print("plain text")
plt.plot([1, 4, 9]); plt.show()
page = "<h3>a page</h3><script>parent.ran = document.cookie</script>"
page += "<img src=x onerror='parent.ran = 1'><a href='javascript:parent.ran=1'>go</a>"
page += "<script src='http://127.0.0.1:1/x.js'></script>"
display(HTML(page))
display(SVG("<svg xmlns='http://www.w3.org/2000/svg' width='60' height='40' onload='ran=1'>"
            "<script>window.ran = 1</script><rect width='60' height='40' fill='teal'/></svg>"))
display(Javascript("window.ran = 1"))
display(Markdown("<img src=x onerror='window.ran = 1'>"))
display({"application/vnd.jupyter.widget-view+json": {"model_id": "0", "version_major": 2}},
        raw=True)
import ipywidgets
display(ipywidgets.HTML("<img src=x onerror='window.ran = 1'>"))"""


@pytest.fixture(scope="module")
def kernel(server: JupyterServer, folder: Path) -> str:
    """Return a kernel whose only host has `trust: data`."""
    file = folder / "data.yaml"
    file.touch(mode=0o600)
    file.write_text(FLEET)
    return server.kernel("data-host", MACGPU_FLEET=str(file), MACGPU_INSTANCE="data")


def test_pages_are_framed_and_nothing_runs(front: Front, kernel: str) -> None:
    book = front.open([LOAD, SHOWS], kernel=kernel)
    book.page.evaluate("window.ran = undefined")
    book.run_all()
    output = book.output(1)
    expect(output).to_contain_text("plain text")
    pictures = output.locator("img[src^='data:image/']")
    expect(pictures).to_have_count(2)
    for picture in pictures.all():
        assert picture.evaluate("node => node.naturalWidth") > 50
    frame = output.locator("iframe")
    expect(frame).to_have_count(1)
    assert frame.get_attribute("sandbox") == ""
    expect(output.frame_locator("iframe").locator("h3")).to_have_text("a page")
    for kind in ("application/javascript", "text/markdown", "widget"):
        expect(output).to_contain_text(f"{kind}")
    expect(output.locator(".jupyter-widgets")).to_have_count(0)
    book.page.wait_for_timeout(500)
    assert book.page.evaluate("window.ran") is None
    book.screenshot(f"data-host-{front.app}", of=output)
    assert book.violations() == []
