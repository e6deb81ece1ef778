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
# # Who left, and how did they use the product?
#
# The accounts that churned, as they were scored last, in the workspace that
# `WINBACK_WORKSPACE` names (else `./demo`, which `make demo` leaves).

# %%
import polars as pl

from campaigns.cli.options import workspace_in_use
from campaigns.present import charts
from campaigns.wiring.notebooks import churned_accounts
from campaigns.wiring.workspace import open_workspace
from models.definitions import FEATURES

workspace = open_workspace(workspace_in_use(default="demo"))
accounts = churned_accounts(workspace)
print(f"{accounts.height:,} churned accounts")

# %% [markdown]
# ## How long are they gone?
#
# Who left lately returns most easily; mails to those gone for a year rarely bring one
# back.

# %%
months = (pl.col("days_since_churn") / 30).floor().cast(pl.Int64)
gone = accounts.group_by(months.alias("months")).len().sort("months")
charts.sizes({f"{m:02} months": n for m, n in gone.iter_rows() if m is not None})

# %% [markdown]
# ## What did they do in their last ninety days?

# %%
shown = ("events_90d", "active_users_90d", "breadth", "integration_failure_rate", "mrr")
accounts.select(shown).describe()

# %% [markdown]
# What each number means, in words:

# %%
for feature in FEATURES:
    if feature.name in shown:
        print(f"{feature.name} ({feature.unit}): {feature.meaning}")

# %% [markdown]
# ## What is missing?
#
# A number that is missing for most accounts tells nothing. If it should be known,
# import what it is made from.

# %%
missing = accounts.null_count().unpivot().filter(pl.col("value") > 0)
missing.sort("value", descending=True)

# %% [markdown]
# ## What to do
#
# - Many gone for long? Begin with the newest: `churned_days_max` in an audience.
# - A number missing that matters? Import it, and run `winback score` again.
# - Next: *segments and why*.
