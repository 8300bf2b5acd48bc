"""`python -m thinktalk.cli` is the `thinktalk` command."""

from thinktalk.cli.main import run

run()
