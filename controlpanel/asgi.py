import gc
import os

from django.core.asgi import get_asgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")
application = get_asgi_application()

# A full collection walks every object there is, in the middle of somebody's page. What is loaded by now stays anyway,
# so it is taken out of the walk; naming the addresses loads every view.
_ = get_resolver().url_patterns
gc.collect()
gc.freeze()
