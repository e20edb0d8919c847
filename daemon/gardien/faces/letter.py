"""What a letter says, in the house's language: in plain text, and the same as simple HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from gardien.faces import present
from gardien.faces.machine import forecast
from gardien.faces.meaning import meaning
from gardien.faces.present import capital, say, sentence, size, translate, when
from gardien.faces.screen import CODE
from gardien.model.health import Alert
from gardien.model.letter import ONCE, News, Text
from gardien.model.overview import Overview, StackView
from gardien.words import N_, Words

_NEEDS_YOU = N_("gardien on {house} needs you: open its page")
_OVER = N_("It is over. What it was: {what}")
_TAKEN_BACK = N_("{stack} was not updated to {version}; version {former} runs again")
_FOOT = N_(
    "gardien on {house} writes this by itself. Its page shows how things stand now, and has a button for most of what "
    "is to be done."
)


@dataclass(frozen=True, slots=True)
class LetterWriter:
    """Writes in `language` for the machine called `house`."""

    language: str
    house: str

    def news(self, news: News, now: datetime) -> Text:
        """What needs somebody, the gravest first, and what is over. Without any: that letters arrive."""
        language, house = self.language, self.house
        if not news:
            says = translate(N_("This is a test. When something needs you, a letter like this one comes."), language)
            return self._made(translate(N_("gardien: letters from {house} arrive"), language, house=house), [[says]])
        open_ = sorted(news.open, key=lambda each: each.severity != "trouble")
        subject = _subject([*open_, *news.over], len(open_), language)
        blocks = [_open(each, now, language) for each in open_] + [_over(each, now, language) for each in news.over]
        return self._made(f"{house}: {subject}", blocks)

    def brief(self, news: News) -> Text:
        """For the second way. Without any news: that it works."""
        language = self.language
        title = N_("gardien on {house}: it is over") if news.over else N_("gardien on {house}: the second way works")
        lines = [sentence(each.says, language) for each in news.open]
        lines += [translate(_OVER, language, what=sentence(each.says, language)) for each in news.over]
        lines = lines or [translate(N_("This is a test. gardien speaks here when it cannot write letters."), language)]
        return self._made(
            translate(_NEEDS_YOU if news.open else title, language, house=self.house), [lines], foot=False
        )

    def unsent(self) -> Text:
        """For the second way: nobody can be written to."""
        lines = [translate(N_("No letter from gardien gets through any more."), self.language)]
        return self._made(translate(_NEEDS_YOU, self.language, house=self.house), [lines], foot=False)

    def month(self, month: str) -> Text:
        """That the record of a month can be printed."""
        language = self.language
        named = present.month(datetime.fromisoformat(f"{month}-15").astimezone(), language)
        head = translate(N_("the record of {month} is ready"), language, month=named)
        lines = [
            f"{capital(head)}.",
            translate(
                N_("It tells where the practice’s data lay, how it was protected, and what happened to it."), language
            ),
        ]
        how = translate(
            N_("To print it for your files, open the page, then Backups; or: `gardien report --month {month}`."),
            language,
            month=month,
        )
        return self._made(f"{self.house}: {head}", [lines, [how]])

    def week(self, overview: Overview) -> Text:
        """How things stand: the figures that matter of each application, and each disk."""
        said = say(overview.says, self.language)
        head = [sentence(overview.says, self.language)]
        head += [f"- {sentence(each.says, self.language)}" for each in overview.alerts]
        stacks = [_stack(each, overview.now, self.language) for each in overview.stacks if each.kept]
        disks = [
            translate(
                N_("{path}: {free} of {total} free"),
                self.language,
                path=each.path,
                free=size(each.free, self.language),
                total=size(each.total, self.language),
            )
            + "".join(f", {said}" for said in [forecast(overview.forecasts.get(each.path), self.language)] if said)
            for each in overview.disks
            if each.present
        ]
        return self._made(f"{self.house}: {said}", [head, *stacks, *([disks] if disks else [])])

    def _made(self, subject: str, blocks: list[list[str]], *, foot: bool = True) -> Text:
        """Each block is a paragraph; its first line is what it is about."""
        last = translate(_FOOT, self.language, house=self.house)
        subject = " ".join(subject.split())[:200]
        plain = "\n\n".join("\n".join(block) for block in [*blocks, *([["-- ", last]] if foot else [])]) + "\n"
        paragraphs = "".join(
            f"<p><b>{_html(block[0])}</b>{''.join(f'<br>{_html(line)}' for line in block[1:])}</p>" for block in blocks
        )
        html = (
            f'<!doctype html><html lang="{self.language}"><head><meta charset="utf-8"><title>{escape(subject)}</title>'
            '</head><body style="font:16px/1.5 sans-serif;max-width:36em;margin:1em">'
            f'{paragraphs}<hr style="border:0;border-top:1px solid #ccc"><p style="color:#555"><small>{escape(last)}'
            "</small></p></body></html>"
        )
        return Text(subject, plain, html)


def _html(line: str) -> str:
    """What stands between backticks is something to type."""
    return CODE.sub(r"<code>\1</code>", escape(line))


def _stack(view: StackView, now: datetime, language: str) -> list[str]:
    title = say(Words.of("{title}", title=view.title.given), language)
    saved, proven = view.newest_good, view.trials.proven
    return [
        title,
        capital(translate(N_("saved {when}"), language, when=when(saved.taken, now, language)))
        if saved is not None
        else translate(N_("Not saved yet"), language),
        capital(translate(N_("proven restorable {when}"), language, when=when(proven.ended, now, language)))
        if proven is not None
        else translate(N_("Not proven restorable yet"), language),
        *_left(view, language),
    ]


def _left(view: StackView, language: str) -> list[str]:
    """An update that has been there for a while, and that nobody takes."""
    versions = ", ".join(dict.fromkeys(each.text for each in view.outlook.left))
    text = N_("An update to {version} waits for your yes: on its page, or `gardien update run {stack}`")
    return [translate(text, language, version=versions, stack=view.name)] if versions else []


def _subject(alerts: Sequence[Alert], open_: int, language: str) -> str:
    if len(alerts) == 1:
        if alerts[0].key.startswith(ONCE):
            return translate(_TAKEN_BACK, language, **alerts[0].says.values)
        said = say(alerts[0].says, language)
        return said if open_ else translate(N_("it is over ({what})"), language, what=said)
    if open_:
        return translate(N_("{count} matters need somebody"), language, count=open_)
    return translate(N_("{count} matters are over"), language, count=len(alerts))


def _open(alert: Alert, now: datetime, language: str) -> list[str]:
    lines = [
        sentence(alert.says, language),
        capital(translate(N_("since {when}"), language, when=when(alert.opened, now, language))) + ".",
    ]
    if alert.key.startswith(ONCE):
        lines[1] = capital(when(alert.opened, now, language)) + "."
    if (means := meaning(alert.key, alert.says)) is not None:
        lines.append(say(means, language))
    if alert.key.startswith(ONCE):
        lines.append(sentence(alert.remedy, language))
    elif alert.remedy.text:
        lines.append(translate(N_("What to do: {remedy}"), language, remedy=alert.remedy))
    return lines


def _over(alert: Alert, now: datetime, language: str) -> list[str]:
    began, ended = when(alert.opened, now, language), when(alert.closed or now, now, language)
    return [
        translate(_OVER, language, what=sentence(alert.says, language)),
        capital(translate(N_("it began {began} and ended {ended}"), language, began=began, ended=ended)) + ".",
        translate(N_("There is nothing to do."), language),
    ]
