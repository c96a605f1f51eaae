"""As much of an Asterisk as the adapter talks to: for what a real one cannot be made to do on demand.

The same tests run against this and against a real Asterisk (tests/adapters/test_ari_switch.py), so that it
cannot drift into fiction. `frame` sends anything on the event socket; `silent` leaves requests unanswered.
"""

import asyncio
import json
from typing import Any

from aiohttp import WSMsgType, web

VERSION = "22.10.1+fake"
STARTED = "2026-01-01T00:00:00.000+0000"


class FakeAri:
    def __init__(self) -> None:
        self.version, self.started = VERSION, STARTED
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.channels: dict[str, dict[str, Any]] = {}
        self.bridges: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, dict[str, str]] = {}
        self.variables: dict[str, str] = {}
        self.registered: dict[str, str] = {}
        self.silent = False
        self.deaf: set[web.WebSocketResponse] = set()
        """Sockets whose path broke without a farewell."""
        self.late_entries = 0
        """How many dials find that the leg has not entered yet."""
        self.pongs = True
        self.connects = 0
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/ari/events", self._events)
        app.router.add_route("*", "/ari/{path:.*}", self._rest)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        for socket in list(self.sockets.values()):
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.close()
        if self._runner is not None:
            await self._runner.cleanup()

    # --- what a test makes happen ---

    async def frame(self, data: str | dict[str, Any], application: str = "murima-0") -> None:
        """Send one frame on the application's socket."""
        text = data if isinstance(data, str) else json.dumps(data)
        await self.sockets[application].send_str(text)

    def cut(self, application: str = "murima-0") -> None:
        """The connection breaks."""
        request = self.sockets[application]._req
        assert request is not None and request.transport is not None
        request.transport.abort()

    def deafen(self, *applications: str) -> None:
        """What comes on their sockets of now is lost from here on, and nothing says so."""
        self.deaf |= {self.sockets[each] for each in applications}

    def enter(self, name: str, *args: str, number: str = "", caller: str = "") -> dict[str, Any]:
        """A channel is in the application."""
        self.channels[name] = {
            "id": name,
            "state": "Ring",
            "creationtime": "2026-01-01T00:00:00.500+0000",
            "caller": {"number": number, "name": caller},
            "dialplan": {
                "context": "murima-gate",
                "app_name": "Stasis",
                "app_data": ",".join(["murima-0", *args]),
            },
        }
        return self.channels[name]

    # --- sockets ---

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, max_msg_size=0)
        await socket.prepare(request)
        application = request.query["app"]
        self.connects += application == "murima-0"
        before = self.sockets.get(application)
        self.sockets[application] = socket
        if before is not None and not before.closed:
            await before.send_json({"type": "ApplicationReplaced", "application": application})
        async for message in socket:
            if message.type is WSMsgType.PING and self.pongs:
                await socket.pong(message.data)
            elif message.type is WSMsgType.TEXT and not self.silent and socket not in self.deaf:
                await self._over_socket(socket, json.loads(message.data))
        return socket

    async def _over_socket(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        body = json.loads(asked.get("message_body") or "{}")
        status, answer = self._do(asked["method"], asked["uri"], body)
        text = json.dumps(answer) if answer is not None else ""
        await socket.send_json(
            {
                "type": "RESTResponse",
                "request_id": asked["request_id"],
                "status_code": status,
                "message_body": text,
            }
        )

    async def _rest(self, request: web.Request) -> web.Response:
        if self.silent:
            await asyncio.sleep(60)
        body = await request.json() if request.can_read_body else {}
        status, answer = self._do(request.method, request.match_info["path"], body | dict(request.query))
        return web.json_response(answer, status=status) if answer is not None else web.Response(status=status)

    # --- what it knows ---

    def _do(self, method: str, uri: str, body: dict[str, Any]) -> tuple[int, Any]:
        path = uri.split("?")[0]
        self.requests.append((method, uri, body))
        kind, *rest = path.split("/")
        handler = getattr(self, f"_{kind}", None)
        return handler(method, rest, body) if handler else (404, {"message": "Resource not found"})

    def _asterisk(self, method: str, rest: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if rest[0] == "info":
            return 200, {"system": {"version": self.version}, "status": {"startup_time": self.started}}
        if rest[0] == "variable":
            if method == "POST":
                self.variables[body["variable"]] = body["value"]
                return 204, None
            return 200, {"value": self.variables.get(body["variable"], "1700000000")}
        return self._config(method, "/".join(rest[3:]), body)

    def _config(self, method: str, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        if method == "PUT":
            self.objects[name] = {each["attribute"]: each["value"] for each in body["fields"]}
        elif method == "DELETE":
            return (204, None) if self.objects.pop(name, None) is not None else (404, {"message": "Unable"})
        if name not in self.objects:
            return 404, {"message": "Could not find"}
        return 200, [{"attribute": key, "value": value} for key, value in self.objects[name].items()]

    def _applications(self, method: str, rest: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"name": rest[0]}

    def _endpoints(self, method: str, rest: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        names = [name.split("/")[1] for name in self.objects if name.startswith("endpoint/")]
        return 200, [
            {"technology": "PJSIP", "resource": name, "state": self.registered.get(name, "offline")}
            for name in names
        ]

    def _channels(self, method: str, rest: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if not rest:
            return 200, list(self.channels.values())
        if rest[0] == "create":
            return self._create(body)
        if rest[0] not in self.channels:
            return 404, {"message": "Channel not found"}
        if rest[-1] == "dial" and self.late_entries:
            self.late_entries -= 1
            return 409, {"message": "Channel not in Stasis application"}
        if method == "DELETE" and len(rest) == 1:
            del self.channels[rest[0]]
        return 204, None

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["channelId"] in self.channels:
            return 409, {"message": "Channel with given unique ID already exists"}
        if self.registered.get(body["endpoint"].split("/")[1]) != "online":
            return 500, {"error": "Allocation failed"}
        made = self.enter(body["channelId"], body["appArgs"])
        made["state"] = "Down"
        return 200, made

    def _bridges(self, method: str, rest: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if not rest:
            return 200, list(self.bridges.values())
        name = rest[0]
        if method == "POST" and len(rest) == 1:
            if name in self.bridges:
                return 409, {"message": "Bridge already exists"}
            self.bridges[name] = {"id": name, "name": body.get("name", ""), "channels": []}
            return 200, self.bridges[name]
        if name not in self.bridges:
            return 404, {"message": "Bridge not found"}
        if method == "DELETE":
            del self.bridges[name]
            return 204, None
        if any(channel not in self.channels for channel in body["channel"]):
            return 400, {"message": "Channel not found"}
        self.bridges[name]["channels"] += body["channel"]
        return 204, None
