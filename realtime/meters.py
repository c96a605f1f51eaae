"""What this process counts about its sockets. Names are fixed; labels come from closed sets."""

from prometheus_client import Counter, Gauge

SOCKETS = Gauge("murima_realtime_sockets", "Open sockets", ["channel"])
SENT = Counter("murima_realtime_frames_sent_total", "Frames given to sockets")
REFUSED = Counter("murima_realtime_refused_total", "Handshakes and client messages refused", ["code"])
OVERFLOWS = Counter("murima_realtime_overflows_total", "Sockets that fell behind and were resynced")
GAPS = Counter("murima_realtime_gaps_total", "Holes in a stream, by how they were mended", ["mended"])
RELOADS = Counter("murima_realtime_reloads_total", "Replicas loaded anew from the log", ["why"])
MALFORMED = Counter("murima_realtime_malformed_frames_total", "Frames of the stream that could not be read")
FENCED = Counter("murima_realtime_fenced_entries_total", "Entries of an owner that is no longer one")
FOLLOWED = Counter("murima_realtime_entries_total", "Entries folded")
ASKS = Counter("murima_realtime_asks_total", "Asks sent on, by how they were answered", ["answer"])
STREAM_LOST = Counter("murima_realtime_stream_lost_total", "Times that the stream's server went away")
