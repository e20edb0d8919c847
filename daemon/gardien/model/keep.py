"""How long backups are kept."""

from typing import Annotated

from pydantic import Field

from gardien.model.settings import Closed

Count = Annotated[int, Field(ge=0, le=10_000)]


class Keep(Closed):
    """The newest backup of each of so many hours, days, ... that have one, and all of the last `within_days` days.

    `verified`: so many good ones stay in any case, whatever their age.
    """

    hourly: Count = 0
    daily: Count = 14
    weekly: Count = 8
    monthly: Count = 12
    yearly: Count = 3
    within_days: Count = 3
    verified: Annotated[int, Field(ge=1, le=1000)] = 3
