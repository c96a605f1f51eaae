"""Where requests to addresses that customers typed may go, and where they never get."""

from __future__ import annotations

import asyncio
import socket
from functools import partial

import pytest
from aiohttp import web

from tests.web.kit_receiver import certificate, receiver
from web.shared.core import egress

ORIGIN = "http://127.0.0.1:{}"


def post(url, body=b"{}"):
    return asyncio.run(egress.post(egress.parse(url), body, {"X-Own": "1"}))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/hook", "scheme"),
        ("gopher://example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("ftp://example.com/", "scheme"),
        ("//example.com/", "scheme"),
        ("https://example.com:22/", "port"),
        ("https://example.com:8443/", "port"),
        ("https://user:secret@example.com/", "credentials"),
        ("https://example.com@127.0.0.1/", "credentials"),
        ("https://127.0.0.1/", "address"),
        ("https://127.1.2.3/", "address"),
        ("https://0.0.0.0/", "address"),
        ("https://10.0.0.1/", "address"),
        ("https://172.16.0.1/", "address"),
        ("https://192.168.1.1/", "address"),
        ("https://100.100.100.200/", "address"),
        ("https://169.254.169.254/latest/meta-data/", "address"),
        ("https://168.63.129.16/", "address"),
        ("https://192.0.0.192/", "address"),
        ("https://224.0.0.1/", "address"),
        ("https://240.0.0.1/", "address"),
        ("https://255.255.255.255/", "address"),
        ("https://198.18.0.1/", "address"),
        ("https://192.0.2.1/", "address"),
        ("https://[::1]/", "address"),
        ("https://[::]/", "address"),
        ("https://[fe80::1]/", "address"),
        ("https://[fd00:ec2::254]/", "address"),
        ("https://[ff02::1]/", "address"),
        ("https://[::ffff:169.254.169.254]/", "address_spelling"),
        ("https://[::ffff:a9fe:a9fe]/", "address"),
        ("https://[::7f00:1]/", "address"),
        ("https://[64:ff9b::a9fe:a9fe]/", "address"),
        ("https://[64:ff9b:1::7f00:1]/", "address"),
        ("https://[2002:7f00:1::]/", "address"),
        ("https://[2001:0:7f00:1::]/", "address"),
        ("https://[2001:db8::1]/", "address"),
        ("https://2130706433/", "address_spelling"),
        ("https://0x7f000001/", "address_spelling"),
        ("https://0x7f.0.0.1/", "address_spelling"),
        ("https://017700000001/", "address_spelling"),
        ("https://0177.0.0.1/", "address_spelling"),
        ("https://127.1/", "address_spelling"),
        ("https://127.0.0.1./", "address"),
        ("https://[::0:1]/", "address_spelling"),
        ("https://localhost/", "name"),
        ("https://LOCALHOST./", "name"),
        ("https://redis/", "name"),
        ("https://x.localhost/", "name"),
        ("https://metadata.google.internal/", "name"),
        ("https://example.com\\@127.0.0.1/", "bad_url"),
        ("https://exa mple.com/", "bad_url"),
        ("https://example.com/\r\nHost: x", "bad_url"),
        ("https://ex\u0430mple.com/", "bad_url"),
        ("https://①②⑦.0.0.1/", "bad_url"),
        ("https://%31%32%37.0.0.1/", "bad_url"),
        ("https://example.com/#x", "bad_url"),
        ("https:///path", "bad_url"),
        ("https://[::1/", "bad_url"),
        ("https://example.com:99999/", "bad_url"),
        ("https://-x.example.com/", "bad_url"),
        ("https://" + "a" * 2000 + ".com/", "bad_url"),
        ("", "scheme"),
    ],
)
def test_hostile_targets_are_refused_before_anything_is_asked(url, code, monkeypatch):
    monkeypatch.setattr(egress, "look_up", lambda *_: pytest.fail("a name was looked up"))
    with pytest.raises(egress.Refused) as refusal:
        egress.parse(url)
    assert refusal.value.code == code


def answers(monkeypatch, *rounds):
    """Names resolve to these addresses, round after round; returns what was asked."""
    asked, left = [], list(rounds)

    def look_up(host, port):
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        if found is None:
            raise socket.gaierror
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, 1, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(egress, "look_up", look_up)
    return asked


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"],
     ["93.184.216.34", "127.0.0.1"], ["93.184.216.34", "::1"], ["fe80::1%eth0"]],
)  # fmt: skip
def test_a_public_name_that_leads_inside_is_refused_even_among_good_addresses(addresses, monkeypatch):
    answers(monkeypatch, addresses)
    assert post("https://hooks.example.com/").error == "refused_address"


def test_a_name_that_leads_nowhere_is_told_as_that(monkeypatch):
    answers(monkeypatch, None)
    assert post("https://hooks.example.com/").error == "refused_dns"


def test_the_name_is_asked_once_and_the_connection_goes_to_the_address_that_was_checked(
    monkeypatch, tmp_path, settings
):
    """Rebinding: the second answer would lead elsewhere, and nobody asks for it."""
    server, client = certificate(tmp_path, "hooks.example.com")
    monkeypatch.setattr(egress, "tls_context", lambda: client)
    with receiver(server) as real:
        settings.EGRESS_LOCAL_ORIGINS = [f"https://hooks.example.com:{real.port}"]
        asked = answers(monkeypatch, ["127.0.0.1"], ["192.0.2.7"])
        answer = post(f"https://hooks.example.com:{real.port}/in?a=1")
        assert answer.taken and answer.status == 200 and asked == ["hooks.example.com"]
        path, headers, body = real.requests[0]
        assert path == "/in?a=1" and body == b"{}" and headers["X-Own"] == "1"
        assert headers["Host"] == f"hooks.example.com:{real.port}"
        assert real.names == ["hooks.example.com"]


def test_a_certificate_of_another_name_is_refused(monkeypatch, tmp_path, settings):
    server, client = certificate(tmp_path, "other.example.com")
    monkeypatch.setattr(egress, "tls_context", lambda: client)
    with receiver(server) as real:
        settings.EGRESS_LOCAL_ORIGINS = [f"https://hooks.example.com:{real.port}"]
        answers(monkeypatch, ["127.0.0.1"])
        assert post(f"https://hooks.example.com:{real.port}/").error == "tls"
        assert real.requests == []


def test_the_socket_itself_refuses_an_address_that_was_not_checked(monkeypatch):
    """The last door: were the check of the name ever passed over, nothing would be connected."""
    answers(monkeypatch, ["127.0.0.1"])

    async def unchecked(target):
        return ["127.0.0.1"]

    monkeypatch.setattr(egress, "resolve", unchecked)
    with receiver() as real:
        target = egress.Target("http", "hooks.example.com", real.port, "/", "", local=False)
        answer = asyncio.run(egress.post(target, b"{}", {}))
        assert not answer.taken and answer.error in ("refused_address", "connection")
        assert real.requests == []


def redirect(status, headers, request):
    return web.Response(status=status, headers=headers)


def test_redirects_are_not_followed(settings):
    with receiver() as inside, receiver() as real:
        settings.EGRESS_LOCAL_ORIGINS = [ORIGIN.format(real.port), ORIGIN.format(inside.port)]
        for status in (301, 302, 303, 307, 308):
            there = {"Location": ORIGIN.format(inside.port)}
            real.answer = partial(redirect, status, there)
            answer = post(ORIGIN.format(real.port))
            assert answer.status == status and not answer.taken
        assert inside.requests == []


def test_who_is_slow_or_endless_is_cut_off(settings, monkeypatch):
    async def endless(request):
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"x" * 65536)
        return response

    async def silent(request):
        await asyncio.Event().wait()

    with receiver() as real:
        settings.EGRESS_LOCAL_ORIGINS = [ORIGIN.format(real.port)]
        real.answer = endless
        assert post(ORIGIN.format(real.port)).status == 200
        monkeypatch.setattr(egress, "SECONDS", 0.2)
        real.answer = silent
        assert post(ORIGIN.format(real.port)).error == "timeout"


def test_proxies_of_the_environment_and_cookies_are_not_used(settings, monkeypatch):
    with receiver() as proxy, receiver() as real:
        settings.EGRESS_LOCAL_ORIGINS = [ORIGIN.format(real.port)]
        monkeypatch.setenv("http_proxy", ORIGIN.format(proxy.port))
        monkeypatch.setenv("HTTP_PROXY", ORIGIN.format(proxy.port))
        real.answer = lambda request: web.Response(headers={"Set-Cookie": "a=b"})
        assert post(ORIGIN.format(real.port)).taken and post(ORIGIN.format(real.port)).taken
        assert proxy.requests == [] and all("Cookie" not in one[1] for one in real.requests)


def test_nobody_listening_is_a_failed_connection(settings):
    with receiver() as real:
        port = real.port
    settings.EGRESS_LOCAL_ORIGINS = [ORIGIN.format(port)]
    assert post(ORIGIN.format(port)).error == "connection"
