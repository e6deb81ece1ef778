"""Real input: the contributors' log, by the commands that stand in the docs."""

import json
import re
import shlex

import polars as pl
import pytest
from scipy.stats import binomtest

from campaigns.domain.values import ArmCount
from campaigns.domain.words import Arm
from campaigns.rules.holdout import Unit, assign_arms
from campaigns.rules.measure.lift import lift_interval
from campaigns.rules.measure.sequential import excludes_none
from campaigns.rules.measure.strata import ArmPair
from tests.conftest import ROOT, shared
from tests.factories import at

GUIDE = ROOT / "docs" / "how-to" / "contributors.md"
EXAMPLE = ROOT / "docs" / "examples" / "contributors"


def commands():
    """The commands of the guide, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text("utf-8"), flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def followed(walk_on_each, tmp_path_factory):
    """The guide, followed to its end in a folder of its own."""
    import shutil

    log = shared("data", "contributors", "contributor_days.parquet")
    folder = tmp_path_factory.mktemp("contributors")
    root, said = folder / "contributors", ""
    places = {
        "contributors": str(root),
        "contributor_days.parquet": str(log),
        "contributors/winback.toml": str(root / "winback.toml"),
    }
    for program, *words in commands():
        placed = [
            places.get(word, word.replace("docs/examples/contributors", str(EXAMPLE)))
            for word in words
        ]
        if program == "cp":
            shutil.copy(*placed)
            continue
        assert program == "winback"
        said += walk_on_each(*placed)
    database = getattr(walk_on_each, "keywords", {}).get("database")
    return root, said, database or f"sqlite:///{root / 'winback.db'}"


def test_the_counts_agree_with_the_file_by_hand(followed):
    log = pl.read_parquet(shared("data", "contributors", "contributor_days.parquet"))
    start = at("2018-01-01").replace(tzinfo=None)
    last = (
        log.filter(pl.col("day") < start).group_by("account").agg(pl.col("day").max())
    )
    silent = last.filter((start - pl.col("day")).dt.total_days() >= 90)
    window = log.filter(
        pl.col("day").is_between(
            start, at("2018-04-01").replace(tzinfo=None), closed="left"
        )
    )
    back = silent.filter(pl.col("account").is_in(window["account"].unique().to_list()))
    assert (silent.height, back.height) == (3638, 69)

    root, _, _ = followed
    (report,) = json.loads((root / "reports" / "2018-W15.json").read_text())[
        "campaigns"
    ]
    arms = report["comparison"]
    assert arms["treated"]["accounts"] + arms["holdout"]["accounts"] == 3638
    assert arms["treated"]["returned"] + arms["holdout"]["returned"] == 69
    assert report["funnel"]["refused"] == {}
    # A fifth, rounded in each stratum of segment and dormancy by itself.
    assert arms["holdout"]["accounts"] == pytest.approx(3638 / 5, abs=6)


def test_no_lift_is_claimed_where_nobody_was_mailed(followed):
    root, said, _ = followed
    report = json.loads((root / "reports" / "2018-W15.json").read_text())

    assert report["campaigns"][0]["verdict"] == "no_difference_shown"
    assert "weak labels from the starter rules" in said
    assert "left out: lapsed-power-user" in said


def test_over_200_keys_no_false_lift_is_claimed_too_often_at_one_look_or_at_all(
    followed,
):
    from sqlalchemy import text

    from campaigns.store.session import open_engine

    _, _, database = followed
    engine = open_engine(database)
    with engine.begin() as connection:
        accounts = connection.execute(
            text(
                "SELECT e.account, e.stratum, o.came_back FROM enrolments e "
                "JOIN outcomes o ON o.enrolment = e.id"
            )
        ).all()
    engine.dispose()
    units = [Unit((account,), stratum) for account, stratum, _ in accounts]
    at_one_look, at_any_of_26 = 0, 0
    for number in range(200):
        arms = assign_arms(
            units,
            key=f"fixed key {number}".encode(),
            batch="come-back/1",
            holdout_share=0.2,
        )
        weeks = [_pair(accounts[week::26], arms) for week in range(26)]
        lift = lift_interval(*_pair(accounts, arms))
        at_one_look += lift.low > 0 or lift.high < 0
        at_any_of_26 += excludes_none(weeks)
    print(f"false lifts claimed: {at_one_look} and {at_any_of_26} of 200")

    for claims in (at_one_look, at_any_of_26):
        assert binomtest(claims, 200, 0.05, alternative="greater").pvalue > 0.001


def _pair(accounts, arms):
    counts = []
    for arm in (Arm.TREATED, Arm.HOLDOUT):
        back = [back for account, _, back in accounts if arms[account] is arm]
        counts.append(ArmCount(len(back), sum(back)))
    return ArmPair(*counts)
