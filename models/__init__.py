"""What is learnt; importable alone, the same code in notebook and production.

Read `definitions` and `features` first (what is known of an account as of a date), then
`segments` (the classifier), `training` (labels to a fitted model), `artifacts` (how a
model is kept) and `synthetic` (a seeded company to try everything on).
"""
