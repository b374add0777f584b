"""The one place that says no.

Django's LoginRequiredMiddleware stands before it, so a view somebody forgot to decorate is closed to strangers; the few
views for them say `login_not_required`, and tests/access/test_gate.py holds the list."""

from collections.abc import Callable
from enum import Enum
from functools import wraps

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse

from controlpanel.access.models import Role, User


class Permission(Enum):
    VIEW = "view"  # see the servers one may see, their jobs and states
    RUN = "run"  # run actions on them
    EDIT_SERVERS = "edit-servers"  # add, change, archive, delete; host keys; SSH keys
    USE_SHARED = "use-shared"  # choose a shared SMTP provider by its name
    SETTINGS = "settings"  # SMTP providers, default credentials, Load defaults
    PEOPLE = "people"  # users and roles
    AUDIT = "audit"  # the audit log


_GRANTS: dict[str, frozenset[Permission]] = {
    Role.ADMINISTRATOR: frozenset(Permission),
    Role.OPERATOR: frozenset({Permission.VIEW, Permission.RUN, Permission.USE_SHARED}),
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.CUSTOMER: frozenset({Permission.VIEW, Permission.RUN}),
}


def may(user: User, permission: Permission) -> bool:
    return bool(user.is_authenticated and user.is_active and permission in _GRANTS.get(user.role, frozenset()))


def own_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """View decorator for what concerns only the person who is signed in: any role."""

    @wraps(view)
    def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return view(request, *args, **kwargs)

    guarded.permission = None
    return guarded


def needs(permission: Permission) -> Callable:
    """View decorator: strangers are sent to sign in; a person without the permission gets 404, not a hint."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not may(request.user, permission):
                raise Http404
            return view(request, *args, **kwargs)

        guarded.permission = permission
        return guarded

    return decorate
