"""What a letter says, in the house's language: in plain text, and the same as simple HTML."""

from dataclasses import dataclass
from datetime import datetime
from html import escape

from gardien.faces.present import capital, say, sentence, size, translate, when
from gardien.model.health import Alert
from gardien.model.letter import News, Text
from gardien.model.overview import Overview, StackView
from gardien.words import N_, Words


@dataclass(frozen=True, slots=True)
class LetterWriter:
    """Writes in `language` for the machine called `house`."""

    language: str
    house: str

    def news(self, news: News, now: datetime) -> Text:
        """What needs somebody, and what is over. Without any: that letters arrive."""
        language, house = self.language, self.house
        if not news:
            says = translate(N_("This is a test. When something needs you, a letter like this one comes."), language)
            return _made(translate(N_("gardien: letters from {house} arrive"), language, house=house), [[says]], self)
        blocks = [_open(each, now, language) for each in news.open] + [_over(each, now, language) for each in news.over]
        return _made(_subject(news, language, house), blocks, self)

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
            for each in overview.disks
            if each.present
        ]
        return _made(f"{self.house}: {said}"[:200], [head, *stacks, *([disks] if disks else [])], self)


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
    ]


def _subject(news: News, language: str, house: str) -> str:
    both = len(news.open) + len(news.over)
    if both == 1 and news.open:
        said = say(news.open[0].says, language)
    elif both == 1:
        said = translate(N_("it is over: {what}"), language, what=news.over[0].says)
    elif news.open:
        said = translate(N_("{count} matters need somebody"), language, count=len(news.open))
    else:
        said = translate(N_("{count} matters are over"), language, count=len(news.over))
    return f"{house}: {' '.join(said.split())}"[:200]


def _open(alert: Alert, now: datetime, language: str) -> list[str]:
    lines = [sentence(alert.says, language)]
    if alert.remedy.text:
        lines.append(translate(N_("What to do: {remedy}"), language, remedy=alert.remedy))
    lines.append(capital(translate(N_("since {when}"), language, when=when(alert.opened, now, language))) + ".")
    return lines


def _over(alert: Alert, now: datetime, language: str) -> list[str]:
    ended = alert.closed or now
    return [
        translate(N_("It is over: {what}"), language, what=sentence(alert.says, language)),
        capital(
            translate(
                N_("it began {began} and ended {ended}"),
                language,
                began=when(alert.opened, now, language),
                ended=when(ended, now, language),
            )
        )
        + ".",
    ]


def _made(subject: str, blocks: list[list[str]], writer: LetterWriter) -> Text:
    language, house = writer.language, writer.house
    foot = translate(
        N_("gardien on {house} writes this by itself. The page and `gardien status` show how things stand now."),
        language,
        house=house,
    )
    plain = "\n\n".join("\n".join(block) for block in [*blocks, ["-- ", foot]]) + "\n"
    paragraphs = "".join(f"<p>{'<br>'.join(escape(line) for line in block)}</p>" for block in blocks)
    html = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{escape(subject)}</title></head>'
        f'<body style="font-family:sans-serif;max-width:36em">{paragraphs}<hr><p><small>{escape(foot)}</small></p>'
        "</body></html>"
    )
    return Text(subject, plain, html)
