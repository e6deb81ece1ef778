"""The win-back engine.

Read it in the order the data travels: `domain` (the trade's words), `rules`
(decisions without I/O), `steps` (one verb each), then the rooms the steps use:
`store`, `sources`, `mail`, `present`, and the two doors to what is learnt,
`scoring` and `world`. `wiring` builds it all, `cli` and `web` are its faces.
"""
