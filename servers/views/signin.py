"""What the sign-in form asks for, as verbs."""

from django.core.exceptions import ValidationError
from django.db import transaction

from controlpanel.access.models import User
from servers import inventory, sshkeys
from servers.forms import SignInForm
from servers.models import Server
from servers.remote.host import RemoteError


def settled(server: Server, form: SignInForm, *, by: User) -> Server | None:
    """The server with the form's sign-in; None when form, verb or server refuses, said in the form."""
    if not form.is_valid():
        return None
    try:
        return settle(server, form, by=by)
    except ValidationError as error:
        form.complain(error)
    except RemoteError as error:
        form.add_error(None, f"{error} {error.hint}")
    return None


def settle(server: Server, form: SignInForm, *, by: User) -> Server:
    """Does what a valid form says. Raises ValidationError, or RemoteError when a key had to be installed."""
    with transaction.atomic():
        server = inventory.change(server, by=by, **_values(form, by))
    if form.cleaned_data["method"] == form.ONCE:
        server = sshkeys.install_key_once(server, form.secret("password"), by=by)
    return server


def _values(form: SignInForm, by: User) -> dict:
    wanted = form.cleaned_data
    values = {"sign_in": Server.SignIn.KEY, "sudo": wanted.get("sudo") or Server.Sudo.NONE}
    if typed := form.secret("sudo_password"):
        values["sudo_password"] = typed
    if wanted["method"] == form.PASSWORD:
        values["sign_in"] = Server.SignIn.PASSWORD
        if typed := form.secret("password"):
            values["password"] = typed
    elif wanted["method"] == form.OWN:
        pasted = form.secret("private_key")
        values["ssh_key"] = sshkeys.own_key(pasted, by=by) if pasted else wanted["ssh_key"]
    else:
        values["ssh_key"] = sshkeys.panel_key(by=by)
    return values
