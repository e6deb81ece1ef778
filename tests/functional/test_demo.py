"""The whole story, as a newcomer sees it; and the notebook on top of it."""

import email
import gzip
import json
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import jupytext
import nbclient
import pytest
from sqlalchemy import text

from campaigns.cli.notebook import lay_out, need
from campaigns.errors import ConfigError
from campaigns.scoring.known import read_segments
from campaigns.store.session import open_engine
from campaigns.wiring.workspace import open_workspace
from tests.conftest import ROOT


def test_the_demo_tells_verdict_truth_and_where_things_lie(demo):
    root, said = demo
    folded = " ".join(said.split())

    assert re.search(
        r"(bring accounts back|No difference was shown|Too few accounts)", folded
    )
    assert re.search(r"mails added [+-]\d+\.\d points", folded)
    (report,) = sorted((root / "reports").glob("*-W17.html"))
    assert report.stat().st_size > 10_000
    mails = list((root / "mails").glob("*.eml"))
    assert len(mails) > 50
    assert f"({len(mails):,} .eml files)" in folded


def test_bad_rows_of_the_demo_are_listed_with_their_reasons(demo):
    root, said = demo
    assert "3 rejected" in said
    (rejects,) = (root / "rejects").glob("contacts-*.csv")
    assert "acc-unknown" in rejects.read_text()


def test_there_is_a_report_for_every_week(demo):
    root, _ = demo
    weeks = sorted(path.stem for path in (root / "reports").glob("*.html"))

    assert weeks == [f"2026-W{week:02}" for week in range(1, 18)]
    early = json.loads((root / "reports" / "2026-W08.json").read_text())
    assert early["campaigns"][0]["verdict"] == "cannot_tell_yet"


def rows(root, query):
    engine = open_engine(f"sqlite:///{root / 'winback.db'}")
    with engine.begin() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def test_every_mail_was_posted_once_and_to_nobody_held_out(demo):
    root, _ = demo
    kept = [
        email.message_from_bytes(path.read_bytes())
        for path in (root / "mails").glob("*.eml")
    ]
    tokens = [message["List-Unsubscribe"] for message in kept]
    assert len(set(tokens)) == len(tokens)

    ledger = dict(rows(root, "SELECT state, count(*) FROM messages GROUP BY state"))
    assert ledger.pop("accepted") == len(kept)
    assert set(ledger) <= {"skipped", "refused"}
    held_out = rows(
        root,
        "SELECT c.email FROM holdout h JOIN contacts c ON c.account = h.account "
        "WHERE h.arm = 'holdout'",
    )
    assert not {address for (address,) in held_out} & {m["To"] for m in kept}


def test_nobody_who_said_no_got_another_mail(demo):
    root, _ = demo
    late = rows(
        root,
        "SELECT count(*) FROM suppressions s JOIN messages m "
        "ON m.address_hash = s.address_hash AND m.posted_at > s.at",
    )
    assert late == [(0,)]
    reasons = {r for (r,) in rows(root, "SELECT DISTINCT reason FROM suppressions")}
    assert "unsubscribed" in reasons  # by real POSTs to the one-click page


def test_enrolled_and_refused_add_up_to_the_churned_of_every_cohort(demo):
    root, _ = demo
    for churned, enrolled, refused in rows(
        root,
        "SELECT churned, (SELECT count(*) FROM enrolments e WHERE e.cohort = c.id), "
        "(SELECT count(*) FROM enrolment_refusals r WHERE r.cohort = c.id) "
        "FROM cohorts c",
    ):
        assert churned == enrolled + refused


def test_nothing_personal_is_in_the_report(demo):
    root, _ = demo
    for path in (root / "reports").iterdir():
        assert ".example" not in path.read_text("utf-8").replace("@", "")


def test_the_demos_commands_can_be_used_on_its_workspace(demo, walk):
    root, _ = demo
    assert "finished" in walk("campaign", "status", "win-back", workspace=root)
    assert "win-back: finished" in walk("campaign", "list", workspace=root)
    assert "0 messages in doubt" in walk("held", "list", workspace=root)
    assert "## win-back" in walk("report", "--format", "md", workspace=root)
    assert "e-mails compile" in walk("doctor", workspace=root)


def test_the_demos_totals_tie_to_those_of_ses(demo, walk, tmp_path):
    root, _ = demo
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    told = walk("reconcile", "--days", 90, workspace=copy)
    assert "Difference 0" in told
    assert "delivery" in told

    database = sqlite3.connect(copy / "winback.db", isolation_level=None)
    ((message,),) = database.execute("SELECT max(message) FROM events")
    database.execute(
        "DELETE FROM events WHERE message = ? AND kind = 'Send'", (message,)
    )
    database.close()
    told = walk("reconcile", "--days", 90, workspace=copy, fails=1)
    assert f"message {message}: no send event (it is accepted)" in told
    assert "1 totals differ" in told


def test_a_workspace_in_simulated_time_never_sends_for_real(demo, walk):
    root, _ = demo
    assert "lives in simulated time" in walk("run", workspace=root, fails=1)


def test_simulated_time_needs_the_local_ses(demo, winback, quiet_environment):
    root, _ = demo
    done = subprocess.run(
        [winback, "run", "--simulate", "2026-05-01..2026-05-02", "-w", str(root)],
        env=quiet_environment | {"WINBACK_SENDING__ENDPOINT_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "only allowed with the local SES" in done.stderr


@pytest.mark.parametrize(
    "notebook", sorted((ROOT / "notebooks").glob("*.py")), ids=lambda path: path.stem
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_notebooks_run_on_the_demos_workspace(notebook, demo, monkeypatch):
    monkeypatch.setenv("WINBACK_WORKSPACE", str(demo[0]))
    document = jupytext.read(notebook)

    nbclient.NotebookClient(document, timeout=300, kernel_name="python3").execute()

    outputs = [each for cell in document.cells for each in cell.get("outputs", [])]
    assert "accounts" in "".join(each.get("text", "") for each in outputs)
    pages = [each.get("data", {}).get("text/html", "") for each in outputs]
    assert any("vegaEmbed" in page for page in pages), "each shows a chart"


def test_models_are_listed_shown_learnt_and_put_back(demo, walk, tmp_path):
    copy = tmp_path / "demo"
    shutil.copytree(demo[0], copy)
    (used,) = re.findall(r"\* segments +(\w+)", walk("models", "list", workspace=copy))
    card = walk("models", "show", used[:6], workspace=copy)
    assert f"Model {used}, in use." in card
    assert Path(re.search(r"The page is in (\S+)", card)[1]).exists()

    learnt = walk("learn", workspace=copy)
    (other,) = re.findall(r"^  (\w+): proposed;", learnt, re.MULTILINE)
    assert "20 that did and 20 that did not" in learnt, "of who comes back"
    assert "can be asked once 50 did" in learnt, "of whom a mail helps"

    assert "No model" in walk("models", "rollback", "segments", workspace=copy)
    assert "winback train segments" in walk("score", workspace=copy, fails=1)
    assert "in use" in walk("models", "promote", other, workspace=copy)
    assert "churned accounts scored" in walk("score", workspace=copy)
    for what in ("propensity", "uplift", "everything"):
        said = walk("train", what, workspace=copy, fails=1)
        assert said.startswith("winback: "), said


def test_notebooks_are_laid_out_once_and_stay_whose_they_are(demo, tmp_path):
    copy = tmp_path / "demo"
    shutil.copytree(demo[0], copy)
    here = open_workspace(copy)
    mine = copy / "notebooks" / "5_did_it_work.ipynb"
    mine.parent.mkdir()
    mine.write_text("mine")
    paths = lay_out(here)

    assert [path.stem[0] for path in paths] == list("123456")
    assert mine.read_text() == "mine"
    (first, *_) = paths
    assert "# # Who left" not in first.read_text()
    assert json.loads(first.read_text())["cells"][0]["source"][0] == (
        "# Who left, and how did they use the product?\n"
    )


def test_groups_that_nobody_has_named_are_shown_as_segments_would_be(
    demo, walk, tmp_path
):
    told = walk("discover", workspace=demo[0])

    blocks = re.findall(r"^\[\[segments\]\]\n.*?^\]$", told, re.DOTALL | re.MULTILINE)
    (tmp_path / "segments.toml").write_text("\n".join(blocks), "utf-8")
    segments = read_segments(tmp_path / "segments.toml")
    assert len(segments) == int(re.match(r"(\d+) groups among", told)[1]) >= 2
    assert all(len(each.rule) == 2 for each in segments)
    assert "Nothing of this is used" in told


def test_what_notebooks_need_is_said(demo):
    with pytest.raises(ConfigError, match=r"need nothing_like_it.*winback\[notebook\]"):
        need("nothing_like_it")


def test_status_says_what_ran_what_is_due_and_what_is_stuck(demo, walk, tmp_path):
    root, _ = demo
    copy = tmp_path / "demo"
    shutil.copytree(root, copy)

    said = walk("status", workspace=copy)
    assert re.search(r"settle +\d+ s", said)
    # Another journey may have let a few days more pass.
    assert re.search(r"report +\d+ s +week 2026-W1[67]", said)
    assert re.search(r"enrol win-back +\d+ s +campaign win-back", said)
    assert re.search(r"2026-\d\d-\d\d 06:00  report", said)
    assert "Nothing is stuck" in said
    assert walk("status", "report", workspace=copy).count("week 2026-W") >= 10

    broken = tmp_path / "usage.csv.gz"
    whole = gzip.compress(
        b"account,at,feature\n" + b"acc-00001,2026-01-01T00:00Z,f\n" * 9
    )
    broken.write_bytes(whole[:-9])
    walk("import", "usage", broken, workspace=copy, fails=1)
    said = walk("status", workspace=copy, fails=1)
    assert "the import of usage.csv.gz did not end" in said


@pytest.mark.proof
def test_the_demo_runs_on_postgresql_by_one_setting(walk, postgres_url, tmp_path):
    url = postgres_url.replace("+psycopg", "")

    said = walk("demo", tmp_path / "demo", "--accounts", "200", "--database", url)

    assert "The truth, known to the world alone" in said
    assert not (tmp_path / "demo" / "winback.db").exists()
    refused = walk("demo", tmp_path / "other", "--database", url, fails=1)
    assert "holds tables already" in refused
