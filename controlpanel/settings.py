"""Environment in, constants out. Every variable is listed in docs/configuration.md."""

import hashlib
import os
import tempfile
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from controlpanel import keys

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def _key_file(variable: str, name: str) -> Path:
    """Where a key lies: named by the environment, as container secrets are, else in the data folder."""
    return Path(env.str(variable, str(DATA_DIR / "keys" / name)))


def _socket_in(folder: Path) -> Path:
    """The broker's socket; moved to the temporary folder when the path passes the kernel's 107 bytes."""
    path = folder / "broker" / "broker.sock"
    if len(os.fsencode(path)) < 100:
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"fleetpost-{os.getuid()}-{digest}" / "broker.sock"


DATA_DIR = Path(env.str("FLEETPOST_DATA", str(BASE_DIR / "var"))).resolve()
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

DEBUG = env.bool("FLEETPOST_DEBUG", False)
SITE_URL = env.str("FLEETPOST_URL", "http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.list("FLEETPOST_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
if "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("FLEETPOST_HOSTS must name the panel's host names; '*' would trust any Host header.")
CSRF_TRUSTED_ORIGINS = [SITE_URL]
HTTPS = SITE_URL.startswith("https://")

SECRET_KEY = keys.signing_key(_key_file("FLEETPOST_SIGNING_KEY_FILE", "signing"))
VAULT_KEYS = keys.vault_keys(_key_file("FLEETPOST_VAULT_KEYS_FILE", "vault"))

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "controlpanel",
    "controlpanel.access",
    "controlpanel.web",
    "servers",
    "servers.alerts",
    "servers.jobs",
    "gateway",
    "gateway.deliverability",
]
AUTH_USER_MODEL = "access.User"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "controlpanel.web.middleware.PermissionsPolicy",
    "controlpanel.web.middleware.SignInAgain",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "controlpanel.urls"
ASGI_APPLICATION = "controlpanel.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "controlpanel.web.page.frame",
            ],
        },
    }
]

if env.str("FLEETPOST_DATABASE_HOST", ""):
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": env.str("FLEETPOST_DATABASE_HOST"),
            "PORT": env.int("FLEETPOST_DATABASE_PORT", 5432),
            "NAME": env.str("FLEETPOST_DATABASE_NAME", "fleetpost"),
            "USER": env.str("FLEETPOST_DATABASE_USER", "fleetpost"),
            "PASSWORD": Path(env.str("FLEETPOST_DATABASE_PASSWORD_FILE")).read_text().strip(),
            "OPTIONS": {"pool": {"min_size": 2, "max_size": env.int("FLEETPOST_DATABASE_POOL", 20)}},
        }
    }
else:
    # IMMEDIATE takes the write lock at BEGIN: without it threads deadlock on the upgrade ("database is locked").
    DATABASES = {
        "default": {
            "ENGINE": "controlpanel.sqlite3",
            "NAME": DATA_DIR / "fleetpost.sqlite3",
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_SOCKET = _socket_in(DATA_DIR)
EMBEDDED_BROKER = not env.str("FLEETPOST_BROKER_URL", "")
CELERY_BROKER_URL = env.str("FLEETPOST_BROKER_URL", f"redis+socket://{BROKER_SOCKET}")
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# kombu's default sweeps unacknowledged messages each 100 s; a killed worker's bell must ring again sooner.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "socket_timeout": 20,
    "socket_connect_timeout": 5,
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.str("FLEETPOST_CACHE_URL", f"unix://{BROKER_SOCKET}?db=1"),
    }
}

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "controlpanel.access.adapter.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
MFA_ADAPTER = "controlpanel.second_factor.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Fleetpost"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
USERSESSIONS_TRACK_ACTIVITY = False  # it writes a row on every request, polls included

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True  # htmx sends the token the page carries
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("FLEETPOST_BEHIND_PROXY", False) else None
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
WHITENOISE_USE_FINDERS = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("FLEETPOST_LOG_LEVEL", "INFO")},
    "loggers": {"paramiko": {"level": "WARNING"}},
}

JOB_LEASE_SECONDS = 20
JOB_HEARTBEAT_SECONDS = 5
# Most of them wait for servers: a dead one takes its thread for ten seconds, and costs nothing else.
WORKER_THREADS = env.int("FLEETPOST_WORKER_THREADS", 256)
HEALTH_MINUTES = env.int("FLEETPOST_HEALTH_MINUTES", 30)  # between two regular looks at a gateway; 0: none
SIGN_IN_HOURS = env.int("FLEETPOST_SIGN_IN_HOURS", 24)  # between two tries of the account from a server; 0: none
BLOCKLISTS = env.bool("FLEETPOST_BLOCKLISTS", True)  # whether checks of domains ask public blocklists
JOB_KEEP_LINES_DAYS = env.int("FLEETPOST_KEEP_OUTPUT_DAYS", 30)
JOB_KEEP_LINES = env.int("FLEETPOST_KEEP_OUTPUT_LINES", 5_000_000)
JOB_KEEP_DAYS = env.int("FLEETPOST_KEEP_JOBS_DAYS", 365)
