"""What the store knows of trial restores."""

import json
from datetime import datetime

from gardien.adapters.columns import as_json, as_time, as_words
from gardien.adapters.database import Database
from gardien.model.proof import Outcome, Proof
from gardien.words import Words


class StoredProofs:
    """This part of the `Store`."""

    def __init__(self, database: Database) -> None:
        self._change = database.change
        self._rows = database.rows

    async def add_proof(self, proof: Proof) -> None:
        """Write it down; the same job again (a resumed one) replaces what was said of it."""
        await self._change(
            "INSERT OR REPLACE INTO proof (job, stack, target, snapshot, taken, began, ended, outcome, says, remedy,"
            " code, files, bytes, dumps, asked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            proof.job,
            proof.stack,
            proof.target,
            proof.snapshot,
            as_time(proof.taken),
            as_time(proof.began),
            as_time(proof.ended),
            proof.outcome,
            as_words(proof.says),
            as_words(proof.remedy),
            proof.code,
            proof.files,
            proof.bytes,
            as_json(list(proof.dumps)),
            as_json(list(proof.asked)),
        )

    async def proofs(
        self,
        stack: str | None = None,
        *,
        outcome: Outcome | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        most: int = 100,
    ) -> list[Proof]:
        """Newest first; those that ended from `since` on, and before `until`."""
        rows = await self._rows(
            "SELECT * FROM proof WHERE (?1 IS NULL OR stack = ?1) AND (?2 IS NULL OR outcome = ?2)"
            " AND (?3 IS NULL OR ended >= ?3) AND (?4 IS NULL OR ended < ?4) ORDER BY ended DESC, job DESC LIMIT ?5",
            stack,
            outcome,
            as_time(since) if since is not None else None,
            as_time(until) if until is not None else None,
            most,
        )
        return [
            Proof(
                job=row["job"],
                stack=row["stack"],
                target=row["target"],
                snapshot=row["snapshot"],
                taken=datetime.fromisoformat(row["taken"]),
                began=datetime.fromisoformat(row["began"]),
                ended=datetime.fromisoformat(row["ended"]),
                outcome=row["outcome"],
                says=Words.from_json(json.loads(row["says"])),
                remedy=Words.from_json(json.loads(row["remedy"])),
                code=row["code"],
                files=row["files"],
                bytes=row["bytes"],
                dumps=tuple(json.loads(row["dumps"])),
                asked=tuple(json.loads(row["asked"])),
            )
            for row in rows
        ]
