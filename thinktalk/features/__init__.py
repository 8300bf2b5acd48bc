"""Arrays to tensors: what the audio and vision encoders read."""
