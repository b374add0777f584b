"""From a signed-in user to a root shell that runs one whole script: the constant exec text, and why it failed.

The script is sent only after the root shell has spoken, so neither sudo nor a forced command ever reads a line of it.
The shell takes all of stdin before it runs anything: half a script never runs, and no command in it can eat the rest.
"""

import re

from servers.remote import clean
from servers.remote.errors import (
    AccountExpired,
    RootRefused,
    ShellRefused,
    SudoMissing,
    SudoNeedsTerminal,
    SudoNotAllowed,
    SudoPasswordNeeded,
)
from servers.remote.host import Login
from servers.remote.secret import Secret

NOT_ROOT = b"fleetpost-not-root"
HALF = 98  # exit status when the script did not arrive whole
ASK = "fleetpost-password:"
_END = b"\n#fleetpost-end"

# Field 6 of stat is the session; `shift` empties the script's positional parameters again.
_SHELL = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C; export PATH LC_ALL; "
    '[ "$(id -u)" = 0 ] || { echo fleetpost-not-root; exit 97; }; '
    'read -r _ _ _ _ _ s _ </proc/$$/stat; echo "fleetpost-root $s"; '
    'set -- "$(cat)"; case $1 in *"#fleetpost-end") eval "shift; $1";; *) exit 98;; esac'
)
_READY = re.compile(rb"(?:^|\n)fleetpost-root (\d+)\n")
# PAM modules other than pam_unix ignore sudo's -p.
_PROMPT = re.compile(rb"fleetpost-password:|password[^\n:]*: ?\Z", re.IGNORECASE)

_REFUSALS = (
    (rb"must have a tty|no tty present and no askpass", SudoNeedsTerminal),
    (rb"expired|password change required|[Aa]ccount validation failure", AccountExpired),
    (rb"password is required|terminal is required to read the password", SudoPasswordNeeded),
    (rb"not in the sudoers|not allowed to|may not run sudo|is not permitted", SudoNotAllowed),
    (rb"sudo['\"\x80-\xff]*:.*(?:not found|No such file)|not found: sudo", SudoMissing),
)


def command(login: Login) -> str:
    """The exec text; it depends on the kind of sudo alone."""
    shell = f"sh -c '{_SHELL}'"
    if login.sudo == "nopasswd":
        return f"env LC_ALL=C sudo -n -- {shell}"
    if login.sudo == "password":
        return f"env LC_ALL=C sudo -S -p {ASK} -- {shell}"
    return shell


def parcel(script: str | Secret) -> bytes:
    """`script` as it travels on stdin. Raises ValueError on NUL, which no shell keeps."""
    text = script.reveal() if isinstance(script, Secret) else script.encode()
    if b"\0" in text:
        raise ValueError("a script contains NUL")
    return text + _END


def ready(stdout: bytes) -> tuple[int, bytes] | None:
    """(session id of the root shell, what follows its greeting), or None while it has not spoken."""
    found = _READY.search(stdout)
    return (int(found[1]), stdout[found.end() :]) if found else None


def asks(stderr: bytes) -> bool:
    """Whether sudo is asking for a password; the second time means that the first was wrong."""
    return _PROMPT.search(stderr) is not None


def refusal(login: Login, stdout: bytes, stderr: bytes) -> RootRefused:
    """Why no root shell answered, from what the server printed instead."""
    said = clean.line((stderr + b"\n" + stdout)[-1000:].replace(ASK.encode(), b""))
    if NOT_ROOT in stdout:
        return RootRefused(f"Signed in as {login.user}, who is not root.")
    for pattern, cause in _REFUSALS:
        if re.search(pattern, stderr + b"\n" + stdout):
            return cause()
    return ShellRefused(f"The server answers the sign-in with a fixed text instead of a shell: {said}" if said else "")
