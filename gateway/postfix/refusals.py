"""Why nothing is changed: each reason with the next move, found before anything is touched."""

from gateway.postfix import distro as distros
from gateway.postfix import maincf, paths, settings
from gateway.postfix.manifest import read
from gateway.postfix.spec import Relay, Wanted
from gateway.postfix.state import Facts
from servers.remote.plan import Refusal

_MIB = 1024 * 1024
_IMPLICIT_PORTS = (465, 2465)
_STARTTLS_PORTS = (25, 587, 2525, 2587)
_CLOCK_TOLERANCE = 300  # seconds; beyond it certificates and dates begin to look wrong


def impossible(facts: Facts, wanted: Wanted) -> tuple[Refusal, ...]:
    """Reasons that hold whatever there is to do."""
    found = []
    if facts.uid != 0:
        found.append(
            Refusal(
                "not-root", "The panel did not get root on this server.", "Check how root is reached in its settings."
            )
        )
    if facts.distro is None:
        name = facts.os_name or "This system"
        found.append(Refusal("unsupported-system", f"{name} is not supported.", f"Supported: {distros.SUPPORTED}."))
    elif wanted.relay is not None and not settings.delimiter(wanted.relay, facts.distro):
        what = f"Postfix on {facts.distro.name} cannot carry a colon in a user name."
        found.append(Refusal("user-name-colon", what, "Ask the provider for a user name without a colon."))
    if not facts.systemd:
        what = "This server does not run systemd, so Postfix could not be kept running."
        found.append(Refusal("no-systemd", what, "Boot it with systemd, or use a whole server instead of a container."))
    if facts.manifest and read(facts) is None:
        what = f"Our own record of this server, {paths.MANIFEST}, cannot be read."
        found.append(Refusal("record-damaged", what, "Put the file back from a backup of the server."))
    if not facts.manifest and maincf.MARK in maincf.decode(facts.main_cf or b""):
        what = f"main.cf carries our settings, but the record of what was there before ({paths.STATE}) is gone."
        fix = f"Put {paths.STATE} back from a backup, or remove the lines below our mark in main.cf by hand."
        found.append(Refusal("record-lost", what, fix))
    if wanted.relay is not None:
        found += _nonsense(wanted.relay)
    return tuple(found)


def obstacles(facts: Facts, wanted: Wanted, *, packages: bool) -> tuple[Refusal, ...]:
    """Reasons against changing this server now. packages: something is to be installed or removed."""
    read_only = facts.readonly
    found = [_read_only(path) for path in read_only if not any(path.startswith(f"{top}/") for top in read_only)]
    if packages and facts.interrupted:
        what = "An earlier package installation was interrupted halfway."
        found.append(Refusal("dpkg-interrupted", what, "Run `dpkg --configure -a` on the server, then try again."))
    found += _space(facts, packages)
    if wanted.relay is not None and "postfix" not in facts.packages:
        found += _mail_system(facts, wanted)
    return tuple(found)


def notes(facts: Facts) -> tuple[str, ...]:
    """What a person should know although it stops nothing."""
    found = []
    if abs(facts.skew) > _CLOCK_TOLERANCE:
        side = "ahead" if facts.skew > 0 else "behind"
        minutes = abs(round(facts.skew / 60))
        found.append(f"The server's clock is {minutes} minutes {side}: certificates and dates may look wrong.")
    if facts.locked:
        found.append("Another program is installing packages right now; ours will wait up to five minutes for it.")
    if facts.distro is not None and not facts.distro.tested:
        found.append(f"{facts.distro.name} is untested: this has not run on a real server of that kind.")
    return tuple(found)


def messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def queued(facts: Facts) -> Refusal:
    what = f"{messages(facts.queued)} in Postfix's queue would be lost when Postfix is removed."
    return Refusal("queued-mail", what, "Let them be delivered first (`postqueue -f`), or agree to lose them.")


def _nonsense(relay: Relay) -> list[Refusal]:
    if relay.tls != "implicit" and relay.port in _IMPLICIT_PORTS:
        what = f"Port {relay.port} speaks TLS from the first byte, so {relay.tls} would only wait in silence."
        return [Refusal("port-mode", what, "Choose implicit TLS, or port 587 with STARTTLS.")]
    if relay.tls == "implicit" and relay.port in _STARTTLS_PORTS:
        what = f"Port {relay.port} begins in clear text, so implicit TLS cannot start there."
        return [Refusal("port-mode", what, "Choose STARTTLS, or port 465 with implicit TLS.")]
    return []


def _read_only(path: str) -> Refusal:
    what = f"{path} cannot be written: its file system is read-only or it is marked immutable."
    return Refusal("read-only", what, f"Look at `findmnt -T {path}` and `lsattr -d {path}`, then try again.")


def _space(facts: Facts, packages: bool) -> list[Refusal]:
    need_bytes, need_inodes = (150 * _MIB, 2000) if packages else (5 * _MIB, 100)
    found, seen = [], set()
    for space in facts.space:
        room = (space.free_bytes, space.free_inodes)
        if room in seen:
            continue
        seen.add(room)
        if space.free_bytes < need_bytes:
            free = space.free_bytes // _MIB
            what = f"The disk under {space.path} has {free} MB free; {need_bytes // _MIB} MB are needed."
            found.append(Refusal("disk-full", what, f"Free some room under {space.path}."))
        elif space.free_inodes is not None and space.free_inodes < need_inodes:
            what = f"The file system under {space.path} has {space.free_inodes} inodes left; {need_inodes} are needed."
            found.append(Refusal("inodes-full", what, f"Remove some of the many small files under {space.path}."))
    return found


def _mail_system(facts: Facts, wanted: Wanted) -> list[Refusal]:
    names = ", ".join(facts.mtas)
    if facts.mtas and not wanted.replace_mta:
        what = f"This server's mail system is {names}, with {messages(facts.other_queued)} in its queue."
        fix = "Agree to replace it: its configuration and queue are kept, and uninstall puts it back."
        return [Refusal("other-mta", what, fix)]
    if facts.sendmail and not facts.mtas:
        what = "There is a /usr/sbin/sendmail that belongs to no mail system we know."
        return [Refusal("unknown-mta", what, "Remove that mail system first.")]
    if facts.listeners and not facts.mtas:
        what = "Another program listens on port 25, which Postfix needs on this server's own address."
        return [
            Refusal(
                "port-25-taken", what, "Look who it is with `ss -ltnp sport = :25` (often a container) and stop it."
            )
        ]
    return []
