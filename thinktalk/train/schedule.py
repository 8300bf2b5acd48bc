"""The learning rate over a run: warm-up, constant, linear cool-down (MiniCPM, arXiv 2404.06395, section 4).

From the constant part a run can be prolonged, or another stage branched off.
"""


def share(step: int, steps: int, warmup: int, cooldown: float) -> float:
    """The part of the full rate, in (0, 1], with which step `step` of `steps` (from 0) is taken.

    It rises over `warmup` steps, and falls to zero over the last `cooldown` (a share of `steps`).
    """
    left = (steps - step) / max(1, cooldown * steps)
    return min(1.0, (step + 1) / max(1, warmup), left)
