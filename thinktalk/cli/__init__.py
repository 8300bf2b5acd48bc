"""The `thinktalk` command: one file per command, wired together and loaded when asked for by `main`."""
