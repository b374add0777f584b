"""The verbs of the server list. Every change writes its audit entry in the same transaction; `by` as in audit.record.
What a person typed wrong comes back as a ValidationError keyed by field."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import User
from servers import catalog, sshkeys, validators
from servers.models import MAX_JUMPS, Server, Tag

EDITABLE = ("name", "address", "port", "user", "sign_in", "ssh_key", "sudo", "jump", "note")
SECRETS = ("password", "sudo_password")
_PLACE = ("address", "port", "user")


class Kept(Exception):
    """The server cannot go yet. `hint`: what has to happen first."""

    def __init__(self, message: str, hint: str):
        super().__init__(message)
        self.hint = hint


def add(*, by: User | str | None, tags: Iterable[str] = (), **values) -> Server:
    """`values`: EDITABLE columns, and SECRETS as Secret. Signs in with the panel's own key unless told otherwise."""
    with transaction.atomic():
        server = Server(**values)
        if server.sign_in == Server.SignIn.KEY and server.ssh_key is None:
            server.ssh_key = sshkeys.panel_key(by=by)
        _settle(server)
        server.save()
        server.tags.set(_tags(tags))
        audit.record(by, "added", server, **_visible(server))
    return server


def change(server: Server, *, by: User | str | None, **values) -> Server:
    """Only the columns given. A new address, port or user drops the stored passwords that are not typed again, so that
    nobody sends them to a machine of his own (faults T29)."""
    with transaction.atomic():
        server = Server.objects.select_for_update().get(pk=server.pk)
        before = _visible(server)
        if any(name in values and values[name] != getattr(server, name) for name in _PLACE):
            values = dict.fromkeys(SECRETS) | values
            server.cloud = ""
            server.findings.get("facts", {}).pop("cloud", None)  # nobody has looked there yet
            if server.reach != Server.Reach.KEY_CHANGED:
                server.reach = Server.Reach.UNKNOWN
        for name, value in values.items():
            setattr(server, name, value)
        _settle(server)
        server.save()
        after = _visible(server)
        changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        retyped = [name for name in SECRETS if values.get(name) is not None]
        if changed or retyped:
            audit.record(by, "changed", server, changed=changed, retyped=retyped)
    return server


def retag(server: Server, names: Iterable[str], *, by: User | str | None) -> None:
    with transaction.atomic():
        before = sorted(tag.name for tag in server.tags.all())
        wanted = _tags(names)
        after = sorted(tag.name for tag in wanted)
        if before == after:
            return
        server.tags.set(wanted)
        Tag.objects.filter(servers__isnull=True).delete()
        audit.record(by, "tagged", server, tags=[before, after])


def tag(servers: Iterable[Server], names: Iterable[str], *, by: User | str | None) -> int:
    """These tags beside those they have, in a few statements. Returns how many servers changed."""
    with transaction.atomic():
        wanted, rows = _tags(names), {server.pk: server for server in servers}
        there = set(_tagged(rows, wanted).values_list("server", "tag"))
        links = [(server, tag.pk) for server in rows for tag in wanted if (server, tag.pk) not in there]
        link = Server.tags.through
        link.objects.bulk_create([link(server_id=s, tag_id=t) for s, t in links], ignore_conflicts=True)
        changed = dict.fromkeys(server for server, _ in links)
        audit.record_many(by, "tagged", [rows[pk] for pk in changed], added=[tag.name for tag in wanted])
    return len(changed)


def untag(servers: Iterable[Server], names: Iterable[str], *, by: User | str | None) -> int:
    """Takes these tags from them, in a few statements. Returns how many servers changed."""
    with transaction.atomic():
        rows, names = {server.pk: server for server in servers}, sorted(set(names))
        links = _tagged(rows, Tag.objects.filter(name__in=names))
        changed = dict.fromkeys(links.values_list("server", flat=True))
        links.delete()
        Tag.objects.filter(servers__isnull=True).delete()
        audit.record_many(by, "tagged", [rows[pk] for pk in changed], removed=names)
    return len(changed)


def _tagged(servers: Iterable, tags: Iterable[Tag]) -> QuerySet:
    return Server.tags.through.objects.filter(server__in=list(servers), tag__in=tags)


def assign(server: Server, people: Iterable[User], *, by: User | str | None) -> None:
    """`people` see this server without being staff."""
    with transaction.atomic():
        before = sorted(user.email for user in server.people.all())
        server.people.set(people)
        after = sorted(user.email for user in server.people.all())
        if before != after:
            audit.record(by, "assigned people to", server, people=[before, after])


def archive(server: Server, *, by: User | str | None) -> None:
    _refuse_needed(server)
    _stamp(server, timezone.now(), "archived", by)


def restore(server: Server, *, by: User | str | None) -> None:
    _stamp(server, None, "restored", by)


def delete(server: Server, *, by: User | str | None, forget: bool = False) -> None:
    """Takes the server and its jobs out of the panel; nothing changes on the machine. Raises Kept while a service is
    installed there, unless `forget`."""
    with transaction.atomic():
        server = Server.objects.select_for_update().get(pk=server.pk)
        _refuse_needed(server, archived_too=True)
        left = installed(server)
        if left and not forget:
            raise Kept(
                f"{' and '.join(left)} may still be installed on {server.name}.",
                "Uninstall it first, or delete the server and leave it installed there.",
            )
        audit.record(by, "deleted", server, **_visible(server), left_installed=left)
        server.delete()


def installed(server: Server) -> list[str]:
    """Labels of the services that are, or may be, on the server."""
    found = []
    for service in catalog.services():
        state = service.states([server]).get(server.pk)
        if not service.hidden and state is not None and state.word != "absent":
            found.append(service.label)
    return found


def _settle(server: Server) -> None:
    """One spelling, no secret without a use, and every rule of the columns; raises ValidationError."""
    server.name = server.name.strip(" ")
    server.address = validators.normal_address(server.address)
    if server.sign_in != Server.SignIn.PASSWORD:
        server.password = None
    if server.sudo != Server.Sudo.PASSWORD:
        server.sudo_password = None
    wrong = {}
    try:
        server.full_clean()
    except ValidationError as error:
        wrong = error.update_error_dict({})
    if server.sign_in == Server.SignIn.PASSWORD and server.password is None:
        wrong.setdefault("password", ValidationError("Type the password: none is stored for this address and user."))
    if server.sign_in == Server.SignIn.KEY and server.ssh_key is None:
        wrong.setdefault("ssh_key", ValidationError("Choose the SSH key to sign in with."))
    needs_sudo_password = server.sudo == Server.Sudo.PASSWORD and server.sign_in == Server.SignIn.KEY
    if needs_sudo_password and server.sudo_password is None:
        wrong.setdefault("sudo_password", ValidationError("Type the sudo password: none is stored for this user."))
    if server.sudo == Server.Sudo.NONE and server.user != "root":
        wrong.setdefault("sudo", ValidationError(f"{server.user} is not root: choose how sudo works on this server."))
    if problem := _jump_problem(server):
        wrong.setdefault("jump", ValidationError(problem))
    if wrong:
        raise ValidationError(wrong)


def _jump_problem(server: Server) -> str:
    above, jump = 0, server.jump
    while jump is not None:
        above += 1
        if jump.pk == server.pk:
            return "A server cannot be reached through itself: choose another jump server."
        if jump.archived_at:
            return f"{jump.name} is archived: restore it or choose another jump server."
        if above > MAX_JUMPS:
            break
        jump = jump.jump
    if jump is not None or above + _depth_below(server) > MAX_JUMPS:
        return f"At most {MAX_JUMPS} jump servers stand in a row: choose another jump server."
    return ""


def _depth_below(server: Server) -> int:
    """How many servers in a row are reached through this one."""
    depth, level = 0, {server.pk}
    while depth <= MAX_JUMPS and (level := set(Server.objects.filter(jump__in=level).values_list("pk", flat=True))):
        depth += 1
    return depth


def _refuse_needed(server: Server, archived_too: bool = False) -> None:
    through = server.reached_through.all() if archived_too else server.reached_through.live()
    if names := [other.name for other in through]:
        raise Kept(f"{', '.join(names)} is reached through {server.name}.", "Give it another jump server first.")
    if server.jobs.filter(finished_at__isnull=True).exists():
        raise Kept(f"A job on {server.name} has not finished.", "Wait for it or cancel it, then try again.")


def _stamp(server: Server, when, verb: str, by: User | str | None) -> None:
    with transaction.atomic():
        if Server.objects.filter(pk=server.pk, archived_at__isnull=when is not None).update(archived_at=when):
            audit.record(by, verb, server)
    server.archived_at = when


def _tags(names: Iterable[str]) -> list[Tag]:
    wanted = sorted({name.strip(" ").lower() for name in names} - {""})
    for name in wanted:
        try:
            validators.tag(name)
        except ValidationError as error:
            raise ValidationError({"tags": error}) from error
    return [Tag.objects.get_or_create(name=name)[0] for name in wanted]


def _visible(server: Server) -> dict:
    """The columns as the audit log shows them: secrets only as set or not set."""
    shown = {name: str(getattr(server, name) or "") for name in EDITABLE}
    return shown | {name: "set" if server.__dict__.get(name) else "not set" for name in SECRETS}
