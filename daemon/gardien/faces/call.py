"""The terminal's line to the daemon: HTTP over its unix socket. Kept light, so that commands start at once."""

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from gardien.errors import BadInput, GardienError, Refused
from gardien.words import N_, Words

RUN = Path("/run/gardien")  # as in the model's settings, which would take long to import
PATIENCE = 120.0  # seconds; a watched job is heard of every ten
SYSTEMD = Path("/run/systemd/system")

Data = dict[str, Any]


class NotRunning(GardienError):
    """Nobody answers at the socket."""

    code = "not-running"


class Told(GardienError):
    """The daemon's own error; its sentences are in the reader's language already."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__("{it}", it=_text(data.get("says")), detail=str(data.get("detail", "")))
        self.code = str(data.get("code", "failed"))
        self.says, self.remedy = (
            Words.of("{it}", it=_text(data.get("says"))),
            Words.of("{it}", it=_text(data.get("remedy"))),
        )
        self.data = dict(data)

    def as_json(self) -> Data:
        return self.data


def _text(said: object) -> str:
    """A sentence that was said, or one that was only made."""
    return str(Words.from_json(said)) if isinstance(said, Mapping) else str(said or "")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("gardien", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


class Daemon:
    """The daemon behind `path`. Every method raises NotRunning, Refused (no permission) or Told."""

    def __init__(self, path: Path, language: str, config: Path) -> None:
        self._path = path
        self.language = language
        self._config = config

    def get(self, *path: str, **query: str | int) -> Data:
        """What stands at `/api/v1/` + path."""
        asked = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
        return self._answer("GET", path, asked)

    def post(self, *path: str, **body: object) -> Data:
        """Ask for something to be done."""
        return self._answer("POST", path, body={name: value for name, value in body.items() if value is not None})

    @contextmanager
    def stream(self, *path: str, **query: str) -> Iterator[BinaryIO]:
        """What stands there, byte by byte; it ends early if the daemon's does. Raises what `get` raises."""
        link = _Connection(self._path)
        try:
            response = self._send(link, "GET", path, "&".join(f"{name}={value}" for name, value in query.items()))
            if response.status != 200:
                raise Told(_error(response.read()))
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise NotRunning(N_("gardien stopped before it answered"), N_("Look at its log, and try again.")) from error
        finally:
            link.close()

    def watch(self, job: int) -> Iterator[Data]:
        """A job, again whenever it changed, until it is over. Raises NotRunning if the daemon goes before."""
        link = _Connection(self._path)
        try:
            response = self._send(link, "GET", ("jobs", str(job), "watch"))
            if response.status != 200:
                raise Told(_error(response.read()))
            over = False
            while line := response.readline():
                if line.strip():
                    data = json.loads(line)
                    over = data["over"]
                    yield data
            if not over:
                raise ConnectionResetError
        except (OSError, http.client.HTTPException) as error:
            raise NotRunning(
                N_("gardien stopped while job {job} was under way"),
                N_("At its next start it finishes or undoes the job; `gardien job show {job}` tells which."),
                job=job,
            ) from error
        finally:
            link.close()

    def _answer(self, method: str, path: tuple[str, ...], query: str = "", body: object = None) -> Data:
        link = _Connection(self._path)
        try:
            response = self._send(link, method, path, query, body)
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NotRunning(N_("gardien stopped before it answered"), N_("Look at its log, and try again.")) from error
        finally:
            link.close()
        if response.status >= 300:
            raise Told(_error(text))
        return dict(json.loads(text))

    def _send(
        self, link: _Connection, method: str, path: tuple[str, ...], query: str = "", body: object = None
    ) -> http.client.HTTPResponse:
        try:
            link.connect()
        except PermissionError as error:
            raise Refused(N_("you may not speak to gardien"), N_("Put `sudo` before the command.")) from error
        except OSError as error:
            raise self._not_running() from error
        url = "/api/v1/" + "/".join(quote(part, safe="") for part in path) + (f"?{query}" if query else "")
        headers = {"Accept-Language": self.language, "Content-Type": "application/json"}
        link.request(method, url, json.dumps(body) if method == "POST" else None, headers)
        return link.getresponse()

    def _not_running(self) -> NotRunning:
        if SYSTEMD.is_dir():
            remedy = N_("Start it with `sudo systemctl start gardien`; `journalctl -u gardien` tells why it stopped.")
        else:
            remedy = N_("Start it with `gardien --config {config} run`; it prints why, if it cannot.")
        return NotRunning(
            N_("gardien is not running: nobody answers at {socket}"),
            remedy,
            socket=str(self._path),
            config=str(self._config),
        )


def _error(text: bytes) -> Data:
    try:
        return dict(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return {
            "code": "failed",
            "says": "gardien gave an answer that cannot be read",
            "detail": text[:500].decode(errors="replace"),
        }


def spoken_here() -> str | None:
    """The language of this terminal, if it asks for one that we speak."""
    wish = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return next((language for language in ("fr", "en") if wish.startswith(language)), None)


def reach(config: Path) -> Daemon:
    """The daemon that runs with these settings. Reads only where its socket is, and in which language it speaks."""
    from ruamel.yaml import YAML  # noqa: PLC0415  (not needed by `--help`)
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        data = YAML(typ="safe", pure=True).load(config.read_text("utf-8"))
        folders = data.get("folders") or {}
        run, language = Path(folders.get("run", RUN)), data.get("language", "en")
    except FileNotFoundError as error:
        raise BadInput(
            N_("there is no settings file {file}"),
            N_("Name the right one with --config, or run install.sh, which writes one."),
            file=str(config),
        ) from error
    except PermissionError as error:
        raise Refused(N_("you may not read {file}"), N_("Put `sudo` before the command."), file=str(config)) from error
    except (OSError, ValueError, YAMLError, AttributeError, TypeError) as error:
        raise BadInput(
            N_("cannot read {file}"), N_("`gardien check` lists what is wrong with it."), file=str(config)
        ) from error
    return Daemon(run / "gardien.sock", spoken_here() or str(language), config)
