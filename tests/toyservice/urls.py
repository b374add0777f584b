from django.urls import path
from django.views.decorators.http import require_POST

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from servers.jobs import launch
from servers.models import Server

app_name = "toy"


@require_POST
@needs(Permission.RUN)
def write(request, pk):
    server = Server.objects.visible_to(request.user).get(pk=pk)
    try:
        job = launch.launch("toy.set", [server], by=request.user, options={"text": "hello"}).jobs.get()
    except launch.Busy as busy:
        job = busy.job
    return page.go(request, "jobs:job", job.pk)


urlpatterns = [path("set/", write, name="set")]
