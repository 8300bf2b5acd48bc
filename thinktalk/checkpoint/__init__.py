"""The released layout, both ways."""

from thinktalk.checkpoint.describe import CheckpointInfo, PartInfo, describe
from thinktalk.checkpoint.locate import locate
from thinktalk.checkpoint.read import load
from thinktalk.checkpoint.write import save

__all__ = ["CheckpointInfo", "PartInfo", "describe", "load", "locate", "save"]
