"""Small models on a CPU by kernels of our own: a frame is some hundred small operations, and calling them was the cost.

`build` lets this machine's compiler make the C once; `decoders` and `vocoder` are what is computed by it: what the plain
modules say, to float's precision.
"""
