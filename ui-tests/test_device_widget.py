"""The widget of one Mac: what it shows, to whom, how it looks, and that it stops."""

from __future__ import annotations

from pathlib import Path

from book import LOAD, Book, Front
from held import Held
from playwright.sync_api import Locator, expect

WIDGET = ".macgpu-widget"
MAKE = "import jupyter_macgpu\nmac = jupyter_macgpu.DeviceWidget('sim-m1-max')\nmac"
#: Values and cells, so that nothing of the widget is empty.
HELD = "%%macgpu --on sim-m1-max -o held\nimport threading\nheld = threading.Lock()"
RUNS = "%%macgpu --on sim-m1-max --detach --as epochs"
#: Parts whose content is wider than they are, and the whole if something sticks out of it.
TOO_WIDE = """root => [...root.querySelectorAll('*'), root]
    .filter(part => part.clientWidth > 1 && part.scrollWidth > part.clientWidth + 1)
    .map(part => `${part.className}: ${part.textContent}`)"""
ELEMENTS = "root => [...root.querySelectorAll('*')].map(part => part.localName)"
ON_HANDLERS = """root => [...root.querySelectorAll('*')].flatMap(part => [...part.attributes])
    .filter(attribute => attribute.name.startsWith('on') || attribute.name === 'href').length"""
EXPECTED = set(
    "button dd div dl dt h3 input label li option p path section select span strong svg "
    "table tbody td th thead title tr ul".split()
)
TRAP = """() => {
    window.executions = 0;
    window.hostile = () => { window.executions += 1; };
}"""


def at_width(widget: Locator, width: int) -> None:
    widget.evaluate("(root, width) => { root.style.width = `${width}px`; }", width)


def sees_no_hostile_word_act(book: Book, number: int, poison: int) -> None:
    """Run the cell that poisons the widget in another cell's output; see that it is text only."""
    dialogs: list[str] = []
    book.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    book.page.evaluate(TRAP)
    widget = book.output(number).locator(WIDGET)
    last = (Path(__file__).parent / "hostile.txt").read_text(encoding="utf-8").splitlines()[-1]
    book.run(poison)
    expect(widget).to_contain_text(last)
    assert set(widget.evaluate(ELEMENTS)) <= EXPECTED
    assert widget.evaluate(ON_HANDLERS) == 0
    book.page.wait_for_timeout(300)
    assert book.page.evaluate("[window.executions, window.hostileGlobal ?? null]") == [0, None]
    assert dialogs == []


def test_a_mac_is_shown_live_in_every_light_and_width(
    lab: Front, on_macs: str, tmp_path: Path
) -> None:
    epochs = Held(tmp_path, magic=RUNS)
    book = lab.open([LOAD, HELD, epochs.source, MAKE], kernel=on_macs)
    book.run_all()
    widget = book.output(3).locator(WIDGET)
    for text in ("Apple M1 Max · 32 GPU cores · 64 GiB", "simulated", "GPU limit", "mains"):
        expect(widget).to_contain_text(text)
    expect(widget).to_contain_text("epochs")
    expect(widget).to_contain_text("held")
    for theme in ("light", "dark"):
        book.theme(theme)
        book.screenshot(f"device-{theme}", of=widget)
        assert book.violations(WIDGET) == []
    book.theme("light")
    at_width(widget, 320)
    book.screenshot("device-narrow", of=widget)
    assert widget.evaluate(TOO_WIDE) == []
    book.page.emulate_media(forced_colors="active")
    book.screenshot("device-forced-colors", of=widget)
    book.page.emulate_media(forced_colors="none")
    epochs.let_go()


def test_what_concerns_everybody_is_asked_first_and_keys_are_enough(
    lab: Front, on_macs: str
) -> None:
    book = lab.open([LOAD, MAKE], kernel=on_macs)
    book.run_all()
    widget = book.output(1).locator(WIDGET)
    drain = widget.get_by_role("button", name="Drain sim-m1-max")
    drain.focus()
    book.page.keyboard.press("Enter")
    question = widget.get_by_role("group", name="Take nothing new, for everybody?")
    expect(question).to_be_visible()
    expect(widget.get_by_role("button", name="Leave it")).to_be_focused()
    book.screenshot("device-asks", of=widget)
    book.page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(drain).to_be_focused()
    book.page.keyboard.press("Shift+Tab")
    use = widget.get_by_role("button", name="Run this notebook's cells on sim-m1-max")
    expect(use).to_be_focused()
    outline = use.evaluate("part => getComputedStyle(part).outlineStyle")
    assert outline == "solid"
    book.page.keyboard.press("Space")
    expect(use).to_have_attribute("aria-pressed", "true")
    expect(widget.get_by_role("status")).to_contain_text("run on sim-m1-max")


def test_a_button_says_that_it_waits_for_a_cell_and_looking_ends_with_the_last_view(
    lab: Front, on_macs: str, tmp_path: Path
) -> None:
    busy = Held(tmp_path)
    book = lab.open([LOAD, MAKE, busy.source, "print('live', mac.is_live)"], kernel=on_macs)
    book.run(0)
    # A subshell answers beside a cell; whether there is one, JupyterLab leaves to chance.
    book.without_subshells()
    book.run(1)
    widget = book.output(1).locator(WIDGET)
    expect(widget).to_contain_text("heard just now")
    book.start(2)
    expect(book.output(2)).to_contain_text("begun")
    widget.get_by_role("button", name="Run this notebook's cells").click()
    expect(widget.get_by_role("status")).to_contain_text("waits for the kernel")
    book.screenshot("device-waits", of=widget)
    busy.let_go()
    book.wait_idle()
    expect(widget.get_by_role("status")).to_contain_text("run on sim-m1-max")
    book.run(3)
    expect(book.output(3)).to_contain_text("live True")
    # The view goes with the output.
    book.command("notebook:clear-all-cell-outputs")
    expect(widget).to_have_count(0)
    for _ in range(20):
        book.run(3)
        if "live False" in book.output(3).inner_text():
            break
    expect(book.output(3)).to_contain_text("live False")


def test_no_text_of_a_host_is_obeyed(lab: Front, on_macs: str) -> None:
    cells = [LOAD, HELD, MAKE, "from hostile_widgets import poison\npoison(mac)"]
    book = lab.open(cells, kernel=on_macs)
    for number in range(3):
        book.run(number)
    expect(book.output(2).locator(WIDGET)).to_contain_text("held")
    sees_no_hostile_word_act(book, 2, 3)
    book.screenshot("device-hostile", of=book.output(2).locator(WIDGET))
