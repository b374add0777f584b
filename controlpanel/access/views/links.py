from allauth.account.utils import perform_login
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from controlpanel.access import links, people
from controlpanel.access.forms import WelcomeForm
from controlpanel.access.gate import own_page
from controlpanel.web import page


@login_not_required
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
    response = perform_login(request, person, redirect_url=reverse("choose_password"))
    return response or redirect("account_login")


@own_page
@sensitive_post_parameters()
def choose_password(request):
    """For people a link let in. Whoever has a password changes it on the profile, where the old one is asked."""
    if request.user.has_usable_password():
        return redirect("profile")
    form = WelcomeForm(request.POST or None, person=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            people.choose_password(request.user, **form.chosen())
        except people.AlreadyHere as error:
            form.add_error("email", str(error.__doc__))
        else:
            update_session_auth_hash(request, request.user)
            messages.success(
                request, "Password saved. Add a second factor to protect it: Two-factor sign-in, below your name."
            )
            return redirect("dashboard")
    return page.render(request, "account/welcome.html", {"form": form}, status=page.REFUSED if form.errors else 200)
