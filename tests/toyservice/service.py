"""A note kept in a file of the server: the smallest service that observes, plans, applies and concludes."""

from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.lookups import Exact

from controlpanel.access.gate import Permission
from servers.catalog import Action, Service, State
from servers.jobs.models import Job, Status
from tests.toyservice import actions


def states(servers) -> dict:
    last = {
        job.server_id: job.status
        for job in Job.objects.filter(server__in=list(servers), action="toy.set").order_by("pk")
    }
    return {pk: State("working" if status == Status.SUCCEEDED else "unknown") for pk, status in last.items()}


def in_state(word: str) -> Q:
    last = Job.objects.filter(server=OuterRef("pk"), action="toy.set").order_by("-pk").values("status")[:1]
    asked = Exists(Job.objects.filter(server=OuterRef("pk"), action="toy.set"))
    succeeded = Exact(Subquery(last), Status.SUCCEEDED)
    words = {"working": Q(succeeded), "unknown": Q(asked) & ~Q(succeeded), "absent": ~Q(asked)}
    return words.get(word, Q(pk__in=[]))


def _action(slug: str, label: str, run, **kinds) -> Action:
    return Action(slug=slug, label=label, done="done", permission=Permission.RUN, run=run, **kinds)


SERVICE = Service(
    slug="toy",
    label="Note",
    actions=(
        _action("set", "Write the note", actions.write_note),
        _action("remove", "Remove the note", actions.remove_note, danger=True),
        _action("look", "Look at the note", actions.look, mutating=False),
        _action("fail", "Fail", actions.fail),
        _action("crash", "Crash", actions.crash),
        _action("unreachable", "Be unreachable", actions.unreachable),
        _action("hang", "Wait until cancelled", actions.hang),
        _action("lose", "Lose contact", actions.lose),
        _action("chatter", "Print a lot", actions.chatter, mutating=False),
    ),
    panel="toy/panel.html",
    context=lambda request, server: {"last": server.jobs.filter(action="toy.set").first()},
    urls="tests.toyservice.urls",
    states=states,
    in_state=in_state,
)
