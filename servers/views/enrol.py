"""Adding a server: where, whom to trust, how to sign in, and a first check. Three steps on one page; without JavaScript
the same page after each POST."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from servers import catalog, checking, inventory, sshkeys, trust
from servers.forms import SignInForm, WhereForm
from servers.jobs import machine
from servers.models import Server
from servers.views import signin
from servers.views.reach import one


@needs(Permission.EDIT_SERVERS)
def add(request):
    form = WhereForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = form.values()
        sudo = Server.Sudo.NONE if values["user"] == "root" else Server.Sudo.NOPASSWD
        try:
            server = inventory.add(by=request.user, sudo=sudo, **values)
        except ValidationError as error:
            form.complain(error)
        else:
            checking.ask(server, by=request.user)
            return page.go(request, "servers:setup", server.pk)
    return page.render(request, "servers/add.html", {"form": form}, status=page.REFUSED if form.errors else 200)


@needs(Permission.EDIT_SERVERS)
def setup(request, pk):
    return _page(request, one(request, pk))


@needs(Permission.EDIT_SERVERS)
@require_POST
@sensitive_post_parameters()
def sign_in(request, pk):
    server = one(request, pk)
    form = SignInForm(request.POST, server=server)
    if changed := signin.settled(server, form, by=request.user):
        checking.ask(changed, by=request.user)
        return page.go(request, "servers:setup", changed.pk)
    return _page(request, server, form, page.REFUSED)


def _page(request, server: Server, form: SignInForm | None = None, status: int = 200):
    pinned, check = trust.pinned(server), checking.live(server)
    key = sshkeys.panel_key(by=request.user)
    context = {
        "server": server,
        "form": form or SignInForm(server=server),
        "pinned": pinned,
        "waiting": trust.waiting(server),
        "check": check,
        "last": checking.last(server),
        "checked": _checked_since(server, pinned),
        "installs": [action.label for service in catalog.services() for action in service.actions if _installs(action)],
        "public_key": key.public,
        "paste_command": sshkeys.paste_command(key),
        "ready": server.reach == Server.Reach.OK and check is None,
    }
    context["now"] = 2 if context["waiting"] or pinned is None else 4 if check or context["ready"] else 3
    return page.render(request, "servers/setup.html", context, status=status)


def _checked_since(server: Server, pinned) -> bool:
    """Whether the last check is about the accepted key; the first contact only read it."""
    return bool(pinned and server.checked_at and (not pinned.accepted_at or server.checked_at > pinned.accepted_at))


def _installs(action: catalog.Action) -> bool:
    return action.slug == "install"


@needs(Permission.EDIT_SERVERS)
@require_POST
def pin(request, pk):
    server = one(request, pk)
    earlier = trust.pinned(server)
    try:
        key = trust.pin_host_key(server, request.POST.get("fingerprint", ""), by=request.user)
    except ValidationError as error:
        messages.error(request, f"{' '.join(error.messages)} Check the connection again to see what it offers now.")
    else:
        messages.success(request, f"The host key {key.fingerprint} is accepted.")
        if earlier:
            machine.look_again(server)
            checking.ask(server, by=request.user)
    return _back(request, server)


@needs(Permission.EDIT_SERVERS)
@require_POST
def refuse(request, pk):
    server = one(request, pk)
    trust.refuse_host_key(server, by=request.user)
    messages.warning(request, f"The offered host key is refused. Nothing is sent to {server.address} with it.")
    return _back(request, server)


@needs(Permission.RUN)
@require_POST
def check(request, pk):
    server = one(request, pk)
    checking.ask(server, by=request.user)
    return _back(request, server)


def _back(request, server: Server):
    return page.go(request, "servers:setup" if request.POST.get("from") == "setup" else "servers:server", server.pk)
