"""The fleet file as a JSON Schema, for editors: made of the tables that the reader reads by."""

from __future__ import annotations

from typing import Any

from .draft import PROFILE_NAME_PATTERN
from .fields import DEFAULT_KEYS, HOST_KEYS, HOST_KINDS, HOST_NAME_PATTERN, SSH_ONLY
from .profiles import PROFILE

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def fleet_schema() -> dict[str, Any]:
    """Return the schema, as plain values.

    What it refuses, the reader refuses too. The reader also refuses what no schema can say.
    """
    return {
        "$schema": DRAFT,
        "title": "Fleet file of jupyter-macgpu",
        "type": "object",
        "properties": {
            "version": {"const": 1, "description": "Version of the file's form"},
            "defaults": {
                **_settings(DEFAULT_KEYS),
                "description": "What the hosts share; what a host says of itself beats it",
            },
            "hosts": {
                "type": "object",
                "propertyNames": {"pattern": HOST_NAME_PATTERN, "not": {"const": "auto"}},
                "additionalProperties": _host(),
                "description": "The machines, by the name that --on calls them",
            },
            "profiles": {
                "type": "object",
                "propertyNames": {"pattern": PROFILE_NAME_PATTERN},
                "additionalProperties": dict(PROFILE.schema),
                "description": "What kinds of work ask for, by the name that --profile calls them",
            },
        },
        "required": ["version"],
        "additionalProperties": False,
    }


def _settings(keys: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {key: dict(HOST_KINDS[key].schema) for key in keys},
        "additionalProperties": False,
    }


def _host() -> dict[str, Any]:
    is_local = {"properties": {"transport": {"const": "local"}}, "required": ["transport"]}
    return {
        **_settings(HOST_KEYS),
        "if": is_local,
        "then": {"not": {"anyOf": [{"required": [key]} for key in SSH_ONLY]}},
    }
