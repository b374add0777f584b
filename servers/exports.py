"""Servers as rows of a file. No secret is among them; a host key is public."""

from django.db.models import Prefetch

from servers.models import HostKey, ServerQuerySet
from servers.transfer.reading import Row


def rows(servers: ServerQuerySet) -> list[Row]:
    """In order of names, in four queries."""
    pinned = Prefetch("host_keys", HostKey.objects.filter(state=HostKey.State.PINNED), to_attr="pinned")
    found = servers.order_by("name").select_related("jump").prefetch_related("tags", pinned)
    return [
        Row(
            0,
            name=server.name,
            address=server.address,
            port=str(server.port),
            user=server.user,
            tags=tuple(tag.name for tag in server.tags.all()),
            jump=server.jump.name if server.jump else "",
            note=server.note.replace("\r\n", "\n"),
            host_key=f"{server.pinned[0].kind} {server.pinned[0].body}" if server.pinned else "",
        )
        for server in found
    ]
