"""Many processes: (model, mesh) -> model. Nothing below this line knows how many there are.

`world` is who takes part; `shard` spreads weights (FSDP2), `experts` spreads experts, `dcp` stores what is
spread. Only `world` and `layers` are light to import.
"""
