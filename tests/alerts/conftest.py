"""A mail server and a web server on this machine, and an account the routes may send through."""

import http.server
import socket
import threading
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller

from tests import factories


class _Sink:
    def __init__(self):
        self.mails, self.refuse = [], ""

    async def handle_DATA(self, server, session, envelope):
        if self.refuse:
            return self.refuse
        self.mails.append(envelope)
        return "250 2.0.0 Ok: queued as 4F1"


@pytest.fixture
def sink():
    """A mail server in the clear: .mails, .refuse (a reply), .port."""
    handler = _Sink()
    controller = Controller(handler, hostname="127.0.0.1", port=0, ready_timeout=20)
    try:
        controller.start()
    except (OSError, TimeoutError):  # this aiosmtpd checks the port it was given, which 0 is not
        controller.port = controller.server.sockets[0].getsockname()[1]
    handler.port = controller.server.sockets[0].getsockname()[1]
    yield handler
    controller.port = handler.port
    controller.stop()


@pytest.fixture
def account(sink):
    return factories.SmarthostFactory(name="Main", host="127.0.0.1", port=sink.port, tls="none", username="")


@pytest.fixture
def receiver():
    """A web server: .requests [(path, headers, body)], .status, .answer, .url."""
    got = SimpleNamespace(requests=[], status=200, answer=b"thanks", location="")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.requests.append((self.path, dict(self.headers), body))
            self.send_response(got.status)
            if got.location:
                self.send_header("Location", got.location)
            self.end_headers()
            self.wfile.write(got.answer)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    got.url = f"http://127.0.0.1:{server.server_port}/alerts?team=mail"
    yield got
    server.shutdown()
    server.server_close()


@pytest.fixture
def panel_side(fleet, monkeypatch):
    """The panel as a neighbour of the real providers: their names resolve and their CA is trusted."""
    known = {record.name: record.value for record in fleet.records()}
    asked = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **how: asked(known.get(host, host), *args, **how))
    monkeypatch.setenv("SSL_CERT_FILE", str(fleet.directory / "ca.pem"))
    return fleet
