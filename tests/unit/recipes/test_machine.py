"""What the recipe makes of a machine."""

import os
import subprocess
import sys
from ctypes.util import find_library

import pytest
import torch

from recipes.nano import machine as recipes_machine
from recipes.nano.machine import Machine, Share, allocator

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


def test_a_stage_learns_so_many_times_as_long():
    assert Machine(CPU, 2).share(1).steps(2400) == 2400
    assert Machine(CPU, 2).share(1, longer=2.5).steps(2401) == 6002
    assert Machine(GPU, 16).share(4, longer=0.5).steps(2400) == 1200


@pytest.mark.skipif(not find_library("tcmalloc_minimal"), reason="there is no tcmalloc")
def test_a_stage_gets_its_memory_from_tcmalloc():
    loaded = "print('tcmalloc' in open('/proc/self/maps').read())"
    for environment, said in ((os.environ | allocator(), "True"), (os.environ, "False")):
        told = subprocess.run([sys.executable, "-c", loaded], env=environment, capture_output=True, text=True)
        assert (told.stdout.strip(), told.stderr) == (said, "")


def test_without_tcmalloc_it_does_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recipes_machine, "find_library", lambda _: None)
    assert allocator() == {}
