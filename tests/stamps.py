"""A collection of stamps as Tux Paint's is laid out, for machines that have none."""

from pathlib import Path

from PIL import Image

THINGS = 60


def draw(folder: Path) -> None:
    """Sixty things, each drawn twice in a colour of its own, with a name in two languages; and one without a name."""
    for number in range(THINGS):
        thing = "".join(chr(97 + int(digit)) for digit in f"{number:03}")
        for name in (thing, f"{thing}_2"):
            Image.new("RGBA", (40, 20), (4 * number, 0, 0, 255)).save(folder / f"{name}.png")
            text = f"A {thing}.\nes.utf8=Un {thing}.\nfr.utf8=Quelque chose.\nzh_CN.utf8= \n"
            (folder / f"{name}.txt").write_text(text)
    Image.new("RGBA", (40, 20)).save(folder / "unnamed.png")
