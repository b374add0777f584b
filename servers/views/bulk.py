"""The page between "do this with these servers" and doing it."""

from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.module_loading import import_string
from django.views.decorators.http import require_http_methods

from controlpanel.access.gate import Permission, needs
from controlpanel.access.models import User
from controlpanel.web import page
from servers import catalog, selecting
from servers.bulk import Asked, BulkForm, PolicyForm, Sorted, offered, sort_out
from servers.jobs import launch
from servers.jobs.models import Batch
from servers.models import Server
from servers.selecting import Selection
from servers.views.listing import filters

NAMES = 100  # of servers, shown in one list


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Permission.RUN)
def ask(request, service: str, slug: str):
    """Shows who is meant and what will happen; confirmed, and while the same servers are meant, does it."""
    entry = _entry(request.user, service, slug)
    data = request.POST if request.method == "POST" else request.GET
    try:
        selection = selecting.read(data)
    except selecting.TooMany as refused:
        messages.error(request, f"{refused.__doc__} {refused.hint}")
        return redirect("servers:list")
    if not selection:
        messages.info(request, f"{entry.label}: select servers first.")
        return redirect("servers:list")
    confirmed = request.method == "POST" and "confirm" in data
    if confirmed and (made := _made_already(request.user, entry, data)):
        messages.info(request, "You asked for this a moment ago: here it is.")
        return _after(request, Asked(made))
    asking = Asking(entry, selection, request.user, data, confirmed=confirmed)
    asked = asking.do() if asking.agreed else None
    if asked is None:
        return page.render(request, "servers/bulk.html", asking.context(), status=422 if asking.confirmed else 200)
    return _after(request, asked)


def _entry(viewer: User, service: str, slug: str) -> catalog.Bulk:
    found = [entry for owner, entry in offered(viewer) if (owner.slug, entry.slug) == (service, slug)]
    if not found:
        raise Http404
    return found[0]


def _newest(viewer: User, entry: catalog.Bulk) -> Batch | None:
    return Batch.objects.filter(asked_by=viewer, action=import_string(entry.form).action).order_by("-pk").first()


def _made_already(viewer: User, entry: catalog.Bulk, data: QueryDict) -> Batch | None:
    """The batch this page has made already: a second click must not send every test email twice."""
    newest = _newest(viewer, entry)
    return newest if newest and str(newest.pk) != data.get("newest", str(newest.pk)) else None


def _after(request, asked: Asked):
    if asked.told:
        messages.success(request, asked.told)
    if asked.batch is None:
        return redirect("servers:list")
    jobs = list(asked.batch.jobs.values_list("pk", flat=True)[:2])
    return redirect("jobs:job", jobs[0]) if len(jobs) == 1 else redirect("jobs:batch", asked.batch.pk)


class CountForm(forms.Form):
    """The number of servers, typed."""

    count = forms.IntegerField(label="Number of servers", widget=forms.NumberInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args, going: int, **kwargs):
        super().__init__(*args, **kwargs)
        self.going = going
        self.fields["count"].help_text = f"Type {going} to confirm."

    def clean_count(self) -> int:
        if self.cleaned_data["count"] != self.going:
            raise ValidationError(f"It is {self.going}.")
        return self.cleaned_data["count"]


class Asking:
    """What was posted so far, and who is meant by it. Until it is confirmed no field is complained about."""

    def __init__(self, entry: catalog.Bulk, selection: Selection, viewer: User, data: QueryDict, *, confirmed: bool):
        self.entry, self.selection, self.viewer, self.data, self.confirmed = entry, selection, viewer, data, confirmed
        self.try_all = "try_all" in data
        kind = import_string(entry.form)
        chosen: BulkForm = kind(data, viewer=viewer)
        self._settled = chosen if chosen.is_valid() else kind(viewer=viewer)
        servers = selecting.servers(selection, viewer, filters(viewer))
        self.sorted: Sorted = sort_out(servers, self._settled, try_all=self.try_all)
        self.digest = selecting.digest(self.sorted.going)
        self.same = data.get("digest") == self.digest
        self.form = chosen if confirmed else _filled(kind(viewer=viewer), data)
        how = PolicyForm(data, prefix="how")
        self.how = how if confirmed else _filled(PolicyForm(prefix="how"), data)
        going = len(self.sorted.going)
        typed = data if confirmed and self.same else None
        self.count = CountForm(typed, going=going, prefix="sure") if entry.danger else None

    @property
    def agreed(self) -> bool:
        forms_ = [form for form in (self.form, self.how, self.count) if form is not None]
        return bool(self.confirmed and self.same and self.sorted.going and all(form.is_valid() for form in forms_))

    def do(self) -> Asked | None:
        """None: refused, and the form says why."""
        servers = Server.objects.filter(pk__in=list(self.sorted.going))
        try:
            return self.form.ask(servers, by=self.viewer, policy=self.how.policy())
        except ValidationError as error:
            self.form.add_error(None, error)
        except (launch.Busy, launch.Archived) as refused:
            self.form.add_error(None, f"{refused} {refused.hint}")
        return None

    def context(self) -> dict:
        going, newest = self.sorted.going, _newest(self.viewer, self.entry)
        count = len(going)
        names = list(going.values())
        whom = names[0] if count == 1 else f"{count} servers"
        return {
            "entry": self.entry,
            "verb": f"{self.entry.label} {self.entry.at} {whom}",
            "going": _names(names),
            "left_out": [
                {"reason": out.reason, "can_try": out.can_try} | _names(out.names) for out in self.sorted.left_out
            ],
            "gone": max(0, len(self.selection.ids) - count - sum(len(out.names) for out in self.sorted.left_out)),
            "effects": self._settled.effects(count) if count else [],
            "carried": self.selection.fields() | {"digest": self.digest, "newest": newest.pk if newest else ""},
            "back_url": self._back(),
            "offers_try": self.try_all or any(out.can_try for out in self.sorted.left_out),
            "changed": self.confirmed and not self.same,
            "try_all": self.try_all,
            "form": self.form,
            "how": self._how(count),
            "how_open": bool(self.how.errors) or any(self.data.get(f"how-{name}") for name in self.how.fields),
            "count": self.count,
        }

    def _how(self, count: int) -> list[forms.BoundField]:
        """One server can only wait for its time."""
        if not self._settled.action:
            return []
        return [field for field in self.how.visible_fields() if count > 1 or field.name in ("start_at", "end_at")]

    def _back(self) -> str:
        query = self.selection.query
        return f"{reverse('servers:list')}?{urlencode(QueryDict(query).dict())}" if query else reverse("servers:list")


def _filled(form: forms.Form, data: QueryDict) -> forms.Form:
    """The unbound form with what was typed so far in it."""
    for name, field in form.fields.items():
        if form.add_prefix(name) in data or "digest" in data:  # a box without a tick is not in the data
            form.initial[name] = field.widget.value_from_datadict(data, {}, form.add_prefix(name))
    return form


def _names(names: list[str]) -> dict:
    return {"total": len(names), "names": names[:NAMES], "more": max(0, len(names) - NAMES)}
