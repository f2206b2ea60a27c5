"""Cells with widgets, and what a front end then says to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .front_end import FrontEnd, Said

Step = Callable[[FrontEnd], list[Said]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Cells, and what follows."""

    cells: tuple[str, ...]
    steps: tuple[Step, ...] = ()


def sets(model: str, nth: int = 0, **state: Any) -> Step:
    """Return a step that changes traits."""
    return lambda front: front.set(front.model(model, nth), **state)


def tells(model: str, data: dict[str, Any], *buffers: bytes) -> Step:
    """Return a step that says something else."""
    return lambda front: front.tell(front.model(model), data, *buffers)


def custom(model: str, content: dict[str, Any], *buffers: bytes) -> Step:
    """Return a step that says something of the widget's own."""
    return tells(model, {"method": "custom", "content": content}, *buffers)


def runs(source: str) -> Step:
    """Return a step that runs one more cell, in the plain kernel without its first line."""
    return lambda front: front.run(source)


CASES = {
    "a slider, its callback and where it prints": Case(
        cells=(
            """\
import ipywidgets as w, sys
slider = w.IntSlider(3, description='n')
output = w.Output()
seen = []
def moved(change):
    seen.append(change['new'])
    print('moved to', change['new'], 'after', seen)
    print('and an error line', file=sys.stderr)
    with output:
        print('inside')
        display({'plain': change['new']})
slider.observe(moved, 'value')
display(slider, output)
print('shown')
slider
""",
            "slider_is_gone = 1",
        ),
        steps=(
            sets("IntSliderModel", value=7),
            sets("IntSliderModel", value=8),
            sets("IntSliderModel", value=1000),
            tells("IntSliderModel", {"method": "request_state"}),
        ),
    ),
    "a button, an error in its callback, new widgets from it": Case(
        cells=(
            """\
import ipywidgets as w
button = w.Button(description='go')
box = w.VBox([button])
count = 0
def clicked(_button):
    global count
    count += 1
    if count == 2:
        raise ValueError('not twice')
    label = w.Label(f'click {count}')
    box.children = (*box.children, label)
    display(label)
button.on_click(clicked)
box
""",
        ),
        steps=(
            custom("ButtonModel", {"event": "click"}),
            custom("ButtonModel", {"event": "click"}),
            custom("ButtonModel", {"event": "click"}),
            custom("ButtonModel", {"event": "nothing"}),
        ),
    ),
    "interact and links": Case(
        cells=(
            """\
import ipywidgets as w
from ipywidgets import interact
factor = 10
@interact(x=(0, 9), flag=False)
def shown(x=2, flag=True):
    print('x is', x * factor, flag)
    return x * factor
""",
            """\
import ipywidgets as w
a, b, c = w.IntText(1), w.IntText(2), w.IntText(3)
w.jslink((a, 'value'), (b, 'value'))
w.link((a, 'value'), (c, 'value'))
display(w.HBox([a, b, c]))
""",
        ),
        steps=(
            sets("IntSliderModel", value=5),
            sets("CheckboxModel", value=True),
            sets("IntTextModel", value=4),
        ),
    ),
    "hold_sync, close, and what a closed comm hears": Case(
        cells=(
            """\
import ipywidgets as w
bar = w.FloatProgress(0.0)
display(bar)
with bar.hold_sync():
    bar.value, bar.description = 50.0, 'half'
bar.value = 51.0
""",
            "import ipywidgets as w\nt = w.Text('x')\ndisplay(t)\nt.close()",
        ),
    ),
    "progress bars": Case(
        cells=(
            """\
from tqdm.notebook import tqdm
for i in tqdm(range(3), desc='outer', mininterval=0):
    for j in tqdm(range(2), leave=False, mininterval=0):
        pass
print('done')
""",
            """\
from tqdm.auto import tqdm as auto
bar = auto(total=2, mininterval=0)
bar.update()
bar.set_postfix(loss=0.5)
bar.close()
print(type(bar).__module__)
del bar, auto
""",
        ),
    ),
    "a figure in the browser": Case(
        cells=(
            """\
%matplotlib widget
import matplotlib.pyplot as plt
figure, axes = plt.subplots()
axes.plot([1, 3, 2])
def pressed(event):
    print('pressed', event.key)
figure.canvas.mpl_connect('key_press_event', pressed)
plt.show()
""",
            "axes.set_title('later')\nNone",
        ),
        steps=(
            custom("MPLCanvasModel", {"type": "send_image_mode"}),
            custom("MPLCanvasModel", {"type": "set_device_pixel_ratio", "device_pixel_ratio": 1}),
            custom("MPLCanvasModel", {"type": "draw"}),
            custom("MPLCanvasModel", {"type": "key_press", "key": "x", "guiEvent": {}}),
            custom("MPLCanvasModel", {"type": "refresh"}),
        ),
    ),
    "a plot with arrays, changed from both sides": Case(
        cells=(
            """\
import numpy as np
import plotly.graph_objects as go
plot = go.FigureWidget([go.Scatter(y=np.arange(5.0), mode='markers')])
def clicked(trace, points, state):
    print('clicked', points.point_inds)
def zoomed(layout, span):
    print('zoomed to', span)
plot.data[0].on_click(clicked)
plot.layout.on_change(zoomed, 'xaxis.range')
plot
""",
            "plot.data[0].y = np.arange(3.0)\nplot.update_layout(title='new')\nNone",
        ),
        steps=(
            sets(
                "AnyModel",
                _js2py_relayout={
                    "relayout_data": {"xaxis.range": [0, 2]},
                    "source_view_id": "v1",
                },
            ),
        ),
    ),
    "a widget of one's own, with bytes both ways": Case(
        cells=(
            """\
import anywidget, traitlets
class Scope(anywidget.AnyWidget):
    _esm = "export default { render({ model, el }) { el.textContent = 'here' } }"
    raw = traitlets.Bytes(bytes(range(256))).tag(sync=True)
    nested = traitlets.Dict({'a': [b'one', {'b': memoryview(b'two')}], 'n': 1}).tag(sync=True)
def raw_changed(change):
    print(type(change['new']).__name__, len(change['new']), bytes(change['new'][:4]))
    scope.send({'kind': 'echo'}, [bytes(change['new'])[::-1], b'more'])
def said(widget, content, buffers):
    print('said', content, [bytes(buffer) for buffer in buffers])
scope = Scope()
scope.observe(raw_changed, 'raw')
scope.on_msg(said)
scope
""",
            "scope.raw = bytes(5_000_000)",
        ),
        steps=(
            tells(
                "AnyModel",
                {"method": "update", "state": {}, "buffer_paths": [["raw"]]},
                b"\x00\xffabc",
            ),
            custom("AnyModel", {"hello": 1}, b"first", b""),
        ),
    ),
}
