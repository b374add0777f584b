"""The wire, faked: a Host that is this machine, and SMTP servers on loopback, good and bad."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from servers.remote.errors import Deadline, TunnelRefused
from servers.remote.host import Limits, Output
from servers.remote.secret import Secret
from tests.ports import free_port

PASSWORD = "s3cr$t 'p\"a:s&s\\%\u00fc"


@dataclass
class Relay:
    host: str = "localhost"
    port: int = 0
    tls: str = "starttls"
    verify: bool = True
    username: str = "user@example.com"
    password: Secret | None = Secret(PASSWORD)
    helo_name: str = "web1.example.com"


class LocalHost:
    """Runs scripts with this machine's sh. forbidden: its "sshd" forwards nothing. Keeps what it was told to run."""

    def __init__(self, forbidden: bool = False, without: tuple[str, ...] = ()):
        self.forbidden, self.without = forbidden, without
        self.scripts: list[str | Secret] = []

    def run(self, script, *, limits=Limits(), on_stdout=None):  # noqa: B008
        self.scripts.append(script)
        text = script.reveal() if isinstance(script, Secret) else script.encode()
        for tool in self.without:
            text = text.replace(b"for t in bash openssl timeout", b"for t in " + tool.encode() + b"-missing")
        started = time.monotonic()
        try:
            done = subprocess.run(["sh"], input=text, capture_output=True, timeout=limits.total)
        except subprocess.TimeoutExpired as late:
            raise Deadline(output=Output(late.stdout or b"", b"", -1, limits.total)) from None
        return Output(done.stdout[: limits.output], done.stderr, done.returncode, time.monotonic() - started)

    def tunnel(self, name, port, *, limits=Limits()):  # noqa: B008
        if self.forbidden:
            raise TunnelRefused("no", words="administratively prohibited", forbidden=True)
        try:
            return socket.create_connection((name, port), timeout=limits.idle)
        except OSError as error:
            raise TunnelRefused("no", words=error.strerror or str(error)) from None

    def close(self):
        pass


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, name: str = "Test CA"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, days=30, names=(), authority=True)
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def server_context(self, directory, *names: str, days: int = 30) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._sign(subject, key, days=days, names=names)
        path = directory / f"{names[0]}{days}{id(self)}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(self, subject, key, *, days, names, authority=False):
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=40))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            kinds = [x509.IPAddress(ipaddress.ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(kinds), critical=False)
        return builder.sign(self.key, hashes.SHA256())


class Provider(Controller):
    """A real SMTP server that knows one account and senders of example.com."""

    def __init__(self, context, implicit=False, auth=True, mechanisms=("PLAIN", "LOGIN")):
        self._inside = {
            "tls_context": None if implicit else context,
            "authenticator": self._check if auth else None,
            "auth_require_tls": context is not None and not implicit,
            "auth_exclude_mechanism": [m for m in ("PLAIN", "LOGIN") if m not in mechanisms],
        }
        self.logins: list[tuple[bytes, bytes]] = []
        super().__init__(_Handler(), "127.0.0.1", free_port(), ssl_context=context if implicit else None)

    def factory(self):
        return SMTP(self.handler, hostname="localhost", **self._inside)

    def _check(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login, data.password))
        right = data.login == b"user@example.com" and data.password == PASSWORD.encode()
        return AuthResult(success=right, handled=False)

    def _trigger_server(self):
        with contextlib.suppress(ssl.SSLError):
            super()._trigger_server()


class _Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        if not address.endswith("@example.com"):
            return "553 5.7.1 Sender address rejected: not owned by user user@example.com"
        envelope.mail_from = address
        return "250 2.1.0 Ok"


class Bad:
    """Plays `act(connection)` for each connection. Use as a context manager; `port` is where it listens."""

    def __init__(self, act):
        self._act = act
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self._socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with contextlib.suppress(OSError), connection:
            self._act(connection)


def scripted(greeting: bytes, replies: dict[bytes, bytes]):
    """An actor: says `greeting`, then for each line the reply of the first key it starts with, else 250."""

    def act(connection):
        connection.sendall(greeting)
        for line in connection.makefile("rb"):
            reply = next((said for verb, said in replies.items() if line.startswith(verb)), b"250 Ok\r\n")
            if reply is None:
                return
            connection.sendall(reply)

    return act
