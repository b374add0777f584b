"""The front page: which of mine need me?"""

from django.db import connection
from django.http import JsonResponse

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page


def healthz(request):
    """For load balancers and container health checks: answers when the database does."""
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception:  # whatever is wrong, a stranger learns no more than "not ok"
        return JsonResponse({"ok": False}, status=503)
    return JsonResponse({"ok": True})


@needs(Permission.VIEW)
def dashboard(request):
    return page.render(request, "dashboard.html", {})
