"""One template is both the whole page and its refresh."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.shortcuts import render as render_template
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

from controlpanel.access.gate import Permission, may
from controlpanel.web import nav

REFUSED = 422  # a form that keeps what was typed; htmx swaps it like a 200
FINISHED = 286  # htmx swaps the answer and stops asking


def _fragment_asked(request: HttpRequest) -> bool:
    htmx = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render(request: HttpRequest, template: str, context: dict | None = None, status: int = 200) -> HttpResponse:
    """The whole page; to htmx only its blocks `title` and `content`. Boosted links get the whole page."""
    response = render_template(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Boosted"])
    add_never_cache_headers(response)
    return response


def refused(request: HttpRequest, template: str, context: dict | None = None) -> HttpResponse:
    """A form with its complaints beside the fields."""
    return render(request, template, context, status=REFUSED)


def stop_polling(request: HttpRequest, template: str, context: dict | None = None) -> HttpResponse:
    """The last refresh of a live part: htmx shows it and asks no more. A browser without htmx gets a plain 200."""
    return render(request, template, context, status=FINISHED if _fragment_asked(request) else 200)


def go(request: HttpRequest, to, *args, **kwargs) -> HttpResponse:
    """After a verb: to the page that shows its result. `to` as in django.shortcuts.redirect."""
    response = redirect(to, *args, **kwargs)
    return HttpResponseClientRedirect(response.url) if _fragment_asked(request) else response


def text_download(filename: str, content: str) -> HttpResponse:
    """Remote output as a file: never interpreted by a browser, whatever it contains."""
    return HttpResponse(
        content,
        content_type="text/plain; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{filename}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


def frame(request: HttpRequest) -> dict:
    """Context processor: what the page around the content needs. `may.run`, `may.edit_servers` … for templates."""
    user = getattr(request, "user", None)
    known = user is not None and user.is_authenticated
    return {
        "layout": "components/fragment.html" if _fragment_asked(request) else "components/whole.html",
        "theme": user.theme if known else "auto",
        "compact": known and user.compact,
        "may": {p.name.lower(): known and may(user, p) for p in Permission},
        "nav": nav.sections(request) if known else [],
    }
