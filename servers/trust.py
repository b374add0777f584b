"""Which host key belongs to which server. Only a person makes a key trusted; a changed one stops everything."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import User
from servers.models import HostKey, Server
from servers.remote import keypair
from servers.remote.host import PinnedKey

_FILES = {"ssh-ed25519": "ed25519", "ecdsa-sha2-nistp256": "ecdsa", "ssh-rsa": "rsa"}  # the strongest first


def compare_command(kind: str) -> str:
    """What a person runs on the server's own console to see the fingerprint of its key."""
    return f"ssh-keygen -lf /etc/ssh/ssh_host_{_FILES.get(kind, 'ed25519')}_key.pub"


def pinned(server: Server) -> HostKey | None:
    return server.host_keys.filter(state=HostKey.State.PINNED).first()


def waiting(server: Server) -> list[HostKey]:
    """Offered keys nobody has answered for yet, the strongest kind first."""
    order = list(_FILES)
    keys = server.host_keys.filter(state=HostKey.State.OFFERED)
    return sorted(keys, key=lambda key: order.index(key.kind) if key.kind in order else len(order))


def offer_host_keys(server: Server, keys: Iterable[PinnedKey]) -> bool:
    """Notes the keys a server was seen to offer; True when they fit what is pinned. A pinned server that offers
    something else is blocked until a person answers (Reach.KEY_CHANGED)."""
    keys = list(keys)
    with transaction.atomic():
        pin = pinned(server)
        if pin is not None and any(key.body == pin.body for key in keys):
            server.host_keys.filter(state=HostKey.State.OFFERED).delete()
            return server.reach != Server.Reach.KEY_CHANGED
        server.host_keys.filter(state=HostKey.State.OFFERED).delete()
        for key in keys:
            server.host_keys.update_or_create(
                body=key.body,
                defaults={
                    "kind": key.kind,
                    "fingerprint": keypair.fingerprint(key.body),
                    "state": HostKey.State.OFFERED,
                    "seen_at": timezone.now(),
                },
            )
        if pin is not None:
            _block(server, pin, keys)
        elif keys:
            Server.objects.filter(pk=server.pk).update(reach=Server.Reach.KEY_OFFERED)
            server.reach = Server.Reach.KEY_OFFERED
        return False


def _block(server: Server, pin: HostKey, keys: list[PinnedKey]) -> None:
    rows = Server.objects.filter(pk=server.pk).exclude(reach=Server.Reach.KEY_CHANGED)
    if rows.update(reach=Server.Reach.KEY_CHANGED, checked_at=timezone.now()):
        offered = [keypair.fingerprint(key.body) for key in keys]
        audit.record(None, "saw a changed host key of", server, pinned=pin.fingerprint, offered=offered)
    server.reach = Server.Reach.KEY_CHANGED


def pin_host_key(server: Server, fingerprint: str, *, by: User | str | None) -> HostKey:
    """Accepts the offered key with this fingerprint as the one and only key of the server."""
    with transaction.atomic():
        key = server.host_keys.filter(state=HostKey.State.OFFERED, fingerprint=fingerprint.strip()).first()
        if key is None:
            raise ValidationError({"fingerprint": "The server does not offer a key with this fingerprint."})
        before = pinned(server)
        server.host_keys.filter(state=HostKey.State.PINNED).update(state=HostKey.State.RETIRED)
        key.state, key.accepted_at = HostKey.State.PINNED, timezone.now()
        key.accepted_by = by if isinstance(by, User) else None
        key.save()
        server.host_keys.filter(state=HostKey.State.OFFERED).delete()
        _unblock(server)
        audit.record(
            by,
            "accepted the host key of",
            server,
            fingerprint=key.fingerprint,
            replaces=before.fingerprint if before else "",
        )
    return key


def pin_many(keys: Iterable[tuple[Server, PinnedKey]], *, by: User | str | None) -> None:
    """Accepts keys a person brought along for servers that have none yet, in a few statements."""
    person, now = by if isinstance(by, User) else None, timezone.now()
    with transaction.atomic():
        rows = [
            HostKey(
                server=server,
                kind=key.kind,
                body=key.body,
                fingerprint=keypair.fingerprint(key.body),
                state=HostKey.State.PINNED,
                accepted_by=person,
                accepted_at=now,
            )
            for server, key in keys
        ]
        HostKey.objects.bulk_create(rows, batch_size=500)
        told = ((row.server, {"fingerprint": row.fingerprint, "replaces": "", "way": "imported"}) for row in rows)
        audit.record_each(by, "accepted the host key of", told)


def refuse_host_key(server: Server, *, by: User | str | None) -> None:
    """Keeps the pinned key, if any: the offered ones are dropped. The next check asks the server again."""
    with transaction.atomic():
        refused = [key.fingerprint for key in waiting(server)]
        server.host_keys.filter(state=HostKey.State.OFFERED).delete()
        _unblock(server)
        audit.record(by, "refused the host key of", server, fingerprints=refused)


def _unblock(server: Server) -> None:
    Server.objects.filter(pk=server.pk).update(reach=Server.Reach.UNKNOWN)
    server.reach = Server.Reach.UNKNOWN
