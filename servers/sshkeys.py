"""Key pairs the panel signs in with: its own, made on demand, and ones a person brings."""

from collections.abc import Callable
from dataclasses import replace

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from controlpanel.access import audit
from controlpanel.access.models import User
from servers.models import Server, SshKey
from servers.remote import clean, keypair
from servers.remote.command import quote, shell
from servers.remote.errors import KeyUnusable, SignInRefused
from servers.remote.host import Host, Limits, Login, RemoteError
from servers.remote.secret import Secret

PANEL_KEY = "Panel key"
_LIMITS = Limits(total=30, idle=15)


class InUse(Exception):
    """The key cannot go yet. `hint`: what has to happen first, or why it never can."""

    def __init__(self, message: str, hint: str):
        super().__init__(message)
        self.hint = hint


class KeyNotWritten(RemoteError):
    """The key could not be written to the user's authorized_keys."""

    cause = "key-not-written"
    hint = "Check the user's home folder and its free space, or paste the line yourself."


class KeyRefused(RemoteError):
    """The key is in place, but the server does not accept it for this user."""

    cause = "key-refused"
    hint = "Look at PubkeyAuthentication and AuthorizedKeysFile in the server's sshd_config. Nothing was changed here."


def panel_key(*, by: User | str | None) -> SshKey:
    """The panel's own pair, made when it is first needed. Two callers at once get the same one."""
    if found := SshKey.objects.filter(is_default=True).first():
        return found
    private, public = keypair.generate("fleetpost")
    try:
        with transaction.atomic():
            key = SshKey.objects.create(name=PANEL_KEY, public=public, private=private, is_default=True)
            audit.record(by, "made", key, fingerprint=fingerprint(key))
    except IntegrityError:
        return SshKey.objects.get(is_default=True)
    return key


def own_key(pasted: Secret, *, by: User | str | None) -> SshKey:
    """A key a person brought, OpenSSH or PEM text without a passphrase. The same key twice is one row."""
    private, public = _read(pasted)
    return SshKey.objects.filter(public=public).first() or _store(private, public, "", by)


def add(pasted: Secret, name: str, *, by: User | str | None) -> SshKey:
    """Likewise, under a name ("": called by its fingerprint). Raises ValidationError by field, with nothing stored, for
    one that is there already too."""
    private, public = _read(pasted)
    if found := SshKey.objects.filter(public=public).first():
        raise ValidationError({"private_key": f"This key is stored already, as {found.name}."})
    return _store(private, public, name.strip(), by)


def _read(pasted: Secret) -> tuple[Secret, str]:
    try:
        private = keypair.accept(pasted)
        return private, keypair.authorized_line(private, "fleetpost")
    except KeyUnusable as error:
        raise ValidationError({"private_key": f"{error} {error.hint}"}) from error


def _store(private: Secret, public: str, name: str, by: User | str | None) -> SshKey:
    name = name or f"Key {keypair.fingerprint(public.split()[1])[:19]}"
    key = SshKey(name=name, public=public, private=private)
    key.full_clean(exclude=["private", "public"])
    with transaction.atomic():
        key.save()
        audit.record(by, "added", key, fingerprint=fingerprint(key))
    return key


def rename(key: SshKey, name: str, *, by: User | str | None) -> None:
    """Raises ValidationError for the field `name`."""
    before, key.name = key.name, name.strip()
    key.full_clean(exclude=["private", "public"])
    if key.name == before:
        return
    with transaction.atomic():
        key.save(update_fields=["name"])
        audit.record(by, "renamed", key, before=before)


def delete(key: SshKey, *, by: User | str | None) -> None:
    """Forgets both halves. Raises InUse while a server is signed in to with it, and for the panel's own pair."""
    if key.is_default:
        raise InUse("The panel's own key stays.", "New servers are given it; nobody else has its private half.")
    with transaction.atomic():
        used = Server.objects.filter(ssh_key=SshKey.objects.select_for_update().get(pk=key.pk)).count()
        if used:
            raise InUse(
                f"{used} server{' is' if used == 1 else 's are'} signed in to with {key.name}.",
                "Choose another way to sign in on their Settings tab first; archived servers count too.",
            )
        audit.record(by, "deleted", key, fingerprint=fingerprint(key))
        key.delete()


def fingerprint(key: SshKey) -> str:
    return keypair.fingerprint(key.public.split()[1])


def paste_command(key: SshKey) -> str:
    """What a person runs on the server, as the user the panel signs in as. The leading line break mends a file whose
    last line has none."""
    return f"umask 077 && mkdir -p ~/.ssh && printf '\\n%s\\n' {quote(key.public.strip())} >> ~/.ssh/authorized_keys"


def _dial(login: Login) -> Host:
    from servers.remote import ssh  # paramiko is loaded when it is needed, not by every web process

    return ssh.connect(login, limits=_LIMITS)


def install_key_once(
    server: Server, password: Secret, *, by: User | str | None, dial: Callable[[Login], Host] = _dial
) -> Server:
    """Signs in with `password`, puts the panel's key in place, proves a sign-in by key, and forgets the password: it is
    in no row, no message and no log. Raises RemoteError; the server's row then stays as it was."""
    key = panel_key(by=by)
    login = server.login()
    with_password = replace(login, private_key=None, password=password)
    if login.sudo_password is None:
        with_password = replace(with_password, sudo_password=password)
    host = dial(with_password)
    try:
        written = host.run(_install_script(server.user, key.public.strip()), limits=_LIMITS)
    finally:
        host.close()
    if written.status:
        raise KeyNotWritten(f"{KeyNotWritten.__doc__} {clean.line(written.stderr)}")
    try:
        dial(replace(login, private_key=key.private, password=None)).close()
    except SignInRefused as error:
        raise KeyRefused from error
    with transaction.atomic():
        Server.objects.filter(pk=server.pk).update(sign_in=Server.SignIn.KEY, ssh_key=key, password=None)
        audit.record(by, "installed the panel's key on", server, key=key.name, fingerprint=fingerprint(key))
    return Server.objects.get(pk=server.pk)


def _install_script(user: str, line: str) -> str:
    """Writes as the user, not as root: whatever ~/.ssh is, root never follows it."""
    append = (
        "set -eu; umask 077; home=$(getent passwd " + quote(user) + " | cut -d: -f6); "
        'mkdir -p "$home/.ssh"; file=$home/.ssh/authorized_keys; line=' + quote(line) + "; "
        'grep -qxF "$line" "$file" 2>/dev/null || printf "\\n%s\\n" "$line" >> "$file"'
    )
    return shell("runuser", "-u", user, "--", "sh", "-c", append)
