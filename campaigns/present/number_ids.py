"""The ids of a report's numbers: the way to each, by which its rows are asked for."""

from collections.abc import Iterator
from typing import Any, Final

from campaigns.present.report import WeeklyReport

ALL: Final = "ALL"
"""Stands in an id for all campaigns together; no campaign has capitals in its name."""

_NO_FINDINGS: Final = {"number", "days"}
"""Numbers that only say which line it is."""


def numbers(value: Any, *above: str) -> Iterator[tuple[str, float]]:  # noqa: ANN401
    """Yield every number of a report with its id.

    An id is the way to the number: the week, the campaign, and so on. A member of a
    list goes by its first value, such as its name; see `id_part`.

    >>> from campaigns.domain.values import ArmCount
    >>> list(numbers(ArmCount(5, 2), "2026-W14", "spring"))
    [('2026-W14/spring/accounts', 5), ('2026-W14/spring/returned', 2)]
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        for name, each in _parts(value):
            if name not in _NO_FINDINGS:
                yield from numbers(each, *above, name)
    else:
        yield "/".join(map(id_part, above)), value


def report_numbers(report: WeeklyReport) -> Iterator[tuple[str, float]]:
    """Yield every number of a report with its id: all campaigns', and each one's."""
    if report.programme is not None:
        yield from numbers(report.programme, report.week, ALL)
    for campaign in report.campaigns:
        yield from numbers(campaign, report.week, campaign.name)


def id_part(name: object) -> str:
    """Return a name as it stands in an id, where slashes divide.

    >>> id_part("Owner/Admin")
    'Owner%2FAdmin'
    """
    return str(name).replace("%", "%25").replace("/", "%2F")


def id_parts(id_: str) -> list[str]:
    """Return the names that an id is made of.

    >>> id_parts("adoption/Owner%2FAdmin")
    ['adoption', 'Owner/Admin']
    """
    parts = id_.split("/")
    return [part.replace("%2F", "/").replace("%25", "%") for part in parts]


def _parts(value: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    if hasattr(value, "__dataclass_fields__"):
        return [(name, getattr(value, name)) for name in value.__slots__]
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return list(value._asdict().items())
    if isinstance(value, dict):
        return [(str(name), each) for name, each in value.items()]
    if isinstance(value, tuple):
        return [
            (str(_parts(each)[0][1]), each)
            for each in value
            if not isinstance(each, str)
        ]
    return []
