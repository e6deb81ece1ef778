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
# # Who comes back unprompted?
#
# Some accounts return without any mail. A mail to them wins nothing: the rate that they
# return at is what every campaign has to beat.

# %%
import numpy as np

from campaigns.cli.options import workspace_in_use
from campaigns.domain.values import ArmCount
from campaigns.errors import ActionRefusedError
from campaigns.present import charts
from campaigns.rules.measure.rates import rate_interval
from campaigns.steps import learn, teach
from campaigns.wiring.workspace import open_workspace
from models.returns import Window, accounts_back
from models.synthetic.trials import make_trial
from models.train_returns import train_returns, window_of

workspace = open_workspace(workspace_in_use(default="demo"))
learning = workspace.learning()
until, found = teach.unprompted(learning, as_of=workspace.clock())
windows = [
    window_of(each.features, each.came_back, cutoff=each.cutoff) for each in found
]
accounts = {each for window in windows for each in window.accounts}
print(
    f"{len(accounts):,} accounts that nobody mailed, at {len(windows)} dates: "
    f"{accounts_back(windows):,} came back"
)

# %% [markdown]
# ## At what rate, date by date?
#
# Only windows that closed count, and once mails go out only the accounts held out.

# %%
counts = {
    f"{window.cutoff:%d %b %Y}": ArmCount(
        len(window.came_back), int(window.came_back.sum())
    )
    for window in windows
}
charts.rates(
    {day: (count.accounts, rate_interval(count)) for day, count in counts.items()}
)

# %% [markdown]
# ## Can it be told in advance?
#
# Models learn from the earlier dates and are judged on the later ones. With fewer than
# twenty returns in either nothing is stated.

# %%
try:
    trained = train_returns(windows, horizon=learning.win_back.window, as_of=until)
except ValueError as too_few:
    trained = None
    print(too_few)

# %%
if trained:
    print(learn.sentence_of(trained.metadata))
    bins = trained.metadata["standings"][trained.metadata["chosen"]]["bins"]
    display(charts.stated_and_kept(bins))  # noqa: F821 — Jupyter's own

# %%
if trained:
    for reason in trained.metadata["reasons"]:
        print(f"{reason['feature']:26} {reason['auc_lost']:.3f} of AUC lost without it")

# %% [markdown]
# ## What it looks like where it can
#
# 3,000 made accounts that got no mail: the longer they were away, the fewer come back.
# Each dot is a tenth of the later ones. On the dashed line, what was stated came true.

# %%
made = make_trial(15_000, seed=7, fading=0.5)
alone = np.flatnonzero(~made.trial.mailed.astype(bool))
months = [until - number * 2 * learning.win_back.window for number in (3, 2, 1)]
shown = train_returns(
    [
        Window(
            month, np.array(made.accounts)[rows], made.trial.X[rows], made.trial.y[rows]
        )
        for month, rows in zip(months, np.array_split(alone, 3), strict=True)
    ],
    horizon=learning.win_back.window,
    as_of=until,
)
print(learn.sentence_of(shown.metadata))
charts.stated_and_kept(shown.metadata["standings"][shown.metadata["chosen"]]["bins"])

# %% [markdown]
# Keep your own in the workspace; `winback models promote VERSION` then uses it.

# %%
if trained:
    try:
        print(learn.propose(learning, *trained, now=workspace.clock()))
    except ActionRefusedError as stored_before:
        print(stored_before)

# %% [markdown]
# ## What to do
#
# - Compare campaigns with these rates, never with nought.
# - Where returns fall off with the days away, mail early.
# - Too few returns? Wait, or count more of them: `counts = "either"` in `[win_back]`.
