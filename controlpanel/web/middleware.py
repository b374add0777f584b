"""Headers no library in use sets."""

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

_DENIED = ("camera", "microphone", "geolocation", "payment", "usb", "serial", "midi", "display-capture")
POLICY = ", ".join([*(f"{feature}=()" for feature in _DENIED), "publickey-credentials-get=(self)"])


class PermissionsPolicy(MiddlewareMixin):
    """Pages of the panel may use passkeys and nothing else of the device."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response.headers["Permissions-Policy"] = POLICY
        return response
