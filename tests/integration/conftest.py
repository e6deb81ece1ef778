import pytest

from campaigns.steps.import_file import Workplace
from campaigns.steps.ingest import ingest
from campaigns.store.usage import UsageLake
from tests.factories import add_account, address_hash


@pytest.fixture
def place(sessions, tmp_path, clock):
    """Where imports read from and write to; the accounts acc-1 and acc-2 are there."""
    with sessions.begin() as session:
        add_account(session, "acc-1")
        add_account(session, "acc-2")
    lake = UsageLake(tmp_path / "usage")
    return Workplace(sessions, lake, tmp_path / "rejects", address_hash, clock)


@pytest.fixture
def import_rows(place, tmp_path):
    """Import text or bytes, as a file of some name; returns the result."""

    def import_rows(kind, content, *, name="rows.csv", mapping=None, **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        file = None
        if mapping:
            file = tmp_path / "map.toml"
            file.write_text(mapping)
        return ingest(kind, path, place=place, mapping_path=file, **options)

    return import_rows
