from allauth.account.utils import perform_login
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from controlpanel.access import links
from controlpanel.web import page


@sensitive_variables("token")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request, token: str):
    """A button, so that a mail scanner or link preview that opens the address does not use the link up."""
    try:
        if request.method == "POST":
            return _enter(request, links.redeem(token))
        return page.render(request, "account/sign_in_link.html", {"person": links.owner(token)})
    except links.LinkSpent as error:
        return page.render(request, "account/link_spent.html", {"hint": error.hint}, status=404)


def _enter(request, person):
    if request.user.is_authenticated:
        request.session.flush()
    response = perform_login(request, person, redirect_url=reverse("account_set_password"))
    return response or redirect("account_login")
