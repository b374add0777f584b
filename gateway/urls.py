from django.urls import path

from gateway import diagnosis_views, drift_views, guess_views, views

app_name = "gateway"
urlpatterns = [
    path("install/", views.install, name="install"),
    path("uninstall/", views.uninstall, name="uninstall"),
    path("preview/", views.preview, name="preview"),
    path("preview/<int:job>/", views.previewed, name="previewed"),
    path("test/", views.test, name="test"),
    path("test/<int:job>/", views.tested, name="tested"),
    path("diagnose/", diagnosis_views.diagnose, name="diagnose"),
    path("diagnosis/<int:job>/", diagnosis_views.diagnosed, name="diagnosed"),
    path("guess/", guess_views.guess, name="guess"),
    path("check/", views.check, name="check"),
    path("drift/", drift_views.drift, name="drift"),
    path("reapply/", drift_views.reapply, name="reapply"),
    path("adopt/", drift_views.adopt, name="adopt"),
    path("stop-keeping/", drift_views.stop_keeping, name="stop-keeping"),
]
