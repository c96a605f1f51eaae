"""Telephones in pure Python, for the demo, the tests and the benches: `Caller` dials in from outside, `Agent`
registers and answers inside. They speak SIP over UDP and u-law over RTP, on loopback."""
