"""What may be claimed: counts in, numbers out.

At every look: `sequential` (lift, rate, and rate against a pilot), `pooled` (all
campaigns together) and `variants` (which text is best). At one look: `rates` (one arm,
and against a fixed baseline), `lift` (two arms), `strata` (two arms in many strata),
`segments` (many groups at once), `values` (money, and what use before churn explains).
Before and beside: `power` (what can be shown), `losses` (whether arms are still those
drawn), `verdict` (the one sentence). `restricted` has the likelihood that some of them
share.
"""
