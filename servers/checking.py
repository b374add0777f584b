"""Check connection: the panel's own action on every server, a hidden service of the catalogue."""

from django.db import transaction
from django.db.models import Case, F, Value, When, prefetch_related_objects
from django.utils import timezone

from controlpanel.access.gate import Permission
from controlpanel.access.models import User
from servers import trust
from servers.alerts import raising
from servers.catalog import Action, Bulk, Service
from servers.jobs import launch
from servers.jobs.models import Job
from servers.jobs.run import Conclusion, Run, rest
from servers.models import HostKey, Server
from servers.remote import clean, facts
from servers.remote.errors import HostKeyUnknown
from servers.remote.facts import ServerFacts
from servers.remote.host import PinnedKey, RemoteError

CHECK = "server.check"
_STAGE_OF = {"name": "name", "connect-timeout": "tcp", "connect-refused": "tcp", "no-route": "tcp"}


def ask(server: Server, *, by: User | None) -> Job | None:
    """A check that is on its way, or a new one: impatient clicks make no queue. None for an archived server."""
    if server.archived_at:
        return None
    return live(server) or launch.launch(CHECK, [server], by=by).jobs.get()


def live(server: Server) -> Job | None:
    return server.jobs.live().filter(action=CHECK).first()


def last(server: Server) -> Job | None:
    return server.jobs.filter(action=CHECK).first()


def learn_cloud(server: Server, stdout: bytes) -> None:
    """What it said to `facts.cloud_parts`; only where no check has looked since clouds are known."""
    if server.cloud or "cloud" in server.findings.get("facts", {}):
        return
    if found := facts.parse_server(stdout).cloud:
        server.cloud = found
        Server.objects.filter(pk=server.pk).update(cloud=found)


def run(run: Run) -> Conclusion:
    """Looks stage by stage, each a step of the job; what it found stays with the server. Changes nothing there."""
    found = Found(run)
    prefetch_related_objects([run.server], "host_keys")  # for here and for the sign-in
    blocked = run.server.reach == Server.Reach.KEY_CHANGED
    if blocked or not any(key.state == HostKey.State.PINNED for key in run.server.host_keys.all()):
        _read_keys(run, found)
    else:
        _check(run, found)
    _keep(run.server, found)
    return found.conclusion()


class Found:
    """stages: [{"slug", "title", "state": ok | warn | fail | unknown, "text", "hint"}], as kept with the server. The
    words are the server's own: cleaned, masked, shown as text. cloud: None while nobody has looked."""

    def __init__(self, run: Run):
        self.run, self.stages, self.facts = run, [], {}
        self.cloud: str | None = None

    def stage(self, slug: str, title: str, state: str, text: str = "", hint: str = "") -> None:
        with self.run.step(slug, title) as step:
            for line in filter(None, (text, hint)):
                step.line(line)
            if state == "fail":
                step.failed()
        text = self.run.masked(clean.line(text))[:500]
        self.stages.append({"slug": slug, "title": title, "state": state, "text": text, "hint": hint})

    def learn(self, seen: ServerFacts) -> None:
        known = {"debian": "Debian", "ubuntu": "Ubuntu"}.get(seen.os_id, seen.os_id)
        told = {"os": f"{known} {seen.version}", "name": seen.name, "arch": seen.arch, "hostname": seen.hostname}
        self.facts = {name: self.run.masked(clean.line(text)).strip()[:200] for name, text in told.items()}
        self.facts |= {"memory": seen.memory, "cloud": seen.cloud}
        self.cloud = seen.cloud

    @property
    def failure(self) -> dict | None:
        return next((stage for stage in self.stages if stage["state"] == "fail"), None)

    def conclusion(self) -> Conclusion:
        result = {"stages": self.stages}
        if (failure := self.failure) is not None:
            text = failure["text"] if failure["text"].endswith(".") else f"{failure['title']}: {failure['text']}."
            return Conclusion(False, text, cause=failure["slug"], hint=failure["hint"], result=result)
        warnings = [stage["title"].lower() for stage in self.stages if stage["state"] == "warn"]
        attention = f" Look at: {', '.join(warnings)}." if warnings else ""
        return Conclusion(True, f"The connection to {self.run.server.name} works.{attention}", result=result)


def _check(run: Run, found: Found) -> None:
    from servers.remote import stages  # paramiko is loaded by workers, not by web processes

    def tell(stage: stages.Stage) -> None:
        if stage.state != "skipped":
            found.stage(stage.slug, stage.title, stage.state, stage.evidence, stage.fix)

    try:
        login = run.server.login()
    except RemoteError as error:  # a jump server is blocked, or the chain is broken
        found.stage("tcp", stages.TITLES["tcp"], "fail", str(error), error.hint)
        return
    for secret in login.secrets():
        run.mask(secret)
    rest()
    stages.check(login, on_stage=tell, on_facts=found.learn)
    if found.failure and found.failure["slug"] == "host-key":
        try:
            trust.offer_host_keys(run.server, _offered(run.server))
        except RemoteError:  # a jump server's key, or the server is gone again: the stage has said enough
            return


def _read_keys(run: Run, found: Found) -> None:
    """No key is trusted yet, or a changed one waits: reads what is offered and signs in nowhere."""
    from servers.remote.stages import TITLES

    early = ("name", "tcp", "ssh")
    try:
        keys = _offered(run.server)
    except RemoteError as error:
        failed = _STAGE_OF.get(error.cause, "ssh")
        for slug in early[: early.index(failed)]:
            found.stage(slug, TITLES[slug], "ok")
        found.stage(failed, TITLES[failed], "fail", str(error), error.hint)
        return
    for slug in early:
        found.stage(slug, TITLES[slug], "ok")
    trust.offer_host_keys(run.server, keys)
    shown = trust.waiting(run.server)
    text = f"{_waiting_for(run.server)} It shows {shown[0].fingerprint}." if shown else _waiting_for(run.server)
    found.stage("host-key", TITLES["host-key"], "fail", text, HostKeyUnknown.hint)


def _waiting_for(server: Server) -> str:
    if server.reach == Server.Reach.KEY_CHANGED:
        return "The host key changed and waits for somebody to accept or refuse it."
    return "Nobody has accepted this server's host key yet."


def _offered(server: Server) -> list[PinnedKey]:
    from servers.remote import ssh

    jump = server.jump.login() if server.jump else None
    rest()
    return ssh.offered_keys(server.address, server.port, jump)


def _keep(server: Server, found: Found) -> None:
    """Onto the row, unless a person moved the server elsewhere meanwhile. A block is never lifted here."""
    same = Server.objects.filter(pk=server.pk, address=server.address, port=server.port, user=server.user)
    known = found.facts or server.findings.get("facts", {})
    noted = {"findings": {"stages": found.stages, "facts": known}, "checked_at": timezone.now()}
    noted |= {"misses": 0, "missed_since": None}  # the regular looks count anew from what a person saw
    if found.cloud is not None:
        noted["cloud"] = found.cloud
    if not (found.failure and found.failure["slug"] == "host-key"):  # then trust.offer_host_keys has said how it stands
        reach = Server.Reach.FAILED if found.failure else Server.Reach.OK
        blocked = When(reach=Server.Reach.KEY_CHANGED, then=F("reach"))
        noted["reach"] = Case(blocked, default=Value(reach))
    with transaction.atomic():  # takes its turn among the worker's threads
        same.update(**noted)
    if not found.failure:
        raising.recovered("server-unreachable", server.pk)


SERVICE = Service(
    slug="server",
    label="Server",
    actions=(Action("check", "Check connection", "checked the connection of", Permission.RUN, run, mutating=False),),
    panel="",
    context=lambda request, server: {},
    urls="",
    states=lambda servers: {},
    bulk=(
        Bulk("check", "Check connection", "servers.bulk_forms.CheckForm", Permission.RUN, front=True, at="of"),
        Bulk("tag", "Add tags", "servers.bulk_forms.AddTagsForm", Permission.EDIT_SERVERS, at="to"),
        Bulk("untag", "Remove tags", "servers.bulk_forms.RemoveTagsForm", Permission.EDIT_SERVERS, at="from"),
    ),
    hidden=True,
)
