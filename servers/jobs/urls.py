from django.urls import path

from servers.jobs.views import batches, jobs, pausing

app_name = "jobs"
urlpatterns = [
    path("", jobs.job_list, name="list"),
    path("pause/", pausing.pause, name="pause"),
    path("resume/", pausing.resume, name="resume"),
    path("<int:pk>/", jobs.job, name="job"),
    path("<int:pk>/live/", jobs.live, name="live"),
    path("<int:pk>/retry/", jobs.retry, name="retry"),
    path("<int:pk>/cancel/", jobs.cancel, name="cancel"),
    path("<int:pk>/log.txt", jobs.log, name="log"),
    path("batches/", batches.batches, name="batches"),
    path("batches/<int:pk>/", batches.batch, name="batch"),
    path("batches/<int:pk>/report.csv", batches.report_csv, name="batch-csv"),
    path("batches/<int:pk>/report.json", batches.report_json, name="batch-json"),
    path("batches/<int:pk>/retry/", batches.retry_batch, name="batch-retry"),
    path("batches/<int:pk>/start/", batches.start_batch, name="batch-start"),
    path("batches/<int:pk>/cancel/", batches.cancel_batch, name="batch-cancel"),
]
