"""One identity for a class of the notebook in all processes."""

from __future__ import annotations

import uuid
import weakref


class ClassRegistry:
    """The notebook classes that one process has sent or received, by id."""

    def __init__(self) -> None:
        self._ids: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
        self._classes: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()

    def id_of(self, cls: type) -> str:
        """Return the id of a class, giving it one if it has none yet."""
        if cls not in self._ids:
            self.add(cls, uuid.uuid4().hex)
        return self._ids[cls]

    def add(self, cls: type, class_id: str) -> None:
        """Know a class that was made from a stream."""
        self._ids[cls] = class_id
        self._classes[class_id] = cls

    def find(self, class_id: str) -> type | None:
        """Return the class with an id, if it lives here."""
        return self._classes.get(class_id)
