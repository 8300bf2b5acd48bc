"""The data room: from manifests of conversations to the batches that training reads.

manifest -> check -> mixture -> conversation -> packing -> batch -> Thinker
"""
