"""Fault simulation: the engine itself in small worlds where everything goes wrong.

A seed makes a world, a campaign in it and all that goes wrong, kill by kill. The code
that runs is the engine's own, with a clock, a network and an executor handed in. After
each world the promises are checked; a seed replays its world exactly.
"""
