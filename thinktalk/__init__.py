"""thinktalk: an open, complete Qwen3-Omni that hears, sees, thinks and speaks."""
