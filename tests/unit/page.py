"""A page taken apart, and texts that would act in one if they were taken for HTML."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import strategies as st


class Page(HTMLParser):
    """All tags, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.looks: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.looks |= {value for name, value in attrs if name in ("style", "class")}

    def handle_data(self, data):
        self.text += data


ANY = st.text(max_size=60) | st.sampled_from(
    [
        "<img src=x onerror=alert(1)>",
        "</caption><script>alert(1)</script>",
        '"><svg onload=alert(1)>',
        "&lt;b&gt;",
        "\x1b[31m\u202edetrevni",
    ]
)
