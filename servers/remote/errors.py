"""What can go wrong between the panel and a server: one exception per cause, its docstring the message."""

from servers.remote.host import Output, PinnedKey, RemoteError


class NameNotFound(RemoteError):
    """The server's name has no address."""

    cause = "name"
    hint = "Check the spelling, or enter the IP address instead of the name."


class ConnectTimeout(RemoteError):
    """The server did not answer on its SSH port."""

    cause = "connect-timeout"
    hint = "Check that the server is running and that no firewall drops connections from the panel to this port."


class ConnectRefused(RemoteError):
    """The server refused the connection: nothing listens on the SSH port."""

    cause = "connect-refused"
    hint = "Check the port number and that sshd is running on the server."


class NoRoute(RemoteError):
    """There is no network route from the panel to the server."""

    cause = "no-route"
    hint = "Check the address, and whether this server needs a jump server or a VPN."


class NotSsh(RemoteError):
    """The port answers, but not with SSH."""

    cause = "not-ssh"
    hint = "Check the port number: another service is listening there."


class NoGreeting(RemoteError):
    """The port accepts connections but never sends the SSH greeting."""

    cause = "no-greeting"
    hint = "The server may be overloaded or its sshd may hang; a proxy in between can look like this too."


class ClosedEarly(RemoteError):
    """The server closed the connection before sign-in."""

    cause = "closed-early"
    hint = "Wait a minute and try again; then look at MaxStartups, PerSourcePenalties, fail2ban and hosts.deny there."


class TooOld(RemoteError):
    """The server's SSH offers no encryption that is safe today."""

    cause = "too-old"
    hint = "Update OpenSSH there, or remove restrictive Ciphers, MACs and KexAlgorithms lines from its sshd_config."


class HostKeyRefused(RemoteError):
    """The server's host key is not an accepted one.

    offered: the key it showed, or None when it showed no key of any kind we read. No credential was sent.
    """

    cause = "host-key"

    def __init__(self, message: str = "", hint: str = "", *, offered: PinnedKey | None = None):
        super().__init__(message, hint)
        self.offered = offered


class HostKeyUnknown(HostKeyRefused):
    """Nobody has accepted this server's host key yet."""

    cause = "host-key-unknown"
    hint = "Compare the fingerprint with the one on the server and accept it on the server's page."


class HostKeyChanged(HostKeyRefused):
    """The server shows a different host key than the one that was accepted."""

    cause = "host-key-changed"
    hint = (
        "If the server was reinstalled, compare the new fingerprint and accept it; if not, somebody may be in between."
    )


class SignInRefused(RemoteError):
    """The server refused the sign-in."""

    cause = "sign-in"
    hint = "Check the user name, and that the panel's public key is in that user's authorized_keys."


class KeyUnusable(RemoteError):
    """The private key cannot be used."""

    cause = "key"
    hint = "Paste an unencrypted Ed25519, ECDSA or RSA private key in OpenSSH or PEM form."


class SessionRefused(RemoteError):
    """The server signed us in but opens no session."""

    cause = "session"
    hint = "Look at MaxSessions and ForceCommand in the server's sshd_config and at its free memory."


class RootRefused(RemoteError):
    """Signed in, but this user does not become root."""

    cause = "root"
    hint = "Sign in as root, or give the user a sudo rule that allows every command."


class SudoPasswordNeeded(RootRefused):
    """sudo asks for a password, and none is stored for this server."""

    cause = "sudo-password-needed"
    hint = "Enter the sudo password on the server's page, or add a NOPASSWD rule for this user."


class SudoPasswordWrong(RootRefused):
    """sudo rejects the stored password."""

    cause = "sudo-password-wrong"
    hint = "Enter the user's current password on the server's page."


class SudoNotAllowed(RootRefused):
    """sudo does not allow this user to run commands as root."""

    cause = "sudo-not-allowed"
    hint = "Add the user to the group sudo on the server, or sign in as another user."


class SudoNeedsTerminal(RootRefused):
    """sudo on this server insists on a terminal (requiretty)."""

    cause = "sudo-requiretty"
    hint = (
        "Remove `Defaults requiretty` from the server's sudoers, or exempt this user with `Defaults:user !requiretty`."
    )


class SudoMissing(RootRefused):
    """sudo is not installed on the server."""

    cause = "sudo-missing"
    hint = "Install sudo there, or sign in as root."


class AccountExpired(RootRefused):
    """The account or its password has expired on the server."""

    cause = "account-expired"
    hint = "Sign in by hand to set a new password, or extend the account with chage."


class ShellRefused(RootRefused):
    """The server runs a fixed command instead of a shell for this sign-in."""

    cause = "no-shell"
    hint = "Sign in as the user it names, or remove command= from authorized_keys and ForceCommand from sshd_config."


class TunnelRefused(RemoteError):
    """The server could not open a connection for us.

    words: sshd's own text. forbidden: sshd's policy says no, as opposed to a target that could not be reached.
    """

    cause = "tunnel"
    hint = "Check from the server itself whether the target can be reached."

    def __init__(self, message: str = "", hint: str = "", *, words: str = "", forbidden: bool = False):
        super().__init__(message, hint)
        self.words = words
        self.forbidden = forbidden


class LostContact(RemoteError):
    """The connection to the server broke."""

    cause = "lost-contact"
    hint = "Nothing is known about what happened after that; the server's own journal will tell once it answers again."


class LimitReached(RemoteError):
    """A limit ended the command. output: what it had printed until then."""

    cause = "limit"

    def __init__(self, message: str = "", hint: str = "", *, output: Output | None = None):
        super().__init__(message, hint)
        self.output = output


class Deadline(LimitReached):
    """The command took longer than it may and was ended."""

    cause = "deadline"
    hint = "Look at what is running on the server; a held package lock or a full disk are the usual reasons."


class Silent(LimitReached):
    """The command printed nothing for too long and was ended."""

    cause = "silent"
    hint = "It may be waiting for something; look at what is running on the server."


class Refused(RemoteError):
    """The server is not taking this run."""

    cause = "refused"


# What stands between the panel and the server's sign-in: nothing was asked of the server itself.
UNREACHABLE = frozenset(
    error.cause
    for error in (NameNotFound, ConnectTimeout, ConnectRefused, NoRoute, NotSsh, NoGreeting, ClosedEarly, LostContact)
)
