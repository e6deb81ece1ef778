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
# Did mails bring accounts back that would not have come by themselves? The same numbers
# as in the weekly report, from the same functions, on the workspace
# that `make demo` leaves in `./demo`. Another workspace: set `WINBACK_WORKSPACE`.

# %%
from campaigns.cli.options import workspace_in_use
from campaigns.errors import NotFoundError
from campaigns.rules.measure.lift import lift_interval
from campaigns.steps.report import gather
from campaigns.wiring.workspace import open_workspace

workspace = open_workspace(workspace_in_use(default="demo"))
report = gather(workspace.reporting(), as_of=workspace.clock())
if not report.campaigns:
    raise NotFoundError("no campaign was launched yet: come back when one was")
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
from campaigns.present import charts

charts.lift_by_group(campaign.breakdowns[0].lines)

# %% [markdown]
# Over time, cohort by cohort, each with all cohorts before it.

# %%
charts.rates_over_time(campaign.cohorts, baseline=report.baseline)

# %%
charts.lift_over_time(campaign.cohorts)

# %% [markdown]
# The same for counts of your own: of each cohort, how many were written to and held
# out, and how many of them came back. Each look may be the last; the band holds at all.

# %%
from datetime import date, timedelta

from campaigns.domain.values import ArmCount
from campaigns.present.lines import ProgrammeLook
from campaigns.rules.measure.strata import ArmPair
from campaigns.steps.compare import Baseline, looks

mine = [(400, 52, 100, 6), (380, 41, 95, 5), (420, 55, 105, 7), (390, 47, 98, 4)]
cohorts = [ArmPair(ArmCount(a, b), ArmCount(c, d)) for a, b, c, d in mine]
closed = [date(2026, 2, 2) + timedelta(weeks=n) for n in range(len(mine))]
found = looks(Baseline(rate=0.12, accounts=500), cohorts)[1:]
charts.lift_over_time([*map(ProgrammeLook, closed, found)])

# %% [markdown]
# Who came back and stayed: visitors who came for a discount show here.

# %%
print(campaign.stay_sentence)
campaign.stays

# %% [markdown]
# ## What to do

# %%
print(campaign.next_step)
