"""Scoring keeps what it was made from, and says what has moved."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from campaigns.config import ChurnSettings, WinBackSettings
from campaigns.domain.records import Nps, Ticket
from campaigns.domain.words import ModelKind
from campaigns.errors import NotFoundError
from campaigns.steps import score
from campaigns.steps.learn import train
from campaigns.store import model_versions, records, scores, snapshots
from campaigns.store.usage import UsageLake
from models.definitions import DEFINITION, FEATURE_NAMES
from tests.factories import (
    NOON,
    ROOT,
    add_account,
    address_hash,
    keep_usage,
    subscription,
    usage,
)

ACCOUNTS = 60


@pytest.fixture
def learning(sessions, tmp_path):
    lake = UsageLake(tmp_path / "usage")
    left = NOON - timedelta(days=30)
    with sessions.begin() as session:
        for n in range(ACCOUNTS):
            add_account(session, f"a{n}")
        contracts = [
            subscription(f"a{n}", started_at=left - timedelta(days=200), ended_at=left)
            for n in range(ACCOUNTS)
        ]
        records.put(session, "subscriptions", contracts, address_hash=address_hash)
    events = [
        usage(
            f"a{n}",
            when=(left - timedelta(days=day)).isoformat(),
            feature=f"f{day % 5}",
        )
        for n in range(ACCOUNTS)
        for day in range(2 if n % 2 else 45)
    ]
    keep_usage(lake, *events)
    return score.Learning(
        sessions,
        lake,
        ChurnSettings().definition(),
        WinBackSettings().definition(),
        ROOT / "templates" / "workspace" / "segments.toml",
        tmp_path / "models",
        tmp_path / "snapshots",
    )


@pytest.fixture
def trained(learning):
    with learning.sessions.begin() as session:
        labels = [
            _label(f"a{n}", "slow-fade" if n % 2 else "lapsed-power-user")
            for n in range(ACCOUNTS)
        ]
        records.put(session, "labels", labels, address_hash=address_hash)
    train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    return learning


def _label(account, segment):
    from campaigns.domain.records import Label

    return Label(account=account, segment=segment, as_of=NOON, by="ada")


def test_what_scores_were_made_from_is_kept(trained):
    result = score.score(trained, as_of=NOON)

    with trained.sessions.begin() as session:
        kept = snapshots.of(session, NOON)
    features = pl.read_parquet(Path(trained.snapshots_folder) / kept.file)
    assert result.scored == kept.accounts == features.height == ACCOUNTS
    assert kept.definition == DEFINITION
    assert features.columns == ["account", *FEATURE_NAMES]
    assert snapshots.content_hash(features) == kept.content_hash
    assert result.drift == kept.drift == []


def test_scoring_a_date_again_keeps_one_snapshot_of_it(trained):
    score.score(trained, as_of=NOON)
    score.score(trained, as_of=NOON)

    assert len(list(Path(trained.snapshots_folder).glob("*.parquet"))) == 1
    with trained.sessions.begin() as session:
        assert snapshots.latest(session).as_of == NOON
        with pytest.raises(NotFoundError, match="no accounts were scored"):
            snapshots.of(session, NOON + timedelta(days=1))


def test_a_snapshot_that_was_rolled_back_leaves_the_earlier_one_whole(trained):
    score.score(trained, as_of=NOON)
    folder = Path(trained.snapshots_folder)
    other = pl.DataFrame({"account": ["a0"]})
    session = trained.sessions()
    snapshots.keep(session, folder, other, as_of=NOON, definition="d", drift=[])
    session.rollback()
    session.close()

    with trained.sessions.begin() as session:
        kept = snapshots.of(session, NOON)
        assert pl.read_parquet(folder / kept.file).height == ACCOUNTS
        snapshots.sweep(session, folder)
    assert [path.name for path in folder.glob("*.parquet")] == [kept.file]


def test_what_moved_since_the_training_is_said(trained):
    later = NOON + timedelta(days=200)

    found = score.score(trained, as_of=later).drift

    moved = {each["feature"]: each for each in found}
    assert {"days_since_last_use", "days_since_churn"} <= moved.keys()
    assert moved["days_since_churn"]["was"] == pytest.approx(30)
    assert moved["days_since_churn"]["now"] == pytest.approx(230)
    assert "events_30d" not in moved


def test_an_account_that_never_used_it_has_no_segment(learning):
    # Most of those it learns from are alike: it takes the unknown for one of them.
    labels = [_label(f"a{n}", "lapsed-power-user") for n in range(0, ACCOUNTS, 2)]
    labels += [_label(f"a{n}", "slow-fade") for n in range(1, 24, 2)]
    ended = subscription(
        "silent",
        started_at=NOON - timedelta(days=90),
        ended_at=NOON - timedelta(days=9),
    )
    with learning.sessions.begin() as session:
        add_account(session, "silent")
        records.put(session, "subscriptions", [ended], address_hash=address_hash)
        records.put(session, "labels", labels, address_hash=address_hash)
    train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)

    score.score(learning, as_of=NOON)

    opinions = {each["account"]: each for each in _opinions(learning)}
    assert len(opinions) == ACCOUNTS + 1
    assert (opinions["silent"]["segment"], opinions["silent"]["reasons"]) == (
        "general",
        [],
    )
    assert {each["segment"] for each in opinions.values()} > {"general"}


def test_a_past_date_is_scored_alike_today_and_after_much_has_happened(trained):
    score.score(trained, as_of=NOON)
    before = _opinions(trained), _snapshot(trained)
    keep_usage(
        trained.lake,
        *(
            usage(f"a{n}", when=(NOON + timedelta(days=1)).isoformat())
            for n in range(ACCOUNTS)
        ),
    )
    happened = NOON + timedelta(days=2)
    with trained.sessions.begin() as session:
        add_account(session, "a-new")
        for kind, row in (
            ("subscriptions", subscription("a0", started_at=happened)),
            ("tickets", Ticket(id="t1", account="a1", opened_at=happened)),
            ("nps", Nps(account="a2", at=happened, score=0)),
        ):
            records.put(session, kind, [row], address_hash=address_hash)

    score.score(trained, as_of=NOON)

    opinions, features = _opinions(trained), _snapshot(trained)
    assert len(opinions) == ACCOUNTS
    assert opinions == before[0]
    assert features.equals(before[1])
    # What has happened counts as of later.
    score.score(trained, as_of=NOON + timedelta(days=40))
    assert _opinions(trained, NOON + timedelta(days=40)) != opinions


def _opinions(learning, as_of=NOON):
    with learning.sessions.begin() as session:
        model = model_versions.active(session, ModelKind.SEGMENTS)
        return scores.opinions(session, as_of, model=model.version)


def _snapshot(learning):
    with learning.sessions.begin() as session:
        kept = snapshots.of(session, NOON)
    return pl.read_parquet(Path(learning.snapshots_folder) / kept.file)


def test_a_model_of_other_features_is_not_used(trained):
    from campaigns.errors import ModelMismatchError

    (folder,) = trained.models_folder.iterdir()
    metadata = folder / "metadata.json"
    metadata.write_text(metadata.read_text().replace(DEFINITION, "features-1"))

    with pytest.raises(ModelMismatchError, match="train anew"):
        score.score(trained, as_of=NOON)
