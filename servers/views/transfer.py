"""Servers in from a file and out to one. An import is a dry run until somebody says yes."""

from dataclasses import replace

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.utils import timezone
from django.views.decorators.http import require_GET

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from controlpanel.web.listing import narrow
from servers import exports, imports, selecting, sshkeys, validators
from servers.forms import Text
from servers.jobs.launch import launch
from servers.models import HostKey, Server
from servers.transfer import delimited, formats
from servers.transfer.reading import MAX_BYTES
from servers.views import listing

SHOWN = 200


class ImportForm(forms.Form):
    KINDS = [(formats.AUTO, "Recognise it"), *((f.slug, f.label) for f in formats.FORMATS.values())]

    file = forms.FileField(label="File", required=False, allow_empty_file=True)
    text = forms.CharField(
        label="Or paste it here",
        required=False,
        strip=False,
        max_length=1_000_000,
        widget=forms.Textarea(attrs={"rows": 6, "class": "font-monospace", "spellcheck": "false", "wrap": "off"}),
    )
    kind = forms.ChoiceField(label="Format", choices=KINDS, initial=formats.AUTO)
    user = Text(
        label="User name",
        initial="root",
        max_length=32,
        validators=[validators.posix_user],
        help_text="For servers of which the file does not say it.",
    )
    tag = Text(
        label="Tag for all of them",
        required=False,
        validators=[validators.tag],
        help_text="To find them again. Leave it empty for none.",
    )

    def clean(self) -> dict:
        values = super().clean()
        if "file" not in self.errors and not values.get("file") and not values.get("text", "").strip():
            self.add_error("file", "Choose a file, or paste its text.")
        return values

    def draft(self) -> imports.Draft:
        values, file = self.cleaned_data, self.cleaned_data["file"]
        data = file.read(MAX_BYTES + 1) if file else values["text"]
        source = file.name if file else "pasted text"
        tag = values["tag"].lower()
        return imports.draft(data, values["kind"], source=source, user=values["user"], tag=tag)


@needs(Permission.EDIT_SERVERS)
def start(request):
    initial = {"tag": f"imported-{timezone.localdate():%Y-%m-%d}"}
    form = ImportForm(request.POST or None, request.FILES or None, initial=initial)
    problems = ()
    if request.method == "POST" and form.is_valid():
        made = form.draft()
        if made.usable:
            imports.keep(made, request.user)
            return page.go(request, "servers:import-draft", made.token)
        problems = made.problems
    context = {"form": form, "problems": problems, "fields": delimited.FIELDS}
    return page.render(request, "servers/import.html", context, status=page.REFUSED if form.errors or problems else 200)


@needs(Permission.EDIT_SERVERS)
def draft(request, token):
    made = imports.find(token, request.user)
    if made is None and imports.result(token, request.user):
        return page.go(request, "servers:import-done", token)
    if made is None:
        messages.warning(request, "This import is no longer kept. Choose the file again; nothing was added.")
        return page.go(request, "servers:import")
    if request.method == "POST" and "map" in request.POST:
        return _map(request, made)
    columns, judged = made.judged()
    if request.method == "POST":
        if request.POST.get("count") == str(len(judged.add)) and judged.add:
            return _add(request, made, judged.add)
        messages.warning(request, "The servers in the panel changed meanwhile. Look again; nothing was added.")
    problems = [replace(found, field=delimited.LABELS.get(found.field, found.field)) for found in judged.problems]
    faults = [problem for problem in problems if not problem.notice]
    context = {
        "draft": made,
        "format": formats.FORMATS[made.kind].label,
        "columns": columns,
        "unmapped": made.kind == "csv" and not any(column.field in ("name", "address") for column in columns),
        "fields": delimited.LABELS.items(),
        "add": judged.add,
        "shown": judged.add[:SHOWN],
        "keys": sum(1 for row in judged.add if row.host_key),
        "there": judged.there,
        "there_shown": judged.there[:SHOWN],
        "faults": faults,
        "more": judged.more,
        "fault_lines": len({problem.line for problem in faults}),
        "notices": [problem for problem in problems if problem.notice],
    }
    return page.render(request, "servers/import_draft.html", context)


def _map(request, made: imports.Draft):
    if made.table is None:
        return page.go(request, "servers:import-draft", made.token)
    chosen = {at: request.POST.get(f"column-{at}", "") for at in range(made.table.width)}
    try:
        made.mapping = imports.columns_chosen(chosen)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        imports.keep(made, request.user)
    return page.go(request, "servers:import-draft", made.token)


def _add(request, made: imports.Draft, rows):
    try:
        servers = imports.add_many(rows, by=request.user, source=made.source)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return page.go(request, "servers:import-draft", made.token)
    imports.finish(made, servers, request.user)
    return page.go(request, "servers:import-done", made.token)


@needs(Permission.EDIT_SERVERS)
def done(request, token):
    """What was added, and the first check of all of it, which reads the host keys nobody brought along."""
    result = imports.result(token, request.user)
    if result is None:
        return page.go(request, "servers:list")
    servers = Server.objects.live().filter(pk__in=result["servers"])
    if request.method == "POST" and (found := list(servers)):
        return page.go(request, "jobs:batch", launch("server.check", found, by=request.user).pk)
    pinned = HostKey.objects.filter(server__in=servers, state=HostKey.State.PINNED)
    counts = servers.aggregate(all=Count("pk"))
    context = {"count": len(result["servers"]), "left": counts["all"], "keys": pinned.count(), "tag": result["tag"]}
    context["keyless"] = counts["all"] - context["keys"]
    context["paste_command"] = sshkeys.paste_command(sshkeys.panel_key(by=request.user))
    return page.render(request, "servers/import_done.html", context)


@needs(Permission.EDIT_SERVERS)
@require_GET
def export(request):
    """The servers the list shows for the same query; without a format, the page to choose one."""
    mine = Server.objects.visible_to(request.user).live()
    found, chosen = narrow(mine, request.GET, search=selecting.SEARCH, filters=listing.filters(request.user))
    servers = Server.objects.filter(pk__in=found.order_by().values("pk"))
    wanted = formats.FORMATS.get(request.GET.get("format", ""))
    if wanted:
        return page.text_download(wanted.filename, formats.write(exports.rows(servers), wanted.slug))
    query = request.GET.copy()
    query.pop("format", None)
    context = {"formats": formats.FORMATS.values(), "count": servers.count(), "query": query.urlencode()}
    context["narrowed"] = bool(chosen or request.GET.get("q"))
    return page.render(request, "servers/export.html", context)
