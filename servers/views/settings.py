"""Changing, archiving and deleting one server."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from controlpanel.access.gate import Permission, may, needs
from controlpanel.web import page
from servers import checking, inventory, sshkeys, trust
from servers.forms import DeleteForm, PeopleForm, SignInForm, WhereForm
from servers.models import Server
from servers.views import signin
from servers.views.reach import around, one


@needs(Permission.EDIT_SERVERS)
@sensitive_post_parameters()
def settings(request, pk):
    server = one(request, pk)
    form = WhereForm(request.POST or None, server=server)
    if request.method == "POST" and form.is_valid():
        values = form.values()
        tags = values.pop("tags")
        try:
            server = inventory.change(server, by=request.user, **values)
            inventory.retag(server, tags, by=request.user)
        except ValidationError as error:
            form.complain(error)
        else:
            messages.success(request, f"{server.name} is saved.")
            return page.go(request, "servers:settings", server.pk)
    return _page(request, server, where=form)


def _page(request, server: Server, *, where=None, sign_in=None, people=None):
    key = sshkeys.panel_key(by=request.user)
    forms = {
        "where": where or WhereForm(server=server),
        "sign_in": sign_in or SignInForm(server=server),
        "people": people or PeopleForm(server=server),
    }
    context = around(request, server, "servers:settings") | forms
    context |= {
        "pinned": trust.pinned(server),
        "waiting": trust.waiting(server),
        "paste_command": sshkeys.paste_command(key),
        "public_key": key.public,
        "may_assign": may(request.user, Permission.PEOPLE),
    }
    refused = any(form.is_bound and form.errors for form in forms.values())
    return page.render(request, "servers/settings.html", context, status=page.REFUSED if refused else 200)


@needs(Permission.EDIT_SERVERS)
@require_POST
@sensitive_post_parameters()
def sign_in(request, pk):
    server = one(request, pk)
    form = SignInForm(request.POST, server=server)
    if changed := signin.settled(server, form, by=request.user):
        messages.success(request, f"The sign-in of {changed.name} is saved.")
        checking.ask(changed, by=request.user)
        return page.go(request, "servers:server", changed.pk)
    return _page(request, server, sign_in=form)


@needs(Permission.PEOPLE)
@require_POST
def people(request, pk):
    server = one(request, pk)
    form = PeopleForm(request.POST, server=server)
    if not form.is_valid():
        return _page(request, server, people=form)
    inventory.assign(server, form.cleaned_data["people"], by=request.user)
    messages.success(request, f"The people who see {server.name} are saved.")
    return page.go(request, "servers:settings", server.pk)


@needs(Permission.EDIT_SERVERS)
def archive(request, pk):
    server = one(request, pk)
    if request.method == "POST":
        try:
            inventory.archive(server, by=request.user)
        except inventory.Kept as error:
            messages.error(request, f"{error} {error.hint}")
            return page.go(request, "servers:settings", server.pk)
        messages.success(request, f"{server.name} is archived.")
        return page.go(request, "servers:list")
    return page.render(
        request,
        "components/confirm.html",
        {
            "heading": f"Archive {server.name}",
            "effects": [
                f"{server.name} leaves the server list and takes no more jobs.",
                "Nothing changes on the machine: what is installed there goes on working.",
                "Its settings and jobs are kept. You can restore it later.",
            ],
            "verb": f"Archive {server.name}",
            "cancel_url": reverse("servers:settings", args=[server.pk]),
            "calm": True,
        },
    )


@needs(Permission.EDIT_SERVERS)
@require_POST
def restore(request, pk):
    server = one(request, pk)
    inventory.restore(server, by=request.user)
    messages.success(request, f"{server.name} is back in the server list.")
    return page.go(request, "servers:server", server.pk)


@needs(Permission.EDIT_SERVERS)
def delete(request, pk):
    server = one(request, pk)
    installed = inventory.installed(server)
    form = DeleteForm(request.POST or None, server=server, installed=installed)
    if request.method == "POST" and form.is_valid():
        try:
            inventory.delete(server, by=request.user, forget=form.cleaned_data.get("forget", False))
        except inventory.Kept as error:
            form.add_error(None, f"{error} {error.hint}")
        else:
            messages.success(request, f"{server.name} is deleted from the panel.")
            return page.go(request, "servers:list")
    jobs = server.jobs.count()
    effects = [
        f"{server.name} leaves the panel, with its settings, stored passwords and {jobs} job{'s' * (jobs != 1)}.",
        "Nothing changes on the machine.",
        "The audit log keeps its entries.",
    ]
    effects += [f"{label} stays installed there, and the panel no longer watches it." for label in installed]
    context = {
        "heading": f"Delete {server.name}",
        "effects": effects,
        "form": form,
        "verb": f"Delete {server.name}",
        "cancel_url": reverse("servers:settings", args=[server.pk]),
    }
    return page.render(request, "components/confirm.html", context, status=page.REFUSED if form.errors else 200)
