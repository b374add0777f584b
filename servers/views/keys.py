"""Settings → SSH keys: the pairs the panel signs in with. Their private halves are never shown."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from servers import sshkeys
from servers.forms import AddKeyForm, KeyNameForm
from servers.models import Server, SshKey
from servers.remote.secret import Secret

SHOWN = 20  # servers named on the page of a key; the rest is counted


@needs(Permission.EDIT_SERVERS)
def index(request: HttpRequest) -> HttpResponse:
    live = Count("server", filter=Q(server__archived_at__isnull=True))
    keys = SshKey.objects.annotate(used=live, archived=Count("server") - live).order_by("-is_default", "name")
    lines = [(key, key.public.split()[0].removeprefix("ssh-"), sshkeys.fingerprint(key)) for key in keys]
    return page.render(request, "servers/keys.html", {"lines": lines})


@needs(Permission.EDIT_SERVERS)
@sensitive_post_parameters()
def add(request: HttpRequest) -> HttpResponse:
    form = AddKeyForm(request.POST or None)
    if request.method != "POST":
        return page.render(request, "servers/key_add.html", {"form": form})
    if form.is_valid():
        typed = form.cleaned_data
        try:
            added = sshkeys.add(Secret(typed["private_key"]), typed["name"], by=request.user)
        except ValidationError as error:
            form.complain(error)
        else:
            return page.go(request, "keys:key", added.pk)
    return page.refused(request, "servers/key_add.html", {"form": form})


@needs(Permission.EDIT_SERVERS)
def key(request: HttpRequest, pk) -> HttpResponse:
    found = get_object_or_404(SshKey, pk=pk)
    form = KeyNameForm(request.POST or None, initial={"name": found.name})
    if request.method == "POST" and form.is_valid():
        try:
            sshkeys.rename(found, form.cleaned_data["name"], by=request.user)
        except ValidationError as error:
            found.refresh_from_db()
            form.complain(error)
        else:
            messages.success(request, "The name was saved.")
            return page.go(request, "keys:list")
    servers = Server.objects.filter(ssh_key=found)
    context = {
        "form": form,
        "key": found,
        "fingerprint": sshkeys.fingerprint(found),
        "servers": servers.order_by("archived_at", "name")[:SHOWN],
        "more": max(0, servers.count() - SHOWN),
        "paste_command": sshkeys.paste_command(found),
    }
    return page.render(request, "servers/key.html", context, status=page.REFUSED if form.errors else 200)


@needs(Permission.EDIT_SERVERS)
def delete(request: HttpRequest, pk) -> HttpResponse:
    found = get_object_or_404(SshKey, pk=pk)
    if request.method == "POST":
        try:
            sshkeys.delete(found, by=request.user)
            messages.success(request, f"{found.name} was deleted.")
        except sshkeys.InUse as error:
            messages.error(request, f"{error} {error.hint}")
        return page.go(request, "keys:list")
    context = {
        "heading": f"Delete {found.name}?",
        "effects": [
            "Both halves of the key are deleted from this panel.",
            "Nothing changes on any server: remove its line from authorized_keys there if it stands in one.",
        ],
        "verb": f"Delete {found.name}",
        "cancel_url": reverse("keys:key", args=[found.pk]),
    }
    return page.render(request, "components/confirm.html", context)
