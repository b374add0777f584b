"""Receivers people run themselves, over real TLS, whose name leads elsewhere after it was looked at."""

import http.server
import json
import socket
import ssl
import threading
from types import SimpleNamespace

import pytest

from servers.alerts import delivering
from servers.alerts.models import Route
from servers.remote.secret import Secret
from tests import factories
from tests.fleet.ca import Authority

pytestmark = pytest.mark.django_db
NAME, GOOD, EVIL = "chat.example.test", "127.0.0.1", "127.0.0.2"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


@pytest.fixture
def chat(tmp_path, monkeypatch):
    """.good, .evil: what each of two servers of one certificate was sent. .answers: addresses of the name, the last one
    for ever. .port."""
    authority = Authority.create()
    certificate = authority.issue(NAME)
    for name, text in (("ca", authority.pem), ("chain", certificate.chain), ("key", certificate.key)):
        (tmp_path / name).write_text(text)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "ca"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    servers, port = [], 0
    for address in (GOOD, EVIL):
        server = http.server.ThreadingHTTPServer((address, port), Handler)
        server.socket, server.got, port = context.wrap_socket(server.socket, server_side=True), [], server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    found = SimpleNamespace(good=servers[0].got, evil=servers[1].got, answers=[GOOD, EVIL], port=port)
    asked = socket.getaddrinfo

    def resolve(host, *args, **how):
        if host == NAME:
            host = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
        return asked(host, *args, **how)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


def route(target, **values):
    return factories.RouteFactory(way=Route.Way.CHAT, address="", secret=None, target=Secret(target), **values)


def test_a_name_that_changes_after_it_was_judged_leads_nowhere_else(chat):
    delivery = delivering.trial(route(f"gotifys://{NAME}:{chat.port}/a-token", allow_local=True))
    assert delivery.state == "sent", delivery.answer
    assert chat.evil == [] and "test alert" in chat.good[0][1]["title"]


def test_a_webhook_goes_where_it_was_judged_too(chat):
    row = factories.RouteFactory(address=f"https://{NAME}:{chat.port}/hook", allow_local=True)
    delivery = delivering.trial(row)
    assert delivery.state == "sent", delivery.answer
    assert chat.evil == [] and chat.good[0][1]["event"] == "test"


def test_a_webhook_with_a_certificate_of_nobody_gets_nothing(chat, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    row = factories.RouteFactory(address=f"https://{NAME}:{chat.port}/hook", allow_local=True)
    delivery = delivering.trial(row)
    assert delivery.state == "failed" and "certificate verify failed" in delivery.answer
    assert chat.good == chat.evil == []


def test_an_address_inside_the_network_is_refused_before_anything_is_sent(chat):
    delivery = delivering.trial(route(f"gotifys://{NAME}:{chat.port}/a-token"))
    assert delivery.state == "failed" and "inside this network" in delivery.answer
    assert chat.good == chat.evil == []


def test_a_proxy_is_not_asked_in_its_place(chat, monkeypatch):
    with socket.create_server((EVIL, 0)) as proxy:
        proxy.setblocking(False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://{EVIL}:{proxy.getsockname()[1]}")
        delivery = delivering.trial(route(f"gotifys://{NAME}:{chat.port}/a-token", allow_local=True))
        assert delivery.state == "failed" and "a-token" not in delivery.answer
        with pytest.raises(BlockingIOError):
            proxy.accept()
