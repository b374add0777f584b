"""Keeping a search of the server list, and dropping it."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from controlpanel.access.gate import Permission, needs
from servers import saved_filters


@require_POST
@needs(Permission.VIEW)
def keep(request):
    query = request.POST.get("query", "")[:2000]
    try:
        kept = saved_filters.keep(request.user, request.POST.get("name", ""), query)
    except ValidationError as error:
        for text in error.messages:
            messages.error(request, text)
        return redirect(f"{reverse('servers:list')}?{saved_filters.normal(query)}")
    return redirect(f"{reverse('servers:list')}?{kept.query}")


@require_POST
@needs(Permission.VIEW)
def delete(request, pk: int):
    if not saved_filters.delete(request.user, pk):
        raise Http404
    return redirect("servers:list")
