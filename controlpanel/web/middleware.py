"""What every answer gets that no library in use gives it."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect

_DENIED = ("camera", "microphone", "geolocation", "payment", "usb", "serial", "midi", "display-capture")
POLICY = ", ".join([*(f"{feature}=()" for feature in _DENIED), "publickey-credentials-get=(self)"])


class PermissionsPolicy(MiddlewareMixin):
    """Pages of the panel may use passkeys and nothing else of the device."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response.headers["Permissions-Policy"] = POLICY
        return response


class SignInAgain(MiddlewareMixin):
    """When a session ends under a page that refreshes itself, the whole window goes to sign in and comes back. Without
    this htmx would follow the redirect and put the sign-in page into the refreshed part."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.headers.get("HX-Request") != "true" or response.status_code != 302:
            return response
        sign_in = resolve_url(settings.LOGIN_URL)
        if urlsplit(response.url).path != sign_in:
            return response
        back = urlsplit(request.headers.get("HX-Current-URL", "")).path or "/"
        return HttpResponseClientRedirect(f"{sign_in}?{urlencode({'next': back})}")
