"""Who looks at a widget: views that say so, and views that end without a word. Pure."""

from __future__ import annotations

#: Seconds between two words of a view.
EVERY = 10.0
#: Seconds without a word after which a view counts as gone.
SILENT = 35.0
#: Views that are counted at most; nobody opens so many.
_MOST = 64


class Viewers:
    """The views of one widget. Times are seconds on one clock of the caller's."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}

    def heard(self, view: str, now: float) -> None:
        """Note that a view is there."""
        if view in self._heard or len(self._heard) < _MOST:
            self._heard[view] = now

    def left(self, view: str) -> None:
        """Note that a view has ended or is hidden."""
        self._heard.pop(view, None)

    def excuse(self, now: float) -> None:
        """Hold no silence against any view: the kernel was busy, and could not have heard it."""
        self._heard = dict.fromkeys(self._heard, now)

    def there(self, now: float) -> bool:
        """Say whether anybody looks; who has been silent for too long does not."""
        self._heard = {view: at for view, at in self._heard.items() if now - at <= SILENT}
        return bool(self._heard)
