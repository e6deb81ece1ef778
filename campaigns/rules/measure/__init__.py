"""What may be claimed: counts in, numbers out.

`rates` (one arm, and an arm against a fixed baseline), `lift` (two arms), `verdict`
(the one sentence, and when it may be given).
"""
