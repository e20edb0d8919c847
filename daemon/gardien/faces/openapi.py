"""The API's own description, OpenAPI 3.1, made from the routes as they are and from what their handlers promise."""

import re
import typing
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Required, Union

from aiohttp import web

from gardien import __version__
from gardien.faces import contract, shapes
from gardien.faces.api_targets import ROOT
from gardien.faces.contract import Contract, told

Schema = dict[str, Any]
PLAIN: Mapping[object, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bytes: {},
    object: {},
    Any: {},
    list: {"type": "array", "items": {"type": "string"}},
    dict: {"type": "object", "additionalProperties": {"type": "string"}},
}
NUMBERS = frozenset({"job", "entry", "alert"})  # in paths
REFUSED = {"4XX": "It was refused, and nothing was done.", "5XX": "It could not be done."}


def describe(app: web.Application) -> Schema:
    """All routes below `ROOT`."""
    known: dict[str, Schema] = {}
    paths: dict[str, Schema] = {}
    for route in app.router.routes():
        promised = contract.of(route.handler)
        if promised is not None and route.resource is not None and route.method != "HEAD":
            path = route.resource.canonical.removeprefix(ROOT)
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, path, promised, known)
    _schema(shapes.ErrorData, known)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gardien",
            "version": __version__,
            "description": "What the `gardien` command uses, and your own programs may. Moments are in UTC, "
            "sizes bytes, durations seconds; what is not known is null.",
        },
        "servers": [{"url": ROOT}],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(known.items()))},
    }


def _operation(route: web.AbstractRoute, path: str, promised: Contract, known: dict[str, Schema]) -> Schema:
    words = (route.handler.__doc__ or "").strip()
    made: Schema = {
        "operationId": re.sub(r"\W+", "-", f"{route.method.lower()} {path}").strip("-"),
        "summary": words.split("\n")[0],
        "parameters": [_parameter(name) for name in re.findall(r"\{(\w+)\}", path)],
        "responses": {
            str(status): {
                "description": "Done." if status < 202 else "Begun.",
                "content": {
                    "application/octet-stream" if answer is bytes else promised.content: {
                        "schema": _schema(answer, known)
                    }
                },
            }
            for status, answer in promised.answers.items()
        },
    }
    for status, says in REFUSED.items():
        error = {"type": "object", "required": ["error"], "properties": {"error": _schema(shapes.ErrorData, known)}}
        made["responses"][status] = {"description": says, "content": {contract.JSON: {"schema": error}}}
    made["parameters"] += [
        {"name": name, "in": "query", "required": False, "schema": PLAIN[kind]} for name, kind in promised.query.items()
    ]
    if route.method == "POST":
        fields = {**promised.needs, **promised.may}
        made["requestBody"] = {
            "required": bool(promised.needs),
            "content": {
                contract.JSON: {
                    "schema": {
                        "type": "object",
                        "properties": {name: PLAIN[kind] for name, kind in fields.items()},
                        "required": sorted(promised.needs),
                        "additionalProperties": False,
                    }
                }
            },
        }
    return made


def _parameter(name: str) -> Schema:
    number = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
    return {"name": name, "in": "path", "required": True, "schema": number if name in NUMBERS else {"type": "string"}}


def _schema(kind: Any, known: dict[str, Schema]) -> Schema:
    """The JSON schema of a type; a `TypedDict` is described once, by name."""
    if isinstance(kind, Mapping):
        return {
            "type": "object",
            "properties": {name: _schema(each, known) for name, each in kind.items()},
            "required": sorted(kind),
        }
    if typing.is_typeddict(kind):
        name = kind.__name__.removesuffix("Data")
        if name not in known:
            known[name] = {}  # it may hold itself
            fields = typing.get_type_hints(kind)
            known[name] = {
                "type": "object",
                "properties": {field: _schema(each, known) for field, each in fields.items()},
                "required": sorted(kind.__required_keys__),
            }
        return {"$ref": f"#/components/schemas/{name}"}
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, UnionType):
        parts = [_schema(each, known) for each in inner if each is not NoneType]
        return {"anyOf": [*parts, {"type": "null"}]} if NoneType in inner else {"anyOf": parts}
    if origin is Literal:
        return {"type": "string", "enum": list(inner)}
    if origin in (NotRequired, Required):
        return _schema(inner[0], known)
    if origin is list:
        return {"type": "array", "items": _schema(inner[0], known)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(inner[1], known)}
    return dict(PLAIN[kind])


@told(dict[str, object])
async def document(request: web.Request) -> web.Response:
    """This description."""
    return web.json_response(describe(request.app))


def routes() -> list[web.RouteDef]:
    """Where it is found."""
    return [web.get(f"{ROOT}/openapi.json", document)]
