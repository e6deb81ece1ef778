"""The same forty features by hand: in Polars, and in plain pandas.

Written as one would without the engine: no shares, no whole-number keys. A test holds
all three against each other on a small table.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.data import AS_OF
from models.definitions import FEATURE_NAMES, WEEKS, WINDOWS_DAYS

PRICE = "(?i)price|pricing|cost|expensive|budget"
SQUARES = sum((week - (WEEKS - 1) / 2) ** 2 for week in range(WEEKS))


def polars_features(folder: Path) -> pl.DataFrame:
    read = {
        name: pl.scan_parquet(folder / f"{name}.parquet")
        for name in ("churned", "accounts", "subscriptions", "tickets", "nps")
    }
    at = pl.col("at")
    events = (
        pl.scan_parquet(folder / "usage" / "*" / "*.parquet")
        .select("account", "at", "feature", "contact", "count", "outcome")
        .filter(at < AS_OF)
        .join(read["churned"].select("account"), on="account")
        .with_columns(
            day=at.dt.date(),
            failed=pl.when(pl.col("outcome") == "failed").then("count").otherwise(0),
        )
    )
    span = events.group_by("account").agg(first=at.min(), last=at.max())
    events = events.join(span, on="account").with_columns(
        before=(pl.col("last").dt.date() - pl.col("day")).dt.total_days()
    )
    before, n = pl.col("before"), pl.col("count")
    daily = events.group_by("account", "day").agg(
        n.sum(), before.first(), pl.col("first").first()
    )
    week = before // 7
    weight = pl.when(week < WEEKS).then(WEEKS - 1 - 2 * week).otherwise(0)
    gap = pl.col("day").sort().diff().dt.total_days()
    is_weekend = pl.col("day").dt.weekday() > 5
    since_first = (pl.col("day") - pl.col("first").dt.date()).dt.total_days()
    rhythm = daily.group_by("account").agg(
        *(n.filter(before < d).sum().alias(f"events_{d}d") for d in WINDOWS_DAYS),
        *((before < d).sum().alias(f"active_days_{d}d") for d in WINDOWS_DAYS),
        decline_per_week=(n * weight).sum() / (2 * SQUARES),
        weekend_share=n.filter(is_weekend).sum() / n.sum(),
        first_month_events=n.filter(since_first < 30).sum(),
        longest_gap=gap.max(),
        earlier_returns=(gap >= 30).sum(),
        usual_gap=pl.when(pl.len() > 1).then(
            (pl.col("day").max() - pl.col("day").min()).dt.total_days() / (pl.len() - 1)
        ),
    )
    recent = n.filter(before < 90).sum()
    by_feature = events.group_by("account", "feature").agg(
        recent=recent,
        failures=pl.col("failed").filter(before < 90).sum(),
        worked_on=pl.col("day").filter(pl.col("failed") == 0).min(),
    )
    c, worked = pl.col("recent"), pl.col("worked_on").is_not_null()
    is_step = pl.col("feature").str.starts_with("onboarding.")
    is_link = pl.col("feature").str.starts_with("integration.")
    share = c.filter(c > 0) / c.sum()
    features = by_feature.group_by("account").agg(
        breadth=(c > 0).sum(),
        top_feature_share=c.max() / c.sum(),
        usage_entropy=-(share * share.log(2)).sum(),
        failure_rate=pl.col("failures").sum() / c.sum(),
        integration_attempts=c.filter(is_link).sum(),
        integration_failure_rate=pl.col("failures").filter(is_link).sum()
        / c.filter(is_link).sum(),
        integrations_connected=(is_link & worked).sum(),
        onboarding_step=(is_step & worked).sum(),
        step_day=pl.col("worked_on").filter(is_step).max(),
    )
    people = (
        events.filter(pl.col("contact").is_not_null())
        .group_by("account", "contact")
        .agg(n.sum(), silence=before.min())
        .group_by("account")
        .agg(
            active_users_30d=(pl.col("silence") < 30).sum(),
            active_users_90d=(pl.col("silence") < 90).sum(),
            top_contact_share=n.max() / n.sum(),
            top_contact_silence=pl.col("silence").filter(n == n.max()).min(),
        )
    )
    table = read["churned"]
    for part in (span, rhythm, features, people, *_polars_records(read, span)):
        table = table.join(part, on="account", how="left")
    return _polars_finished(table)


def _days(later, earlier):
    return (later - earlier).dt.total_seconds() / 86_400


def _polars_records(read, span):
    started = pl.col("started_at")
    paid = read["subscriptions"].filter(started < AS_OF, ~pl.col("plan_is_free"))
    by_start = paid.sort("account", "started_at")
    speaks = pl.col("end_reason").str.contains(PRICE).fill_null(value=False)
    contract = by_start.group_by("account").agg(
        pl.col("mrr_minor").last(),
        pl.col("seats").last(),
        pl.col("discount_minor").last(),
        first_mrr=pl.col("mrr_minor").first(),
        began=started.first(),
        plan_changes=pl.len() - 1,
        ended_for_price=((pl.col("ended_at") < AS_OF) & speaks).last().cast(pl.Float64),
    )
    opened = pl.col("opened_at")
    tickets = (
        read["tickets"]
        .filter(opened < AS_OF)
        .join(span, on="account", how="left")
        .group_by("account")
        .agg(
            tickets_90d=(_days(pl.col("last"), opened) < 90).sum(),
            last_ticket=opened.max(),
        )
    )
    nps = (
        read["nps"]
        .filter(pl.col("at") < AS_OF)
        .filter(pl.col("at") == pl.col("at").max().over("account"))
        .group_by("account")
        .agg(nps=pl.col("score").mean())
    )
    created = read["accounts"].rename({"id": "account"})
    return contract, tickets, nps, created


def _polars_finished(table):
    began = pl.min_horizontal("created_at", "first", "began")
    filled = ("integration_attempts", "integration_failure_rate", "tickets_90d")
    date = pl.lit(AS_OF)
    table = table.with_columns(
        *(
            pl.when(pl.col("last").is_not_null())
            .then(pl.col(name).fill_nan(0).fill_null(0))
            .alias(name)
            for name in filled
        ),
        days_since_last_use=_days(date, pl.col("last")),
        days_since_churn=_days(date, pl.col("churned_at")),
        days_since_last_ticket=_days(date, pl.col("last_ticket")),
        days_to_onboarding_step=(
            pl.col("step_day") - pl.col("first").dt.date()
        ).dt.total_days(),
        events_per_active_day=pl.col("events_90d") / pl.col("active_days_90d"),
        seat_use=pl.col("active_users_90d") / pl.col("seats"),
        tenure=_days(pl.col("last"), began),
        mrr=pl.col("mrr_minor") / 100,
        mrr_growth=pl.col("mrr_minor") / pl.col("first_mrr") - 1,
        discount_share=pl.col("discount_minor") / pl.col("mrr_minor"),
    ).with_columns(
        silence_against_rhythm=pl.col("days_since_last_use")
        / pl.max_horizontal("usual_gap", pl.lit(1.0))
    )
    columns = [pl.col(name).cast(pl.Float64) for name in FEATURE_NAMES]
    return table.select("account", *columns).sort("account").collect(engine="streaming")


def pandas_features(folder: Path) -> pd.DataFrame:
    columns = ["account", "at", "feature", "contact", "count", "outcome"]
    files = sorted((folder / "usage").glob("*/*.parquet"))
    e = pd.concat([pd.read_parquet(file, columns=columns) for file in files])
    churned = pd.read_parquet(folder / "churned.parquet").set_index("account")
    e = e[(e["at"] < AS_OF) & e["account"].isin(churned.index)]
    e["day"] = e["at"].dt.floor("D")
    e["failed"] = e["count"].where(e["outcome"] == "failed", 0)
    span = e.groupby("account")["at"].agg(first="min", last="max")
    e["before"] = (e["account"].map(span["last"]).dt.floor("D") - e["day"]).dt.days
    t = churned.join(span)
    daily = e.groupby(["account", "day"], as_index=False).agg(
        count=("count", "sum"), before=("before", "first")
    )
    account = daily["account"]
    for days in WINDOWS_DAYS:
        inside = daily[daily["before"] < days].groupby("account")["count"]
        t[f"events_{days}d"], t[f"active_days_{days}d"] = inside.sum(), inside.size()
    week = daily["before"] // 7
    weight = (WEEKS - 1 - 2 * week).where(week < WEEKS, 0)
    t["decline_per_week"] = (daily["count"] * weight).groupby(account).sum() / (
        2 * SQUARES
    )
    total = daily.groupby("account")["count"].sum()
    weekend = daily[daily["day"].dt.day_of_week >= 5].groupby("account")["count"].sum()
    t["weekend_share"] = weekend.reindex(total.index, fill_value=0) / total
    first_day = account.map(span["first"].dt.floor("D"))
    early = daily[(daily["day"] - first_day).dt.days < 30]
    t["first_month_events"] = early.groupby("account")["count"].sum()
    gap = daily.groupby("account")["day"].diff().dt.days
    t["longest_gap"] = gap.groupby(account).max()
    t["earlier_returns"] = (gap >= 30).groupby(account).sum()
    days = daily.groupby("account")["day"].agg(["min", "max", "size"])
    t["usual_gap"] = ((days["max"] - days["min"]).dt.days / (days["size"] - 1)).where(
        days["size"] > 1
    )
    t = t.join(_pandas_by_feature(e)).join(_pandas_people(e))
    return _pandas_finished(t.join(_pandas_records(folder, span)))


def _pandas_by_feature(e):
    e["recent"] = e["count"].where(e["before"] < 90, 0)
    e["failures"] = e["failed"].where(e["before"] < 90, 0)
    e["worked_on"] = e["day"].where(e["failed"] == 0)
    f = e.groupby(["account", "feature"], as_index=False).agg(
        recent=("recent", "sum"),
        failures=("failures", "sum"),
        worked_on=("worked_on", "min"),
    )
    g = f.groupby("account")
    t = g.agg(top=("recent", "max"), recent=("recent", "sum"), lost=("failures", "sum"))
    used = f[f["recent"] > 0]
    t["breadth"] = used.groupby("account").size()
    share = used["recent"] / used["account"].map(t["recent"])
    t["usage_entropy"] = (-(share * np.log2(share))).groupby(used["account"]).sum()
    t["top_feature_share"] = t["top"] / t["recent"]
    t["failure_rate"] = t["lost"] / t["recent"]
    links = f[f["feature"].str.startswith("integration.")]
    tried = links.groupby("account")[["recent", "failures"]].sum()
    t["integration_attempts"] = tried["recent"]
    t["integration_failure_rate"] = tried["failures"] / tried["recent"]
    worked = links[links["worked_on"].notna()].groupby("account").size()
    t["integrations_connected"] = worked.reindex(t.index, fill_value=0)
    steps = f[f["feature"].str.startswith("onboarding.") & f["worked_on"].notna()]
    t["onboarding_step"] = (
        steps.groupby("account").size().reindex(t.index, fill_value=0)
    )
    t["step_day"] = steps.groupby("account")["worked_on"].max()
    return t.drop(columns=["top", "recent", "lost"])


def _pandas_people(e):
    p = e.groupby(["account", "contact"], as_index=False).agg(
        count=("count", "sum"), silence=("before", "min")
    )
    g = p.groupby("account")["count"]
    t = pd.DataFrame({"top_contact_share": g.max() / g.sum()})
    for days in (30, 90):
        t[f"active_users_{days}d"] = p[p["silence"] < days].groupby("account").size()
    busiest = p[p["count"] == p["account"].map(g.max())]
    t["top_contact_silence"] = busiest.groupby("account")["silence"].min()
    return t


def _pandas_records(folder, span):
    s = pd.read_parquet(folder / "subscriptions.parquet")
    s = s[(s["started_at"] < AS_OF) & ~s["plan_is_free"]].sort_values("started_at")
    g = s.groupby("account")
    t = g[["mrr_minor", "seats", "discount_minor"]].last()
    t["first_mrr"], t["began"] = g["mrr_minor"].first(), g["started_at"].first()
    t["plan_changes"] = g.size() - 1
    speaks = s["end_reason"].str.contains(PRICE, na=False) & (s["ended_at"] < AS_OF)
    t["ended_for_price"] = speaks.groupby(s["account"]).last().astype(float)
    k = pd.read_parquet(folder / "tickets.parquet")
    k = k[k["opened_at"] < AS_OF]
    near = (k["account"].map(span["last"]) - k["opened_at"]).dt.total_seconds()
    t["tickets_90d"] = (near < 90 * 86_400).groupby(k["account"]).sum()
    t["last_ticket"] = k.groupby("account")["opened_at"].max()
    n = pd.read_parquet(folder / "nps.parquet")
    n = n[n["at"] < AS_OF]
    newest = n[n["at"] == n.groupby("account")["at"].transform("max")]
    t["nps"] = newest.groupby("account")["score"].mean()
    created = pd.read_parquet(folder / "accounts.parquet").set_index("id")
    return t.join(created, how="outer")


def _pandas_finished(t):
    def days(later, earlier):
        return (later - earlier).dt.total_seconds() / 86_400

    as_of = pd.Series(pd.Timestamp(AS_OF), index=t.index)
    for name in ("integration_attempts", "integration_failure_rate", "tickets_90d"):
        t[name] = t[name].fillna(0).where(t["last"].notna())
    for name in ("breadth", "earlier_returns", "active_users_30d", "active_users_90d"):
        t[name] = t[name].where(t["last"].isna(), t[name].fillna(0))
    t["days_since_last_use"] = days(as_of, t["last"])
    t["days_since_churn"] = days(as_of, t["churned_at"])
    t["days_since_last_ticket"] = days(as_of, t["last_ticket"])
    t["days_to_onboarding_step"] = (t["step_day"] - t["first"].dt.floor("D")).dt.days
    t["events_per_active_day"] = t["events_90d"] / t["active_days_90d"]
    t["seat_use"] = t["active_users_90d"] / t["seats"]
    t["tenure"] = days(t["last"], t[["created_at", "first", "began"]].min(axis=1))
    t["mrr"] = t["mrr_minor"] / 100
    t["mrr_growth"] = t["mrr_minor"] / t["first_mrr"] - 1
    t["discount_share"] = t["discount_minor"] / t["mrr_minor"]
    t["silence_against_rhythm"] = t["days_since_last_use"] / t["usual_gap"].clip(
        lower=1
    ).fillna(1)
    return t[list(FEATURE_NAMES)].sort_index()
