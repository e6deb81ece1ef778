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
# # Did it work?
#
# The same numbers as in the weekly report, from the same functions, on the workspace
# that `make demo` leaves in `./demo`. Another workspace: set `WINBACK_WORKSPACE`.

# %%
from campaigns.cli.options import workspace_in_use
from campaigns.rules.measure.lift import lift_interval
from campaigns.steps.report import gather
from campaigns.wiring.workspace import open_workspace

workspace = open_workspace(workspace_in_use(default="demo"))
report = gather(workspace.reporting(), as_of=workspace.clock())
campaign = report.campaigns[0]
print(campaign.sentence)

# %% [markdown]
# Counts in, numbers out: nothing below needs a database.

# %%
arms = campaign.comparison
print("written to", arms.treated)
print("held out  ", arms.holdout)
lift_interval(arms.treated, arms.holdout)

# %% [markdown]
# By segment. Looked at one by one, some segment will look good by chance.

# %%
import altair as alt

rows = [
    {"segment": line.title, **line.comparison.lift._asdict()}
    for line in campaign.breakdowns[0].lines
    if line.comparison.lift
]
chart = alt.Chart(alt.InlineData(values=rows))
chart.mark_rule().encode(x="low:Q", x2="high:Q", y="segment:N") + chart.mark_circle(
    size=90, opacity=1
).encode(x="value:Q", y="segment:N")

# %% [markdown]
# Over time, cohort by cohort, each with all cohorts before it.

# %%
[
    (line.window_closed_on.isoformat(), line.so_far.lift.value)
    for line in campaign.cohorts
    if line.so_far.lift
]
