"""Promises that tests try with every case of a list, and how the tests end."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

_ROOT = Path(__file__).resolve().parents[1]
_SAFE = "tests/integration/test_injection.py"
TESTS = {
    "one click unsubscribes, and only that does (RFC 8058)": (
        "tests/unit/web/test_one_click.py",
    ),
    "only our topics, truly signed, are listened to": (
        "tests/unit/web/test_sns_endpoint.py",
    ),
    "windows and schedules hold over every change of the clock": (
        "tests/unit/rules/test_timetable.py",
    ),
    "no value becomes a header, a recipient or a redirect": (_SAFE,),
    "every answer of SES means what the table says": (
        "tests/integration/test_local_ses.py",
    ),
    "events end the same in every order, and three times": (
        "tests/integration/test_receive.py",
    ),
    "a restored copy sends nothing until a person says so": (
        "tests/integration/test_restart.py",
    ),
    "a template that breaks out, or never ends, refuses its mail only": (
        "tests/unit/mail/test_mail.py",
        "tests/integration/test_render_room.py",
    ),
    "our totals tie to those of SES, or the difference is listed": (
        "tests/integration/test_reconcile.py",
    ),
}


class Tried(NamedTuple):
    """How tests ended.

    Attributes:
        tests: How many there are.
        failed: How many failed.
        skipped: How many were not tried.
    """

    tests: int
    failed: int
    skipped: int


def run(files: Sequence[str]) -> Tried:
    """Run the tests of some files."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "tests.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", f"--junitxml={told}", *files],
            cwd=_ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        suites = ET.parse(told).getroot().iter("testsuite")  # noqa: S314 — ours
        found = [
            Tried(
                int(each.get("tests", 0)),
                int(each.get("failures", 0)) + int(each.get("errors", 0)),
                int(each.get("skipped", 0)),
            )
            for each in suites
        ]
    return Tried(*map(sum, zip(*found, strict=True)))
