"""What the texts of jobs and states must not tell about SMTP providers, and to whom."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from django.db.models import Q

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import AuditEntry, User
from gateway.models import Smarthost
from servers.remote.secret import MASK

WORDS = {"host": "the SMTP provider", "username": MASK}


def private(viewer: User, servers: Iterable) -> dict:
    """{server id: {text: what stands in its place}}: the hosts and user names of shared providers, and of values made
    from one, for whoever may not see the settings. Values typed for a server itself stay readable there."""
    servers = set(servers)
    if not servers or may(viewer, Permission.SETTINGS):
        return {}
    shared, hidden, own = dict(_former()), defaultdict(dict), defaultdict(set)
    rows = Smarthost.objects.filter(Q(server__isnull=True) | Q(server__in=servers))
    for server, confidential, *details in rows.values_list("server_id", "confidential", *WORDS):
        texts = {text: word for text, word in zip(details, WORDS.values(), strict=True) if text}
        if server is None:
            shared |= texts
        elif confidential:
            hidden[server] |= texts
        else:
            own[server] |= {text.lower() for text in texts}
    return {
        server: {text: word for text, word in (shared | hidden[server]).items() if text.lower() not in own[server]}
        for server in servers
    }


def _former() -> Iterator[tuple[str, str]]:
    """A provider is edited or deleted, and the jobs of that time still name what it was: the audit log knows it."""
    entries = AuditEntry.objects.filter(subject_kind=Smarthost._meta.verbose_name)
    for detail in entries.order_by().values_list("detail", flat=True):
        changed = detail.get("changed", {})
        for name, word in WORDS.items():
            for text in (detail.get(name), *changed.get(name, ())):
                if text:
                    yield text, word
