"""What a program asks of the API, checked before anybody acts on it."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gardien.errors import BadInput, Refused
from gardien.faces import contract
from gardien.faces.auth import over_socket
from gardien.faces.keys import SCREEN
from gardien.model.fault import Fault, Faults, nearest
from gardien.words import N_, Words

MOST = 1000  # rows or lines that can be asked for at once

SHAPES: Mapping[type, str] = {
    str: N_("{field} must be text"),
    bool: N_("{field} must be true or false"),
    dict: N_("{field} must be an object"),
    list: N_("{field} must be a list"),
    int: N_("{field} must be a number"),
}

Body = Mapping[str, Any]


def language(request: web.Request) -> str:
    """The language the asker reads."""
    return request.app[SCREEN].language(request)


def console_only(request: web.Request) -> None:
    """Raise Refused unless the asker sits at this machine, on the unix socket."""
    if not over_socket(request):
        raise Refused(
            N_("this can be asked at the machine itself only"),
            N_("Run the `gardien` command there."),
        )


def number(request: web.Request, name: str, default: int) -> int:
    """A number of the query, from 1 to MOST. Raises BadInput."""
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST:
        raise BadInput(N_("{field} must be a number from 1 to {most}"), N_("Ask for less."), field=name, most=MOST)
    return int(text)


def count(request: web.Request, name: str) -> int:
    """A number of the query from 0 on; 0 if it was not sent. Raises BadInput."""
    text = request.query.get(name, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise BadInput(N_("{field} must be a number"), N_("Correct the request."), field=name)
    return int(text)


async def fields(request: web.Request) -> Body:
    """The request's JSON object; nothing sent is an empty one. Which fields there are its handler's contract says.

    Raises `Faults` for all that is wrong with it.
    """
    promised = contract.of(request.match_info.handler) or contract.Contract({})
    required, optional = promised.needs, promised.may
    sent = await request.read()
    try:
        data = json.loads(sent) if sent.strip() else {}
    except (ValueError, RecursionError) as error:  # the latter: brackets in brackets in brackets
        raise BadInput(N_("the request is not JSON: {why}"), N_("Send a JSON object."), why=str(error)) from error
    if not isinstance(data, dict):
        raise BadInput(N_("the request is not a JSON object"), N_("Send a JSON object."))
    known = {**required, **optional}
    faults = [fault(key, N_("{field} is missing")) for key in required if key not in data]
    faults += [fault(key, N_("{field} is not known here"), nearest(key, known)) for key in data if key not in known]
    faults += [fault(key, SHAPES[known[key]]) for key in data if key in known and not isinstance(data[key], known[key])]
    if faults:
        raise Faults(faults)
    return data


def texts(body: Body, field: str) -> Mapping[str, str]:
    """An object of texts, empty if it was not sent. Raises `Faults`."""
    found: Mapping[str, Any] = body.get(field, {})
    if faults := [fault(key, SHAPES[str]) for key, value in found.items() if not isinstance(value, str)]:
        raise Faults(faults)
    return found


def list_of_texts(body: Body, field: str) -> list[str]:
    """A list of texts, empty if it was not sent. Raises `Faults`."""
    found: list[Any] = body.get(field, [])
    if not all(isinstance(each, str) for each in found):
        raise Faults([fault(field, SHAPES[str])])
    return found


def meant(name: str, typed: object) -> None:
    """Raise BadInput unless the name of what is to be deleted was typed."""
    if typed != name:
        raise BadInput(
            N_("the files of {stack} are deleted only if its name is typed: {stack}"),
            N_("Nothing was done. Type the name exactly, or remove it without deleting its files."),
            stack=name,
        )


def fault(field: str, says: str, remedy: Words | None = None) -> Fault:
    """A mistake in one field of what was sent."""
    return Fault((field,), Words.of(says, field=field), remedy or Words.of(N_("Correct the request.")))
