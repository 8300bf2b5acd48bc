"""What the Thinker makes of whole conversations, against transformers."""

import torch

from thinktalk.engine.memory import Memory
from thinktalk.engine.sampler import GREEDY, TokenSampler
from thinktalk.engine.stages.encode import encode
from thinktalk.engine.stages.think import Thinking, read

WORDS = 8


def test_logits_and_what_the_talker_sees(ours, theirs, scene):
    inputs = encode(ours.thinker, scene.prompt(), ours.config.thinker_config)
    step = ours.thinker(inputs.embedded, inputs.positions, deepstack=inputs.deepstack)
    logits = ours.thinker.lm_head(step.hidden)
    expected = theirs.thinker(**scene.inputs(), output_hidden_states=True)

    assert logits.std() > 0.3
    torch.testing.assert_close(logits, expected.logits, atol=1e-4, rtol=0)
    accepted = expected.hidden_states[ours.config.talker_config.accept_hidden_layer]
    torch.testing.assert_close(step.embedded, expected.hidden_states[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(step.accepted, accepted, atol=1e-4, rtol=0)


def test_greedy_text(ours, theirs, scene):
    memory, inputs = Memory(ours), encode(ours.thinker, scene.prompt(), ours.config.thinker_config)
    memory.recall(scene.prompt())
    *_, (_, step) = read(ours.thinker, inputs, memory.thinker)
    sampler = TokenSampler(GREEDY, torch.device("cpu"))
    thinking = Thinking(ours.thinker, memory, step.hidden[:, -1], inputs.delta, sampler)
    written = [thinking.step() for _ in range(WORDS)]
    expected = theirs.thinker.generate(
        **scene.inputs(), max_new_tokens=WORDS, do_sample=False, eos_token_id=-1
    )
    assert written == expected[0, len(scene.ids) :].tolist()
