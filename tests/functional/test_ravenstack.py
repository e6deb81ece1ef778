"""A third party's five tables: every row accounted for, every oddity counted."""

import gzip
import re

from tests.conftest import shared


def test_every_row_is_accounted_for_and_oddities_are_on_one_screen(
    walk_on_each, tmp_path
):
    walk = walk_on_each
    folder = shared("data", "ravenstack")
    root = tmp_path / "workspace"
    walk("init", root)

    said = walk("import", "all", folder, "--map", "ravenstack", workspace=root, fails=2)
    rows = re.findall(
        r"(ravenstack_\w+\.csv\.gz): ([\d,]+) rows of \w+: ([\d,]+) taken, "
        r"([\d,]+) unchanged, ([\d,]+) rejected",
        said,
    )
    assert len(rows) == 5
    for name, *counts in rows:
        total, *parts = (int(count.replace(",", "")) for count in counts)
        with gzip.open(folder / name, "rt") as file:
            assert total == sum(parts) == sum(1 for _ in file) - 1

    again = walk(
        "import", "all", folder, "--map", "ravenstack", workspace=root, fails=2
    )
    assert re.findall(r"(\d[\d,]*) taken", again) == ["0"] * 5

    screen = walk("doctor", "data", workspace=root)
    assert len(screen.splitlines()) < 50
    for odd in (
        "14,201  use before the first subscription: 57% of 24,977 events",
        "399  ended while another paid one ran: 98% of 408 ended",
        "408  ended, and nobody says how: 100%",
        "500  without a contact: 100% of 500 accounts",
    ):
        assert odd in screen, screen
