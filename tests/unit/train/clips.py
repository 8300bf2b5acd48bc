"""A recording as the stages of nano take it."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Clip:
    wave: np.ndarray
    text: str = "the cat"
    answer: str = "The cat."
