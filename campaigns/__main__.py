"""`python -m campaigns` is `winback`."""

from campaigns.cli.main import run

run()
