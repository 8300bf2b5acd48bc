"""A recipe as a command."""

import sys
from collections.abc import Callable
from typing import Any

import typer

from thinktalk.contracts import UserError


def command(recipe: Callable[..., Any]) -> None:
    """Run a recipe with what the command line says. What its user can mend ends it in one line, without a traceback."""
    try:
        typer.run(recipe)
    except UserError as error:
        sys.exit(f"error: {error}")
