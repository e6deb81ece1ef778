"""kill -9 in the middle, then the same command: as if nothing had happened."""

import email
import re
import signal
import subprocess
import time
import tomllib
from collections import Counter
from functools import partial

import polars as pl
import pytest
from sqlalchemy import text

from campaigns.store.session import open_engine
from campaigns.store.usage import UsageLake
from tests.factories import at

ACCOUNTS = 60


@pytest.fixture
def workspace(walk, tmp_path):
    root = tmp_path / "workspace"
    walk("init", root)
    settings = (root / "winback.toml").read_text()
    settings = settings.replace("listen_port = 8025", "listen_port = 0")
    # Slow enough that a kill finds mails in flight.
    (root / "winback.toml").write_text(
        settings.replace("max_per_second = 50", "max_per_second = 20")
    )
    return root


@pytest.fixture
def on_each(workspace, move_to_database):
    """The workspace, on each kind of database."""
    move_to_database(workspace)
    return workspace


def start(winback, *arguments):
    return subprocess.Popen(
        [winback, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_when(process, condition, timeout=60):
    """Kill the process once the condition holds; say whether it lived till then."""
    deadline = time.monotonic() + timeout
    while process.poll() is None and not condition():
        assert time.monotonic() < deadline, "the moment to kill never came"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def events_in(root):
    lake = UsageLake(root / "usage")
    return lake.scan(before=at("2030-01-01")).collect().sort(pl.all())


def test_a_killed_import_ends_as_an_unbroken_one(on_each, walk, winback, tmp_path):
    workspace = on_each
    accounts = tmp_path / "accounts.csv"
    accounts.write_text("id,name\n" + "".join(f"a{n},A{n}\n" for n in range(20)))
    walk("import", "accounts", accounts, workspace=workspace)
    rows = [
        f"a{n % 20},2025-{1 + n % 12:02}-{1 + n % 28:02}T10:00:00Z,f{n % 7}\n"
        for n in range(120_000)
    ]
    file = tmp_path / "usage.csv"
    file.write_text("account,at,feature\n" + "".join(rows))

    process = start(winback, "import", "usage", file, "-w", workspace)
    lake = UsageLake(workspace / "usage")
    assert kill_when(process, lambda: len(lake.days()) > 20)
    assert 0 < events_in(workspace).height < len(rows)
    assert "did not end" in walk("doctor", workspace=workspace, fails=1)

    done = len(UsageLake(workspace / "usage").days())
    said = walk("import", "usage", file, workspace=workspace)
    assert "120,000 rows of usage" in said
    # Days in the journal are as they were; at most those being written count again.
    unchanged = int(re.search(r"([\d,]+) unchanged", said)[1].replace(",", ""))
    assert unchanged < len(rows) * 4 / done
    assert ", 0 rejected" in said
    once = events_in(workspace)
    assert once.height == len(rows)
    days = {
        path: path.read_bytes() for path in (workspace / "usage").rglob("*.parquet")
    }

    other = tmp_path / "unbroken"
    walk("init", other)
    walk("import", "accounts", accounts, workspace=other)
    walk("import", "usage", file, workspace=other)
    assert events_in(other).equals(once)
    for path, content in days.items():
        twin = other / path.relative_to(workspace)
        assert twin.read_bytes() == content


def rows_of(root, query):
    url = tomllib.loads((root / "winback.toml").read_text())["database"]["url"]
    if url.startswith("sqlite"):
        url = f"sqlite:///{root / 'winback.db'}"
    engine = open_engine(url)
    with engine.begin() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def prepare(root, walk, tmp_path, *, accounts=ACCOUNTS):
    """A campaign that is due at once, for accounts that left 30 days ago."""
    import datetime as dt

    now = dt.datetime.now(dt.UTC)  # noqa: TID251 — the command itself takes our time
    left, used = (now - dt.timedelta(days=days) for days in (30, 35))
    people = range(accounts)
    files = {
        "accounts": "id,name\n" + "".join(f"a{n},A{n}\n" for n in people),
        "contacts": "id,account,email\n"
        + "".join(f"p{n},a{n},p{n}@example.com\n" for n in people),
        "subscriptions": "id,account,plan,started_at,ended_at,end_kind\n"
        + "".join(
            f"s{n},a{n},Team,2025-01-01T00:00Z,{left.isoformat()},voluntary\n"
            for n in people
        ),
        "usage": "account,at,feature\n"
        + "".join(
            f"a{n},{(used - dt.timedelta(days=d)).isoformat()},f{d % 3}\n"
            for n in people
            for d in range(1 + n % 2 * 20)
        ),
        "labels": "account,segment,as_of,by\n"
        + "".join(
            f"a{n},{('slow-fade', 'never-activated')[n % 2]},2025-01-01T00:00Z,t\n"
            for n in people
        ),
    }
    for kind, rows in files.items():
        path = tmp_path / f"{kind}.csv"
        path.write_text(rows)
        walk("import", kind, path, workspace=root)
    walk("train", "segments", workspace=root)
    campaign = tmp_path / "now.toml"
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)  # noqa: TID251 — as above
    campaign.write_text(
        'name = "now"\n[[steps]]\ntemplate = "general"\n[schedule]\n'
        f"on = {soon.isoformat()}\nhours = [0, 24]\n"
        'weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]\n'
        "[caps]\nfirst_mails = 1000\n"
    )
    walk("campaign", "apply", campaign, workspace=root)
    walk("campaign", "launch", "now", "--anyway", workspace=root)


def states(root):
    return Counter(
        dict(rows_of(root, "SELECT state, count(*) FROM messages GROUP BY state"))
    )


def mails_in(root):
    return list((root / "mails").glob("*.eml"))


def wait_until_settled(root):
    """Wait for the events that settle what was taken before a kill."""
    deadline = time.monotonic() + 60
    while states(root)["accepted"] < len(mails_in(root)):
        assert time.monotonic() < deadline, states(root)
        time.sleep(0.5)


def test_a_killed_sender_mails_nobody_twice_and_loses_nobody(
    on_each, walk, winback, tmp_path
):
    workspace = on_each
    prepare(workspace, walk, tmp_path)
    process = start(winback, "run", "-w", workspace)
    assert kill_when(process, lambda: len(mails_in(workspace)) >= 5, timeout=120)
    process = start(winback, "run", "-w", workspace)
    assert kill_when(process, lambda: len(mails_in(workspace)) >= 25, timeout=120)

    second = start(winback, "run", "-w", workspace)
    try:
        ended = {"accepted", "unknown", "held"}
        deadline = time.monotonic() + 120
        while set(states(workspace)) - ended or states(workspace).total() == 0:
            assert time.monotonic() < deadline, states(workspace)
            time.sleep(0.5)
        refused = subprocess.run(
            [winback, "run", "-w", str(workspace)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 1
        assert "already sends" in refused.stderr
        wait_until_settled(workspace)
    finally:
        second.send_signal(signal.SIGTERM)
        assert second.wait(60) == 0

    taken = [
        email.message_from_bytes(path.read_bytes())["To"]
        for path in mails_in(workspace)
    ]
    assert len(taken) == len(set(taken)), "somebody was mailed twice"
    found = states(workspace)
    assert found["accepted"] == len(taken)
    ((treated,),) = rows_of(
        workspace, "SELECT count(*) FROM enrolments WHERE arm = 'treated'"
    )
    doubtful = found["unknown"] + found["held"]
    assert found["accepted"] + doubtful == treated
    assert f"{doubtful} messages in doubt" in walk("held", "list", workspace=workspace)
    assert rows_of(workspace, "SELECT max(number) FROM attempts") == [(1,)]


@pytest.fixture
def ses_beside(workspace, winback):
    """A local SES of its own, which outlives its clients; yields nothing."""
    process = subprocess.Popen(
        [
            *(winback, "ses-local", "--port", "0", "--max-per-second", "20"),
            *("--folder", str(workspace / "mails")),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    address = next(iter(process.stdout)).split()[-1]
    settings = workspace / "winback.toml"
    text = settings.read_text().replace(
        "[sending]\n", f'[sending]\nendpoint_url = "{address}"\n'
    )
    settings.write_text(text)
    yield
    process.terminate()
    process.communicate()


@pytest.mark.proof
def test_workers_that_are_killed_beside_others_mail_nobody_twice(
    workspace, ses_beside, walk, winback, new_postgres, tmp_path
):
    settings = workspace / "winback.toml"
    url = new_postgres()
    settings.write_text(settings.read_text().replace("sqlite:///winback.db", url))
    prepare(workspace, walk, tmp_path, accounts=250)
    workers = [start(winback, "worker", "-w", workspace) for _ in range(3)]
    runner = start(winback, "run", "-w", workspace)
    try:
        for number, mails in enumerate((20, 60, 100)):
            taken = partial(lambda most: len(mails_in(workspace)) >= most, mails)
            assert kill_when(workers[number], taken, timeout=180)
            if number < 2:  # the last would end before it began
                workers.append(start(winback, "worker", "-w", workspace))
        deadline = time.monotonic() + 180
        open_ones = {"planned", "claimed", "posting"}
        while not states(workspace) or open_ones & set(states(workspace)):
            assert time.monotonic() < deadline, states(workspace)
            time.sleep(0.5)
        wait_until_settled(workspace)
    finally:
        for process in (*workers[3:], runner):
            process.send_signal(signal.SIGTERM)
        assert [each.wait(60) for each in (*workers[3:], runner)] == [0] * 3

    found = states(workspace)
    taken = [
        email.message_from_bytes(path.read_bytes())["To"]
        for path in mails_in(workspace)
    ]
    assert len(taken) == len(set(taken)), "somebody was mailed twice"
    ((treated,),) = rows_of(
        workspace, "SELECT count(*) FROM enrolments WHERE arm = 'treated'"
    )
    assert found["accepted"] + found["unknown"] + found["held"] == treated
    assert found["accepted"] == len(taken)
    ((senders,),) = rows_of(workspace, "SELECT count(DISTINCT worker) FROM attempts")
    assert senders >= 4


def test_an_import_killed_while_it_reads_goes_on_behind_what_it_read(
    on_each, walk, winback, tmp_path
):
    workspace = on_each
    accounts = tmp_path / "accounts.csv"
    accounts.write_text("id,name\n" + "".join(f"a{n},A{n}\n" for n in range(50)))
    file = tmp_path / "usage.csv"
    with file.open("w") as rows:
        rows.write("account,at,feature,contact\n")
        for n in range(1_200_000):
            odd = "x" if n % 400_000 == 7 else ""  # rejected, in every block
            at = f"2025-{1 + n % 12:02}-{1 + n % 28:02}T10:{n % 60:02}:00Z{odd}"
            rows.write(f"a{n % 50},{at},a-feature-{n % 7},a-contact-{n % 999}\n")
    other = tmp_path / "unbroken"
    walk("init", other)
    for root in (workspace, other):
        walk("import", "accounts", accounts, workspace=root)

    def staged():
        return list((workspace / "usage" / ".staging").glob("*/*/000001.parquet"))

    process = start(winback, "import", "usage", file, "-w", workspace)
    assert kill_when(process, staged)
    said = [
        walk("import", "usage", file, workspace=root, fails=2)
        for root in (workspace, other)
    ]

    assert (
        "1,200,000 rows of usage: 1,199,997 taken, 0 unchanged, 3 rejected" in said[0]
    )
    assert said[0].split("all of them")[0].splitlines()[0] in said[1]
    assert not staged()
    (_, first), (_, second) = (
        (path, path.read_text())
        for root in (workspace, other)
        for path in sorted((root / "rejects").glob("usage*.csv"))[-1:]
    )
    assert first == second
    assert first.count("\n") == 4
    for path in (other / "usage").rglob("*.parquet"):
        twin = workspace / path.relative_to(other)
        assert twin.read_bytes() == path.read_bytes()
