"""What is timed. Each case runs in a process of its own, so that its memory is its own.

    python -m benchmarks.cases NAME FOLDER

Prints one line of JSON: the seconds of the timed part, and the process's peak memory.
"""

import json
import resource
import shutil
import sys
import time
from hashlib import sha256
from pathlib import Path

import polars as pl

from benchmarks.data import AS_OF, account_ids

KIB_PER_MB = 1000


def fresh(folder: Path, name: str) -> Path:
    """Return an empty folder within `folder`."""
    path = folder / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def open_sessions(folder: Path):
    from campaigns.store import schema
    from campaigns.store.session import make_sessions, open_engine

    engine = open_engine(f"sqlite:///{folder / 'bench.db'}")
    schema.upgrade(engine)
    return make_sessions(engine)


def import_ours(folder: Path):
    return _imported("usage", folder)


def import_contacts(folder: Path):
    return _imported("contacts", folder)


def _imported(kind: str, folder: Path):
    """Import the rows of a kind, of accounts that are known."""
    from campaigns.clock import system_clock
    from campaigns.domain.records import Account
    from campaigns.steps.import_file import Workplace
    from campaigns.steps.ingest import ingest
    from campaigns.store import records
    from campaigns.store.usage import UsageLake

    place = fresh(folder, "ours")
    sessions = open_sessions(place)
    for ids in records.chunks(_accounts(folder)):  # or their memory would be counted
        known = [Account(id=id_, name=id_) for id_ in ids]
        with sessions.begin() as session:
            records.put(session, "accounts", known, address_hash=str)
    lake = UsageLake(place / "usage")
    work = Workplace(sessions, lake, place / "rejects", _hashed, system_clock)

    def act():
        result = ingest(kind, folder / f"{kind}.csv", place=work)
        assert result.counts.taken == _rows(folder), result.counts

    return act


def _hashed(address: str) -> str:
    return sha256(address.encode()).hexdigest()


def import_polars(folder: Path):
    def act():
        scan = pl.scan_csv(folder / "usage.csv", try_parse_dates=True)
        scan.sink_parquet(folder / "polars.parquet")

    return act


def import_pandas(folder: Path):
    import pandas as pd

    def act():
        frame = pd.read_csv(folder / "usage.csv", parse_dates=["at"])
        frame.to_parquet(folder / "pandas.parquet")

    return act


def features_ours(folder: Path):
    from models.features import Inputs, features_as_of

    names = ("churned", "accounts", "subscriptions", "tickets", "nps")
    read = {name: pl.scan_parquet(folder / f"{name}.parquet") for name in names}
    read["usage"] = pl.scan_parquet(folder / "usage" / "*" / "*.parquet")
    return lambda: features_as_of(Inputs(**read), as_of=AS_OF).to_native()


def features_polars(folder: Path):
    from benchmarks.feature_peers import polars_features

    return lambda: polars_features(folder)


def features_pandas(folder: Path):
    from benchmarks.feature_peers import pandas_features

    return lambda: pandas_features(folder)


def enrol(folder: Path):
    from benchmarks.programme import launched
    from campaigns.steps.enrol import enrol as enrol_cohort
    from tests.factories import NOON, programme

    sessions, cohort = launched(fresh(folder, "enrol"), accounts=_count(folder))

    def act():
        rules = programme(holdout_share=0.2)
        result = enrol_cohort(sessions, cohort, programme=rules, now=NOON)
        assert result.treated + result.held_out == _count(folder)

    return act


def report(folder: Path):
    from benchmarks.programme import END, settled_programme
    from campaigns.present.pages import Pages
    from campaigns.shipped import templates_folder
    from campaigns.steps.report import gather

    reporting = settled_programme(fresh(folder, "report"), enrolments=_count(folder))

    def act():
        weekly = gather(reporting, as_of=END)
        html = Pages(templates_folder()).report_html(weekly)
        assert "12" in html

    return act


def scores_written(folder: Path):
    from benchmarks.scores import write

    return lambda: write(folder, accounts=_count(folder))


def scores_logistic(folder: Path):
    from benchmarks.scores import ours

    return ours(folder, "logistic")


def scores_logistic_bare(folder: Path):
    from benchmarks.scores import bare

    return bare(folder, "logistic")


def scores_trees(folder: Path):
    from benchmarks.scores import ours

    return ours(folder, "trees")


def scores_trees_bare(folder: Path):
    from benchmarks.scores import bare

    return bare(folder, "trees")


def reasons(folder: Path):
    from benchmarks.scores import explained

    return explained(folder)


def drift(folder: Path):
    from benchmarks.scores import drifted

    return drifted(folder)


def training(folder: Path):
    from benchmarks.scores import trained

    return trained(folder)


def events(folder: Path):
    from benchmarks.ingest import bodies, take_all
    from campaigns.store.session import make_sessions, open_engine

    sessions = make_sessions(open_engine((folder / "url.txt").read_text()))
    count = _count(folder)
    texts = list(bodies(count, mails=count // 2))

    def act():
        assert take_all(sessions, texts) == count

    return act


CASES = (
    import_ours,
    import_contacts,
    import_polars,
    import_pandas,
    features_ours,
    features_polars,
    features_pandas,
    enrol,
    report,
    scores_written,
    scores_logistic,
    scores_logistic_bare,
    scores_trees,
    scores_trees_bare,
    reasons,
    drift,
    training,
    events,
)


def _sizes(folder: Path) -> dict[str, int]:
    return json.loads((folder / "sizes.json").read_text())


def _rows(folder: Path) -> int:
    return _sizes(folder)["rows"]


def _count(folder: Path) -> int:
    return _sizes(folder)["accounts"]


def _accounts(folder: Path) -> pl.Series:
    return account_ids(_count(folder))


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    act = {case.__name__: case for case in CASES}[name](folder)
    began = time.perf_counter()
    act()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
