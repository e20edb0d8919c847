"""What a disk says of itself: the JSON of `smartctl --json --all`, of ATA and NVMe disks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gardien.model.reading import Reading
from gardien.words import N_, Words

NOT_OPENED = 0b11  # of its exit status, a bit mask: it was called wrongly, or the disk did not let itself be opened
FAILING = 0b1000  # the disk itself says that it fails
_REPLACED, _PENDING, _UNREADABLE = 5, 197, 198  # ATA attributes whose raw value counts sectors
_WEAR = (231, 233, 177, 202, 173)  # ATA attributes of SSDs whose value falls from 100 to 0
_WARM = 0x02  # of NVMe's critical warnings: too warm or too cold, which is no fault of the disk


def readings(name: str, told: Mapping[str, Any], now: datetime) -> list[Reading]:
    """`name`: the device, such as `sda`. One reading without a value where the disk, or its USB case, tells nothing."""
    at = datetime.fromtimestamp(_get(told, "local_time", "time_t") or now.timestamp(), UTC)
    passed = _get(told, "smart_status", "passed")
    status = _get(told, "smartctl", "exit_status") or 0
    if not isinstance(passed, bool) or status & NOT_OPENED:
        says = Words.of(N_("this disk does not tell how it is; one in a USB case often cannot"))
        return [Reading("smart-passed", name, None, at, says)]
    nvme = _get(told, "nvme_smart_health_information_log") or {}
    if nvme and not status & FAILING:
        passed = not int(nvme.get("critical_warning", 0)) & ~_WARM
    model = str(told.get("model_name", ""))[:60]
    found = [Reading("smart-passed", name, float(passed), at, Words.of("{model}", model=model) if model else None)]
    table = {each.get("id"): each for each in _get(told, "ata_smart_attributes", "table") or []}
    if (wear := _wear(nvme, table, told)) is not None:
        found.append(Reading("smart-wear", name, min(max(wear, 0.0), 1.0), at))
    bad = [_get(table[each], "raw", "value") for each in (_REPLACED, _PENDING, _UNREADABLE) if each in table]
    if nvme:
        bad.append(nvme.get("media_errors"))
    if numbers := [each for each in bad if isinstance(each, int)]:
        found.append(Reading("smart-bad-sectors", name, float(max(numbers)), at))
    if isinstance(warm := _get(told, "temperature", "current"), int) and warm > 0:
        found.append(Reading("temperature", name, float(warm), at))
    return found


def _wear(nvme: Mapping[str, Any], table: Mapping[int, Mapping[str, Any]], told: Mapping[str, Any]) -> float | None:
    if isinstance(used := nvme.get("percentage_used"), int):
        return used / 100
    if told.get("rotation_rate"):  # a turning disk has other things under these numbers
        return None
    value = next((table[each].get("value") for each in _WEAR if each in table), None)
    return 1 - value / 100 if isinstance(value, int) and value <= 100 else None


def _get(data: Any, *path: str) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data
