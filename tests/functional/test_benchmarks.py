"""A small share of every benchmark runs, and its peers compute the same."""

import json
import subprocess
import sys

import polars as pl
import pytest

from benchmarks import data
from benchmarks.feature_peers import pandas_features, polars_features
from models.definitions import FEATURE_NAMES
from models.features import Inputs, features_as_of
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("bench")
    data.write_lake(root / "usage", rows=9_000, accounts=150)
    data.write_records(root, accounts=160)
    return root


def ours(folder):
    names = ("churned", "accounts", "subscriptions", "tickets", "nps")
    read = {name: pl.scan_parquet(folder / f"{name}.parquet") for name in names}
    usage = pl.scan_parquet(folder / "usage" / "*" / "*.parquet")
    return features_as_of(Inputs(usage=usage, **read), as_of=data.AS_OF).to_native()


@pytest.mark.parametrize("peer", [polars_features, pandas_features])
def test_the_peers_compute_the_same_features(folder, peer):
    mine, theirs = ours(folder), peer(folder)
    if peer is pandas_features:
        theirs = pl.DataFrame(
            {name: theirs[name].astype(float).to_numpy() for name in FEATURE_NAMES}
        ).with_columns(pl.all().fill_nan(None))

    for name in FEATURE_NAMES:
        left, right = mine[name], theirs[name].fill_nan(None)
        assert left.is_null().equals(right.is_null()), name
        # Ours are in whole seconds, and sum logarithms as whole numbers.
        difference = (left - right).abs().max() or 0
        assert difference < 2e-5 * max(1, left.abs().max() or 1), name


@pytest.mark.proof
def test_every_benchmark_runs_at_a_small_share(tmp_path):
    command = [sys.executable, "-m", "benchmarks.run", "--share", "0.0005"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )

    assert done.returncode == 0, done.stderr
    for what in (
        "import",
        "contacts",
        "features",
        "enrol",
        "report over",
        "ratio ≤ 1.3",
        "accounts, trees",
        "reasons of",
        "train all three",
        "bare boto3 pool",
        "bare boto3 loop",
        "4 × 8",
        "planned mails",
        "events, P",
    ):
        assert what in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_kept_results_are_those_of_a_full_run():
    kept = json.loads((ROOT / "benchmarks" / "results" / "latest.json").read_text())

    said = [row["what"] for row in kept]
    assert "import 5,000,000 rows" in said
    assert "features, 100,000,000 events" in said
    assert "report over 1,000,000 enrolments" in said
