"""Check connection: the panel's own action on every server, a hidden service of the catalogue."""

from controlpanel.access.models import User
from servers.jobs import launch
from servers.jobs.models import Job
from servers.models import Server

CHECK = "server.check"


def ask(server: Server, *, by: User | None) -> Job | None:
    """A check that is on its way, or a new one: impatient clicks make no queue. None for an archived server."""
    if server.archived_at:
        return None
    return live(server) or launch.launch(CHECK, [server], by=by).jobs.get()


def live(server: Server) -> Job | None:
    return server.jobs.live().filter(action=CHECK).first()


def last(server: Server) -> Job | None:
    return server.jobs.filter(action=CHECK).first()
