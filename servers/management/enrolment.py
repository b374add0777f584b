"""`fleet add`: the options, the order in which they act, and what to do next."""

import sys
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction

from servers import inventory, sshkeys, trust, validators
from servers.management import console
from servers.models import Server
from servers.remote import ssh
from servers.remote.host import PinnedKey
from servers.remote.secret import Secret

ACCEPT_FIRST = "accept-first"


def add_arguments(parser) -> None:
    parser.add_argument("name")
    parser.add_argument("address", help="host name, IPv4 or IPv6 address")
    parser.add_argument("--port", type=int, default=22)
    parser.add_argument("--user", default="root")
    sign_in = parser.add_mutually_exclusive_group()
    sign_in.add_argument("--key", metavar="FILE", help="sign in with this private key (default: the panel's own)")
    sign_in.add_argument("--password-stdin", action="store_true", help="sign in with the password on standard input")
    parser.add_argument(
        "--install-key",
        action="store_true",
        help="use the password once to install the panel's key, then forget it (needs --host-key)",
    )
    parser.add_argument("--sudo", choices=[value for value, _ in Server.Sudo.choices], default="none")
    parser.add_argument(
        "--sudo-password-stdin", action="store_true", help="the next line of standard input is the sudo password"
    )
    parser.add_argument("--jump", metavar="SERVER", help="reach it through this server")
    parser.add_argument("--host-key", metavar=f"SHA256:…|{ACCEPT_FIRST}", help="accept this host key now")
    parser.add_argument("--tag", action="append", default=[])
    parser.add_argument("--note", default="")
    parser.add_argument("--json", action="store_true")
    console.add_actor(parser)


def enrol(options: dict) -> Server:
    """Adds the server, whole or not at all. Raises ValidationError or RemoteError."""
    by = console.actor(options["actor"]) or console.COMMAND_LINE
    password, sudo_password = _typed(options)
    once = options["install_key"]
    if once and (password is None or not options["host_key"]):
        raise console.Usage("--install-key needs --password-stdin and --host-key.")
    with transaction.atomic():
        server = inventory.add(
            by=by,
            name=options["name"],
            address=options["address"],
            port=options["port"],
            user=options["user"],
            sign_in=Server.SignIn.PASSWORD if password and not once else Server.SignIn.KEY,
            ssh_key=_key(options, by),
            password=None if once else password,
            sudo=options["sudo"],
            sudo_password=sudo_password,
            jump=console.server(options["jump"]) if options["jump"] else None,
            note=options["note"],
            tags=options["tag"],
        )
    try:
        if options["host_key"]:
            trust.offer_host_keys(server, offered(server))
            trust.pin_host_key(server, _first_or_chosen(server, options["host_key"]), by=by)
        return sshkeys.install_key_once(server, password, by=by) if once else server
    except BaseException:  # Ctrl-C while the server is slow to answer, too
        inventory.delete(server, by=by)
        raise


def next_steps(server: Server) -> list[str]:
    """What a person does now, one line each."""
    lines = [f"{server.name} is added."]
    if trust.pinned(server) is None:
        compare = f"`fleet check {server.name}` reads it, `fleet accept-key {server.name} SHA256:…` accepts it"
        lines.append(f"Its host key is not accepted yet: {compare} once you compared it on the server.")
    if server.sign_in == Server.SignIn.KEY and server.ssh_key.is_default:
        lines += [f"Run this on the server as {server.user}:", f"  {sshkeys.paste_command(server.ssh_key)}"]
    return [*lines, f"Check the connection with: manage.py fleet check {server.name} --wait"]


def offered(server: Server) -> list[PinnedKey]:
    jump = server.jump.login() if server.jump else None
    return ssh.offered_keys(server.address, server.port, jump)


def chosen(server: Server, wanted: str) -> str:
    """The fingerprint to pin. Raises ValidationError, naming what is offered."""
    keys = trust.waiting(server)
    if not any(key.fingerprint == wanted for key in keys):
        seen = ", ".join(f"{key.fingerprint} ({key.kind})" for key in keys) or "none"
        raise ValidationError({"host_key": f"The server does not offer this key. It offers: {seen}."})
    return wanted


def _first_or_chosen(server: Server, wanted: str) -> str:
    """Only of a new server may the key it shows first be taken unseen."""
    keys = trust.waiting(server)
    return keys[0].fingerprint if wanted == ACCEPT_FIRST and keys else chosen(server, wanted)


def _key(options: dict, by):
    if not options["key"]:
        return None
    try:
        pasted = Secret(Path(options["key"]).read_bytes())
    except OSError as error:
        raise console.Usage(f"The key file cannot be read: {error.strerror}.") from error
    return sshkeys.own_key(pasted, by=by)


def _typed(options: dict) -> tuple[Secret | None, Secret | None]:
    """The passwords on standard input, one line each, byte-exact up to the line end."""
    found: list[Secret | None] = []
    for name in ("password_stdin", "sudo_password_stdin"):
        if not options[name]:
            found.append(None)
            continue
        line = sys.stdin.readline().rstrip("\n").removesuffix("\r")
        try:
            validators.secret_text(line)
        except ValidationError as error:
            raise console.Usage(f"{name.removesuffix('_stdin').replace('_', ' ')}: {error.messages[0]}") from error
        found.append(Secret(line))
    return found[0], found[1]
