"""The model behind HTTP and WebSocket, in the shapes that OpenAI's clients speak."""
