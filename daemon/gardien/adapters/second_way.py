"""The second way, for when letters do not arrive: a webhook that takes JSON, or a topic of ntfy."""

import asyncio
from urllib.parse import urlsplit

from gardien.adapters.outside import post
from gardien.errors import MailFailed
from gardien.model.letter import Letter
from gardien.model.settings import Settings
from gardien.words import N_


class SecondWay:
    """The `Mailer` of a real house that needs no mail server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, letter: Letter) -> None:
        """Raises MailFailed. The same letter carries the same name, by which its reader knows a second one."""
        second = self._settings.second_way
        if second is None:
            raise MailFailed(
                N_("there is no second way in the settings"),
                N_("Write `second_way` into gardien.yaml, as docs/letters.md shows."),
                lasting=True,
            )
        title, text = letter.text.subject, letter.text.plain.strip()
        headers = {"Idempotency-Key": letter.message}
        if token := await asyncio.to_thread(self._token):
            headers["Authorization"] = f"Bearer {token}"
        if second.kind == "ntfy":
            # From 2.16 on ntfy shows two with one `sequence_id` as one; older ones do not know it, and do not mind.
            url, _, topic = second.url.rstrip("/").rpartition("/")
            data = {"topic": topic, "title": title, "message": text, "sequence_id": letter.message}
        else:
            url = second.url
            data = {"id": letter.message, "house": self._settings.name, "title": title, "text": text}
        host = urlsplit(second.url).hostname or ""
        try:
            status = await post(self._settings, url, data, headers)
        except OSError as error:
            raise MailFailed(*_SILENT, lasting=False, detail=str(error), host=host) from error
        if status >= 300:
            raise MailFailed(*_NOT_TAKEN, lasting=400 <= status < 500, detail=f"status {status}", host=host)

    def _token(self) -> str | None:
        try:
            return self._settings.second_way_token.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MailFailed(
                N_("the token for the second way cannot be read from {file}"),
                N_("Look at the file: only root may read it, and it holds one line."),
                lasting=True,
                file=str(self._settings.second_way_token),
            ) from error


_SILENT = (
    N_("the second way, {host}, does not answer"),
    N_("gardien tries again by itself, for two weeks. Look at the internet connection, then at `second_way`."),
)
_NOT_TAKEN = (
    N_("the second way, {host}, does not take what gardien says"),
    N_("Look at the address under `second_way` in gardien.yaml, and whether it wants a token."),
)
