"""Chat completions: OpenAI's shapes on one side, the engine's messages and events on the other."""
