"""Draws pages: templates, languages and the few files a page needs. Knows no use case."""

import gzip
import hashlib
import logging
import re
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from gardien.faces import answering, history, present, rescued, wire_updates
from gardien.faces.templates import Templates
from gardien.model.operator import country_name
from gardien.services.backup import shrunk
from gardien.words import Words

log = logging.getLogger(__name__)

LANGUAGE_COOKIE = "language"
KINDS = MappingProxyType(
    {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon"}
)
CODE = re.compile(r"`([^`]+)`")


def webui() -> Path:
    """The folder of templates and static files: beside the installed package, or in a checkout."""
    package = Path(__file__).parent.parent
    shipped = package / "shipped" / "webui"
    return shipped if shipped.is_dir() else package.parent.parent / "webui"


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file, held in memory. Its address carries its hash, so it may be kept by browsers for ever."""

    body: bytes
    packed: bytes
    kind: str
    mark: str

    @classmethod
    def read(cls, path: Path) -> "Asset":
        body = path.read_bytes()
        packed = gzip.compress(body, mtime=0)
        return cls(body, packed, KINDS[path.suffix], hashlib.sha256(body).hexdigest()[:12])


class Screen:
    """One template environment per language, and the static files."""

    def __init__(self, fallback: str, folder: Path | None = None, kept: Path | None = None) -> None:
        """`kept`: where compiled templates are kept for the next start."""
        folder = folder or webui()
        static = folder / "static"
        self._fallback = fallback
        self._assets = {
            str(path.relative_to(static)): Asset.read(path)
            for path in sorted(static.rglob("*"))
            if path.suffix in KINDS and path.is_file()
        }
        if not any(name.startswith("vendor/") for name in self._assets):
            log.warning("the page's scripts were not built: pages work, but do not move by themselves")
        self._templates = Templates(folder / "templates", kept)
        self._environments = {language: self._environment(language) for language in present.LANGUAGES}

    def warm(self) -> None:
        """Have all templates compiled. Runs in a thread."""
        self._templates.complete(self._environments[self._fallback])

    def _environment(self, language: str) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=self._templates,
            autoescape=True,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            extensions=["jinja2.ext.i18n"],
        )
        environment.policies["ext.i18n.trimmed"] = True
        environment.install_gettext_translations(present.catalogue(language), newstyle=True)  # type: ignore[attr-defined]
        for name in (
            "age",
            "clock",
            "day",
            "duration",
            "full_day",
            "full_moment",
            "left",
            "month",
            "number",
            "outlook",
            "percent",
            "say",
            "sentence",
            "size",
            "span",
            "speed",
            "weekday",
            "when",
            "window",
        ):
            environment.filters[name] = partial(getattr(present, name), language=language)
        environment.filters["tr"] = partial(present.translate, language=language)
        environment.filters["prose"] = partial(prose, language=language)
        environment.filters["rescued"] = partial(rescued.sentences, language=language)
        environment.filters["web_address"] = web_address
        environment.filters["capital"] = present.capital
        environment.globals.update(
            language=language,
            languages=present.LANGUAGES,
            asset=self.address,
            moving="vendor/htmx-sse.min.js" in self._assets,
            country=lambda code: getattr(country_name(code), language),
            job_title=partial(present.job_title, language=language),
            say_needs=partial(present.needs, language=language),
            ANSWER=present.ANSWER,
            HEALTH=present.HEALTH,
            JUMP=wire_updates.JUMP,
            SEVERITY=present.SEVERITY,
            JOB_STATE=present.JOB_STATE,
            STEP_STATE=present.STEP_STATE,
            STANDING=present.STANDING,
            KNOWN=answering.KNOWN,
            WAYS=answering.WAYS,
            SPANS=answering.SPANS,
            shrunk=shrunk,
            stack_of=present.stack_of,
            target_of=present.target_of,
            unmade=history.unmade,
        )
        for part in ("icons.html", "parts.html", "kit_parts.html"):
            shapes = environment.get_template(part).module
            environment.globals.update({name: getattr(shapes, name) for name in dir(shapes) if name[0] != "_"})
        return environment

    def language(self, request: web.Request) -> str:
        """What the reader chose, else what their browser asks for, else what the owner set."""
        chosen = request.cookies.get(LANGUAGE_COOKIE)
        if chosen in present.LANGUAGES:
            return chosen
        return preferred(request.headers.get("Accept-Language", "")) or self._fallback

    def text(self, template: str, language: str, **context: object) -> str:
        """A template's text in `language`."""
        return self._environments[language].get_template(template).render(context)

    def about(self, request: web.Request) -> dict[str, object]:
        """What every page knows of its reader: all of a page that does not follow from the house, and the language."""
        return {
            "path": request.path_qs if request.method == "GET" else "/",  # where to come back to
            "user": request.get("user"),
            "may": request.get("may", frozenset()),
            "first_run": request.get("first_run", False),
        }

    def page(self, request: web.Request, template: str, status: int = 200, /, **context: object) -> web.Response:
        """A whole page for this reader."""
        text = self.text(template, self.language(request), **{**self.about(request), **context})
        return web.Response(text=text, content_type="text/html", status=status)

    def address(self, name: str) -> str:
        """Where a static file is found."""
        return f"/static/{name}?v={self._assets[name].mark}"

    def static_text(self, name: str) -> str:
        """A style sheet's own text, for a page that has to stand alone."""
        return self._assets[name].body.decode()

    def asset(self, request: web.Request) -> web.Response:
        """Serve a static file; names are looked up, never opened. Raises 404."""
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        body = asset.body
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = asset.packed
        charset = "utf-8" if asset.kind.startswith("text/") else None
        return web.Response(body=body, content_type=asset.kind, charset=charset, headers=headers)


def keep_language(request: web.Request, response: web.StreamResponse, language: str) -> None:
    """Let this browser remember it."""
    year = 365 * 24 * 3600
    response.set_cookie(
        LANGUAGE_COOKIE, language, path="/", max_age=year, httponly=True, samesite="Strict", secure=request.secure
    )


def language_note(user: str) -> str:
    """Under which the store notes what language somebody chose, for the next browser they sign in with."""
    return f"language:{user}"


@lru_cache(64)
def preferred(header: str) -> str | None:
    """The language we speak that an `Accept-Language` header likes best."""
    wishes: list[tuple[float, str]] = []
    for wish in header.replace(" ", "").split(",")[:20]:
        tag, _, weight = wish.partition(";q=")
        if re.fullmatch(r"(0(\.\d{0,3})?|1(\.0{0,3})?)?", weight):
            wishes.append((float(weight or 1), tag))
    for liking, tag in sorted(wishes, key=lambda wish: -wish[0]):
        spoken = present.known(tag, "")
        if spoken and liking > 0:
            return spoken
    return None


def prose(words: Words | None, language: str) -> Markup:
    """A sentence as HTML: what stands between backticks is something to type."""
    if words is None or not words.text:
        return Markup("")
    escaped = str(escape(present.sentence(words, language)))
    return Markup(CODE.sub(r"<code>\1</code>", escaped))  # noqa: S704  (escaped just before)


def web_address(text: str | None) -> str | None:
    """`text` if it is safe to link to: a stack's author wrote it."""
    return text if text and re.match(r"https?://[^\s]+\Z", text) else None
