"""Learning from what happened: who comes back, whom a mail helps, and what is used."""

from dataclasses import fields
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from sqlalchemy import insert

from campaigns import schedule
from campaigns.config import ChurnSettings, LearningSettings, WinBackSettings
from campaigns.domain.records import Label
from campaigns.domain.values import ImportCounts
from campaigns.domain.words import EnrolmentRefusal, ModelAction, ModelKind
from campaigns.errors import (
    ActionRefusedError,
    ConfigError,
    ModelMismatchError,
    NotFoundError,
)
from campaigns.present.cards import card_of
from campaigns.present.pages import Pages
from campaigns.rules.policy import Policy
from campaigns.shipped import templates_folder
from campaigns.steps import learn, score, teach
from campaigns.steps.enrol import enrol, lacks_scores
from campaigns.steps.launch import launch as launch_campaign
from campaigns.steps.launch import pin
from campaigns.store import (
    campaigns,
    cohorts,
    imports,
    model_versions,
    records,
    snapshots,
    trials,
)
from campaigns.store.model_versions import ModelDecision
from campaigns.store.tables.programme import (
    EnrolmentRow,
    EpisodeRow,
    HoldoutRow,
    OutcomeRow,
    ScoreRow,
)
from campaigns.store.usage import UsageLake
from campaigns.wiring.models import decisions_about
from models.definitions import DEFINITION, FEATURE_NAMES
from models.uplift import OneFlag
from tests.factories import (
    NOON,
    ROOT,
    add_account,
    address_hash,
    campaign,
    churn,
    keep_usage,
    launch,
    programme,
    subscription,
    usage,
)

# Learning is the same on both; what it stores is tried on both elsewhere here.
ON_SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

DAY = timedelta(days=1)
LATER = NOON + 60 * DAY
SETTLED = NOON + 31 * DAY
_FIRST = 1_000_001


@pytest.fixture
def learning(sessions, tmp_path):
    return score.Learning(
        sessions,
        UsageLake(tmp_path / "usage"),
        ChurnSettings().definition(),
        WinBackSettings().definition(),
        ROOT / "templates" / "workspace" / "segments.toml",
        tmp_path / "models",
        tmp_path / "snapshots",
        LearningSettings().costs,
    )


def active(learning, kind):
    with learning.sessions.begin() as session:
        return model_versions.active(session, kind)


def lived(learning, accounts, *, returns_of):
    """Accounts that leave month by month; who comes back, pays again ten days later."""
    contracts, events = [], []
    for number in range(accounts):
        left = NOON - (20 + 30 * (number % 6)) * DAY
        account = f"a{number:03}"
        contracts.append(
            subscription(account, id=f"{account}-1", started_at=left - 200 * DAY,
                         ended_at=left)
        )  # fmt: skip
        if returns_of(number):
            contracts.append(
                subscription(account, id=f"{account}-2", started_at=left + 25 * DAY)
            )
        events += [
            usage(account, (left - day * DAY).isoformat(), feature=f"f{day % 5}")
            for day in range(1, 3 if number % 2 else 40)
        ]
    with learning.sessions.begin() as session:
        for number in range(accounts):
            add_account(session, f"a{number:03}")
        records.put(session, "subscriptions", contracts, address_hash=address_hash)
        for kind in ("usage", "subscriptions"):
            run = imports.begin(session, kind=kind, file="f", sha256=kind, now=NOON)
            imports.finish(session, run, ImportCounts(taken=1), now=NOON)
    keep_usage(learning.lake, *events)


def test_who_comes_back_is_learnt_from_windows_that_closed(learning):
    lived(learning, 240, returns_of=lambda number: number % 4 in {0, 2, 3})
    metadata = learn.train(learning, ModelKind.PROPENSITY, as_of=NOON, now=NOON)

    assert metadata["over_luck"][1] > 0
    assert metadata["confidence"] == teach.CONFIDENCE
    assert metadata["as_of"] == NOON.isoformat()
    assert max(metadata["cutoffs"]) == (NOON - 30 * DAY).isoformat()
    assert active(learning, "propensity").version == metadata["version"]
    assert "of pairs" in learn.sentence_of(metadata)


def test_a_long_window_reaches_back_for_those_that_closed_before_it(learning):
    lived(learning, 240, returns_of=lambda number: number % 4 == 0)
    patient = learning._replace(win_back=WinBackSettings(window_days=180).definition())
    # Of half a year: enough had left when the earliest of them begin.
    moments = [NOON - (20 + 30 * number) * DAY for number in range(20)]
    contracts = [
        subscription(f"a{number:03}", id=f"early-{number}", ended_at=left,
                     started_at=left - 20 * DAY)
        for number, left in enumerate(moments)
    ]  # fmt: skip
    with learning.sessions.begin() as session:
        records.put(session, "subscriptions", contracts, address_hash=address_hash)
        spared = trials.unmailed(session)
    cutoffs = [
        window.cutoff for window in teach.past_windows(patient, spared, until=NOON)
    ]
    # The earliest closed before the latest there can be begins.
    assert min(cutoffs) + patient.win_back.window <= NOON - patient.win_back.window


def test_segments_that_know_fewer_than_those_in_use_need_a_persons_word(learning):
    lived(learning, 240, returns_of=lambda number: number % 4 == 0)
    labelled(learning)
    used = learn.train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    with learning.sessions.begin() as session:
        champion = model_versions.find(session, used["version"])
    more = champion._replace(metadata=used | {"classes": [*used["classes"], "gone"]})

    assert learn.dropped(used, champion) == []
    assert learn.dropped(used, more) == ["gone"]
    newer = {**used, "version": "another", "judged_against": used["version"]}
    newer["against_used"] = {"is_better": True, "is_worse": False}
    assert learn._action(ModelKind.SEGMENTS, newer, champion) is ModelAction.PROMOTED
    assert learn._action(ModelKind.SEGMENTS, newer, more) is ModelAction.TRAINED
    assert learn._forgotten(newer, more).startswith(" It does not know gone any more")
    # A person who teaches other segments means it.
    labelled(learning, "price-sensitive", "never-activated")
    learn.train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    assert active(learning, "segments").version != used["version"]


def test_an_account_that_another_was_merged_into_did_not_come_back(learning):
    lived(learning, 12, returns_of=lambda number: number < 12)
    before = dict(all_returns(learning))
    assert before["a001"]
    left = NOON - 50 * DAY
    moved = subscription("elsewhere", id="moved", started_at=left - 300 * DAY,
                         ended_at=left + 24 * DAY, end_kind="merged",
                         merged_into="a001")  # fmt: skip
    with learning.sessions.begin() as session:
        add_account(session, "elsewhere")
        records.put(session, "subscriptions", [moved], address_hash=address_hash)

    assert dict(all_returns(learning)) == {**before, "a001": False}


def all_returns(learning):
    with learning.sessions.begin() as session:
        spared = trials.unmailed(session)
    for window in teach.past_windows(learning, spared, until=NOON):
        yield from window.came_back.items()


def test_nothing_is_learnt_from_a_handful(learning):
    with pytest.raises(ConfigError, match="no usage or subscriptions were imported"):
        learn.train(learning, ModelKind.PROPENSITY, as_of=NOON, now=NOON)
    lived(learning, 6, returns_of=lambda number: number < 2)
    with pytest.raises(ConfigError, match="a model needs 20 that did"):
        learn.train(learning, ModelKind.PROPENSITY, as_of=NOON, now=NOON)
    with pytest.raises(ConfigError, match="no window of an enrolment closed yet"):
        learn.train(learning, ModelKind.UPLIFT, as_of=NOON, now=NOON)
    found = learn.learn(learning, now=NOON)
    assert [each.version for each in found] == [None, None, None]
    assert all(each.sentence for each in found)


def test_once_mails_go_out_only_the_holdout_tells_who_returns_unprompted(learning):
    lived(learning, 240, returns_of=lambda number: number % 4 in {0, 2, 3})
    with learning.sessions.begin() as session:
        session.execute(
            insert(HoldoutRow),
            [
                {
                    "account": f"a{number:03}",
                    "arm": "holdout" if number % 3 else "treated",
                    "stratum": "s",
                    "assigned_at": NOON - 150 * DAY,
                }
                for number in range(240)
            ],
        )
        spared = trials.unmailed(session)
    windows = list(teach.past_windows(learning, spared, until=NOON))

    assert windows
    for each in windows:
        assert all(int(account[1:]) % 3 for account in each.came_back)
    # Who was drawn after the cutoff may have been drawn because it had not returned.
    late = spared._replace(held_out=dict.fromkeys(spared.held_out, NOON))
    assert not list(teach.past_windows(learning, late, until=NOON))


def doubled(file):
    rows = pl.read_parquet(file)
    pl.concat([rows, rows]).write_parquet(file)


def tried(
    learning, rng, *, size=1600, harm=-0.25, gain=0.25, start=0, settled_at=SETTLED
):
    """A campaign of the past: mails help accounts of many users, and put others off."""
    people = rng.normal(10, 3, size)
    treated = rng.random(size) < 0.7
    back = rng.random(size) < 0.4 + treated * np.where(people > 10, gain, harm)
    accounts = [f"t{start + number:05}" for number in range(size)]
    features = pl.DataFrame(
        {"account": accounts}
        | {name: rng.normal(10, 3, size) for name in FEATURE_NAMES}
        | {"active_users_90d": people}
    )
    moment = NOON - 9 * DAY + start * timedelta(seconds=1)
    with learning.sessions.begin() as session:
        for account in accounts:
            add_account(session, account, contacts=0)
        launched(session)
        snapshots.keep(
            session, learning.snapshots_folder, features, as_of=moment,
            definition=DEFINITION, drift=[],
        )  # fmt: skip
        add_rows(session, accounts, treated, back, moment, start, settled_at)


def launched(session, name="past"):
    if campaigns.apply(session, campaign(name), now=NOON)[1]:
        campaigns.launch(session, name, cohorts=[NOON], now=NOON)
        if name == "past":
            add_account(session, "writes-to-all")


def add_rows(session, accounts, treated, back, moment, start, settled_at):
    numbers = range(_FIRST + start, _FIRST + start + len(accounts))
    rows = list(zip(numbers, accounts, treated.tolist(), back.tolist(), strict=True))
    session.execute(
        insert(EpisodeRow),
        [
            {"id": n, "account": account, "sequence": 1, "churned_at": NOON - 30 * DAY,
             "definition": "ended"}
            for n, account, *_ in rows
        ],
    )  # fmt: skip
    session.execute(
        insert(ScoreRow),
        [
            {"id": n, "as_of": moment, "account": account, "segment": "general",
             "confidence": 0.5, "reasons": [], "facts": {}, "model": "m"}
            for n, account, *_ in rows
        ],
    )  # fmt: skip
    session.execute(
        insert(HoldoutRow),
        [
            {"account": account, "arm": "treated" if was else "holdout", "stratum": "s",
             "assigned_at": NOON, "holdout_chance": 0.3}
            for _, account, was, _ in rows
        ],
    )  # fmt: skip
    session.execute(
        insert(EnrolmentRow),
        [
            {"id": n, "campaign": "past", "campaign_version": 1, "cohort": 1,
             "account": account, "episode": n, "contact": "writes-to-all-p1",
             "contact_choice": "only_contact", "arm": "treated" if was else "holdout",
             "segment": "general", "stratum": "s", "score": n, "enrolled_at": NOON,
             "window_ends_at": NOON + 30 * DAY}
            for n, account, was, _ in rows
        ],
    )  # fmt: skip
    session.execute(
        insert(OutcomeRow),
        [
            {"enrolment": n, "definition": "d", "came_back": came, "returned_at": None,
             "settled_at": settled_at}
            for n, _, _, came in rows
        ],
    )  # fmt: skip


def test_whom_a_mail_helps_is_proposed_or_used_as_the_settings_say(learning):
    tried(learning, np.random.default_rng(1))
    *_, found = learn.learn(learning, now=LATER)

    assert found.action is ModelAction.TRAINED
    assert "Mailing the" in found.sentence
    assert active(learning, "uplift") is None
    *_, found = learn.learn(learning._replace(promotes=True), now=LATER)
    assert found.action is ModelAction.PROMOTED
    assert active(learning, "uplift").version == found.version


@ON_SQLITE
def test_what_a_person_rolled_back_does_not_come_again_by_itself(learning):
    tried(learning, np.random.default_rng(1))
    by_itself = learning._replace(promotes=True)
    *_, found = learn.learn(by_itself, now=LATER)
    learn.roll_back(learning, ModelKind.UPLIFT, now=LATER)
    *_, again = learn.learn(by_itself, now=LATER)

    assert (again.version, again.action) == (found.version, ModelAction.TRAINED)
    assert active(learning, "uplift") is None
    learn.promote(learning, found.version, anyway=False, now=LATER)
    assert active(learning, "uplift").version == found.version


@ON_SQLITE
def test_a_model_takes_the_place_of_the_used_one_where_it_is_shown_to_be_better(
    learning,
):
    tried(learning, np.random.default_rng(1))
    by_itself = learning._replace(promotes=True)
    *_, used = learn.learn(by_itself, now=LATER)
    assert used.action is ModelAction.PROMOTED
    # The same data tells nothing that the used one did not learn from.
    *_, alike = learn.learn(by_itself, now=LATER + DAY)
    assert alike.action is ModelAction.TRAINED
    assert "not shown to be better than the model that is used" in alike.sentence
    assert active(learning, "uplift").version == used.version

    # Whom a mail helps turned round.
    rows = {"gain": -0.25, "harm": 0.25, "settled_at": LATER + DAY}
    tried(learning, np.random.default_rng(2), size=6400, start=1600, **rows)
    *_, better = learn.learn(by_itself, now=LATER + 2 * DAY)
    assert better.action is ModelAction.PROMOTED, better.sentence
    assert active(learning, "uplift").version == better.version


def test_segments_are_compared_with_those_in_use_on_accounts_that_left_since(learning):
    lived(learning, 240, returns_of=lambda number: number % 4 == 0)
    labelled(learning)
    by_itself = learning._replace(promotes=True)
    before = NOON - 25 * DAY
    used = learn.train(learning, ModelKind.SEGMENTS, as_of=before, now=before)
    assert active(learning, "segments").version == used["version"]

    # As good as the one in use: nothing is gained by a change.
    found, *_ = learn.learn(by_itself, now=NOON)
    with learning.sessions.begin() as session:
        beside = model_versions.find(session, found.version).metadata["against_used"]
    assert (beside["version"], found.action) == (used["version"], ModelAction.TRAINED)
    assert beside["accounts"] > 20

    # Names turned round: the one in use is wrong about all that left since.
    labelled(learning, "champion-left", "slow-fade", by="reviewers")
    found, *_ = learn.learn(by_itself, now=NOON + DAY)
    assert found.action is ModelAction.PROMOTED
    # What was compared with another than is used now is not promoted unasked, nor is
    # what knows less.
    with pytest.raises(ActionRefusedError, match=f"compared with {found.version}"):
        learn.promote(learning, used["version"], anyway=False, now=NOON + DAY)
    again = learn.train(learning, ModelKind.SEGMENTS, as_of=before, now=NOON + DAY)
    assert again["version"] != found.version
    assert active(learning, "segments").version == found.version


def test_a_used_model_that_cannot_be_asked_any_more_is_replaced_unasked(learning):
    lived(learning, 240, returns_of=lambda number: number % 4 == 0)
    labelled(learning)
    used = learn.train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    damage(learning, used["version"])

    found, *_ = learn.learn(learning._replace(promotes=True), now=NOON + DAY)

    assert found.action is ModelAction.PROMOTED
    assert active(learning, "segments").version == found.version != used["version"]


@pytest.mark.parametrize(
    ("over_all", "used_over_all", "is_lost"),
    [
        ([0.02, -1, 1], None, False),
        ([0.0, -1, 1], None, True),
        ([0.02, 0.01, 0.03], [-0.01, -1, 1], False),
        ([0.02, 0.01, 0.03], [-0.03, -0.05, -0.01], True),
    ],
)
def test_a_model_that_does_harm_is_lost(over_all, used_over_all, is_lost):
    judgement = {"over_all": over_all, "used_over_all": used_over_all}
    assert learn._is_lost(judgement) is is_lost


def test_a_proposal_has_to_say_up_to_when_it_knows(learning):
    for as_of in ({}, {"as_of": "yesterday"}, {"as_of": "2026-06-01T00:00:00"}):
        metadata = {"kind": "uplift", "version": "abc", **as_of}
        with pytest.raises(ActionRefusedError, match="up to which moment it knows"):
            learn.propose(learning, OneFlag(), metadata, now=NOON)


@pytest.mark.parametrize(
    ("known", "is_sound"),
    [
        ({"over_luck": [0.3, 0.1, 0.5]}, True),
        ({"over_luck": [0.3, 0.1, 0.5], "against_used": {"is_worse": False}}, True),
        ({"over_luck": [0.3, 0.1, 0.5], "against_used": {"is_worse": True}}, False),
        ({"over_luck": [0.1, -0.1, 0.3], "against_used": None}, False),
        # Of an earlier version of ours, which did not say.
        ({}, False),
    ],
)
def test_segments_take_a_place_unless_they_are_luck_or_shown_to_be_worse(
    known, is_sound
):
    assert learn.is_sound({"kind": "segments", **known}) is is_sound


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), doubled])
def test_a_snapshot_that_is_not_what_was_stored_teaches_nothing(learning, damage):
    tried(learning, np.random.default_rng(1), size=60)
    (file,) = learning.snapshots_folder.glob("*.parquet")
    damage(file)

    *_, found = learn.learn(learning, now=LATER)

    assert (found.version, found.action) == (None, None)
    assert str(file) in found.sentence
    assert "put it back from a backup" in found.sentence


def test_each_account_teaches_once_with_the_chances_of_its_lots(learning):
    tried(learning, np.random.default_rng(1), size=300)
    with learning.sessions.begin() as session:
        # It did not come back, and was enrolled again: that is no lot any more.
        first = session.get_one(EnrolmentRow, _FIRST)
        again = {c.name: getattr(first, c.name) for c in EnrolmentRow.__table__.columns}
        launched(session, "next")
        again |= {"id": _FIRST + 5_000, "campaign": "next"}
        session.execute(insert(EnrolmentRow), [again])
        outcome = {"enrolment": _FIRST + 5_000, "definition": "d", "came_back": True,
                   "settled_at": NOON + 31 * DAY}  # fmt: skip
        session.execute(insert(OutcomeRow), [outcome])
        session.get_one(EnrolmentRow, _FIRST + 1).enrolment_chance = 0.1
        session.get_one(HoldoutRow, "t00002").holdout_chance = 0.5
        session.get_one(HoldoutRow, "t00003").holdout_chance = 0.0
        for number in range(4, 300):
            session.get_one(HoldoutRow, f"t{number:05}").holdout_chance = None
    rows = teach.trial_rows(learning, as_of=LATER)

    accounts = rows.features["account"].to_list()
    assert accounts == [f"t{number:05}" for number in range(300) if number != 3]
    assert rows.weight[:3] == pytest.approx([1, 10, 1])
    assert rows.chance[:3] == pytest.approx([0.7, 0.7, 0.5])
    # Where it was not kept, it is the share that was mailed.
    assert rows.chance[3:] == pytest.approx([np.mean(rows.mailed[3:])] * 296)
    assert rows.trial().weight[1] == pytest.approx(10)


def test_without_a_holdout_nothing_is_learnt_of_whom_a_mail_helps(learning):
    tried(learning, np.random.default_rng(1), size=50)
    with learning.sessions.begin() as session:
        for row in session.query(HoldoutRow).all():
            row.holdout_chance = 0.0

    with pytest.raises(ConfigError, match="no lot held anybody out"):
        teach.trial_rows(learning, as_of=LATER)


@ON_SQLITE
def test_a_model_that_gains_nothing_is_retired_and_all_are_mailed_again(learning):
    tried(learning, np.random.default_rng(2))
    promoting = learning._replace(promotes=True)
    learn.learn(promoting, now=LATER)
    assert active(learning, "uplift")
    tried(learning, np.random.default_rng(3), size=4000, harm=0.25, start=1600)
    *_, found = learn.learn(promoting, now=LATER)

    assert found.action is ModelAction.RETIRED
    assert active(learning, "uplift") is None


def test_people_promote_and_roll_back(learning):
    tried(learning, np.random.default_rng(4), harm=0.25)
    metadata = learn.train(learning, ModelKind.UPLIFT, as_of=LATER, now=LATER)
    version = metadata["version"]

    assert active(learning, "uplift") is None
    with pytest.raises(ActionRefusedError, match="Say --anyway"):
        learn.promote(learning, version[:6], anyway=False, now=LATER)
    with pytest.raises(NotFoundError, match="no model of uplift was ever used"):
        learn.roll_back(learning, ModelKind.UPLIFT, now=LATER)
    learn.promote(learning, version[:6], anyway=True, now=LATER)
    assert active(learning, "uplift").version == version
    assert learn.roll_back(learning, ModelKind.UPLIFT, now=LATER) is None
    assert active(learning, "uplift") is None


def test_a_card_says_what_ended_a_models_use():
    def decided(*each):
        return [
            ModelDecision("uplift", version, action, NOON + n * DAY, f"reason {n}")
            for n, (version, action) in reversed(list(enumerate(each)))
        ]

    promoted, trained, retired = (
        ModelAction.PROMOTED, ModelAction.TRAINED, ModelAction.RETIRED
    )  # fmt: skip
    history = decided(
        ("a", trained), ("a", promoted), ("b", trained), ("b", promoted),
        ("c", trained), (None, retired), ("c", promoted),
    )  # fmt: skip

    of_a = [(what, why) for _, what, why in decisions_about("a", history)]
    assert of_a == [
        ("promoted: b in its place", "reason 3"),
        ("promoted", "reason 1"),
        ("trained", "reason 0"),
    ]
    of_b = [what for _, what, _ in decisions_about("b", history)]
    assert of_b == ["retired", "promoted", "trained"]


def test_what_was_made_elsewhere_is_used_only_if_a_person_says_anyway(learning):
    tried(learning, np.random.default_rng(1))
    ours = learn.train(learning, ModelKind.UPLIFT, as_of=LATER, now=LATER)
    assert active(learning, "uplift").version == ours["version"]
    rng = np.random.default_rng(0)
    X, mailed = rng.normal(size=(80, len(FEATURE_NAMES))), np.arange(80) % 2
    model = OneFlag().fit(X, rng.integers(0, 2, 80), treatment=mailed)
    proposed = learn.propose(learning, model, ours, now=LATER)

    assert proposed == f"p{ours['version']}"
    with pytest.raises(ActionRefusedError, match="its numbers are its maker's"):
        learn.promote(learning, proposed, anyway=False, now=LATER)
    # Nor does another one take its place, or that of what is learnt here.
    with pytest.raises(ActionRefusedError, match="is stored already"):
        learn.propose(learning, model, ours, now=LATER)
    assert active(learning, "uplift").version == ours["version"]
    learn.promote(learning, proposed, anyway=True, now=LATER)
    assert active(learning, "uplift").version == proposed


def test_what_is_refused_leaves_no_file(learning):
    metadata = {"kind": "uplift", "version": "0abc", "as_of": LATER.isoformat()}
    with pytest.raises(ActionRefusedError, match="metadata: lacks 'judgement'"):
        learn.propose(learning, OneFlag(), metadata, now=LATER)
    metadata["judgement"] = {"sentence": "It gains."}
    with pytest.raises(ModelMismatchError, match="other features"):
        learn.propose(learning, OneFlag(), metadata, now=LATER)
    with pytest.raises(ModelMismatchError, match="use letters and digits"):
        learn.propose(learning, OneFlag(), metadata | {"version": "../out"}, now=LATER)
    assert list(learning.models_folder.iterdir()) == []


def test_a_changed_file_is_not_promoted(learning):
    tried(learning, np.random.default_rng(5))
    metadata = learn.train(learning, ModelKind.UPLIFT, as_of=LATER, now=LATER)
    (folder,) = learning.models_folder.iterdir()
    (folder / "model.skops").write_bytes(b"other")

    with pytest.raises(ModelMismatchError, match="was changed"):
        learn.promote(learning, metadata["version"], anyway=True, now=LATER)


def test_scores_hold_chances_and_uplifts_once_there_are_models(learning):
    lived(learning, 240, returns_of=lambda number: number % 4 in {0, 2, 3})
    tried(learning, np.random.default_rng(6))
    labelled(learning)
    before = learn.train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    assert score.score(learning, as_of=NOON).chance is None
    learn.train(learning, ModelKind.PROPENSITY, as_of=NOON, now=NOON)
    added = learn.train(learning, ModelKind.UPLIFT, as_of=LATER, now=LATER)
    learn.promote(learning, added["version"], anyway=True, now=LATER)
    result = score.score(learning, as_of=NOON + DAY)

    assert 0 < result.chance < 1
    with learning.sessions.begin() as session:
        rows = session.query(ScoreRow).filter(ScoreRow.as_of == NOON + DAY).all()
        assert rows
        assert all(0 <= row.chance <= 1 and row.uplift is not None for row in rows)
    for model in (active(learning, kind) for kind in ModelKind):
        card = card_of(
            model.metadata,
            sentence=learn.sentence_of(model.metadata),
            is_active=True,
            decisions=[("2026-01-05", "promoted", "because")],
        )
        pages = Pages(templates_folder())
        told, page = pages.card_markdown(card), pages.card_html(card)
        assert f"Model {model.version}, in use" in told
        assert "## Limits" in told
        assert "shuffled" in page
        assert ("<svg" in page) == (model.kind != "uplift")
        assert ("about what a mail adds" in told) == (model.kind == "uplift")
    assert before["controls"]["shuffled_labels"] < 0.65


def use_uplift(session, *actions):
    known = {"kind": ModelKind.UPLIFT, "path": "u1", "metadata": {}}
    model_versions.record(session, "u1", now=NOON, **known)
    for action in actions:
        version = None if action is ModelAction.RETIRED else "u1"
        decision = ModelDecision(ModelKind.UPLIFT, version, action, NOON, "a test")
        model_versions.decide(session, decision)


def test_nobody_goes_by_the_scores_of_a_model_that_was_retired_since(sessions):
    with sessions.begin() as session:
        add_account(session, "acc-1")
        churn(session, "acc-1")
        session.query(ScoreRow).one().uplift = -0.5
        use_uplift(session, ModelAction.PROMOTED, ModelAction.RETIRED)
    launch(sessions, campaign(), policy=Policy(exploration_share=0.001))

    with sessions.begin() as session:
        assert session.query(EnrolmentRow).one().enrolment_chance == 1


def test_whom_no_mail_helps_is_left_alone_but_for_some(sessions):
    accounts = [f"acc-{number:03}" for number in range(200)]
    with sessions.begin() as session:
        for account in accounts:
            add_account(session, account)
        churn(session, *accounts)
        for row in session.query(ScoreRow).all():
            row.uplift = 0.05 if int(row.account[4:]) % 2 else -0.05
        use_uplift(session, ModelAction.PROMOTED)
    launch(sessions, campaign(), policy=Policy(exploration_share=0.2))

    with sessions.begin() as session:
        rows = session.query(EnrolmentRow).all()
        chances = {row.account: row.enrolment_chance for row in rows}
        held_out = {row.holdout_chance for row in session.query(HoldoutRow).all()}
    enrolled = set(chances)
    helped = {account for account in accounts if int(account[4:]) % 2}
    assert helped <= enrolled
    assert 8 <= len(enrolled - helped) <= 34
    assert {chances[account] for account in helped} == {1.0}
    assert {chances[account] for account in enrolled - helped} == {0.2}
    assert held_out == {programme().holdout_share}


@pytest.fixture
def helped_or_not(sessions):
    """A hundred accounts that a mail helps, high numbers most, and a hundred not."""
    accounts = [f"acc-{number:03}" for number in range(200)]
    with sessions.begin() as session:
        for account in accounts:
            add_account(session, account)
        churn(session, *accounts)
        for row in session.query(ScoreRow).all():
            number = int(row.account[4:])
            row.uplift = (number + 1) / 1000 if number < 100 else -0.05
        use_uplift(session, ModelAction.PROMOTED)


def numbers_enrolled(sessions):
    with sessions.begin() as session:
        rows = session.query(EnrolmentRow).all()
        return {int(row.account[4:]): row.enrolment_chance for row in rows}


def test_a_full_cohort_takes_whom_a_mail_helps_most_and_some_by_lot(
    sessions, helped_or_not
):
    policy = Policy(exploration_share=0.2)
    launch(sessions, campaign(caps={"accounts_per_cohort": 20}), policy=policy)

    chances = numbers_enrolled(sessions)
    by_lot = {number for number in chances if number >= 100}
    # Twenty or so of the hundred are let in: they get their share of the room.
    assert 2 <= len(by_lot) <= 5
    assert set(chances) - by_lot == set(range(80 + len(by_lot), 100))
    assert {chances[number] for number in by_lot} == {0.2}


def test_those_tried_stand_for_the_others_over_all_cohorts(sessions, helped_or_not):
    """What chances are for: one over them adds up to how many there are."""
    days = [NOON + number * DAY for number in range(8)]
    with sessions.begin() as session:
        campaigns.apply(session, campaign(caps={"accounts_per_cohort": 20}), now=NOON)
        campaigns.launch(session, "spring", cohorts=days, now=NOON)
    made = programme(policy=Policy(exploration_share=0.2))
    for day in days:
        # Those without room come again.
        with sessions.begin() as session:
            (cohort,) = cohorts.due_cohorts(session, now=day)
        enrol(sessions, cohort, programme=made, now=day)

    chances = numbers_enrolled(sessions)
    tried = {number: chance for number, chance in chances.items() if number >= 100}
    assert set(range(100)) <= set(chances)
    assert 60 < sum(1 / chance for chance in tried.values()) < 140


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_room_that_nobody_else_wants_is_for_those_tried(sessions, helped_or_not, share):
    policy = Policy(least_uplift=0.095, exploration_share=share)
    launch(sessions, campaign(caps={"accounts_per_cohort": 20}), policy=policy)

    chances = numbers_enrolled(sessions)
    assert len(chances) == 20
    helped = {number for number in chances if 95 <= number < 100}
    assert len(helped) in ({0, 1} if share == 1 else {2, 3, 4, 5})


@pytest.mark.parametrize(
    ("uplift", "is_left"), [(None, False), (0.011, False), (0.0099, True), (-1, True)]
)
def test_a_mail_has_to_be_worth_its_costs(uplift, is_left):
    settings = LearningSettings(mail_cost=0.008, discount_cost=0.2)
    policy = Policy(settings.least_uplift, exploration_share=1e-9)
    assert policy.leaves_alone(uplift, key=b"k" * 32, episode=1) == is_left
    assert EnrolmentRefusal.NOT_HELPED == "not_helped"


def test_no_cohort_is_enrolled_by_scores_of_another_model(learning):
    lived(learning, 240, returns_of=lambda _: False)
    labelled(learning)
    learn.train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    score.score(learning, as_of=NOON)
    labelled(learning, "price-sensitive", "never-activated")
    learn.train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    with learning.sessions.begin() as session:
        campaigns.apply(session, campaign("soon"), now=NOON)
        campaigns.launch(session, "soon", cohorts=[NOON], now=NOON)
        (cohort,) = cohorts.due_cohorts(session, now=NOON)
    with pytest.raises(ActionRefusedError, match="by the model that soon goes by"):
        enrol(learning.sessions, cohort, programme=programme(), now=NOON)
    with learning.sessions.begin() as session:
        assert cohorts.due_cohorts(session, now=NOON) == [cohort]
        assert lacks_scores(session, "soon", now=NOON)

    # The scheduler has them scored first, though there are scores of the same day.
    nobody = dict.fromkeys(each.name for each in fields(schedule.Work) if each.init)
    work = schedule.Work(
        **nobody
        | {
            "sessions": learning.sessions,
            "clock": lambda: NOON + timedelta(hours=1),
            "learning": learning,
            "programme": programme(),
        }
    )
    schedule.enrol_due(work)

    with learning.sessions.begin() as session:
        assert session.query(EnrolmentRow).count() > 0
        assert cohorts.due_cohorts(session, now=NOON) == []


def labelled(learning, first="slow-fade", other="champion-left", *, by="people"):
    segments = (first, other)
    labels = [
        Label(account=f"a{number:03}", segment=segments[number % 2], by=by,
              as_of=NOON - 30 * DAY)
        for number in range(240)
    ]  # fmt: skip
    with learning.sessions.begin() as session:
        records.put(session, "labels", labels, address_hash=address_hash)


def test_a_model_that_does_not_fit_any_more_is_set_aside_unless_it_is_the_used_one(
    learning,
):
    lived(learning, 240, returns_of=lambda number: number % 4 in {0, 2, 3})
    labelled(learning)
    pinned = learn.train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    score.score(learning, as_of=NOON)
    with learning.sessions.begin() as session:
        campaigns.apply(session, campaign("pinned"), now=NOON)
    launch_campaign(
        learning.sessions, "pinned", at=NOON, occurrences=lambda *_: [NOON + DAY]
    )
    labelled(learning, "price-sensitive", "never-activated")
    used = learn.train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    chances = learn.train(learning, ModelKind.PROPENSITY, as_of=NOON, now=NOON)
    learn.promote(learning, chances["version"], anyway=True, now=NOON)
    for each in (pinned, chances):
        damage(learning, each["version"])

    result = score.score(learning, as_of=NOON + DAY)

    kinds = [why.partition(":")[0] for why in result.set_aside]
    assert kinds == ["segments", "propensity"]
    assert (result.scored, result.chance) == (100, None)
    # Those of a campaign that is paused are not asked for.
    with learning.sessions.begin() as session:
        campaigns.pause(session, "pinned", now=NOON)
        assert campaigns.pinned_models(session) == []
    damage(learning, used["version"])
    with pytest.raises(ModelMismatchError, match="was changed"):
        score.score(learning, as_of=NOON + DAY)


def damage(learning, version):
    (file,) = learning.models_folder.glob(f"{version}*/model.skops")
    file.write_bytes(b"other")


def test_a_campaign_keeps_to_the_model_it_was_launched_with(learning):
    lived(learning, 240, returns_of=lambda _: False)
    labelled(learning)
    first = learn.train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    score.score(learning, as_of=NOON)
    with learning.sessions.begin() as session:
        campaigns.apply(session, campaign("pinned"), now=NOON)
    launch_campaign(
        learning.sessions, "pinned", at=NOON, occurrences=lambda *_: [NOON + DAY]
    )
    labelled(learning, "price-sensitive", "never-activated")
    second = learn.train(learning, ModelKind.SEGMENTS, as_of=NOON, now=NOON)
    result = score.score(learning, as_of=NOON + DAY)

    assert second["version"] != first["version"]
    assert set(result.sizes) <= {"price-sensitive", "never-activated", "general"}
    with learning.sessions.begin() as session:
        (cohort,) = cohorts.due_cohorts(session, now=NOON + DAY)
    enrol(learning.sessions, cohort, programme=programme(), now=NOON + DAY)
    with learning.sessions.begin() as session:
        rows = session.query(EnrolmentRow).all()
        assert rows
        assert {row.segment for row in rows} <= {
            "slow-fade", "champion-left", "general",
        }  # fmt: skip
        # Nobody goes by the first any more: it is not scored with again.
        assert campaigns.pinned_models(session) == []
        assert pin(session, "pinned") == second["version"]
        assert campaigns.model_of(session, "pinned") == second["version"]
