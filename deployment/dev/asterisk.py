"""The local stack's Asterisk: its configuration rendered from deployment/asterisk and dialplan/.

Templates are plain configuration files with names between @ signs (Asterisk has its own uses for
dollar signs and braces). The tree below `home`/asterisk: etc (rendered anew at each start), etc/
generated (what the dialplan compiler writes; kept), lib (the internal database with the phones; kept),
spool, log, run, music, prompts. A place too deep for a Unix socket's path gets its run directory in
the machine's temporary directory.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import signal
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from deployment.dev import machine, sounds, tools
from deployment.dev.keeper import Spec

TRUNK_SOURCE = "127.0.0.2"
ARI_USER = "murima"
_TEMPLATES = (Path(__file__).parents[1] / "asterisk", Path(__file__).parents[2] / "dialplan/static")
_SOCKET_PATH_LIMIT = 100


class Asterisk:
    """One Asterisk on its own ports; its dialplan waits `retry_seconds` for an absent daemon."""

    def __init__(
        self, home: Path, ports: dict[str, int], rtp: tuple[int, int], keys: dict[str, str],
        found: tools.Asterisk, *, shard: str = "0", node: str = "a", retry_seconds: int = 60,
    ) -> None:  # fmt: skip
        self.root, self._ports, self._rtp, self._keys, self._found = (
            home / "asterisk",
            ports,
            rtp,
            keys,
            found,
        )
        self._shard, self._node, self._retry_seconds = shard, node, retry_seconds

    @property
    def ari(self) -> str:
        """Base address of ARI's server (/ari and /ws are below it)."""
        return f"http://127.0.0.1:{self._ports['ari']}"

    @property
    def ami(self) -> str:
        """Address of the manager interface, with its password."""
        return f"tcp://murima:{self._keys['ami']}@127.0.0.1:{self._ports['ami']}"

    @property
    def generated(self) -> Path:
        """Where the dialplan compiler writes."""
        return self.root / "etc/generated"

    @property
    def binary(self) -> Path:
        """The program, for its console (`-rx`)."""
        return self._found.binary

    @property
    def version(self) -> str:
        """The number of the release that runs."""
        return self._found.version

    def spec(self) -> Spec:
        """Render everything and say how to run it."""
        self._lay_out()
        self._render()
        machine.give(self.root)
        command = [str(self._found.binary), "-C", str(self.root / "etc/asterisk.conf"), "-f"]
        return Spec(
            "asterisk", command, self._answers, as_server=True, directory=self.root,
            stop_signal=signal.SIGTERM, death_signal=signal.SIGTERM, stop_seconds=5,
        )  # fmt: skip

    def _lay_out(self) -> None:
        for name in (
            "etc/generated",
            "lib/keys",
            "lib/agi-bin",
            "spool/recording",
            "log",
            "run",
            "cache",
            "sounds",
        ):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        sounds.make(self.root / "music", self.root / "prompts")
        for old in (self.root / "etc").glob("*.conf"):
            old.unlink()

    def _run_directory(self) -> Path:
        place = self.root / "run"
        if len(str(place)) > _SOCKET_PATH_LIMIT - len("/asterisk.ctl"):
            tag = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
            place = Path(tempfile.gettempdir()) / f"murima-asterisk-{tag}"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(mode=0o700)
            machine.give(place)
        return place

    def _render(self) -> None:
        values = self._values()

        def value(match: re.Match[str]) -> str:
            return values[match.group(1)]

        for directory in _TEMPLATES:
            for template in sorted(directory.glob("*.conf")):
                target = self.root / "etc" / template.name
                target.write_text(re.sub(r"@([A-Z_]+)@", value, template.read_text()))
                target.chmod(0o640)

    def _values(self) -> dict[str, str]:
        root = self.root
        return {
            "ETC": str(root / "etc"), "MODULES": str(self._found.modules), "LIB": str(root / "lib"),
            "DATA": str(self._found.data), "SPOOL": str(root / "spool"), "RUN": str(self._run_directory()),
            "LOG": str(root / "log"), "CACHE": str(root / "cache"), "MUSIC": str(root / "music"),
            "PROMPTS": str(root / "prompts"), "NODE": self._node, "ENTITYID": self._keys["entityid"],
            "ARI_PORT": str(self._ports["ari"]), "AMI_PORT": str(self._ports["ami"]),
            "SIP_PORT": str(self._ports["sip"]), "CALLER_PORT": str(self._ports["caller"]),
            "ARI_USER": ARI_USER, "ARI_PASSWORD": self._keys["ari"], "AMI_PASSWORD": self._keys["ami"],
            "RTP_FIRST": str(self._rtp[0]), "RTP_LAST": str(self._rtp[1]), "TRUNK_SOURCE": TRUNK_SOURCE,
            "SHARD": self._shard, "RETRY_SECONDS": str(self._retry_seconds),
        }  # fmt: skip

    def _answers(self) -> bool:
        pair = base64.b64encode(f"{ARI_USER}:{self._keys['ari']}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - always our own loopback address
            f"{self.ari}/ari/asterisk/info?only=status", headers={"Authorization": f"Basic {pair}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as response:  # noqa: S310
                return bool(response.status == 200)
        except OSError:
            return False
