"""On a GPU, a decode step as a CUDA graph: some thousand kernels that the host launches at once, not one by one.

`pages` holds keys and values where a recording finds them, `recording` records and replays, and `parts` is what is
recorded: a step of Thinker or Talker, and a frame by MTP or Code2Wav. It is the plain modules that are recorded;
reading many positions at once is done by them as ever.
"""
