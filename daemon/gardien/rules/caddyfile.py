"""The configuration of the house's door, made of the routes of all stacks: a Caddyfile for Caddy 2.7 or newer.

Nothing in it comes from a setting unchecked: each value is a name, an address, a number or a path in full, or the whole
is refused.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gardien.errors import BadInput
from gardien.model.manifest import Text
from gardien.rules.kinds import fits
from gardien.words import N_

State = Literal["open", "starting", "stopped", "restoring", "updating"]

_UPSTREAM = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?:([1-9][0-9]{0,4})", re.ASCII)
_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,199}", re.ASCII)
# Where clients could claim to be somebody else, or to ask for something else. Caddy sets X-Forwarded-For, -Proto and
# -Host anew by itself, and X-Real-IP is set below.
_CLAIMS = (
    "Forwarded",
    "Forwarded-For",
    "X-Forwarded",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "Client-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "Proxy",
)
_ROOT = "/.well-known/gardien/root.crt"
_AUTHORITY = "/data/caddy/pki/authorities/local"  # the folder of the house's own root certificate, and of its key


@dataclass(frozen=True, slots=True)
class Front:
    """The door itself. `page_name` is the name under which the status page is published; None: it is not.

    `authority` is the URL of an ACME directory and `email` what it is told, both for a door to the internet only.
    """

    mode: Literal["home", "internet"]
    http_port: int = 80
    https_port: int = 443
    domain: str = "home.arpa"
    email: str = ""
    authority: str = ""
    page_name: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A name and where it leads. `to` and the values of `paths` are `container:port`.

    `paths` are prefixes that lead elsewhere, `redirects` whole paths; `largest_body` is in MB, None: no limit. Visitors
    get a waiting page unless the state is `open`.
    """

    name: str
    title: Text
    to: str
    paths: Mapping[str, str] = field(default_factory=dict)
    redirects: Mapping[str, str] = field(default_factory=dict)
    largest_body: int | None = None
    state: State = "open"


def caddyfile(front: Front, sites: Sequence[Site]) -> str:
    """The whole Caddyfile; equal facts give equal text.

    Raises BadInput for a value that is not what it should be, and for a name that is given twice.
    """
    names = [site.name for site in sites] + ([front.page_name] if front.page_name is not None else [])
    for name in names:
        _checked(name, fits("domain", name))
        if names.count(name) > 1:
            raise BadInput(
                N_("two applications want to answer to {name}"), N_("Give one of them another name."), name=name
            )
    blocks = [
        _options(front),
        *_PAGES,
        _UP,
        _SILENCE,
        _every(front),
        _plain(front, sorted(names)),
        _nobody(),
        *(_site(front, site) for site in sorted(sites, key=lambda site: site.name)),
    ]
    if front.page_name is not None:
        blocks.append(_status_page(front, front.page_name))
    return _HEAD + "\n".join(blocks)


_HEAD = """\
# Written by gardien from the routes of all stacks: what is changed here is lost at the next change.
# Options of your own (an account at an authority, a DNS provider) go into files own/*.caddy beside this one.
"""

# How an application is spoken to. A connection is given up before Apache or Node.js would do it (5 s), so that none is
# used that they just closed; and websockets outlive a change of this file.
_UP = """\
(up) {
	header_up X-Real-IP {remote_host}
	header_up -Via
	stream_close_delay 24h
	transport http {
		dial_timeout 3s
		keepalive 3s
	}
}
"""


# Only Caddy's own failures come here: an application's own 503 is its own affair.
_SILENCE = """\
(silence) {
	handle_errors {
		@silent expression `{err.status_code} in [502, 503, 504]`
		handle @silent {
			import page_silent
		}
		handle {
			respond "{err.status_code} {err.status_text}" {err.status_code}
		}
	}
}
"""


def _options(front: Front) -> str:
    lines = [
        "admin localhost:2019",
        f"http_port {_port(front.http_port)}",
        f"https_port {_port(front.https_port)}",
        # Caddy's own redirects forget a port of our own.
        "auto_https disable_redirects",
        # Who visited what is nobody's business: an error is logged without its request. And the probes' own questions
        # would fill the log.
        *_block("log", *_block("format filter", "wrap json", *_block("fields", "request delete")), "exclude admin.api"),
    ]
    timeouts = _block("timeouts", "read_header 30s")
    if front.mode == "home":
        name = f'"gardien ({_checked(front.domain, fits("domain", front.domain))})"'
        lines += [
            "local_certs",
            "skip_install_trust",
            *_block("pki", *_block("ca local", f"name {name}", f"root_cn {name}")),
        ]
        # Browsers speak HTTP/3 only with authorities they were made with.
        timeouts = ["protocols h1 h2", *timeouts]
    else:
        lines.append(f'acme_ca "{_checked(front.authority, fits("url", front.authority))}"')
        if front.email:
            lines.append(f'email "{_checked(front.email, fits("email", front.email))}"')
        lines.append("import own/*.caddy")
    return _text(_block("", *lines, *_block("servers", *timeouts)))


def _plain(front: Front, names: Sequence[str]) -> str:
    """What is said without TLS: go over there; and at home, whom to trust there."""
    lines = []
    if front.mode == "home":
        # Rewritten to this one file whatever was asked for: the authority's key lies beside it.
        lines += _block(
            f"handle {_ROOT}",
            f"root * {_AUTHORITY}",
            "rewrite * /root.crt",
            *_block("header", "Content-Type application/x-x509-ca-cert", "Cache-Control no-store"),
            "file_server",
        )
    if names:
        lines.append(f"@known host {' '.join(names)}")
        # Not for good: a browser would remember a port that may change.
        lines += _block("handle @known", f"redir https://{{host}}{_suffix(front)}{{uri}} 307")
    lines += _block("handle", "import page_nothing")
    return _text(_block("http://", *lines))


def _nobody() -> str:
    """A name in the request that is not the one of the certificate; a name in the handshake gets no certificate."""
    return _text(_block("https://", "import page_nothing"))


def _site(front: Front, site: Site) -> str:
    if site.state != "open":
        return _text(_block(f"https://{site.name}", *_titles(site.title), f"import page_{site.state}"))
    lines = []
    for number, (path, to) in enumerate(sorted(site.redirects.items())):
        lines.append(f"@go{number} path {_path(path)}")
        lines.append(f"redir @go{number} https://{site.name}{_suffix(front)}{_path(to)} 301")
    if site.largest_body is not None:
        lines += _block("request_body", f"max_size {_number(site.largest_body)}MB")
    # The longest prefix first.
    for number, (path, to) in enumerate(sorted(site.paths.items(), key=lambda item: (-len(item[0]), item[0]))):
        prefix = _path(path).rstrip("/")
        lines.append(f"@to{number} path {path if path == prefix else ''} {prefix}/*".replace("  ", " "))
        lines += _block(f"reverse_proxy @to{number} {_upstream(to)}", "import up")
    lines += _block(f"reverse_proxy {_upstream(site.to)}", "import up")
    return _text(_block(f"https://{site.name}", *_titles(site.title), *_routes(lines)))


def _status_page(front: Front, name: str) -> str:
    proxy = _block("reverse_proxy unix//run/gardien/page.sock", "import up")
    return _text(_block(f"https://{name}", *_titles(Text(en="gardien", fr="gardien")), *_routes(proxy)))


def _routes(lines: Sequence[str]) -> list[str]:
    """What is done with a visit, in this very order; and a page for an application that cannot be reached."""
    return [*_block("route", "import every", *lines), "import silence"]


def _every(front: Front) -> str:
    """What goes for every application: claims of clients are dropped, and who is behind the door is not told."""
    # At home nobody may be held to TLS: a phone that lost its trust must be able to fetch the certificate again.
    hsts = "-Strict-Transport-Security" if front.mode == "home" else "Strict-Transport-Security max-age=31536000"
    return _text(
        _block(
            "(every)",
            *(f"request_header -{claim}" for claim in _CLAIMS),
            *_block("header", hsts, "-Server", "defer"),
        )
    )


def _block(name: str, *lines: str) -> list[str]:
    return [f"{name} {{".lstrip(), *(f"\t{line}" for line in lines), "}"]


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _suffix(front: Front) -> str:
    return "" if front.https_port == 443 else f":{_port(front.https_port)}"


def _checked(value: str, good: bool) -> str:
    if not good:
        raise BadInput(
            N_("the door cannot be told {value}: it is not what belongs there"),
            N_("Write it differently."),
            value=ascii(value)[:100],
        )
    return value


def _number(value: int, most: int = 10**9) -> str:
    return _checked(str(int(value)), 0 < value <= most)


def _port(value: int) -> str:
    return _number(value, 65535)


def _path(value: str) -> str:
    return _checked(value, bool(_PATH.fullmatch(value)))


def _upstream(value: str) -> str:
    found = _UPSTREAM.fullmatch(value)
    return _checked(value, found is not None and int(found[2]) <= 65535)


def _titles(title: Text) -> list[str]:
    return [f"vars title_en {_title(title.en)}", f"vars title_fr {_title(title.fr)}"]


def _title(words: str) -> str:
    """A title as HTML in one quoted word: neither a tag, nor a placeholder of Caddy's, nor the end of the quotes."""
    text = html.escape("".join(filter(str.isprintable, " ".join(words.split())))[:100])
    return '"' + re.sub(r"[^ -~]|[{}\\`$]", lambda found: f"&#{ord(found[0])};", text) + '"'


# -- the pages

_STYLE = """\
:root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f5f3ed;color:#22292b;\
font:1.05rem/1.55 system-ui,sans-serif}\
main{max-width:32rem;padding:2rem}h1{font-size:1.35rem;line-height:1.3;margin:0}\
p{margin:.4rem 0 0;color:#596265}section+section{margin-top:1.6rem}\
@media(prefers-color-scheme:dark){body{background:#14181a;color:#e9e7e1}p{color:#a6afb1}}"""


def _page(name: str, status: int, again: int | None, fr: tuple[str, str], en: tuple[str, str]) -> str:
    """A snippet that answers with a small page in both languages; `again`: look again after so many seconds."""
    sections = "".join(
        f"<section lang={language}><h1>{head}</h1><p>{text}</p></section>"
        for language, (head, text) in (("fr", fr), ("en", en))
    )
    refresh = f"<meta http-equiv=refresh content={again}>" if again else ""
    body = (
        "<!doctype html><html lang=fr><meta charset=utf-8><meta name=viewport content=width=device-width>"
        f"{refresh}<title>{en[0]}</title><style>{_STYLE}</style><main>{sections}</main></html>"
    )
    headers = [
        'Content-Type "text/html; charset=utf-8"',
        "Content-Security-Policy \"default-src 'none'; style-src 'unsafe-inline'\"",
        "X-Content-Type-Options nosniff",
        "Referrer-Policy no-referrer",
        "Cache-Control no-store",
        *([f"Retry-After {again}"] if again else []),
    ]
    return _text(_block(f"(page_{name})", *_block("header", *headers), f"respond `{body}` {status}"))


# Always in both languages at once: here nobody has logged in yet, and no translation is at hand.
_EN, _FR = "{http.vars.title_en}", "{http.vars.title_fr}"
_PAGES = (
    _page(
        "starting",
        503,
        5,
        (f"{_FR} démarre", "Cette page réessaie d’elle-même."),
        (f"{_EN} is starting", "This page looks again by itself."),
    ),
    _page(
        "silent",
        503,
        5,
        (
            f"{_FR} ne répond pas encore",
            "Peut-être le démarrage n’est-il pas terminé. Cette page réessaie d’elle-même.",
        ),
        (f"{_EN} does not answer yet", "It may still be starting. This page looks again by itself."),
    ),
    _page(
        "stopped",
        503,
        60,
        (f"{_FR} est à l’arrêt", "La personne qui s’occupe de ce serveur peut le remettre en marche."),
        (f"{_EN} is switched off", "The person who looks after this server can switch it on again."),
    ),
    _page(
        "restoring",
        503,
        30,
        (
            f"{_FR} est en cours de restauration",
            "Ses données reviennent d’une sauvegarde. Cette page réessaie d’elle-même.",
        ),
        (f"{_EN} is being brought back", "Its data comes back from a backup. This page looks again by itself."),
    ),
    _page(
        "updating",
        503,
        30,
        (f"{_FR} est en cours de mise à jour", "Cela dure quelques minutes. Cette page réessaie d’elle-même."),
        (f"{_EN} is being updated", "That takes some minutes. This page looks again by itself."),
    ),
    _page(
        "nothing",
        421,
        None,
        ("Il n’y a rien à cette adresse", "Vérifiez le nom que vous avez tapé."),
        ("There is nothing at this address", "Check the name that you typed."),
    ),
)
