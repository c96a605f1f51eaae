"""The daemon's settings: read once from the environment, checked, and frozen.

Every problem is reported, not only the first, each with the variable's name and what would be right. Secrets
have no place in `repr`. See also the table of variables in the README.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ENVIRONMENTS = ("development", "test", "production")
LEVELS = ("debug", "info", "warning", "error")
_SHARD = re.compile(r"[a-z0-9]{1,16}")


class BadSettings(ValueError):
    """One line for each thing that is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiAddress:
    host: str
    port: int
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    environment: str
    home: Path
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    ask_key: bytes = field(repr=False)
    master_key: bytes = field(repr=False)
    ari_url: str
    ari_user: str
    ari_password: str = field(repr=False)
    ami: AmiAddress | None
    shard: str
    node: str
    dialplan: Path | None
    """Where the node's Asterisk reads the generated fallback; None when somebody else writes it."""
    metrics_host: str
    metrics_port: int
    log_level: str
    journal: Path | None
    """Where what reaches the floors is written down; None when it is not."""
    transit_seconds: int
    """How long a key seals callers on their way; after twice as long nothing opens what it sealed."""

    @property
    def facts(self) -> Path:
        """Segments and local checkpoints of this shard."""
        return self.home / "data" / "facts" / self.shard

    @property
    def published_cache(self) -> Path:
        return self.home / "data" / f"published-{self.shard}.json"


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        found = self._environment.get(name, "").strip()
        if found:
            return found
        if default is None:
            self.problems.append(f"{name} is not set")
            return ""
        return default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        found = self.text(name, default).lower()
        if found not in allowed:
            self.problems.append(f"{name} is one of {', '.join(allowed)}")
        return found

    def shaped(self, name: str, default: str, shape: re.Pattern[str], what: str) -> str:
        found = self.text(name, default)
        if not shape.fullmatch(found):
            self.problems.append(f"{name} must be {what}")
        return found

    def seconds(self, name: str, default: int, most: int) -> int:
        found = self.text(name, str(default))
        if not found.isdecimal() or not 1 <= int(found) <= most:
            self.problems.append(f"{name} must be a number of seconds from 1 to {most}")
            return default
        return int(found)

    def url(self, name: str, schemes: tuple[str, ...], default: str | None = None) -> str:
        found = self.text(name, default)
        if found and (urlsplit(found).scheme not in schemes or not urlsplit(found).netloc):
            self.problems.append(f"{name} must be an address beginning with {' or '.join(schemes)}://")
        return found

    def key(self, name: str) -> bytes:
        """Base64 of 32 bytes."""
        found = self.text(name)
        try:
            data = base64.b64decode(found, validate=True)
        except binascii.Error:
            data = b""
        if found and len(data) != 32:
            self.problems.append(f"{name} must be base64 of 32 bytes")
        return data

    def bind(self, name: str, default: str) -> tuple[str, int]:
        host, _, port = self.text(name, default).rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            self.problems.append(f"{name} must be host:port")
            return "", 0
        return host, int(port)

    def journal(self) -> Path | None:
        development = self.text("MURIMA_ENV", "development").lower() == "development"
        wanted = self.choice("MURIMA_JOURNAL", "1" if development else "0", ("0", "1"))
        return (
            Path(self.text("MURIMA_HOME", ".murima")).absolute() / "data/journal" if wanted == "1" else None
        )

    def ami(self, name: str) -> AmiAddress | None:
        found = self.text(name, "")
        if not found:
            return None
        parts = urlsplit(found)
        if parts.scheme != "tcp" or not parts.hostname or not parts.port or not parts.username:
            self.problems.append(f"{name} must be tcp://user:password@host:port")
            return None
        return AmiAddress(
            host=parts.hostname, port=parts.port, user=parts.username, password=parts.password or ""
        )


def read(environment: Mapping[str, str]) -> Settings:
    """Settings of an environment; raises BadSettings that names everything wrong."""
    reader = _Reader(environment)
    host, port = reader.bind("MURIMA_METRICS_BIND", "127.0.0.1:9464")
    web = environment.get("MURIMA_DATABASE_URL", "").strip() or None
    settings = Settings(
        environment=reader.choice("MURIMA_ENV", "development", ENVIRONMENTS),
        home=Path(reader.text("MURIMA_HOME", ".murima")).absolute(),
        database_url=reader.url("MURIMA_DATABASE_DAEMON_URL", ("postgresql", "postgres"), web),
        redis_url=reader.url("MURIMA_REDIS_URL", ("redis", "rediss", "unix")),
        ask_key=reader.text("MURIMA_ASK_KEY").encode(),
        master_key=reader.key("MURIMA_MASTER_KEY"),
        ari_url=reader.url("MURIMA_ARI_URL", ("http", "https")),
        ari_user=reader.text("MURIMA_ARI_USER"),
        ari_password=reader.text("MURIMA_ARI_PASSWORD"),
        ami=reader.ami("MURIMA_AMI_URL"),
        shard=reader.shaped("MURIMA_SHARD", "0", _SHARD, "1 to 16 of a-z and 0-9"),
        node=reader.shaped("MURIMA_NODE", "a", _SHARD, "1 to 16 of a-z and 0-9"),
        dialplan=Path(found).absolute() if (found := reader.text("MURIMA_DIALPLAN_DIR", "")) else None,
        metrics_host=host,
        metrics_port=port,
        log_level=reader.choice("MURIMA_LOG_LEVEL", "info", LEVELS),
        journal=reader.journal(),
        transit_seconds=reader.seconds("MURIMA_TRANSIT_SECONDS", 240, 3600),
    )
    if reader.problems:
        raise BadSettings("\n".join(reader.problems))
    return settings
