"""What every recipe is told, written once."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[list[Path], typer.Option(help="Manifests: JSON lines; may be given again.")]
Out = Annotated[Path, typer.Option(help="The folder of the trained model.")]
Model = Annotated[str, typer.Option(help='"nano", a checkpoint folder, or owner/name on a hub.')]
