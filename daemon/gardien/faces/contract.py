"""What a route of the JSON API promises: the fields it reads, and what it answers. Said at the handler, once.

`asked.fields` holds requests to it, and `openapi` describes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from gardien.faces import shapes

JSON = "application/json"
# A `TypedDict`, or the names of an object and what they hold.
Answers = Mapping[int, object]
Handler = TypeVar("Handler", bound=Callable[..., object])

JOB: Answers = {202: {"job": int}, 200: {"plan": shapes.PlanData}}  # with `dry_run` the plan
DONE: Answers = {200: {"ok": bool}}
READING: Answers = {202: {"reading": int}}
DRY: Mapping[str, type] = {"dry_run": bool}


@dataclass(frozen=True, slots=True)
class Contract:
    """`needs` and `may` are the fields of the body; `content` is in what an answer comes, by default JSON."""

    answers: Answers
    needs: Mapping[str, type] = field(default_factory=dict)
    may: Mapping[str, type] = field(default_factory=dict)
    query: Mapping[str, type] = field(default_factory=dict)
    content: str = JSON


def told(
    answers: Answers | object,
    *,
    needs: Mapping[str, type] | None = None,
    may: Mapping[str, type] | None = None,
    query: Mapping[str, type] | None = None,
    content: str = JSON,
) -> Callable[[Handler], Handler]:
    """Note what a handler promises. `answers`: by status, or that of 200."""
    by_status: Answers = (
        answers if isinstance(answers, Mapping) and all(isinstance(each, int) for each in answers) else {200: answers}
    )
    made = Contract(by_status, needs or {}, may or {}, query or {}, content)

    def note(handler: Handler) -> Handler:
        handler.contract = made  # type: ignore[attr-defined]
        return handler

    return note


def of(handler: object) -> Contract | None:
    """What it promises."""
    found = getattr(handler, "contract", None)
    return found if isinstance(found, Contract) else None
