"""Whether a server answers the panel's regular looks. One look without an answer is a doubt, two in a row are a fact,
and one answer ends both. What a person's own check finds counts at once (see servers.checking)."""

from django.db.models import F
from django.utils import timezone

from servers import trust
from servers.models import Server
from servers.remote.errors import HostKeyChanged
from servers.remote.host import RemoteError

ENOUGH = 2  # misses in a row that make a server unreachable
_MENDED = (Server.Reach.FAILED, Server.Reach.UNKNOWN)  # a look that signs in and becomes root proves these wrong


def answered(server: Server) -> None:
    """A regular look signed in there, became root and was answered."""
    rows = _same(server)
    rows.exclude(misses=0).update(misses=0, missed_since=None)
    stage = {"slug": "root", "title": "Regular look", "state": "ok", "text": "The server answered.", "hint": ""}
    findings = {"stages": [stage], "facts": server.findings.get("facts", {})}
    rows.filter(reach__in=_MENDED).update(reach=Server.Reach.OK, checked_at=timezone.now(), findings=findings)


def missed(server: Server, error: RemoteError, told: str) -> int:
    """A regular look failed. told: the error as it may be kept, masked. Returns how many failed in a row."""
    if isinstance(error, HostKeyChanged) and not error.at_jump:
        trust.offer_host_keys(server, [error.offered] if error.offered else [])
    now, rows = timezone.now(), _same(server)
    rows.filter(missed_since__isnull=True).update(missed_since=now)
    rows.update(misses=F("misses") + 1)
    misses = rows.values_list("misses", flat=True).first() or 0
    if misses >= ENOUGH:
        stage = {"slug": "tcp", "title": "Regular look", "state": "fail", "text": told, "hint": error.hint}
        findings = {"stages": [stage], "facts": server.findings.get("facts", {})}
        well = rows.filter(reach__in=(Server.Reach.OK, Server.Reach.UNKNOWN))
        well.update(reach=Server.Reach.FAILED, checked_at=now, findings=findings)
    return misses


def _same(server: Server):
    """The row, unless a person moved the server elsewhere meanwhile."""
    return Server.objects.filter(pk=server.pk, address=server.address, port=server.port, user=server.user)
