"""What `openapi.yaml` says of an answer; every answer that a test gets is held to it."""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema import Draft202012Validator

from jupyter_macgpu.server.contract import document

_GROUP = re.compile(r"\{\w+\}")


def template_of(path: str) -> str | None:
    """Return the path of the description that a path is an example of; exact ones first."""
    whole = "/" + path.partition("?")[0]
    for template in sorted(document()["paths"], key=lambda text: text.count("{")):
        if re.fullmatch(_GROUP.sub("[^/]+", template), whole):
            return str(template)
    return None


def check(verb: str, path: str, status: int, raw: bytes) -> None:
    """Fail if an answer is none that the description allows."""
    template = template_of(path)
    if template is None:
        assert status in (403, 404, 405, 413), (verb, path, status)
        return
    operation = document()["paths"][template].get(verb.lower())
    if operation is None:
        assert status in (403, 405, 413), (verb, path, status, raw[:300])
        return
    responses = operation["responses"]
    refused = status >= 400
    response = responses.get(str(status)) or (responses["default"] if refused else None)
    assert response is not None, f"{verb} {path} answers {status}: it is not described"
    if "$ref" in response:
        response = document()["components"]["responses"]["Refusal"]
    if "content" not in response:
        assert raw == b""
        return
    schema: dict[str, Any] = response["content"]["application/json"]["schema"]
    whole = {**schema, "components": document()["components"]}
    Draft202012Validator(whole).validate(json.loads(raw))
