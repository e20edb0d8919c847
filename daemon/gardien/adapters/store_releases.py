"""What the store knows of versions at image registries."""

import json
from datetime import datetime

from gardien.adapters.columns import as_json, as_time, as_words, said
from gardien.adapters.database import Database
from gardien.model.release import Sighting, Tags, Verdict


class StoredReleases:
    """This part of the `Store`."""

    def __init__(self, database: Database) -> None:
        self._change = database.change
        self._rows = database.rows

    async def keep_tags(self, repository: str, tags: Tags) -> None:
        """The tags that a repository has by now; nothing is written where that is known."""
        if await self.tags(repository) != tags:
            await self._change(
                "INSERT OR REPLACE INTO tags (repository, mark, names) VALUES (?, ?, ?)",
                repository,
                tags.mark,
                as_json(list(tags.names)),
            )

    async def tags(self, repository: str) -> Tags | None:
        """None: it was never asked about."""
        rows = await self._rows("SELECT mark, names FROM tags WHERE repository = ?", repository)
        return Tags(tuple(json.loads(rows[0]["names"])), rows[0]["mark"]) if rows else None

    async def saw(self, repository: str, tag: str, digest: str, now: datetime) -> None:
        """The tag stands for this content now."""
        await self._change(
            "INSERT INTO sighting (turn, repository, tag, digest, first, last)"
            " VALUES ((SELECT IFNULL(MAX(turn), 0) + 1 FROM sighting), ?1, ?2, ?3, ?4, ?4)"
            " ON CONFLICT DO UPDATE SET last = excluded.last, turn = excluded.turn",
            repository,
            tag,
            digest,
            as_time(now),
        )

    async def sightings(self, repository: str) -> list[Sighting]:
        """All contents that its tags ever stood for, in the order in which they were last seen."""
        rows = await self._rows("SELECT * FROM sighting WHERE repository = ? ORDER BY turn", repository)
        return [
            Sighting(
                repository=row["repository"],
                tag=row["tag"],
                digest=row["digest"],
                first=datetime.fromisoformat(row["first"]),
                last=datetime.fromisoformat(row["last"]),
            )
            for row in rows
        ]

    async def judge(self, verdict: Verdict) -> None:
        """What was said of an image; said again of the same one in the same stack, it replaces what was said."""
        await self._change(
            "INSERT OR REPLACE INTO verdict (stack, digest, variable, tag, said, at, why) VALUES (?, ?, ?, ?, ?, ?, ?)",
            verdict.stack,
            verdict.digest,
            verdict.variable,
            verdict.tag,
            verdict.said,
            as_time(verdict.at),
            as_words(verdict.why),
        )

    async def acquit(self, stack: str, digest: str) -> bool:
        """Nothing is said of it any more; whether anything was."""
        return await self._change("DELETE FROM verdict WHERE stack = ? AND digest = ?", stack, digest) > 0

    async def verdicts(self, stack: str) -> list[Verdict]:
        """Oldest first."""
        rows = await self._rows("SELECT * FROM verdict WHERE stack = ? ORDER BY at, digest", stack)
        return [
            Verdict(
                stack=row["stack"],
                variable=row["variable"],
                tag=row["tag"],
                digest=row["digest"],
                said=row["said"],
                at=datetime.fromisoformat(row["at"]),
                why=said(row["why"]),
            )
            for row in rows
        ]
