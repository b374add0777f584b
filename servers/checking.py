"""Check connection: the panel's own action on every server, a hidden service of the catalogue."""

from dataclasses import dataclass

from django.utils import timezone

from controlpanel.access.gate import Permission
from controlpanel.access.models import User
from servers import trust
from servers.catalog import Action, Service
from servers.jobs import launch
from servers.jobs.models import Job
from servers.jobs.run import Conclusion, Run
from servers.models import Server
from servers.remote.errors import HostKeyChanged, HostKeyUnknown
from servers.remote.host import Login, PinnedKey, RemoteError

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


def run(run: Run) -> Conclusion:
    return Conclusion(False, "not yet")


SERVICE = Service(
    slug="server",
    label="Server",
    actions=(
        Action("check", "Check connection", "checked the connection of", Permission.RUN, run, mutating=False),
    ),
    panel="",
    context=lambda request, server: {},
    urls="",
    states=lambda servers: {},
    hidden=True,
)
