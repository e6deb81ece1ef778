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
# # Whom does a mail help?
#
# Not who comes back, but who comes back *because of* a mail. Only accounts that were
# mailed, or not, by lot can tell; that is what the holdout is for.

# %%
from campaigns.cli.options import workspace_in_use
from campaigns.errors import ConfigError
from campaigns.present import charts
from campaigns.steps import teach
from campaigns.wiring.workspace import open_workspace
from models.balance import balance
from models.definitions import FEATURE_NAMES
from models.policy import judge
from models.qini import qini_curve
from models.synthetic.trials import make_trial
from models.uplift import OneFlag, Selected

workspace = open_workspace(workspace_in_use(default="demo"))
learning = workspace.learning()
costs = learning.costs
try:
    rows = teach.trial_rows(learning, as_of=workspace.clock())
    mine = rows.trial()
    print(
        f"{len(mine.y):,} accounts, {mine.mailed.mean():.0%} mailed; "
        f"{mine.y.mean():.1%} came back"
    )
except (ConfigError, ValueError) as nothing_yet:
    mine = None
    print(nothing_yet, "(no accounts)")

# %% [markdown]
# ## Was it a lot?
#
# If the arms differ in what was known before, they teach nothing.

# %%
if mine:
    alike = balance(mine, FEATURE_NAMES)
    print(f"p = {alike.p_value:.2g}; they differ most in {alike.differences}")

# %% [markdown]
# ## Is it worth choosing whom to mail?
#
# Judged as `winback learn` judges: with your costs, and with intervals that stand a
# look every week for a year.

# %%
try:
    if mine and alike.is_random:
        said = judge(
            Selected(random_state=0), mine, costs=costs, confidence=teach.CONFIDENCE
        ).sentence
    else:
        said = "Nothing to judge: there are no arms that a lot made."
    print(said)
except ValueError as too_few:
    print(too_few)

# %% [markdown]
# ## What it looks like where it is
#
# A made trial of 40,000 accounts, of which a mail puts one in seven off. The curve
# shows what mailing the first so many brings, those first whom the model says it helps
# most; the dashed line is any other order. Where the curve falls again, stop.

# %%
made = make_trial(40_000, seed=7)
X, y, mailed, *_ = made.trial
half = len(y) // 2
model = Selected(random_state=0).fit(X[:half], y[:half], treatment=mailed[:half])
curve = qini_curve(y[half:], model.predict(X[half:]), mailed[half:])
charts.gain_curve(curve.accounts, curve.gain)

# %%
print(judge(Selected(random_state=0), made.trial).sentence)

# %% [markdown]
# A rule of one feature is what a model has to beat; where it is not beaten, the rule is
# taken:

# %%
rule = OneFlag().fit(X[:half], y[:half], treatment=mailed[:half])
below, above = rule.uplifts_
print(
    f"{FEATURE_NAMES[rule.feature_]} up to {rule.above_:.2f}: {below:+.1%}; "
    f"above: {above:+.1%}"
)
print(f"taken: {type(model.model_).__name__}")

# %% [markdown]
# ## What to do
#
# - "No gain to be had" is the usual answer: then mail all, and write better texts.
# - If there is a gain, `winback learn` proposes the model week by week, and
#   `winback models promote VERSION` uses it: those no mail helps are left alone, but
#   for a tenth that keeps it known.
# - Keep the holdout. Without it none of this can be known.
