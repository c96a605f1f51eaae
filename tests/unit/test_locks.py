"""What is installed is what was looked at: every package pinned and hashed, from nowhere in particular."""

from __future__ import annotations

import re

import pytest

from config.env import BASE

NAMES = ("base", "s3", "dev")
PINNED = re.compile(r"([a-z0-9][a-z0-9._-]*)(?:\[[a-z0-9,_-]+\])?==([^\s;\\]+)")


def entries(name: str) -> list[str]:
    """The lock's entries, each with its continuation lines."""
    text = (BASE / "requirements" / f"{name}.txt").read_text()
    lines = [line.split(" #")[0] for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [one for one in "\n".join(lines).replace("\\\n", " ").splitlines() if one.strip()]


@pytest.mark.parametrize("name", NAMES)
def test_every_package_is_pinned_and_hashed_and_comes_from_no_named_place(name: str) -> None:
    for entry in entries(name):
        assert PINNED.match(entry), entry.split("--hash")[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}(\s|$)", entry), entry.split()[0]
        assert "://" not in entry and "@" not in entry.split("--hash")[0]


def test_the_locks_agree_with_each_other_and_have_what_is_asked_for() -> None:
    locked: dict[str, dict[str, str]] = {}
    for name in NAMES:
        found = (PINNED.match(entry) for entry in entries(name))
        locked[name] = {one.group(1): one.group(2) for one in found if one}
        asked = (BASE / "requirements" / f"{name}.in").read_text().splitlines()
        wanted = [re.split(r"[<>=\[;* ]", line)[0].lower() for line in asked if re.match(r"[a-z]", line)]
        assert wanted and {one.replace("_", "-") for one in wanted} <= locked[name].keys()
    for package, version in locked["s3"].items() | locked["dev"].items():
        for other in locked.values():
            assert other.get(package, version) == version, package
    assert "boto3" not in locked["base"], "a default installation stays without S3"
