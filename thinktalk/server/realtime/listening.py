"""Where the user's turns begin, pause and end in the sound that comes in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from thinktalk.media.voice_activity import WINDOW, Started, Stopped, Turns, VoiceActivity
from thinktalk.rates import HEARING_RATE
from thinktalk.server.realtime.configuration import SemanticVad, ServerVad
from thinktalk.server.realtime.faults import ProtocolError
from thinktalk.server.realtime.sound import NOTHING
from thinktalk.server.realtime.utterance import Utterance

PREFIX_MS = 300  # kept before a turn, where the client does not say
# How long a pause is after which a complete sentence ends a turn, and the silence that ends it anyway, in ms.
PAUSES = {"high": (200, 2000), "medium": (300, 4000), "auto": (300, 4000), "low": (600, 8000)}

Detection = ServerVad | SemanticVad | None


@dataclass(frozen=True)
class Began:
    """A turn began. Where turns are not detected none begins, there is just sound."""

    utterance: Utterance


@dataclass(frozen=True)
class Paused:
    """The speaker paused and may have come to an end; see `Listening.end`."""

    utterance: Utterance


@dataclass(frozen=True)
class Ended:
    """A turn ended; it is no longer open."""

    utterance: Utterance
    at_ms: int


class Listening:
    """Sound comes in at 16 kHz and goes into the utterance that is open, if one is.

    Without turn detection one opens with the first sound, and is closed by `take`. With it, what is outside of
    turns is forgotten, except for the moment before each.
    """

    def __init__(self, open_utterance: Callable[[int], Utterance], most_seconds: float):
        self.utterance: Utterance | None = None
        self._open, self._most_seconds = open_utterance, most_seconds
        self._detection: Detection = None
        self._activity: VoiceActivity | None = None
        self._turns = Turns()
        self._recent = NOTHING  # the sound before now that a turn may begin with
        self._samples = 0  # all that ever came
        self._origin = 0  # of them, those before `_turns` began to count
        self._rest = NOTHING  # less than a window
        self._pause_told = False

    @property
    def now_ms(self) -> int:
        """All sound that ever came."""
        return 1000 * self._samples // HEARING_RATE

    def configure(self, detection: Detection) -> None:
        """Find turns so from now on; one that is open stays so."""
        if detection == self._detection:
            return
        self._detection = detection
        if detection is None:
            self._activity = None
        elif self._activity is None:
            self._activity = VoiceActivity()
        self._begin_to_count(speaking=self.utterance is not None)

    def feed(self, samples: np.ndarray) -> Iterator[Began | Paused | Ended]:
        """float32 [n] at 16 kHz follow: what happens in them. Raises ProtocolError where the buffer is full."""
        if self._detection is None:
            self._feed_undetected(np.concatenate((self._rest, samples)))
            self._rest = NOTHING
            return
        sound = np.concatenate((self._rest, samples))
        whole = len(sound) // WINDOW * WINDOW
        self._rest = sound[whole:]
        for start in range(0, whole, WINDOW):
            yield from self._feed_window(sound[start : start + WINDOW])

    def end(self, utterance: Utterance) -> Ended | None:
        """End a turn that paused, unless it ended already or the speaker goes on."""
        if utterance is not self.utterance or not self._pause_told:
            return None
        return self._end()

    def take(self) -> Utterance | None:
        """Close the utterance that is open, with all sound so far."""
        utterance, self.utterance = self.utterance, None
        if utterance is not None:
            utterance.feed(self._rest)
            self._samples += len(self._rest)
            self._rest = NOTHING
            utterance.end()
        self._begin_to_count(speaking=False)
        return utterance

    def clear(self) -> None:
        """Forget all sound that is not part of a turn that ended."""
        utterance = self.take()
        if utterance is not None:
            utterance.drop()

    def _feed_undetected(self, samples: np.ndarray) -> None:
        if len(samples) == 0:
            return
        if self.utterance is None:
            self.utterance = self._open(self.now_ms)
        if self.utterance.seconds > self._most_seconds:
            raise ProtocolError(
                f"the buffer holds {self._most_seconds:.0f} s, which is all it can; commit or clear it",
                "input_audio_buffer_full",
            )
        self._samples += len(samples)
        self.utterance.feed(samples)

    def _feed_window(self, window: np.ndarray) -> Iterator[Began | Paused | Ended]:
        assert self._activity is not None
        self._samples += len(window)
        if self.utterance is not None:
            self.utterance.feed(window)
        else:
            most = int((self._turns.prefix_ms + 1000) * HEARING_RATE / 1000)
            self._recent = np.concatenate((self._recent, window))[-most:]
        for event in self._turns.feed(self._activity.feed(window)):
            if isinstance(event, Started) and self.utterance is None:
                yield self._begin(1000 * self._origin // HEARING_RATE + event.at_ms)
            elif isinstance(event, Stopped) and self.utterance is not None:
                yield self._end()
        if self.utterance is not None:
            if self.utterance.seconds > self._most_seconds:
                yield self._end()
            elif self._is_pause() and not self._pause_told:
                self._pause_told = True
                yield Paused(self.utterance)

    def _is_pause(self) -> bool:
        if not isinstance(self._detection, SemanticVad):
            return False
        if self._turns.silent_ms == 0:
            self._pause_told = False  # the speaker goes on
        return self._turns.silent_ms >= PAUSES[self._detection.eagerness][0]

    def _begin(self, at_ms: int) -> Began:
        before = min(len(self._recent), self._samples - at_ms * HEARING_RATE // 1000)
        self.utterance = self._open(max(0, self.now_ms - 1000 * before // HEARING_RATE))
        self.utterance.feed(self._recent[len(self._recent) - before :])
        self._recent, self._pause_told = NOTHING, False
        return Began(self.utterance)

    def _end(self) -> Ended:
        utterance, self.utterance = self.utterance, None
        assert utterance is not None
        utterance.end()
        self._begin_to_count(speaking=False)
        return Ended(utterance, self.now_ms)

    def _begin_to_count(self, speaking: bool) -> None:
        match self._detection:
            case ServerVad() as vad:
                self._turns = Turns(vad.threshold, vad.prefix_padding_ms, vad.silence_duration_ms)
            case SemanticVad() as vad:
                self._turns = Turns(prefix_ms=PREFIX_MS, silence_ms=PAUSES[vad.eagerness][1])
        self._turns.speaking = speaking
        self._origin, self._recent, self._pause_told = self._samples, NOTHING, False
