"""DICOM dates and times as seconds, so that differences are all that is left of them."""

import re
from datetime import datetime, timedelta

_DATE = re.compile(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})")
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(\.\d*)?)?)?")
_ZONE = re.compile(r"([+-])(\d{2})(\d{2})")
_DATETIME = re.compile(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d*)?)?)?)?([+-]\d{4})?")
_EPOCH = datetime(1970, 1, 1)

DAY_S = 86400.0


def date_seconds(date: str) -> float | None:
    """Seconds of midnight at the start of a DA value, or None where it is not a date."""
    match = _DATE.fullmatch(date.strip())
    if not match:
        return None
    try:
        return (datetime(*map(int, match.groups())) - _EPOCH) / timedelta(seconds=1)
    except ValueError:
        return None


def time_seconds(time: str) -> float | None:
    """Seconds since midnight of a TM value (also the old HH:MM:SS), or None where it is not a time."""
    match = _TIME.fullmatch(time.strip())
    if not match:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    return 3600.0 * hours + 60.0 * minutes + seconds + float("0" + (match[4] or ".0").ljust(2, "0"))


def zone_seconds(zone: str) -> float | None:
    """Seconds east of UTC of a TimezoneOffsetFromUTC value such as +0130, or None where there is none."""
    match = _ZONE.fullmatch(zone.strip())
    if not match:
        return None
    return (1 if match[1] == "+" else -1) * (3600.0 * int(match[2]) + 60.0 * int(match[3]))


def datetime_seconds(value: str, zone: float | None) -> float | None:
    """Seconds of a DT value on the clock of the series, or None where it lacks a date or an hour.

    value     YYYYMMDDHHMMSS.FFFFFF&ZZXX; what follows the hour may be absent
    zone      seconds east of UTC of the series' own dates and times; None where the series does not say

    The offset of the value counts only when both ends carry one; otherwise both are taken as the same local time.
    """
    match = _DATETIME.fullmatch(value.strip())
    if not match or match[2] is None:
        return None
    day, time, own = date_seconds(match[1]), time_seconds(match[2]), zone_seconds(match[3] or "")
    if day is None or time is None:
        return None
    shift = zone - own if zone is not None and own is not None else 0.0
    return day + time + shift
