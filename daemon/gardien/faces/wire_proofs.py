"""What came of trial restores, as plain data and in words: for the API, the page, the certificate of a month."""

import re
from datetime import datetime

from gardien.errors import BadInput
from gardien.faces import present, shapes
from gardien.model.proof import Outcome, Proof, Trials
from gardien.words import N_

Data = dict[str, object]

OUTCOME: dict[Outcome, str] = {
    "proven": N_("Came back"),
    "failed": N_("Did not come back"),
    "skipped": N_("Not tried"),
}


def proof(proof: Proof, language: str) -> shapes.ProofData:
    """One trial restore; `outcome` for programs, `outcome_says` for people."""
    return {
        "job": proof.job,
        "stack": proof.stack,
        "target": proof.target,
        "snapshot": proof.snapshot,
        "taken": present.utc(proof.taken),
        "began": present.utc(proof.began),
        "ended": present.utc(proof.ended),
        "seconds": round(proof.seconds, 1),
        "outcome": proof.outcome,
        "outcome_says": present.translate(OUTCOME[proof.outcome], language),
        "says": present.say(proof.says, language),
        "remedy": present.say(proof.remedy, language) or None,
        "code": proof.code,
        "files": proof.files,
        "bytes": proof.bytes,
        "dumps": list(proof.dumps),
        "asked": list(proof.asked),
        "checked": checked(proof, language),
    }


def trials(view: Trials, language: str) -> shapes.TrialsData:
    """The newest trial restores of a stack; each is null where there is none."""
    return {
        "proven": proof(view.proven, language) if view.proven else None,
        "failed": proof(view.failed, language) if view.failed else None,
        "tried": proof(view.tried, language) if view.tried else None,
        "late": view.late,
        "next_run": present.utc(view.next_run) if view.next_run else None,
    }


def checked(proof: Proof, language: str) -> list[str]:
    """What was looked at, each in a sentence without its full stop; nothing of what was not reached."""
    found = []
    if proof.files:
        found.append(
            present.translate(
                N_("{count} files: each was read back, and compared with the backup’s own list"),
                language,
                count=proof.files,
            )
        )
    if proof.dumps:
        found.append(present.translate(N_("{count} databases were loaded"), language, count=len(proof.dumps)))
    if proof.asked:
        found.append(present.translate(N_("the application was started and answered as it should"), language))
    return found


def month(text: str) -> tuple[datetime, datetime]:
    """The first moment of a month such as `2026-11`, by this machine's clock, and of the one after. Raises BadInput."""
    found = re.fullmatch(r"(20\d\d)-(0[1-9]|1[0-2])", text)
    if found is None:
        raise BadInput(N_("“{month}” is not a month"), N_("Write year and month: 2026-11."), month=text)
    year, number = int(found[1]), int(found[2])
    after = (year + 1, 1) if number == 12 else (year, number + 1)
    return datetime(year, number, 1).astimezone(), datetime(*after, 1).astimezone()
