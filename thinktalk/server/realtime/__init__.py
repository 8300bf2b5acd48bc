"""OpenAI's Realtime protocol (GA): a conversation by voice over one WebSocket.

A turn from its sound to `response.done`: `listening` finds where it begins and ends, `utterance` hears it while
it is spoken, `session` puts it into the `conversation` and has it answered by a `reply`.
"""
