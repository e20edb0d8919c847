"""What was read of the machine, for Prometheus. Documented in docs/metrics.md."""

from collections.abc import Iterator
from types import MappingProxyType

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from gardien.model.overview import Overview
from gardien.model.reading import UNITS

_DAY = 86400.0  # seconds: Prometheus likes base units
# What -> the metric's name, the label of its subject, what it says.
_OF = MappingProxyType(
    {
        "disk-files": ("disk_free_files", "path", "How many more files it can hold."),
        "disk-well": ("disk_well", "path", "1 while the disk is there, can be written to and answers without errors."),
        "smart-passed": ("smart_passed", "device", "1 if the disk calls itself sound."),
        "smart-wear": ("smart_wear_ratio", "device", "How much of an SSD's life is used up, 0 to 1."),
        "smart-bad-sectors": ("smart_bad_sectors", "device", "Spots that were replaced or wait for it."),
        "memory-free": ("memory_free_ratio", "", "Memory that programs could take, 0 to 1."),
        "swap-used": ("swap_used_ratio", "", "Swap in use, 0 to 1."),
        "load": ("load_per_core", "", "Load over five minutes, for each core."),
        "temperature": ("temperature_celsius", "sensor", "A sensor's temperature."),
        "under-voltage": ("under_voltage", "", "1 while a Raspberry Pi gets too little power."),
        "throttled": ("throttled", "", "1 while a Raspberry Pi slows itself down."),
        "clock-set": ("clock_set", "", "1 if the network sets the clock."),
        "docker-answers": ("docker_up", "", "1 if the Docker Engine answers."),
        "certificate": ("certificate_left_seconds", "name", "How long the certificate at the door is still valid."),
        "name-leads-here": ("name_leads_here", "name", "1 if a public name leads to this machine, 0 if not."),
        "mail-answers": ("mail_server_up", "host", "1 if the mail server takes connections."),
    }
)


def families(overview: Overview) -> Iterator[Metric]:
    """One metric for each kind of reading, and when each disk will be full."""
    for what, (name, label, says) in _OF.items():
        family = GaugeMetricFamily(f"gardien_{name}", says, labels=[label] if label else [])
        for each in overview.readings:
            if each.what == what and each.value is not None:
                value = each.value * (_DAY if UNITS[each.what] == "days" else 1)
                family.add_metric([each.subject] if label else [], value)
        yield family
    full = GaugeMetricFamily(
        "gardien_disk_full_in_seconds", "When a disk that fills steadily will be full.", labels=["path"]
    )
    for path, found in overview.forecasts.items():
        full.add_metric([path], found.days * _DAY)
    yield full
