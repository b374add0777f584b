import smtplib
import socket
import ssl
import threading

import pytest

from servers.remote import errors, ssh
from servers.remote.host import Limits
from tests.ports import free_port


@pytest.fixture
def echo():
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.sendall(b"220 hello\r\n")
                while data := client.recv(4096):
                    client.sendall(b"250 " + data)

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


def test_bytes_go_through(host, echo):
    with host.tunnel("127.0.0.1", echo) as stream:
        assert stream.makefile("rb").readline() == b"220 hello\r\n"
        stream.sendall(b"x" * 100_000)
        received = b""
        while received.count(b"x") < 100_000:
            received += stream.recv(65536)
        stream.settimeout(0.2)
        with pytest.raises(TimeoutError):
            stream.recv(1)


def test_smtplib_speaks_over_it(host, echo):
    class OverTunnel(smtplib.SMTP):
        def _get_socket(self, name, port, timeout):
            return host.tunnel(name, port, limits=Limits(idle=timeout))

    client = OverTunnel("127.0.0.1", echo, local_hostname="panel", timeout=5)
    assert client.docmd("NOOP")[0] == 250
    client.close()


def test_a_memory_bio_can_ride_on_it(host, echo):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="x")
    with host.tunnel("127.0.0.1", echo) as stream:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        stream.sendall(outgoing.read())
        incoming.write(stream.recv(4096))
        with pytest.raises(ssl.SSLError):
            tls.do_handshake()


def test_a_closed_tunnel_ends_and_breaks(host, echo):
    stream = host.tunnel("127.0.0.1", echo)
    stream.close()
    assert stream.recv(99) in (b"", b"220 hello\r\n")
    with pytest.raises(OSError):
        stream.sendall(b"x")


@pytest.mark.parametrize(
    ("name", "words"), [("127.0.0.1", "Connection refused"), ("nosuch.invalid", "Name or service not known")]
)
def test_refusals_carry_the_servers_own_words(host, name, words):
    with pytest.raises(errors.TunnelRefused) as caught:
        host.tunnel(name, free_port())
    assert words in caught.value.words
    assert words in str(caught.value)
    assert not caught.value.forbidden


def test_a_forbidden_tunnel_is_told_from_an_unreachable_target(own_sshd):
    with ssh.connect(own_sshd("AllowTcpForwarding no").login()) as host:
        with pytest.raises(errors.TunnelRefused) as caught:
            host.tunnel("127.0.0.1", 25)
        assert caught.value.forbidden
        assert "AllowTcpForwarding" in caught.value.hint
        assert host.run("echo alive").stdout == b"alive\n"
