"""Asterisk through ARI: events over one WebSocket, commands as REST over others, lists over HTTP.

`switch.AriSwitch` is the port's implementation and puts the parts together; `wire` and `translate` are pure,
as are `commands` and `provision`; `feed`, `control` and `rest` hold the connections.
"""
