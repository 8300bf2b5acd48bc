"""Connectionist temporal classification: what aligns sound with spelling when nobody says where words are."""

import torch.nn.functional as F
from torch import Tensor

ALPHABET = "abcdefghijklmnopqrstuvwxyz' "  # class 0 is the blank


def spell(text: str) -> list[int]:
    """Classes of the letters of a text; what is not in the alphabet is left out."""
    return [1 + ALPHABET.index(letter) for letter in text.lower() if letter in ALPHABET]


def ctc(logits: Tensor, slots: Tensor, spellings: list[list[int]]) -> Tensor:
    """logits [b, slots, classes], of which `slots` [b] count -> mean negative log likelihood per letter.

    A clip that is too short for its spelling counts nothing.
    """
    lengths = slots.new_tensor([len(spelling) for spelling in spellings])
    targets = slots.new_tensor([letter for spelling in spellings for letter in spelling])
    log_probabilities = logits.float().log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(log_probabilities, targets, slots, lengths, zero_infinity=True)
