# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What can the next campaign show?
#
# Before a mail is written: how small an effect could this audience show, and by when?

# %%
import altair as alt
import polars as pl

from campaigns.cli.options import workspace_in_use
from campaigns.rules.measure.power import least_lift_shown
from campaigns.wiring.notebooks import churned_accounts
from campaigns.wiring.workspace import open_workspace

workspace = open_workspace(workspace_in_use(default="demo"))
accounts = churned_accounts(workspace)
expected = accounts["chance"].mean()
baseline = workspace.settings.programme.baseline
base_rate = expected if expected is not None else baseline
source = "our model" if expected is not None else "the pilot"
print(f"{accounts.height:,} accounts; {base_rate:.1%} come back alone, by {source}")

# %% [markdown]
# ## How many should be held out?
#
# Few held out, and nothing can be shown; many, and few are mailed. Four cohorts of
# equal size:

# %%
cohort = accounts.height // 4
rows = []
for share in (0.1, 0.2, 0.3, 0.4, 0.5):
    arms = [(cohort - round(cohort * share), round(cohort * share))] * 4
    lift = least_lift_shown(arms, base_rate=base_rate)
    rows.append({"held out": share, "smallest lift shown": lift})
found = pl.DataFrame(
    rows, schema={"held out": pl.Float64, "smallest lift shown": pl.Float64}
)
found

# %%
alt.Chart(alt.InlineData(found.drop_nulls().to_dicts())).mark_line(point=True).encode(
    x=alt.X("held out:Q", axis=alt.Axis(format=".0%")),
    y=alt.Y(
        "smallest lift shown:Q",
        axis=alt.Axis(format="+.0%"),
        scale=alt.Scale(zero=True),
    ),
).properties(width=480, height=220)

# %% [markdown]
# ## For whom to write
#
# The largest segments, with what a mail could say to them.

# %%
largest = accounts["segment"].value_counts(sort=True).head(3)
for segment, count in largest.iter_rows():
    said = (
        accounts.filter(pl.col("segment") == segment)["reasons"].explode().drop_nulls()
    )
    common = (
        said.str.replace_all(r"[0-9]+", "N").value_counts(sort=True)["reasons"].head(2)
    )
    print(f"{segment} ({count:,} accounts): {'; '.join(common)}")

# %% [markdown]
# ## What to do
#
# - No lift under ten points can be shown? Add cohorts or widen the audience before you
#   write; `winback campaign power NAME` says the same of a campaign's file.
# - Write the file (docs/reference/campaign-file.md), `winback campaign apply`, look at
#   the mails, then `winback campaign launch`.
