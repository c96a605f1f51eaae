"""The barest program that serves a queue over ARI: Murima's requests, in its order, on one socket.

python bare.py URL USER PASSWORD APPLICATION ENDPOINT...
"""

import asyncio
import json
import sys
from collections import deque
from typing import Any

import aiohttp

from telephony.adapters.ari.wire import IGNORED


async def serve(url: str, user: str, password: str, app: str, *endpoints: str) -> None:
    idle, line, count = deque(endpoints), deque[tuple[str, str]](), 0
    legs: dict[str, tuple[str, str]] = {}
    web = aiohttp.ClientSession(headers={"Authorization": aiohttp.encode_basic_auth(user, password)})
    socket = await web.ws_connect(f"{url}/ari/events?app={app}", compress=0)

    async def ask(method: str, uri: str, **body: Any) -> None:
        frame = {"type": "RESTRequest", "request_id": "1", "method": method, "uri": uri}
        body_ = {"content_type": "application/json", "message_body": json.dumps(body)} if body else {}
        await socket.send_str(json.dumps(frame | body_))

    async def match() -> None:
        nonlocal count
        while idle and line:
            (caller, shown), agent, count = line.popleft(), idle.popleft(), count + 1
            legs[leg := f"{app}-{count}"] = (caller, agent)
            made = {"app": app, "appArgs": "leg", "channelId": leg}
            shows = {"CONNECTEDLINE(num,i)": shown}
            await ask("POST", "channels/create", endpoint=f"PJSIP/{agent}", variables=shows, **made)

    await ask("PUT", f"applications/{app}/eventFilter", disallowed=[{"type": kind} for kind in IGNORED])
    print('{"ready": true}', flush=True)
    async for message in socket:
        event = json.loads(message.data)
        kind, id_ = event["type"], event.get("channel", {}).get("id", "")
        if kind == "StasisStart" and event["args"][0] == "inbound":
            line.append((id_, event["channel"]["caller"]["number"]))
            await match()
            await ask("POST", f"channels/{id_}/variable", variable="TIMEOUT(absolute)", value="90")
            await ask("POST", f"channels/{id_}/answer")
            await ask("POST", f"channels/{id_}/moh", mohClass="default")
        elif kind == "StasisStart":  # before that Asterisk says 409 to a dial
            await ask("POST", f"channels/{id_}/dial", timeout=21)
        elif kind == "ChannelStateChange" and id_ in legs and event["channel"]["state"] == "Up":
            caller = legs[id_][0]
            await ask("POST", f"bridges/{id_}b", type="mixing", name=app)
            await ask("DELETE", f"channels/{caller}/moh")
            await ask("POST", f"bridges/{id_}b/addChannel", channel=[caller, id_])
            await ask("POST", f"channels/{caller}/variable", variable="TIMEOUT(absolute)", value="8640000")
        elif kind == "ChannelHangupRequest" and id_ in legs:
            caller, agent = legs.pop(id_)
            idle.append(agent)
            await match()
            await ask("DELETE", f"bridges/{id_}b")
            await ask("DELETE", f"channels/{caller}")


asyncio.run(serve(*sys.argv[1:]))
