"""The cells that a plain kernel and a `%%macgpu` kernel run alike, in this order.

A case of several cells is a small notebook of its own. All cases share one kernel, so names are
not used twice where it would matter.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A picture of one pixel.
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes
    ----------
    source
        What stands below the ``%%macgpu`` line.
    replies
        Answers to its questions, in order.
    above
        A cell magic that stands above the ``%%macgpu`` line.
    at_home
        Whether it reads what only a notebook has, such as `Out`.
    """

    source: str
    replies: tuple[str, ...] = ()
    above: str = ""
    at_home: bool = False

    @property
    def plain(self) -> str:
        """The cell as a plain kernel runs it: with a comment where ours has its magic."""
        body = self.source if self.source.startswith("%%") else f"# %%macgpu\n{self.source}"
        return f"{self.above}\n{body}" if self.above else body

    def ours(self, options: str = "") -> str:
        """The cell as our kernel runs it."""
        body = f"%%macgpu{options}\n{self.source}"
        return f"{self.above}\n{body}" if self.above else body


CASES: dict[str, list[Cell]] = {
    # Streams
    "print": [Cell("print('hello')")],
    "print without newline": [Cell("print('a', end='')\nprint('b', end='')")],
    "print nothing": [Cell("print('')\nprint()")],
    "print with flush": [Cell("print('a', end='', flush=True)\nprint('b', flush=True)")],
    "stderr": [Cell("import sys\nprint('to stderr', file=sys.stderr)")],
    "interleaved": [
        Cell(
            "import sys\nfor i in range(5):\n    print('out', i)\n"
            "    print('err', i, file=sys.stderr)"
        )
    ],
    "carriage returns": [
        Cell("for i in range(5):\n    print(f'\\r{i * 25:3d} %', end='')\nprint()"),
    ],
    "progress on stderr": [
        Cell(
            "import sys\nfor i in range(4):\n    sys.stderr.write(f'\\rstep {i}')\n"
            "sys.stderr.write('\\n');"
        )
    ],
    "long line": [Cell("print('x' * 200_000)")],
    "many lines": [Cell("for i in range(5000):\n    print(i)")],
    "wide characters": [Cell("print('\\u4e2d\\u6587 \\u00e9 \\u03a9 \\u2713')\n'\\u00fc'")],
    "lone surrogate in a repr": [Cell("'\\udc80'")],
    "write returns a length": [Cell("import sys\nsys.stdout.write('abc\\n')")],
    "stdout is no terminal": [Cell("import sys\nsys.stdout.isatty(), sys.stdout.encoding")],
    "print from threads": [
        Cell(
            "import threading\ndef work(n):\n    print(f'thread {n}')\n"
            "for n in range(3):\n    thread = threading.Thread(target=work, args=(n,))\n"
            "    thread.start()\n    thread.join()\ndel thread"
        )
    ],
    # Below Python
    "os.write": [Cell("import os, time\nn = os.write(1, b'raw bytes\\n')\ntime.sleep(0.5)")],
    "os.write to stderr": [Cell("import os, time\nn = os.write(2, b'raw\\n')\ntime.sleep(0.5)")],
    "C printf": [
        Cell(
            "import ctypes, time\nlibc = ctypes.CDLL(None)\nn = libc.printf(b'from C %d\\n', 42)\n"
            "n = libc.fflush(None)\ntime.sleep(0.5)\ndel libc"
        )
    ],
    "invalid utf-8": [
        Cell("import os, time\nn = os.write(1, b'a\\xff\\xfeb\\n')\ntime.sleep(0.5)")
    ],
    "child process": [
        Cell(
            "import subprocess, time\nn = subprocess.run(['echo', 'child']).returncode\n"
            "time.sleep(0.5)\nn"
        )
    ],
    "captured child process": [
        Cell("import subprocess\nsubprocess.run(['echo', 'x'], capture_output=True).stdout")
    ],
    # The last expression
    "number": [Cell("1 + 1")],
    "string": [Cell("'text'")],
    "none": [Cell("None")],
    "semicolon": [Cell("1 + 1;")],
    "semicolon and comment": [Cell("1 + 1;  # quiet")],
    "only a comment": [Cell("# nothing here")],
    "assignment": [Cell("value = 5")],
    "only the last expression": [Cell("1\n2\n3")],
    "expression in a block": [Cell("if True:\n    7")],
    "underscore": [Cell("40"), Cell("_ + 2"), Cell("_ + 1")],
    "own underscore": [Cell("_ = 'mine'\n5"), Cell("del _")],
    "numbered result": [Cell("'seven'"), Cell("Out[max(Out)]", at_home=True)],
    "long list": [Cell("list(range(2000))")],
    "nested containers": [Cell("{'a': [1, 2, {'b': (3, 4)}], 'c': {5}}")],
    "class repr": [Cell("class Point:\n    def __repr__(self):\n        return 'P(1)'\nPoint()")],
    "html repr": [
        Cell("class Rich:\n    def _repr_html_(self):\n        return '<b>rich</b>'\nRich()"),
        Cell("[Rich()]\nRich()"),
    ],
    "mimebundle repr": [
        Cell(
            "class Bundle:\n    def _repr_mimebundle_(self, include=None, exclude=None):\n"
            "        return {'text/plain': 'p', 'application/vnd.x+json': {'a': 1}}, "
            "{'application/vnd.x+json': {'m': 1}}\nBundle()"
        )
    ],
    "png bytes repr": [
        Cell(
            f"import base64\nclass Png:\n    def _repr_png_(self):\n"
            f"        return base64.b64decode('{_PNG}')\nPng()"
        )
    ],
    "ipython display": [
        Cell("class D:\n    def _ipython_display_(self):\n        print('shows itself')\nD()")
    ],
    "failing repr": [
        Cell("class Bad:\n    def __repr__(self):\n        raise ValueError('no repr')\nBad()")
    ],
    "failing html repr": [
        Cell(
            "class HalfBad:\n    def _repr_html_(self):\n        raise ValueError('no html')\n"
            "    def __repr__(self):\n        return 'half'\nHalfBad()"
        )
    ],
    # Displays
    "display": [Cell("display('text', 5)")],
    "html": [Cell("from IPython.display import HTML\nHTML('<b>bold</b>')")],
    "markdown": [Cell("from IPython.display import Markdown\nMarkdown('**bold**')")],
    "latex": [Cell("from IPython.display import Latex, Math\ndisplay(Latex('$x$'))\nMath('y')")],
    "svg": [
        Cell("from IPython.display import SVG\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')")
    ],
    "png": [
        Cell(
            f"import base64\nfrom IPython.display import Image\n"
            f"Image(data=base64.b64decode('{_PNG}'), width=10)"
        )
    ],
    "jpeg": [
        Cell(
            "from IPython.display import Image\n"
            "Image(data=b'\\xff\\xd8\\xff\\xe0' + bytes(20), format='jpeg')"
        )
    ],
    "gif": [
        Cell("from IPython.display import Image\nImage(data=b'GIF89a' + bytes(20), format='gif')")
    ],
    "pdf": [Cell("display({'application/pdf': b'%PDF-1.4 nothing'}, raw=True)")],
    "json": [Cell("from IPython.display import JSON\nJSON({'a': [1, None, True]})")],
    "javascript": [Cell("from IPython.display import Javascript\nJavascript('1 + 1')")],
    "vendor mime": [
        Cell(
            "display({'application/vnd.plotly.v1+json': {'data': [{'y': [1, 2.5]}]},"
            " 'text/plain': 'figure'}, metadata={'x': {'isolated': True}}, raw=True)"
        )
    ],
    "not quite json": [
        Cell("display({'application/json': {'t': (1, 2), 'b': b'ab'}}, raw=True)"),
    ],
    "iframe": [Cell("from IPython.display import IFrame\nIFrame('https://example.org', 10, 20)")],
    "code": [Cell("from IPython.display import Code\nCode(data='x = 1', language='python')")],
    "audio": [Cell("from IPython.display import Audio\nAudio([0.0, 1.0, 0.0], rate=8000)")],
    "pretty": [Cell("from IPython.display import Pretty\nPretty('pretty')")],
    "display id": [
        Cell("handle = display('first', display_id='fixed')\nhandle.update('second')"),
    ],
    "display handle across cells": [
        Cell("handle = display('one', display_id='kept')"),
        Cell("handle.update('two')\nhandle.display('three')"),
    ],
    "random display id": [Cell("h = display('x', display_id=True)\nh.update('y')\ndel h")],
    "update_display": [
        Cell(
            "from IPython.display import update_display\ndisplay('a', display_id='u')\n"
            "update_display('b', display_id='u')"
        )
    ],
    "clear_output": [
        Cell(
            "from IPython.display import clear_output\nprint('gone')\nclear_output()\nprint('seen')"
        )
    ],
    "clear_output wait": [
        Cell(
            "from IPython.display import clear_output\nfor i in range(3):\n"
            "    clear_output(wait=True)\n    print('frame', i)\n    display(i)"
        )
    ],
    "prints around displays": [Cell("print('1')\ndisplay('2')\nprint('3')\ndisplay('4')\n'5'")],
    # Figures
    "figure": [Cell("import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])")],
    "figure, quiet": [Cell("import matplotlib.pyplot as plt\nplt.plot([3, 2]);")],
    "two figures": [
        Cell(
            "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 2])\n"
            "fig2, ax2 = plt.subplots(figsize=(2, 1))\nprint('made')\ndel fig, ax, fig2, ax2"
        )
    ],
    "show in a loop": [
        Cell(
            "import matplotlib.pyplot as plt\nfor i in range(2):\n    plt.plot([i, 1])\n"
            "    plt.show()\n    print('shown', i)"
        )
    ],
    "figure as a result": [
        Cell("from matplotlib.figure import Figure\nFigure(figsize=(1, 1))"),
    ],
    "matplotlib inline": [
        Cell("%matplotlib inline\nimport matplotlib\nmatplotlib.get_backend().lower()")
    ],
    "figure before an error": [
        Cell("import matplotlib.pyplot as plt\nplt.plot([1])\nraise ValueError('after plot')")
    ],
    # Errors
    "error": [Cell("1/0")],
    "error in a call": [
        Cell("def inner():\n    raise KeyError('k')\n\ndef outer():\n    inner()\n\nouter()")
    ],
    "error in another cell's function": [
        Cell("def made_before(n):\n    # a comment\n    return 1 / n"),
        Cell("print('now')\nmade_before(0)"),
    ],
    "chained error": [
        Cell("try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise ValueError('next') from e")
    ],
    "error while handling": [Cell("try:\n    1/0\nexcept ZeroDivisionError:\n    {}['k']")],
    "error in a library": [Cell("import json\njson.loads('{')")],
    "recursion": [
        Cell(
            "import sys\ndef down(n):\n    return down(n + 1)\nsys.setrecursionlimit(300)\ndown(0)"
        ),
        Cell("import sys\nsys.setrecursionlimit(3000)"),
    ],
    "exception group": [
        Cell("raise ExceptionGroup('both', [ValueError('a'), KeyError('b')])"),
    ],
    "note on an error": [Cell("e = ValueError('noted')\ne.add_note('look here')\nraise e")],
    "custom error": [Cell("class OwnError(Exception):\n    pass\nraise OwnError('own', 5)")],
    "assertion": [Cell("x = 3\nassert x == 4, f'x is {x}'")],
    "name error": [Cell("undefined_name")],
    "output before an error": [Cell("print('before')\ndisplay('shown')\n1/0")],
    "syntax error": [Cell("x = 1\nif x\n    y = 2")],
    "indentation error": [Cell("def f():\nreturn 1")],
    "return outside": [Cell("return 5")],
    "error in an expression over lines": [Cell("value = (\n    1 +\n    'a'\n)")],
    "system exit": [Cell("import sys\nprint('leaving')\nsys.exit(3)")],
    "keyboard interrupt": [Cell("raise KeyboardInterrupt")],
    "print_exc": [
        Cell(
            "import traceback\ntry:\n    1/0\nexcept ZeroDivisionError:\n    traceback.print_exc()"
        )
    ],
    "usage error": [Cell("%time_it_not")],
    "xmode": [Cell("%xmode Plain"), Cell("def g():\n    1/0\ng()"), Cell("%xmode Context")],
    # Warnings and logging
    "warning": [Cell("import warnings\nwarnings.warn('careful')")],
    "warning in a function": [
        Cell("import warnings\ndef warns():\n    warnings.warn('inside', FutureWarning)\nwarns()")
    ],
    "deprecation": [Cell("import warnings\nwarnings.warn('old', DeprecationWarning)")],
    "syntax warning": [Cell("x = '\\\\d'\nx is '5'")],
    "logging": [
        Cell(
            "import logging\nlogging.warning('root')\nlogging.getLogger('mine').error('named')\n"
            "logging.info('unseen')"
        )
    ],
    "log handler to stdout": [
        Cell(
            "import logging, sys\nlog = logging.getLogger('out')\nlog.propagate = False\n"
            "handler = logging.StreamHandler(sys.stdout)\nlog.addHandler(handler)\n"
            "log.warning('to stdout')\nlog.removeHandler(handler)\ndel log, handler"
        )
    ],
    # await
    "await": [Cell("import asyncio\nawait asyncio.sleep(0.01)\n'waited'")],
    "await a value": [Cell("async def answer():\n    return 42\nawait answer()")],
    "async for": [
        Cell(
            "async def numbers():\n    for i in range(3):\n        yield i\n"
            "async for n in numbers():\n    print(n)"
        )
    ],
    "async with": [
        Cell(
            "class Context:\n    async def __aenter__(self):\n        print('in')\n"
            "    async def __aexit__(self, *exc):\n        print('out')\n"
            "async with Context():\n    print('body')"
        )
    ],
    "gather": [
        Cell(
            "import asyncio\nasync def one(n):\n    await asyncio.sleep(0.01 * n)\n    print(n)\n"
            "    return n\nawait asyncio.gather(one(2), one(1))"
        )
    ],
    "error after an await": [Cell("import asyncio\nawait asyncio.sleep(0)\n1/0")],
    "error in a coroutine": [Cell("async def bad():\n    raise ValueError('async')\nawait bad()")],
    "asyncio.run is refused": [
        Cell(
            "import asyncio\nasync def f():\n    pass\ncoroutine = f()\ntry:\n"
            "    asyncio.run(coroutine)\nfinally:\n    coroutine.close()\n    del coroutine"
        )
    ],
    # Shell and magics
    "shell": [Cell("!echo from the shell")],
    "shell with a variable": [Cell("word = 'expanded'\n!echo {word} $word")],
    "shell to stderr": [Cell("!echo to stderr >&2")],
    "shell result": [Cell("lines = !printf 'a\\nb\\n'\nlines")],
    "failing command": [Cell("!exit 3\n_exit_code")],
    "sx": [Cell("!!echo listed")],
    "time": [Cell("%time sum(range(10))")],
    "time of an assignment": [Cell("%time timed = 5\ntimed")],
    "cell time": [Cell("%%time\nprint('timed')\n3")],
    "cell time above": [Cell("print('timed')\n3", above="%%time")],
    "cell time with an error": [
        Cell("get_ipython().run_cell_magic('time', '', 'print(1)\\n1/0\\n')")
    ],
    "timeit": [Cell("%timeit -n 1 -r 1 pass")],
    "capture": [Cell("%%capture cap\nprint('hidden')\n5"), Cell("cap.stdout")],
    "capture above": [
        Cell("print('hidden')\n5", above="%%capture cap2"),
        Cell("cap2.stdout", at_home=True),
    ],
    "bash": [Cell("%%bash\necho from bash\necho err >&2")],
    "failing bash": [Cell("get_ipython().run_cell_magic('bash', '', 'echo before\\nexit 4\\n')")],
    "sh": [Cell("%%sh\necho from sh")],
    "writefile": [
        Cell("%%writefile golden.txt\nline one"),
        Cell("print(open('golden.txt').read())"),
        Cell("%%writefile -a golden.txt\nline two"),
        Cell("!cat golden.txt && rm golden.txt"),
    ],
    "html magic": [Cell("%%html\n<i>it</i>")],
    "javascript magic": [Cell("%%javascript\n1")],
    "latex magic": [Cell("%%latex\n$x$")],
    "markdown magic": [Cell("%%markdown\n# title")],
    "env": [Cell("%env GOLDEN=1\nimport os\nos.environ['GOLDEN']")],
    "run a file": [
        Cell("%%writefile golden_run.py\nran = 'yes'\nprint('in the file', __name__)"),
        Cell("%run golden_run.py\nran"),
        Cell("!rm golden_run.py"),
    ],
    "question mark": [Cell("def documented():\n    'What it does.'\ndocumented?")],
    "precision": [Cell("%precision 3\n3.14159265"), Cell("%precision\n3.14159265")],
    "unknown cell magic": [Cell("%%nosuchmagic\nx")],
    # Input
    "input": [Cell("name = input('name? ')\nprint('hello', name)", ("Ada",))],
    "two inputs": [Cell("input('a '), input('b ')", ("1", "2"))],
    "getpass": [Cell("import getpass\nlen(getpass.getpass('word: '))", ("secret",))],
    "input without prompt": [Cell("input()", ("",))],
    # Libraries
    "pandas": [Cell("import pandas as pd\npd.DataFrame({'a': [1, 2], 'b': ['x', None]})")],
    "pandas series": [Cell("import pandas as pd\npd.Series([1.5, 2.5], name='s')")],
    "pandas styled": [Cell("import pandas as pd\nprint(pd.DataFrame({'a': range(100)}))")],
    "numpy": [Cell("import numpy as np\nnp.arange(12.0).reshape(3, 4)")],
    "numpy printed": [Cell("import numpy as np\nprint(np.eye(3))\nnp.float64(2.5)")],
    "torch": [Cell("import torch\ntorch.arange(4)")],
    "sklearn": [Cell("from sklearn.linear_model import Ridge\nprint(Ridge(alpha=2))")],
    "tqdm on stdout": [
        Cell("import sys\nfor i in range(3):\n    sys.stdout.write(f'\\r[{\"#\" * i}]')\nprint()")
    ],
    # State
    "names over cells": [Cell("kept = [1]"), Cell("kept.append(2)\nkept"), Cell("len(kept)")],
    "functions over cells": [
        Cell("factor = 2\ndef scale(n):\n    return n * factor"),
        Cell("factor = 3\nscale(5)"),
    ],
    "classes over cells": [
        Cell("class Counter:\n    def __init__(self):\n        self.n = 0"),
        Cell("counter = Counter()\ncounter.n += 1\ncounter.n"),
        Cell("counter.n += 1\nisinstance(counter, Counter), counter.n"),
    ],
    "delete": [Cell("gone = 1"), Cell("del gone"), Cell("'gone' in globals()")],
    "main": [Cell("import sys\n__name__, sys.modules['__main__'].__dict__ is globals()")],
    "future": [
        Cell("from __future__ import annotations\ndef f(x: NoSuch): pass\nf.__annotations__")
    ],
}
