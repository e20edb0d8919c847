"""What each request needs of the one who asks. What is not named here is an owner's alone: a new page is shut."""

import json
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from aiohttp import web

from gardien.model.person import Power

ROOT = "/api/v1"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

# How everything is: health, ages, sizes; no names of files, no logs, no keys.
READ = frozenset(
    {
        "/",
        "/live",
        "/stacks/{name}",
        "/backups",
        "/jobs",
        "/updates",
        "/stacks/{name}/updates",
        "/jobs/{job}",
        "/machine",
        "/alerts",
        "/proofs",
        "/proofs/{month}",
        "/record",
        "/record/{month}",
        "/certificate",
        "/certificate/root.crt",
        "/metrics",
        "/static/{name}",
        f"{ROOT}/status",
        f"{ROOT}/stacks",
        f"{ROOT}/jobs",
        f"{ROOT}/jobs/{{job}}",
        f"{ROOT}/jobs/{{job}}/watch",
        f"{ROOT}/snapshots",
        f"{ROOT}/targets",
        f"{ROOT}/updates",
        f"{ROOT}/proofs",
        f"{ROOT}/proofs/certificate",
        f"{ROOT}/report",
        f"{ROOT}/kit",
        f"{ROOT}/alerts",
        f"{ROOT}/machine",
        f"{ROOT}/machine/history",
        f"{ROOT}/certificate",
        f"{ROOT}/certificate/page",
        f"{ROOT}/version",
        f"{ROOT}/openapi.json",
    }
)
# What is looked at by everybody who is signed in, and changed for themselves alone.
SELF = (
    "/logout",
    "/account",
    "/account/password",
    "/account/factor",
    "/account/factor/enrol",
    "/account/factor/remove",
    "/account/visits/{visit}/end",
    "/account/visits/end",
)
PEOPLE = ("/people", "/tokens", "/log", f"{ROOT}/users", f"{ROOT}/tokens", f"{ROOT}/log")  # and all beneath
ACTS: MappingProxyType[str, Power] = MappingProxyType(
    {
        "/stacks/{name}/backup": "backup",
        f"{ROOT}/backups": "backup",
        "/updates/look": "update",
        "/stacks/{name}/updates/look": "update",
        "/stacks/{name}/updates/run": "update",  # the page that asks first, too
        f"{ROOT}/updates/run": "update",
        f"{ROOT}/updates/look": "update",
    }
)

# What a program printed, or was told to the letter: there may be names of files in it.
INSIDE = frozenset({"detail", "details", "printed", "problems"})


@lru_cache(1024)  # more than there are routes and ways to ask for them
def needed(method: str, pattern: str) -> Power:
    """What is needed for a request of this kind, to a route of this pattern."""
    if pattern in SELF:
        return "self"
    if any(pattern == each or pattern.startswith(f"{each}/") for each in PEOPLE):
        return "people"
    if method in SAFE:
        return "read" if pattern in READ else ACTS.get(pattern, "inside")
    return ACTS.get(pattern, "act")


def veiled(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """What the API says to those who may not look inside."""
    if "inside" in request["may"] or not isinstance(response, web.Response):
        return response
    if response.content_type == "application/json" and response.text is not None:
        response.text = json.dumps(veil(request, json.loads(response.text)))
    return response


def veil(request: web.Request, data: Any) -> Any:
    """`data` without what only those are told who may look inside."""
    return data if "inside" in request.get("may", ()) else _without(data)


def _without(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: type(each)() if key in INSIDE and each else _without(each) for key, each in data.items()}
    if isinstance(data, list):
        return [_without(each) for each in data]
    return data
