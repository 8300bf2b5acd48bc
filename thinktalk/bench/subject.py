"""What is measured, and how thoroughly."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from thinktalk.bench.shapes import SHAPES, build
from thinktalk.contracts import UserError
from thinktalk.engine.omni_engine import Omni

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Subject:
    """A checkpoint, or a shape with random weights, on a device; any process can load it again, the same.

    device, dtype: None as in `Omni.from_pretrained`; a shape is bfloat16 on a GPU and float32 on a CPU.
    threads: None leaves the number to torch. seed: of random weights, and of what is sampled.
    """

    model: str = "nano"
    shape: str | None = None
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in DTYPES:
            raise UserError(f"there is no dtype {self.dtype!r}; there are {', '.join(DTYPES)}")
        if self.shape is not None and self.shape not in SHAPES:
            raise UserError(f"there is no shape {self.shape!r}; there are {', '.join(SHAPES)}")
        if self.device is not None:
            _check_device(self.device)

    @property
    def name(self) -> str:
        """As a table names it."""
        return f"{self.shape} with random weights" if self.shape else self.model

    @property
    def on(self) -> torch.device:
        return torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def load(self) -> Omni:
        """The model on its device. Raises UserError where it does not fit or there is no such checkpoint."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        dtype = DTYPES[self.dtype] if self.dtype else None
        if self.shape is not None:
            return build(self.shape, self.on, dtype, self.seed)
        omni = Omni.from_pretrained(self.model, self.on, dtype)
        if not omni.speaks:
            raise UserError(f"{self.model} does not speak; bench a checkpoint that does")
        return omni


def _check_device(name: str) -> None:
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the device {name!r} cannot be used: {reason}") from None


@dataclass(frozen=True)
class Plan:
    """How much is measured. Every figure is the median of `rounds` rounds, after one that does not count."""

    rounds: int = 5
    levels: tuple[int, ...] = (1, 4, 6, 16)  # conversations at once
    crowd: int = 8  # conversations at once, against the plain path
    minutes: tuple[float, ...] = (1, 5, 10, 20, 40)  # of sound to be heard
    early: float = 10.0  # seconds into a long reply
    late: float = 600.0
    words: int = 64  # the longest text of a reply, in tokens: more than its frames, as each takes in one
    seconds: float = 4.0  # the longest speech of a reply


FULL = Plan()
QUICK = Plan(1, levels=(1, 2), crowd=2, minutes=(0.1, 0.4), early=0.4, late=1.6, words=16, seconds=0.8)


@dataclass
class Bench:
    """A subject being measured; `tell` hears what is being done."""

    subject: Subject
    plan: Plan = FULL
    tell: Callable[[str], None] = lambda what: None

    @cached_property
    def omni(self) -> Omni:
        self.tell(f"loading {self.subject.name}")
        return self.subject.load()
