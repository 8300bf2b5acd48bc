"""Text to token ids and back: Qwen's byte-level BPE, read from a checkpoint or trained from nothing.

Two kinds of tokens never mix. Regular ones are learnt from bytes: every text has ids, and every id its bytes.
Added ones (`<|im_start|>`, `<|audio_pad|>`, ...) stand for themselves, and `encode` reads them as plain text
unless it is told otherwise: whatever a person writes, it cannot end their turn or begin another.
"""

import codecs
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from thinktalk.contracts import UserError

# The pattern of the released tokenizer: a word keeps the space before it, digits stand alone.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ROLES = ("system", "user", "assistant")  # one token each: the Talker finds turns by them

MARKUP = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
ADDED = (  # in the order of the released ids
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
    *MARKUP,
    *("<|audio_start|>", "<|audio_end|>", "<tts_pad>", "<tts_text_bos>", "<tts_text_eod>"),
    *("<tts_text_bos_single>", "<|audio_pad|>"),
)
NAMED = {  # the names under which transformers' processor asks for media tokens
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "audio_token": "<|audio_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
    "audio_bos_token": "<|audio_start|>",
    "audio_eos_token": "<|audio_end|>",
}

Merge = tuple[str, str]


class AddedToken(NamedTuple):
    """`silent`: never part of a reply's text; markup such as `<think>` is not silent, a reader needs it."""

    id: int
    silent: bool


class Tokenizer:
    """Byte-level BPE with added tokens; see the module."""

    def __init__(self, vocab: dict[str, int], merges: list[Merge], added: dict[str, AddedToken]) -> None:
        self._vocab, self._merges, self._added = vocab, merges, added
        self._bpe = _bpe(vocab, merges)
        longest_first = sorted(added, key=len, reverse=True)
        self._marks = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._names = {token.id: name for name, token in added.items()}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read tokenizer.json, or else vocab.json, merges.txt and tokenizer_config.json, from `folder`.

        Raises UserError where they are absent or malformed.
        """
        try:
            if (folder / "tokenizer.json").exists():
                return cls(*_from_one_file(folder))
            return cls(*_from_three_files(folder))
        except FileNotFoundError as error:
            raise UserError(
                f"{folder} has no tokenizer: {Path(error.filename).name} is missing; "
                "give tokenizer.json, or vocab.json, merges.txt and tokenizer_config.json"
            ) from None
        except Exception as error:  # files and the library fail in many ways; each means the same here
            raise UserError(f"the tokenizer in {folder} is malformed: {error!r}; fetch it again") from error

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> Self:
        """Learn merges from `texts` until there are `vocab_size` tokens, bytes and added ones included.

        There are fewer where `texts` has no more to merge. Role names are one token each, whatever the texts.
        Raises UserError where `vocab_size` has no room for what must be there.
        """
        size = vocab_size - len(ADDED)
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        bpe = _bpe({}, [])
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        bpe.train_from_iterator(texts, trainer)
        learnt = _merges_of(json.loads(bpe.to_str()))
        # The last merges learnt give way to those that the role names still need.
        for kept in range(max(0, size - len(alphabet)), -1, -1):
            vocab, merges = _with_roles(alphabet, learnt[:kept])
            if len(vocab) <= size:
                added = {t: AddedToken(len(vocab) + i, t not in MARKUP) for i, t in enumerate(ADDED)}
                return cls(vocab, merges, added)
        raise UserError(f"a vocabulary of {vocab_size} tokens is too small; it takes 300 at the least")

    def padded(self, size: int) -> Self:
        """With words of no meaning (" 0", " 1", ...) before the added tokens, so that there are `size` tokens.

        For models with random weights: whatever they write is text.
        """
        first = len(self._vocab)
        words = {f"Ġ{number}": first + number for number in range(size - len(self))}
        added = {name: AddedToken(id + len(words), silent) for name, (id, silent) in self._added.items()}
        return type(self)(self._vocab | words, self._merges, added)

    def __len__(self) -> int:
        """One more than the greatest id."""
        return 1 + max([*self._vocab.values(), *self._names])

    def id(self, token: str) -> int:
        """The id of one token, as it is written. Raises UserError where there is no such token."""
        if token in self._added:
            return self._added[token].id
        if token not in self._vocab:
            raise UserError(
                f"the tokenizer has no token {token!r}; use the one that came with the checkpoint"
            )
        return self._vocab[token]

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Ids of `text` in NFC. Names of added tokens are plain text unless `special`."""
        # JSON can smuggle in halves of surrogate pairs, which have no UTF-8: join them or replace them.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if not special:
            return self._bpe.encode(text).ids
        ids, at = [], 0
        for mark in self._marks.finditer(text):
            ids += self._bpe.encode(text[at : mark.start()]).ids
            ids.append(self._added[mark[0]].id)
            at = mark.end()
        return ids + self._bpe.encode(text[at:]).ids

    def decode(self, ids: Iterable[int], keep_special: bool = False) -> str:
        """The text of `ids`, broken UTF-8 as U+FFFD. Silent tokens are left out unless `keep_special`."""
        return b"".join(self.bytes_of(i, keep_special) for i in ids).decode("utf-8", errors="replace")

    def bytes_of(self, id: int, keep_special: bool = False) -> bytes:
        """What one token adds to the text: perhaps a part of a character, or nothing."""
        if name := self._names.get(id):
            return name.encode() if keep_special or not self._added[name].silent else b""
        token = self._bpe.id_to_token(id)
        return bytes(_BYTE_OF[c] for c in token) if token else b""  # rows of padding have no token

    def save(self, folder: Path) -> None:
        """Write vocab.json, merges.txt, tokenizer_config.json and tokenizer.json, as released."""
        added = {
            str(token.id): {
                "content": name,
                "lstrip": False,
                "normalized": False,
                "rstrip": False,
                "single_word": False,
                "special": token.silent,
            }
            for name, token in sorted(self._added.items(), key=lambda item: item[1].id)
        }
        config = {
            "add_bos_token": False,
            "add_prefix_space": False,
            "added_tokens_decoder": added,
            "additional_special_tokens": [t["content"] for t in added.values() if t["special"]],
            "bos_token": None,
            "clean_up_tokenization_spaces": False,
            "eos_token": "<|im_end|>",
            "errors": "replace",
            "extra_special_tokens": NAMED,
            "pad_token": "<|endoftext|>",
            "split_special_tokens": False,
            "tokenizer_class": "Qwen2TokenizerFast",
            "unk_token": None,
        }
        whole = json.loads(self._bpe.to_str())
        whole["added_tokens"] = [{"id": int(id), **token} for id, token in added.items()]
        _write(folder / "vocab.json", json.dumps(self._vocab, ensure_ascii=False))
        _write(folder / "merges.txt", "".join(f"{a} {b}\n" for a, b in self._merges))
        _write(folder / "tokenizer_config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")
        _write(folder / "tokenizer.json", json.dumps(whole, indent=2, ensure_ascii=False) + "\n")


class IncrementalDecoder:
    """Ids one by one to pieces of text that never end inside a character; together what `decode` says."""

    def __init__(self, tokenizer: Tokenizer, keep_special: bool = False) -> None:
        self._tokenizer, self._keep_special = tokenizer, keep_special
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, id: int) -> str:
        return self._utf8.decode(self._tokenizer.bytes_of(id, self._keep_special))

    def finish(self) -> str:
        """What is left: U+FFFD if the last character never was completed."""
        return self._utf8.decode(b"", final=True)


def _bpe(vocab: dict[str, int], merges: list[Merge]) -> tokenizers.Tokenizer:
    bpe = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges))
    bpe.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(WORDS), behavior="isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([words, to_bytes])
    bpe.decoder = decoders.ByteLevel()
    return bpe


def _with_roles(alphabet: Sequence[str], merges: list[Merge]) -> tuple[dict[str, int], list[Merge]]:
    """The vocabulary of `merges`, and `merges` followed by those that make each role a token."""
    merges = list(merges)
    while True:
        # Two merges may make the same token; it has one id.
        tokens = dict.fromkeys([*alphabet, *(a + b for a, b in merges)])
        vocab = {token: id for id, token in enumerate(tokens)}
        bpe = _bpe(vocab, merges)
        split = (bpe.encode(role).tokens for role in ROLES)
        pieces = next((p for p in split if len(p) > 1), None)
        if pieces is None:
            return vocab, merges
        merges.append((pieces[0], pieces[1]))


def _merges_of(whole: dict[str, Any]) -> list[Merge]:
    """The merges in a tokenizer.json, which writes them as pairs or, in older files, as "a b"."""
    pairs = (m.split(" ") if isinstance(m, str) else m for m in whole["model"]["merges"])
    return [(a, b) for a, b in pairs]


def _from_one_file(folder: Path) -> tuple[dict[str, int], list[Merge], dict[str, AddedToken]]:
    whole = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = {t["content"]: AddedToken(t["id"], t["special"]) for t in whole["added_tokens"]}
    return whole["model"]["vocab"], _merges_of(whole), added


def _from_three_files(folder: Path) -> tuple[dict[str, int], list[Merge], dict[str, AddedToken]]:
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    merges = [(a, b) for a, b in (x.split(" ") for x in lines if x and not x.startswith("#version"))]
    added = {
        token["content"]: AddedToken(int(id), token.get("special", False))
        for id, token in config["added_tokens_decoder"].items()
    }
    return vocab, merges, added


def _byte_of() -> dict[str, int]:
    """Byte-level BPE writes printable bytes as themselves and the others, in order, as U+0100 and up."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = (b for b in range(256) if b not in printable)
    return {chr(b): b for b in printable} | {chr(0x100 + n): b for n, b in enumerate(hidden)}


_BYTE_OF = _byte_of()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
