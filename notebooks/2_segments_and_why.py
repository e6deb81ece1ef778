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
# # Which usage patterns do they show, and why do we say so?
#
# Each account has one segment, the model's certainty, and its reasons in words that
# fit a mail.

# %%
import polars as pl

from campaigns.cli.options import workspace_in_use
from campaigns.present import charts
from campaigns.store import model_versions
from campaigns.wiring.notebooks import churned_accounts
from campaigns.wiring.workspace import open_workspace

workspace = open_workspace(workspace_in_use(default="demo"))
accounts = churned_accounts(workspace)
sizes = accounts["segment"].value_counts(sort=True)
print(f"{accounts.height:,} accounts in {sizes.height} segments")
charts.sizes(dict(sizes.iter_rows()))

# %% [markdown]
# ## How do they differ?
#
# Means of each segment, in standard deviations from the mean of all accounts.

# %%
names = [
    "days_since_last_use", "decline_per_week", "integration_failure_rate",
    "top_contact_silence", "onboarding_step", "earlier_returns", "discount_share",
]  # fmt: skip
scaled = accounts.with_columns(
    (pl.col(n) - pl.col(n).mean()) / pl.col(n).std() for n in names
)
means = (
    scaled.group_by("segment").agg(pl.col(names).mean().fill_null(0)).sort("segment")
)
charts.profile({row["segment"]: {n: row[n] for n in names} for row in means.to_dicts()})

# %% [markdown]
# ## Three of each, with reasons

# %%
few = (
    accounts.sort("confidence", descending=True)
    .group_by("segment", maintain_order=True)
    .head(3)
)
for segment, account, confidence, reasons in few.select(
    "segment", "account", "confidence", "reasons"
).iter_rows():
    why = "; ".join(reasons) or "none stands out"
    print(f"{segment:22} {account} ({confidence:.0%}): {why}")

# %% [markdown]
# ## How far can it be trusted?

# %%
with workspace.sessions.begin() as session:
    model = model_versions.active(session, "segments")
if model:
    metrics, classes = model.metadata["metrics"], model.metadata["classes"]
    print(f"right on labels it had not seen: {metrics['accuracy']:.0%} of accounts")
    print(f"always naming the commonest:     {metrics['chance']:.0%}")
    print(f"labels came from:                {model.metadata['labels_by']}")
    confusion = pl.DataFrame(metrics["confusion"], schema=classes, orient="row")
    display(confusion)  # noqa: F821 — Jupyter's own
else:
    print("No model is used: `winback models list` says which there are, and why.")

# %% [markdown]
# ## What to do
#
# - Labels by rules only? Give some yourself (`winback import labels FILE`), then
#   `winback train segments`: what people say replaces the rules.
# - Two segments often taken for one another? Write one text for both.
# - Write for the largest segments first, with the words of their reasons.
