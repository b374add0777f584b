"""Alerts on servers that show another host key than the accepted one. Read off the servers' own state, so that whatever
blocks or releases one is heard of, a server that moved to another address included."""

from servers.alerts import raising
from servers.alerts.models import Trouble
from servers.models import Server

KIND = "host-key-changed"
TEXT = "The server shows another host key than the accepted one"
HINT = (
    "The panel does nothing there until a person answers. After a new installation, compare the fingerprint on the "
    "server's own console and accept it. If nobody changed the server, somebody may stand in between: accept nothing."
)


def watch() -> None:
    """Raises for servers that were blocked since the last call, recovers those a person has answered for."""
    changed = Server.objects.filter(reach=Server.Reach.KEY_CHANGED, archived_at__isnull=True)
    told = Trouble.objects.open().filter(kind=KIND)
    for server in changed.exclude(pk__in=told.values("server")):
        raising.raise_alert(KIND, server.pk, server=server, cause="changed", text=TEXT, hint=HINT)
    for subject in told.exclude(server__in=changed.values("pk")).values_list("subject", flat=True):
        raising.recovered(KIND, subject)
