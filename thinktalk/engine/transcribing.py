"""What is said in a recording, written down utterance by utterance: how the model is asked, and what comes of it.

for utterance in utterances(file, omni.defaults.longest_utterance):
    text = omni.reply(**task.asks(utterance)).text
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from thinktalk.contracts import Audio, Message, Text, UserError
from thinktalk.engine.sampler import Sampling
from thinktalk.media.utterances import Utterance
from thinktalk.rates import HEARING_RATE

LANGUAGES = {  # that the released model hears, by their ISO 639-1 codes
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "ms": "Malay",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ru": "Russian",
    "th": "Thai",
    "tr": "Turkish",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "yue": "Cantonese",
    "zh": "Chinese",
}
TRANSCRIBE = "Transcribe the {language}audio into text."
TRANSCRIBE_CHINESE = "请将这段中文语音转换为纯文本。"  # as the release words it
TRANSLATE = "Listen to the provided {language}speech and produce a translation in English text."
TOKENS_PER_SECOND = 25  # nobody speaks as fast: a text that goes on runs in circles
UNSPACED = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")  # Chinese and Japanese, and their signs


@dataclass(frozen=True)
class Task:
    """What to do with every utterance: write it down or `translate` it into English.

    `language` as `language_name` gives it, None leaves it to the model. `context` is text that helps: names that may
    occur, or what was said before.
    """

    language: str | None = None
    translate: bool = False
    context: str = ""
    temperature: float = 0.0

    @property
    def instruction(self) -> str:
        """What the model is told to do."""
        if self.language == "Chinese" and not self.translate:
            return TRANSCRIBE_CHINESE
        wording = TRANSLATE if self.translate else TRANSCRIBE
        return wording.format(language=f"{self.language} " if self.language else "")

    def asks(self, utterance: Utterance) -> dict[str, Any]:
        """The request for one utterance, for `Omni.stream` and its kin."""
        heard = Message("user", [Audio(utterance.samples), Text(self.instruction)])
        seconds = len(utterance.samples) / HEARING_RATE
        return {
            "messages": [Message("system", self.context), heard] if self.context else [heard],
            "speech": False,
            "text_sampling": Sampling(temperature=self.temperature),
            "max_tokens": round(TOKENS_PER_SECOND * (1 + seconds)),
        }


@dataclass(frozen=True)
class Segment:
    """What was said from second `start` to `end` of a recording."""

    start: float
    end: float
    text: str


def language_name(asked: str) -> str:
    """The English name of a language that is given by that name or an ISO 639-1 code, perhaps as "en-GB".

    Raises UserError where it is neither.
    """
    name = LANGUAGES.get(re.split("[-_]", asked.strip().lower())[0], asked.strip().title())
    if not re.fullmatch(r"[A-Za-z ]{4,30}", name):
        raise UserError(
            f"there is no language {asked!r}; give its English name, or one of {', '.join(LANGUAGES)}"
        )
    return name


def gap(text: str) -> str:
    """What stands between `text` and the next utterance: a space, where the language has any."""
    return "" if not text or UNSPACED.match(text[-1]) else " "


def joined(segments: Iterable[Segment]) -> str:
    """All that was said, as one text."""
    text = ""
    for segment in segments:
        text += gap(text) + segment.text
    return text


# --------------------------------------------------------------------------- subtitles


def srt(segments: Iterable[Segment]) -> str:
    """SubRip subtitles."""
    cues = (
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(segment.end, ',')}\n{_line(segment)}\n\n"
        for number, segment in enumerate(segments, start=1)
    )
    return "".join(cues)


def vtt(segments: Iterable[Segment]) -> str:
    """WebVTT subtitles: https://www.w3.org/TR/webvtt1/"""
    escapes = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
    cues = (
        f"{_clock(segment.start, '.')} --> {_clock(segment.end, '.')}\n{_line(segment).translate(escapes)}\n\n"
        for segment in segments
    )
    return "WEBVTT\n\n" + "".join(cues)


def _clock(seconds: float, point: str) -> str:
    ms = round(1000 * seconds)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def _line(segment: Segment) -> str:
    return " ".join(segment.text.split())  # an empty line would end the cue
