"""Check connection: the panel's own action on every server, a hidden service of the catalogue."""

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
from servers.remote.host import Limits, RemoteError

CHECK = "server.check"
_TITLES = {
    "name": "Name",
    "tcp": "TCP connection",
    "ssh": "SSH",
    "host-key": "Host key",
    "sign-in": "Sign-in",
    "root": "Root access",
}


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
    """Looks stage by stage, each a step of the job; what it found stays with the server. Changes nothing there."""
    found = Found(run)
    error: RemoteError | None = None
    try:
        _look(run, found)
    except RemoteError as failure:
        error = failure
        found.failed(failure)
    _keep(run.server, found, error)
    if error is not None:
        return Conclusion(False, str(error), cause=error.cause, hint=error.hint, result={"stages": found.stages})
    return Conclusion(True, f"The connection to {run.server.name} works.", result={"stages": found.stages})


class Found:
    """The stages so far: [{"slug", "title", "state": ok | warn | fail, "text", "evidence", "hint"}]."""

    def __init__(self, run: Run):
        self.run, self.stages = run, []

    def passed(self, slug: str, evidence: str) -> None:
        with self.run.step(slug, _TITLES[slug]) as step:
            step.line(evidence)
        self._add(slug, "ok", evidence)

    def failed(self, error: RemoteError) -> None:
        """The first stage that has not passed is the one that failed."""
        done = {stage["slug"] for stage in self.stages}
        slug = next(slug for slug in _TITLES if slug not in done)
        if error.cause in ("host-key-changed", "host-key-unknown"):
            slug = "host-key"
        with self.run.step(slug, _TITLES[slug]) as step:
            step.line(str(error))
            step.failed()
        self._add(slug, "fail", str(error), hint=error.hint)

    def _add(self, slug: str, state: str, text: str, hint: str = "") -> None:
        text = self.run.masked(text)
        self.stages.append(
            {"slug": slug, "title": _TITLES[slug], "state": state, "text": text, "evidence": "", "hint": hint}
        )


def _look(run: Run, found: Found) -> None:
    from servers.remote import ssh  # paramiko is loaded by workers, not by web processes

    server = run.server
    if server.reach == Server.Reach.KEY_CHANGED or trust.pinned(server) is None:
        jump = server.jump.login() if server.jump else None
        trust.offer_host_keys(server, ssh.offered_keys(server.address, server.port, jump))
        raise HostKeyChanged if server.reach == Server.Reach.KEY_CHANGED else HostKeyUnknown
    login = server.login()
    for secret in login.secrets():
        run.mask(secret)
    try:
        host = ssh.connect(login, passed=found.passed)
    except HostKeyChanged:
        trust.offer_host_keys(server, ssh.offered_keys(server.address, server.port, login.jump))
        raise
    try:
        host.run("id -u", limits=Limits(total=30, idle=15))
        found.passed("root", server.get_sudo_display())
    finally:
        host.close()


def _keep(server: Server, found: Found, error: RemoteError | None) -> None:
    """Onto the row, unless a person moved the server elsewhere meanwhile. A block is never lifted here."""
    same = Server.objects.filter(pk=server.pk, address=server.address, port=server.port, user=server.user)
    same.update(findings={"stages": found.stages, "facts": {}}, checked_at=timezone.now())
    reach = Server.Reach.FAILED if error else Server.Reach.OK
    if isinstance(error, HostKeyUnknown):
        reach = Server.Reach.UNKNOWN
    same.exclude(reach=Server.Reach.KEY_CHANGED).update(reach=reach)


SERVICE = Service(
    slug="server",
    label="Server",
    actions=(Action("check", "Check connection", "checked the connection of", Permission.RUN, run, mutating=False),),
    panel="",
    context=lambda request, server: {},
    urls="",
    states=lambda servers: {},
    hidden=True,
)
