"""All measures, by name, in the order of a report."""

from collections.abc import Callable

from thinktalk.bench.measures.cold_start import cold_start
from thinktalk.bench.measures.first_packet import first_packet
from thinktalk.bench.measures.long_audio import long_audio
from thinktalk.bench.measures.long_reply import long_reply
from thinktalk.bench.measures.peers import peers
from thinktalk.bench.measures.reach import reach
from thinktalk.bench.measures.realtime_factor import realtime_factor
from thinktalk.bench.measures.roofline import roofline
from thinktalk.bench.measures.throughput import throughput
from thinktalk.bench.subject import Bench
from thinktalk.bench.table import Table

MEASURES: dict[str, Callable[[Bench], list[Table]]] = {
    "first_packet": first_packet,
    "throughput": throughput,
    "realtime_factor": realtime_factor,
    "roofline": roofline,
    "long_audio": long_audio,
    "long_reply": long_reply,
    "cold_start": cold_start,
    "peers": peers,
    "reach": reach,
}
