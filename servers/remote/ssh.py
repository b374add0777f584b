"""SSH by paramiko: connections to pinned servers, one script per exec, tunnels, host keys read before sign-in."""

import base64
import contextlib
import io
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache

import paramiko

from servers.remote import clean, door, keypair, wire
from servers.remote.algorithms import CIPHERS, KINDS, MACS
from servers.remote.errors import (
    ClosedEarly,
    HostKeyChanged,
    HostKeyUnknown,
    KeyUnusable,
    LostContact,
    NoGreeting,
    NotSsh,
    SessionRefused,
    SignInRefused,
    TooOld,
    TunnelRefused,
)
from servers.remote.host import Limits, Login, Output, PinnedKey, RemoteError
from servers.remote.secret import Secret
from servers.remote.session import TIDY, Session, end_script
from servers.remote.transport import Transport
from servers.remote.tunnel import Tunnel

CONNECT = Limits(total=30.0, idle=10.0)  # idle: seconds for each of name, TCP, greeting, key exchange, sign-in


class _OtherKind(Exception):
    """The server has no host key of the kinds we asked for."""


def connect(
    login: Login, *, limits: Limits = CONNECT, passed: Callable[[str, str], None] = lambda stage, evidence: None
) -> "SshHost":
    """Signs in to a server whose key is pinned. Raises RemoteError; no credential leaves before the key was compared.

    passed: told (stage, evidence) after each of name, tcp, ssh, host-key, sign-in.
    """
    with contextlib.ExitStack() as opened:
        jump = _jump(login.jump, limits)
        if jump:
            opened.callback(jump.close)
        transport = _greeted(login, jump, limits, passed)
        opened.callback(transport.close)
        _check_key(transport, login)
        passed("host-key", keypair.fingerprint(_shown(transport).body))
        passed("sign-in", _sign_in(transport, login, limits))
        transport.watch()
        opened.pop_all()
    return SshHost(transport, login, jump)


def offered_keys(address: str, port: int, jump: Login | None = None, limits: Limits = CONNECT) -> list[PinnedKey]:
    """The host keys the server shows, Ed25519 first, read without signing in. Raises RemoteError."""
    via = _jump(jump, limits)
    try:
        found = [_offered(address, port, kind, via, limits) for kind in ("ssh-ed25519", "ecdsa", "ssh-rsa")]
    finally:
        if via:
            via.close()
    keys = [key for key in found if key]
    if not keys:
        raise TooOld("The server has no host key of a kind that is safe today.")
    return keys


def _offered(address: str, port: int, kind: str, via: "SshHost | None", limits: Limits) -> PinnedKey | None:
    names = tuple(name for known, names in KINDS.items() if known.startswith(kind) for name in names)
    try:
        transport = _greet(_reach(address, port, via, limits), names, limits)
    except _OtherKind:
        return None
    shown = _shown(transport)
    transport.close()
    return shown


def _jump(login: Login | None, limits: Limits) -> "SshHost | None":
    if login is None:
        return None
    try:
        return connect(login, limits=limits)
    except RemoteError as error:
        error.args = (f"Jump server {login.address}: {error}",)
        error.at_jump = True
        raise


def _reach(address: str, port: int, jump: "SshHost | None", limits: Limits, passed=lambda stage, evidence: None):
    if jump:
        tunnel = jump.channel(address, port, limits)
        passed("name", "resolved by the jump server")
        passed("tcp", f"port {port}, through the jump server")
        return tunnel
    addresses = wire.resolve(address, port, limits.idle)
    passed("name", ", ".join(str(a[1][0]) for a in addresses[:4]))
    started = time.monotonic()
    sock = wire.dial(addresses, limits.idle)
    passed("tcp", f"{sock.getpeername()[0]} port {port}, {(time.monotonic() - started) * 1000:.0f} ms")
    return sock


def _greeted(login: Login, jump: "SshHost | None", limits: Limits, passed) -> "Transport":
    pinned = {pin.kind for pin in login.pinned} or set(KINDS)
    # A server with several keys must show the pinned one.
    kinds = tuple(name for kind, names in KINDS.items() if kind in pinned for name in names)
    try:
        transport = _greet(_reach(login.address, login.port, jump, limits, passed), kinds, limits)
    except _OtherKind:
        # The pinned kind is gone: whatever it shows instead is a changed key.
        shown = [
            _offered(login.address, login.port, kind, jump, limits) for kind in ("ssh-ed25519", "ecdsa", "ssh-rsa")
        ]
        raise HostKeyChanged(offered=next((key for key in shown if key), None)) from None
    passed("ssh", clean.line(transport.remote_version))
    return transport


def _greet(sock, names: tuple[str, ...], limits: Limits) -> Transport:
    """Key exchange with a server that has a host key of the kinds `names`. Raises _OtherKind or RemoteError."""
    transport = Transport(sock)
    options = transport.get_security_options()
    options.ciphers, options.digests, options.key_types = CIPHERS, MACS, names
    transport.banner_timeout = transport.handshake_timeout = limits.idle
    try:
        transport.start_client(timeout=2 * limits.idle)
        transport.get_remote_server_key()
    except (paramiko.SSHException, EOFError, OSError) as error:
        transport.close()
        raise _greeting_cause(transport, error) from None
    return transport


def _greeting_cause(transport: Transport, error: Exception) -> Exception:
    line, said = transport.line, clean.line(transport.line.opening)
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return _OtherKind() if "host key" in str(error) else TooOld(hint=f"{TooOld.hint} ({clean.line(str(error))})")
    if re.search(rb"MaxStartups|Not allowed at this time", line.opening):
        return ClosedEarly(f"The server closed the connection before sign-in: {said}")
    if b"SSH-" in line.opening or not line.opening:
        return ClosedEarly() if line.ended else NoGreeting()
    return NotSsh(f"The port answers, but not with SSH: {said}")


def _shown(transport: Transport) -> PinnedKey:
    key = transport.get_remote_server_key()
    return PinnedKey(key.get_name(), base64.b64encode(key.asbytes()).decode())


def _check_key(transport: Transport, login: Login) -> None:
    shown = _shown(transport)
    if shown not in login.pinned:
        raise (HostKeyChanged if login.pinned else HostKeyUnknown)(offered=shown)


@lru_cache(maxsize=1024)
def _key(private: Secret) -> paramiko.PKey:
    """Parsed once per process: an RSA-4096 key costs 281 ms."""
    text = keypair.accept(private).reveal().decode()
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with contextlib.suppress(paramiko.SSHException):
            return kind.from_private_key(io.StringIO(text))
    raise KeyUnusable()


def _sign_in(transport: Transport, login: Login, limits: Limits) -> str:
    """Tries the key, then the password. Returns how it went in."""
    ways = []
    transport.auth_timeout = limits.idle
    if login.private_key:
        key = _key(login.private_key)
        ways.append(("key", lambda: transport.auth_publickey(login.user, key)))
    if login.password:
        ways.append(("password", lambda: transport.auth_password(login.user, login.password.reveal())))
    allowed: list[str] = []
    for way, attempt in ways:
        try:
            wanted = attempt()
        except paramiko.BadAuthenticationType as error:
            allowed = error.allowed_types
        except paramiko.AuthenticationException as error:
            if not transport.is_active() or "timeout" in str(error):
                raise _sign_in_broke(transport) from None
        except (paramiko.SSHException, EOFError, OSError):
            raise _sign_in_broke(transport) from None
        else:
            if wanted:
                raise SignInRefused(f"The server accepts the {way} but wants more: {clean.line(', '.join(wanted))}.")
            return f"{login.user}, by {way}"
    raise _refused(login, [way for way, _ in ways], allowed)


def _sign_in_broke(transport: Transport) -> RemoteError:
    if transport.words:
        return SignInRefused(f"The server ended the sign-in: {transport.words}")
    return LostContact("The server stopped answering during the sign-in.")


def _refused(login: Login, tried: list[str], allowed: list[str]) -> SignInRefused:
    if not tried:
        return SignInRefused("No key and no password is stored for this server.", "Choose an SSH key for it.")
    hint = ""
    message = f"The server refused {login.user} with this {' and this '.join(tried)}."
    if "password" in tried:
        hint = "Check the user name and the password, and PermitRootLogin in the server's sshd_config."
    if allowed:
        message += f" It accepts: {clean.line(', '.join(allowed))}."
    return SignInRefused(message, hint)


def _shut(channel) -> None:
    with contextlib.suppress(paramiko.SSHException):  # a server that never ends its change of keys
        channel.close()


class SshHost:
    """One open connection; the contract is `host.Host`."""

    def __init__(self, transport: Transport, login: Login, jump: "SshHost | None"):
        self._transport, self._login, self._jump = transport, login, jump
        self._opening = threading.Lock()
        self._spoken = False  # root's shell has answered on this connection
        # A session channel opened ahead, so that the next script goes out at once, and whether a shell waits in it.
        self._spare: Future[tuple[paramiko.Channel, bool]] | None = None

    def run(
        self,
        script: str | Secret,
        *,
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        on_stdout: Callable[[bytes], None] | None = None,
    ) -> Output:
        parcel = door.parcel(script)
        channel, waits = self._session_channel(limits)
        session, trusted = None, self._trusted
        try:
            session = Session(channel, self._login, limits, self._transport.is_active, trusted=trusted)
            if not waits and trusted:
                self._transport.ask_to_run(channel, door.command(self._login))
            elif not waits:
                channel.exec_command(door.command(self._login))
            if self._spoken:  # a job that comes back once comes back again
                self._open_ahead(limits, shell=False)
            return session.run(parcel, on_stdout)
        except paramiko.SSHException:
            raise self._lost() or SessionRefused() from None
        except LostContact as error:
            raise self._lost() or error from None
        except BaseException:
            _shut(channel)
            if limits is not TIDY:  # a server that floods every command is not asked for ever
                self._end(session)
            raise
        finally:
            self._spoken = self._spoken or bool(session and session.leader)
            _shut(channel)

    def prepare(self, *, limits: Limits = Limits()) -> None:  # noqa: B008 - a frozen value
        self._open_ahead(limits, shell=self._trusted)

    @property
    def _trusted(self) -> bool:
        """What sshd forces instead of our command it chose at the sign-in; sudo may change its mind each time."""
        return self._spoken and self._login.sudo == "none"

    def _session_channel(self, limits: Limits) -> tuple[paramiko.Channel, bool]:
        spare, self._spare = self._spare, None
        if spare is not None:
            with contextlib.suppress(RemoteError):  # MaxSessions may allow one at a time
                return spare.result()
        return self._open("session", None, limits), False

    def _open_ahead(self, limits: Limits, *, shell: bool) -> None:
        if self._spare is not None:
            return
        self._spare = spare = Future()

        def open_it() -> None:
            try:
                channel = self._open("session", None, limits)
                if shell:
                    self._transport.ask_to_run(channel, door.command(self._login))
                spare.set_result((channel, shell))
            except BaseException as error:  # raised where it is asked for, if at all
                spare.set_exception(error)

        threading.Thread(target=open_it, name="ssh-ahead", daemon=True).start()

    def _end(self, session: Session | None) -> None:
        """Closing a channel ends nothing on the server but its next write (M4), so its session is ended by name."""
        if session and session.leader > 1 and self._transport.is_active():
            with contextlib.suppress(RemoteError):
                self.run(end_script(session.leader), limits=TIDY)

    def tunnel(self, name: str, port: int, *, limits: Limits = Limits()) -> Tunnel:  # noqa: B008 - a frozen value
        return Tunnel(self.channel(name, port, limits), limits.idle)

    def channel(self, name: str, port: int, limits: Limits):
        return self._open("direct-tcpip", (name, port), limits)

    def _open(self, kind: str, target: tuple[str, int] | None, limits: Limits):
        # One at a time: paramiko reports a refusal without saying which channel it was about.
        with self._opening:
            self._transport.words = ""
            try:
                return self._transport.open_channel(kind, target, ("127.0.0.1", 0), timeout=limits.idle)
            except paramiko.ChannelException as error:
                words, forbidden = self._transport.words or error.text, error.code == 1
            except (paramiko.SSHException, EOFError, OSError):
                lost = self._lost()
                if lost:
                    raise lost from None
                words, forbidden = f"no answer within {limits.idle:.0f} s", False
        if target is None:
            raise SessionRefused(f"The server signs us in but opens no session: {words}")
        where = f"{target[0]} port {target[1]}"
        raise TunnelRefused(
            f"The server may not forward connections: {words}" if forbidden else f"{where}: {words}",
            "Set AllowTcpForwarding yes in the server's sshd_config." if forbidden else "",
            words=words,
            forbidden=forbidden,
        )

    def _lost(self) -> LostContact | None:
        if self._transport.is_active():
            return None
        return LostContact("The server stopped answering.") if self._transport.line.silent else LostContact()

    def close(self) -> None:
        self._transport.close()
        if self._jump:
            self._jump.close()

    def __enter__(self) -> "SshHost":
        return self

    def __exit__(self, *exc) -> None:
        self.close()
