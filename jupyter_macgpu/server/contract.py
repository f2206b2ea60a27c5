"""What may be sent to the server: as `openapi.yaml` says it, and nothing beside it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from .refusals import BadBody

_FILE = Path(__file__).with_name("openapi.yaml")


@cache
def document() -> dict[str, Any]:
    """Return the description of the interface."""
    read: dict[str, Any] = YAML(typ="safe", pure=True).load(_FILE)
    return read


@cache
def validator(schema: str) -> Draft202012Validator:
    """Return what checks values against one of its schemas."""
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": document()["components"]}
    )


def checked(schema: str, said: Any) -> dict[str, Any]:
    """Return a body that is as a schema has it.

    Raises
    ------
    BadBody
        If it is not: with the first place that is wrong.
    """
    for error in validator(schema).iter_errors(said):
        place = "/".join(map(str, error.absolute_path)) or "the body"
        raise BadBody(f"{place}: {error.message[:300]}")
    body: dict[str, Any] = said
    return body
