"""The maps of one gateway: small text tables in a directory of their own, named by what is in them.

Everything is a `texthash:` or `regexp:` table: no postmap, no database library, read when a Postfix process starts as
root, before it locks itself up. That is why 0600 root in a 0700 directory works for all of them (measured).
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from gateway.postfix import paths
from gateway.postfix.spec import Relay
from gateway.postfix.state import MapDir
from servers.remote.plan import File
from servers.remote.secret import Secret

# Postfix trims white space at the end of a table's value. A password that ends in it gets this sign behind it, and a
# second table in a pipemap takes the sign off again. Measured byte for byte.
_TAIL = b"\x01"
_TRIMMED = b" \t\v\f"
# Replies that mean "your set-up is wrong", never "this recipient is wrong": they defer mail instead of losing it.
_CONFIGURATION = (
    "(is|are|was) not verified",
    "verified sender identity",
    "sender signature",
    "unconfigured sending domain",
    "sendasdenied",
    "(not allowed|permissions) to send as",
    "sender address rejected: not (owned by|logged in)",
    "relaying disallowed as",
    "not authorized to perform .?ses:",
    "authentication required",
    "not authenticated",
    "invalid credentials for relay",
    "tenant(inbound)?attribution",
    "unauthorized ip address",
    "basic authentication is (not supported|disabled)",
    "smtpclientauthentication is disabled",
    "relay(ing)? (access )?denied",
    "must issue a starttls",
    "sending paused",
    "(relay|sending|submission) ?(limit|quota) ?exceeded",
    "your .*account .*(suspended|disabled|paused|under review)",
)
# Mail to these reaches a person. Every name is one that system programs really send to.
_SYSTEM_ACCOUNTS = ("root", "postmaster", "mailer-daemon", "nobody", "daemon", "www-data", "logcheck", "abuse")


@dataclass(frozen=True)
class Maps:
    """name -> content, in the order they are staged. `generation` names the directory they live in."""

    generation: str
    contents: Mapping[str, bytes | Secret] = field(repr=False)

    @property
    def directory(self) -> str:
        return f"{paths.MAPS}/{self.generation}"

    def path(self, name: str) -> str:
        return f"{self.directory}/{name}"

    def table(self, name: str) -> str:
        """How main.cf names the table."""
        kind = "regexp" if name.endswith("_filter") or name in ("sasl_end", "sender") else "texthash"
        return f"{kind}:{self.path(name)}"

    @property
    def password_table(self) -> str:
        if "sasl_end" not in self.contents:
            return self.table("sasl_passwd")
        return f"pipemap:{{{self.table('sasl_passwd')},{self.table('sasl_end')}}}"

    def files(self) -> tuple[File, ...]:
        return tuple(File(self.path(name), content, 0o600) for name, content in self.contents.items())

    @property
    def seal(self) -> str:
        """What MapDir.seal is while nobody touched the directory, whoever may have written it."""
        return hashlib.sha256(self.generation.encode() + self._whole).hexdigest()

    @property
    def _whole(self) -> bytes:
        return b"".join(_bytes(self.contents[name]) for name in sorted(self.contents))

    def matches(self, there: MapDir, nonce: str) -> bool:
        """Whether the directory on the server holds exactly this, readable by root alone."""
        digest = hashlib.sha256(nonce.encode() + self._whole).hexdigest()
        expected = {name: ("600", "root", len(_bytes(content))) for name, content in self.contents.items()}
        observed = (there.mode, there.owner, dict(there.files), there.digest)
        return observed == ("700", "root", expected, digest)


def render(relay: Relay, names: tuple[str, ...], key: bytes, *, delimiter: str = ":", null: bool = True) -> Maps:
    """The maps for `relay` on a server known as `names` (its own name, host name, mail name …).

    null: nothing is delivered on the server itself. key: makes the directory's name say nothing about the password.
    """
    contents: dict[str, bytes | Secret] = {}
    if relay.password is not None:
        row = f"{relay.nexthop} {relay.username}{delimiter}".encode() + relay.password.reveal()
        if row[-1:] in {bytes([byte]) for byte in _TRIMMED}:
            row += _TAIL
            contents["sasl_end"] = b"/^(.*).$/ $1\n"
        contents["sasl_passwd"] = Secret(row + b"\n")
    if relay.local_senders:
        contents["generic"] = _generic(relay.local_senders, names)
    if relay.forced_sender and null:
        contents["sender"] = f"/^.+$/ {_literal(relay.forced_sender)}\n".encode()
    if relay.root_address and null:
        contents["virtual"] = _virtual(relay.root_address, names)
    contents["reply_filter"] = _reply_filter()
    ordered = dict(sorted(contents.items()))
    return Maps(_generation(ordered, key), ordered)


@cache
def form() -> str:
    """Says how this version of the panel writes tables: another for one that would write any of them differently."""
    sample = Relay(
        host="smtp.example.com",
        port=587,
        username="login",
        password=Secret(b"ends in a space "),
        rewrite="$sender@example.com",
        root_address="root@example.com",
    )
    return render(sample, ("web.example.com", "web", "localhost"), b"form").generation


def _generation(contents: Mapping[str, bytes | Secret], key: bytes) -> str:
    mac = hmac.new(key, b"fleetpost maps 1", hashlib.sha256)
    for name, content in contents.items():
        mac.update(f"{name} {len(_bytes(content))}\n".encode() + _bytes(content))
    return mac.hexdigest()[:16]


def _bytes(content: bytes | Secret) -> bytes:
    return content.reveal() if isinstance(content, Secret) else content


def _generic(target: str, names: tuple[str, ...]) -> bytes:
    rows = [f"@{name} {target}\n" for name in names if f"@{name}".lower() != target.lower()]
    return "".join(rows).encode()


def _virtual(address: str, names: tuple[str, ...]) -> bytes:
    """System accounts by name, and everything at names that no other server can mean."""
    rows = [f"{account} {address}\n" for account in _SYSTEM_ACCOUNTS]
    rows += [f"@{name} {address}\n" for name in names if "." not in name or name.endswith(".localdomain")]
    return "".join(rows).encode()


def _literal(address: str) -> str:
    """An address as the right-hand side of a regexp table, where $ starts a substitution."""
    return address.replace("$", "$$")


def _reply_filter() -> bytes:
    """Class 5 becomes class 4, in the code and in the enhanced code; the provider's words stay. 530 means "sign in" or
    "use TLS" wherever it comes."""
    lines = (
        "# Replies that mean the set-up is wrong: keep the mail and try again instead of bouncing it.",
        f"if /^(530[ -]|5[0-9][0-9][ -].*({'|'.join(_CONFIGURATION)}))/",
        "/^5([0-9][0-9][ -])5(\\.[0-9]+\\.[0-9]+ .*)$/ 4${1}4${2}",
        "/^5([0-9][0-9][ -])(.*)$/ 4${1}4.7.0 ${2}",
        "endif",
    )
    return "".join(f"{line}\n" for line in lines).encode()
