from django.urls import path

from servers.jobs import views

app_name = "jobs"
urlpatterns = [
    path("", views.job_list, name="list"),
    path("<int:pk>/", views.job, name="job"),
    path("<int:pk>/live/", views.live, name="live"),
    path("<int:pk>/retry/", views.retry, name="retry"),
    path("<int:pk>/cancel/", views.cancel, name="cancel"),
    path("<int:pk>/log.txt", views.log, name="log"),
    path("batches/<int:pk>/", views.batch, name="batch"),
    path("batches/<int:pk>/retry/", views.retry_batch, name="batch-retry"),
    path("batches/<int:pk>/cancel/", views.cancel_batch, name="batch-cancel"),
]
