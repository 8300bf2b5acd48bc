"""The released layout, both ways."""

from thinktalk.checkpoint.read import load
from thinktalk.checkpoint.write import save

__all__ = ["load", "save"]
