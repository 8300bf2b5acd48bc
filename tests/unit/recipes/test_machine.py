"""What the recipe makes of a machine."""

import pytest
import torch

from recipes.nano.machine import Machine, Share

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("machine", "side_by_side", "each", "alone"),
    [
        (Machine(CPU, 1), 1, 1, 1),
        (Machine(CPU, 2), 2, 1, 2),
        (Machine(CPU, 6), 4, 1, 6),
        (Machine(CPU, 16), 4, 4, 16),
        (Machine(GPU, 16), 4, 4, 4),
    ],
)
def test_cores_are_shared_out(machine: Machine, side_by_side: int, each: int, alone: int):
    assert (machine.side_by_side, machine.each, machine.alone) == (side_by_side, each, alone)


def test_cores_compute_or_draw_for_what_computes():
    assert Machine(CPU, 16).share(4) == Share(CPU, threads=4, workers=0)
    assert Machine(GPU, 16).share(4) == Share(GPU, threads=1, workers=4)
