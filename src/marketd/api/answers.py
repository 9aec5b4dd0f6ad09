"""How answers look: JSON bytes encoded once, and errors as `{"error", "parameter", "allowed"}`."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from marketd.section import expected_of

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode

ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "parameter": {"type": "string"}, "allowed": {}},
}
_ERROR = {"description": "what is wrong", "content": {"application/json": {"schema": ERROR_SCHEMA}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    400: _ERROR,
    401: _ERROR,
    403: _ERROR,
    404: _ERROR,
    406: _ERROR,
    413: _ERROR,
    422: _ERROR,
    503: _ERROR,
}
RETRY_S = 2
TOO_LARGE = "the body is too large"


class RequestError(Exception):
    """The request cannot be answered; the client is told why and what would be."""

    def __init__(self, status: int, error: str, parameter: str | None = None, allowed: object = None) -> None:
        super().__init__(error)
        self.status, self.error, self.parameter, self.allowed = status, error, parameter, allowed


def answer(content: object, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    """JSON, encoded here and nowhere else."""
    try:
        body = _encode(content)
    except UnicodeEncodeError:  # half a character that a client sent and an error quotes
        body = json.dumps(content, ensure_ascii=True).encode()
    return Response(body, status, headers, media_type="application/json")


def refuse(error: str, parameter: str | None = None, allowed: object = None, status: int = 400) -> NoReturn:
    raise RequestError(status, error, parameter, allowed)


def require(part: T | None, role: str) -> T:
    """The part, or 404: its role does not run in this process."""
    if part is None:
        raise RequestError(404, f"role {role} does not run here")
    return part


def error_answer(status: int, error: str, parameter: str | None = None, allowed: object = None) -> Response:
    body: dict[str, object] = {"error": error}
    if parameter is not None:
        body["parameter"] = parameter
    if allowed is not None:
        body["allowed"] = allowed
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return answer(body, headers, status)


async def on_request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_answer(error.status, error.error, error.parameter, error.allowed)


async def on_store_away(_: Request, error: Exception) -> Response:
    """A database that does not answer now; soon it may."""
    response = error_answer(503, f"what is stored cannot be read now: {error}")
    response.headers["Retry-After"] = str(RETRY_S)
    return response


async def on_http_error(request: Request, error: Exception) -> Response:
    """Paths and methods that do not exist."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return error_answer(404, f"there is no {request.url.path} here; see /docs")
    if error.status_code == 405:
        words = Headers(error.headers or {}).get("allow", "").split(",")
        allowed = sorted(word.strip() for word in words if word.strip())
        response = error_answer(405, f"{request.method} is not for {request.url.path}", "method", allowed or None)
        response.headers["Allow"] = ", ".join(allowed)
        return response
    if error.status_code == 400:
        return error_answer(400, "the body cannot be read", "body", "a JSON object in UTF-8")
    if error.status_code == 413:
        return error_answer(413, TOO_LARGE, "body", error.detail)
    return error_answer(error.status_code, str(error.detail))


async def on_invalid(request: Request, error: Exception) -> Response:
    """A parameter or body that does not fit, in our words."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    parameter = ".".join(place[1:]) or place[0]
    if first["type"] == "extra_forbidden":
        known = _known(request, place[0])
        return error_answer(400, f"unknown parameter {parameter}", parameter, known or "none: this path takes no parameters")
    if first["type"] == "missing":
        return error_answer(400, f"{parameter} is required", parameter, _meaning(request, place[-1]) or "a value")
    if place == ["body"] and isinstance(first.get("input"), bytes):
        said = request.headers.get("content-type", "none")
        return error_answer(
            400, f"the body is not said to be JSON: Content-Type is {said}", "body", "Content-Type: application/json"
        )
    message = expected_of(first["type"], str(first["msg"])).removeprefix("expected ")
    if first["type"] == "json_invalid":
        return error_answer(400, "the body is not JSON", "body", "a JSON object")
    return error_answer(400, f"{parameter}: {_shown(first.get('input'))} is not allowed", parameter, message)


def _known(request: Request, place: str) -> list[str]:
    """The names a route takes, from its own schema."""
    route = request.scope.get("route")
    dependant = getattr(route, "dependant", None)
    fields = getattr(dependant, "query_params" if place == "query" else "body_params", [])
    names: list[str] = []
    for field in fields:
        in_model = getattr(field.field_info.annotation, "model_fields", None)
        names += [field.alias] if in_model is None else list(in_model)
    return names


def _meaning(request: Request, name: str) -> str | None:
    """What a route says of a parameter."""
    dependant = getattr(request.scope.get("route"), "dependant", None)
    for field in [*getattr(dependant, "query_params", []), *getattr(dependant, "body_params", [])]:
        in_model = getattr(field.field_info.annotation, "model_fields", {}).get(name)
        if in_model is not None:
            return str(in_model.description) if in_model.description else None
    return None


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
