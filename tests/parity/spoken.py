"""Replies in speech: by transformers' `generate`, and by our stages one after the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.parity.scenes import Scene
from thinktalk.engine.memory import Memory
from thinktalk.engine.sampler import GREEDY, Sampling, TokenSampler
from thinktalk.engine.stages.encode import encode
from thinktalk.engine.stages.talk import Briefing, Talking
from thinktalk.engine.stages.think import Thinking, read
from thinktalk.engine.stages.vocode import Vocoding
from thinktalk.models.qwen3_omni import handoff
from thinktalk.models.qwen3_omni.omni import Qwen3Omni


@dataclass
class Spoken:
    """Text ids, codes [groups, frames] and samples."""

    text: list[int]
    codes: Tensor
    samples: Tensor


def by_transformers(
    model: Any, scene: Scene, words: int, frames: int, penalty: float = 1.0, speaker: str = "Ethan"
) -> Spoken:
    heard: list[Tensor] = []
    decode = model.code2wav.chunked_decode

    def listen(codes: Tensor, **options: int) -> Tensor:
        heard.append(codes)
        return decode(codes, **options)

    model.code2wav.chunked_decode = listen
    try:
        ids, samples = model.generate(
            **scene.inputs(),
            speaker=speaker,
            thinker_max_new_tokens=words,
            thinker_eos_token_id=model.config.im_end_token_id,
            thinker_do_sample=False,
            talker_max_new_tokens=frames + 1,  # the last of them is never made into a frame
            talker_do_sample=False,
            talker_repetition_penalty=penalty,
        )
    finally:
        del model.code2wav.chunked_decode
    return Spoken(ids[0, len(scene.ids) :].tolist(), heard[0][0], samples.flatten())


def by_us(
    model: Qwen3Omni,
    scene: Scene,
    words: int,
    frames: int,
    penalty: float = 1.0,
    speaker: str = "ethan",
    time_aligned: bool = False,
) -> Spoken:
    config, cpu = model.config, torch.device("cpu")
    prompt = scene.prompt()
    memory, inputs = Memory(model), encode(model.thinker, prompt, config.thinker_config)
    memory.recall(prompt)
    for span, step in read(model.thinker, inputs, memory.thinker):
        memory.saw(handoff.see(model, prompt.ids, span, step))
    thinking = Thinking(model.thinker, memory, step.hidden[:, -1], inputs.delta, TokenSampler(GREEDY, cpu))
    text = []
    while len(text) < words and text[-1:] != [config.im_end_token_id]:
        text.append(thinking.step())

    positions, delta = handoff.talker_positions(prompt, config, time_aligned=time_aligned)
    talker = config.talker_config
    voice = talker.speaker_id[speaker]
    briefing = Briefing(memory.seen, positions, delta, prompt.ids[-3:], voice, memory.talker)
    forbidden = torch.arange(talker.text_config.vocab_size) >= model.talker.codebook_size
    forbidden[talker.codec_eos_token_id] = False
    sampler = TokenSampler(Sampling(temperature=0, repetition_penalty=penalty), cpu, forbidden)
    talking = Talking(model, briefing, sampler, TokenSampler(GREEDY, cpu), most=frames)
    talking.tell(text[:-1])  # the last token, mark or not, is never spoken
    talking.end()
    codes = []
    while not talking.finished:
        if (frame := talking.step()) is not None:
            codes.append(frame)
    vocoding = Vocoding(model.code2wav)
    samples = np.concatenate([vocoding.step(frame) for frame in codes])
    return Spoken(text, torch.cat(codes).T, torch.from_numpy(samples))
