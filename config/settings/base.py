"""What every deployment shares.

SHARED_APPS live in schema `public`, TENANT_APPS in each tenant's schema, and no app in both: then a query
that looks in the wrong place fails instead of answering (see web/shared/tenants/checks.py). contenttypes,
auth and the admin are shared only. The database starts with no schema chosen; see web/shared/tenants/backend.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from config import storage
from config.env import BASE, KIND, database, env, required
from config.env import HOME as HOME

SECRET_KEY = required("MURIMA_SECRET_KEY", development="development-only-" + "0" * 48)
SECRET_KEY_FALLBACKS: list[str] = env.list("MURIMA_SECRET_KEY_FALLBACKS", default=[])
DEBUG = False

# Any well-formed Host passes here; the Domain table decides, and an unknown host is 404 (tenants.middleware).
ALLOWED_HOSTS = ["*"]
BASE_DOMAIN: str = env.str("MURIMA_BASE_DOMAIN", default="localhost")
PLATFORM_HOSTS: list[str] = env.list("MURIMA_PLATFORM_HOSTS", default=[BASE_DOMAIN, "127.0.0.1"])
TRUSTED_PROXIES: list[str] = env.list("MURIMA_TRUSTED_PROXIES", default=[])

SHARED_APPS = [
    # First, so that its migrate commands (which switch to the owner's role) win over django_tenants' own.
    "web.shared.tenants",
    # Before django_tenants, whose admin templates want a tenant where the platform has none.
    "django.contrib.admin",
    "django_tenants",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "web.shared.core",
    "web.shared.accounts",
    "web.shared.api",
    "web.shared.platform_admin",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
]
TENANT_APPS = [
    "web.shared.records",
    "web.tenant.reference_data",
    "web.tenant.workflows",
    "web.tenant.contacts",
    "web.tenant.cases",
    "web.tenant.communications",
    "web.tenant.calls",
    "web.tenant.documents",
    "web.tenant.tasks",
    "web.tenant.notifications",
]
# realtime brings commands, checks and rows of the permission registry, but no tables.
INSTALLED_APPS = ["daphne", *SHARED_APPS, *TENANT_APPS, "realtime"]

TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
PUBLIC_SCHEMA_NAME = "public"
PUBLIC_SCHEMA_URLCONF = "config.urls_public"
ROOT_URLCONF = "config.urls_tenant"
PG_EXTRA_SEARCH_PATHS = ["extensions"]
# That check opens a connection while the apps load; tenant ids cannot be called "extensions" anyway.
SKIP_PG_EXTRA_VALIDATION = True
TENANT_BASE_MIGRATE_COMMAND = "web.shared.tenants.migrating.Command"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
TEST_RUNNER = "django.test.runner.DiscoverRunner"

_DATABASE = "postgres://murima_app@127.0.0.1:5432/murima"
DATABASES: dict[str, Any] = {"default": database("MURIMA_DATABASE_URL", default=_DATABASE)}
# What may change tables. Never opened by a request: see web/shared/tenants/ownership.py.
DATABASE_OWNER = database(
    "MURIMA_DATABASE_OWNER_URL", default=env.str("MURIMA_DATABASE_URL", default=_DATABASE)
)
# Only its user name is used here: the grants that the daemon's role gets.
DATABASE_DAEMON = database(
    "MURIMA_DATABASE_DAEMON_URL", default=env.str("MURIMA_DATABASE_URL", default=_DATABASE)
)
_POOL: int = env.int("MURIMA_DATABASE_POOL", default=8)
# Without just-in-time compilation: a list that asks who may see what costs a millisecond to answer, and half
# a second to compile as soon as PostgreSQL expects that somebody wants all of it.
DATABASES["default"]["OPTIONS"] |= {
    "connect_timeout": 5,
    "options": "-c statement_timeout=30000 -c lock_timeout=10000 "
    "-c idle_in_transaction_session_timeout=60000 -c jit=off",
}
if _POOL:
    # An attempt that failed is given up soon, so that the first request after an outage makes a new one and
    # does not wait for a back-off that grew while nobody answered.
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 0,
        "max_size": _POOL,
        "timeout": 10,
        "reconnect_timeout": 1,
    }
# Our backend (web.shared.tenants.backend) looks at what comes from the pool.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = not _POOL
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL: str = env.str("MURIMA_REDIS_URL", default="redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_FUNCTION": "web.shared.tenants.keys.cache_key",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "realtime.layer.Layer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "murima"},
    }
}

MIDDLEWARE = [
    "web.shared.core.middleware.request_frame",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "web.shared.core.health.health_endpoints",
    "web.shared.api.middleware.problem_responses",
    "web.shared.tenants.middleware.tenant_by_host",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "web.shared.accounts.middleware.TenantAuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "web.shared.core.middleware.one_thread",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = True

# People.
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["web.shared.accounts.backends.EmailBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
]
SESSION_ENGINE = "web.shared.accounts.session_store"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "web.shared.api.errors.csrf_failure"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = KIND == "production"
# `__Host-`: bound to this very host, never sent to another tenant's.
SESSION_COOKIE_NAME = "__Host-murima" if SESSION_COOKIE_SECURE else "murima_session"
CSRF_COOKIE_NAME = "__Host-murima-csrf" if CSRF_COOKIE_SECURE else "murima_csrf"

# Whoever runs the platform proves a second factor, too.
PLATFORM_MFA_REQUIRED: bool = env.bool("MURIMA_PLATFORM_MFA_REQUIRED", default=KIND == "production")
ACCESS_TOKEN_LIFETIME = timedelta(minutes=5)
REFRESH_TOKEN_LIFETIME = timedelta(days=14)
SOCKET_TICKET_SECONDS = 30
# Failed sign-ins allowed in the window, per (account, address) and per address.
SIGN_IN_LIMITS = {"window_seconds": 900, "per_account": 10, "per_address": 100}

# Mails: `smtp+tls://user:password@host:587` and the like; without one they are written to the console.
_EMAIL: dict[str, Any] = env.email_url("MURIMA_EMAIL_URL", default="consolemail://")
EMAIL_BACKEND = _EMAIL["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _EMAIL["EMAIL_HOST"] or "", _EMAIL["EMAIL_PORT"] or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _EMAIL["EMAIL_HOST_USER"] or "", _EMAIL["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = _EMAIL.get("EMAIL_USE_TLS", False), _EMAIL.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL: str = env.str("MURIMA_EMAIL_FROM", default=f"Murima <murima@{BASE_DOMAIN}>")
# What links in mails begin with: the scheme, and the port where it is not the usual one.
LINK_SCHEME = "https" if KIND == "production" else "http"
_WEB_PORT = env.str("MURIMA_WEB_BIND", default="").rpartition(":")[2]
LINK_PORT = "" if KIND == "production" or not _WEB_PORT else f":{_WEB_PORT}"

# Multiplies how much people, addresses and organisations may ask (web.shared.api.throttles).
RATE_LIMIT_SCALE: float = env.float("MURIMA_RATE_LIMIT_SCALE", default=1.0)
# How often the log of API requests is written; 0 leaves that to whoever calls flush().
REQUEST_LOG_SECONDS: float = env.float("MURIMA_REQUEST_LOG_SECONDS", default=2.0)

# How long a transit key seals; the daemon's setting, read here to know how often keys must be read.
TRANSIT_SECONDS: int = env.int("MURIMA_TRANSIT_SECONDS", default=240)

# Static files and the browser application.
STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
WHITENOISE_USE_FINDERS = True
UI_ROOT = BASE / "web" / "static" / "app"
WHITENOISE_ROOT = UI_ROOT if UI_ROOT.is_dir() else None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "documents": storage.documents(),
}
DOCUMENT_MAX_BYTES: int = env.int("MURIMA_DOCUMENT_MAX_BYTES", default=25_000_000)
# A command that reads a file on standard input: 0 clean, 1 infected; see web/tenant/documents/scanning.py.
DOCUMENT_SCANNER: str = env.str("MURIMA_DOCUMENT_SCANNER", default="")
DOCUMENT_SCAN_SECONDS: int = env.int("MURIMA_DOCUMENT_SCAN_SECONDS", default=60)

# What a browser is told to refuse.
SIP_WEBSOCKET: str = env.str("MURIMA_SIP_WEBSOCKET", default="")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        # Vue components set style attributes; scripts never come inline.
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:", "blob:"],
        "media-src": ["'self'", "blob:"],
        "font-src": ["'self'", "data:"],
        "connect-src": ["'self'", *([SIP_WEBSOCKET] if SIP_WEBSOCKET else [])],
        "worker-src": ["'self'", "blob:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("sw", "Kiswahili")]
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "web.shared.accounts.api.authentication.BearerAuthentication",
        "web.shared.accounts.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["web.shared.accounts.api.permissions.HasRoutePermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["web.shared.api.parsers.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "web.shared.api.pagination.CursorPages",
    "DEFAULT_SCHEMA_CLASS": "web.shared.api.schema.MurimaSchema",
    "EXCEPTION_HANDLER": "web.shared.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "DATETIME_FORMAT": "iso-8601",
    "COERCE_DECIMAL_TO_STRING": True,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Murima",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "DESCRIPTION": "The REST API of a tenant's host. Errors are RFC 9457 problems; lists are cursor-paged.",
    "SERVE_URLCONF": "config.urls_tenant",
    "SERVE_PUBLIC": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    # Fields of one name with other choices in other apps: without a name here they would be numbered.
    "ENUM_NAME_OVERRIDES": {
        "CaseStatusEnum": "web.tenant.cases.choices.CaseStatus",
        "CasePriorityEnum": "web.tenant.cases.choices.CasePriority",
        "CaseChannelEnum": "web.tenant.cases.choices.Channel",
        "CallStatusEnum": "web.tenant.calls.choices.CallStatus",
        "DeviceKindEnum": "web.tenant.calls.choices.DEVICE_KINDS",
        "TransferStatusEnum": "web.tenant.calls.choices.TransferStatus",
        "ConversationStatusEnum": "web.tenant.communications.choices.ConversationStatus",
        "DeliveryEnum": "web.tenant.communications.choices.Delivery",
        "TextFormatEnum": "web.tenant.communications.choices.TextFormat",
        "TaskStatusEnum": "web.tenant.tasks.choices.TaskStatus",
        "TaskPriorityEnum": "web.tenant.tasks.choices.TaskPriority",
        "WorkflowStatusEnum": "web.tenant.workflows.choices.WorkflowStatus",
        "ApprovalStatusEnum": "web.tenant.workflows.choices.ApprovalStatus",
        "RunStatusEnum": "web.tenant.workflows.choices.RunStatus",
        "NotificationChannelEnum": "web.tenant.notifications.choices.Channel",
        "DeliveryStateEnum": "web.tenant.notifications.choices.DeliveryState",
        "ConsentStatusEnum": "web.tenant.contacts.choices.ConsentStatus",
        "LegalHoldReasonEnum": "web.tenant.contacts.choices.HoldReason",
        "ChannelTypeEnum": "web.tenant.communications.choices.ChannelType",
        "QuotaKindEnum": "web.shared.tenants.models.QuotaKind",
        "SecondFactorEnum": "web.shared.accounts.factors.pending.METHODS",
        "WebhookDeliveryStatusEnum": "web.shared.records.models.webhooks.DeliveryStatus",
        "JobStateEnum": "web.shared.records.models.jobs.JobState",
    },
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SORT_OPERATIONS": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "web.shared.api.schema.add_problem",
        "web.shared.api.schema_sharing.share_repeated",
    ],
}

# Secrets and addresses other parts of Django read by name.
MASTER_KEY = required("MURIMA_MASTER_KEY", development="MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=")
ASK_KEY = required("MURIMA_ASK_KEY", development="development-only-ask-key")
ARI_URL: str = env.str("MURIMA_ARI_URL", default="http://127.0.0.1:18088")
ARI_USER: str = env.str("MURIMA_ARI_USER", default="murima")
ARI_PASSWORD: str = env.str("MURIMA_ARI_PASSWORD", default="")
SIP_REGISTRAR: str = env.str("MURIMA_SIP_REGISTRAR", default="")
SHARD: str = env.str("MURIMA_SHARD", default="0")
METRICS_TOKEN: str = env.str("MURIMA_METRICS_TOKEN", default="")

LOG_LEVEL: str = env.str("MURIMA_LOG_LEVEL", default="INFO")
LOGGING_CONFIG = "web.shared.core.logs.configure"
LOGGING: dict[str, Any] = {"level": LOG_LEVEL}

# Where webhooks may go besides https on port 443 of public addresses; the origins are for development only.
EGRESS_PORTS: list[int] = env.list("MURIMA_EGRESS_PORTS", cast=int, default=[])
EGRESS_LOCAL_MAY_BE_SET = KIND != "production"
EGRESS_LOCAL_ORIGINS: list[str] = (
    env.list("MURIMA_EGRESS_LOCAL_ORIGINS", default=[]) if EGRESS_LOCAL_MAY_BE_SET else []
)

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_TIME_LIMIT = 300
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_IMPORTS = [
    "web.shared.core.housekeeping",
    "web.shared.core.event_tasks",
    "web.shared.core.webhooks.tasks",
    "web.shared.core.job_tasks",
    "web.shared.core.audit_tasks",
]
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    "platform.provision": {
        "task": "platform.provision_sweep",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "platform.health": {"task": "platform.health", "schedule": 60.0, "options": {"expires": 60}},
    "platform.usage": {"task": "platform.usage", "schedule": 3600.0},
    "housekeeping": {"task": "housekeeping", "schedule": 3600.0},
    "cases.sweep": {"task": "cases.sweep", "schedule": 30.0, "options": {"expires": 30}},
    "communications.sweep": {
        "task": "communications.sweep",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "documents.sweep": {"task": "documents.sweep", "schedule": 60.0, "options": {"expires": 60}},
    "documents.orphans": {"task": "documents.orphans", "schedule": 86400.0},
    "events.sweep": {"task": "events.sweep", "schedule": 10.0, "options": {"expires": 30}},
    "workflows.sweep": {"task": "workflows.sweep", "schedule": 15.0, "options": {"expires": 15}},
    "workflows.housekeeping": {"task": "workflows.housekeeping", "schedule": 3600.0},
    "tasks.sweep": {"task": "tasks.sweep", "schedule": 30.0, "options": {"expires": 30}},
    "notifications.sweep": {"task": "notifications.sweep", "schedule": 15.0, "options": {"expires": 15}},
    "notifications.forget": {"task": "notifications.forget", "schedule": 86400.0},
    "accounts.mail.sweep": {"task": "accounts.mail.sweep", "schedule": 30.0, "options": {"expires": 60}},
    "accounts.housekeeping": {"task": "accounts.housekeeping", "schedule": 3600.0},
    "webhooks.sweep": {"task": "webhooks.sweep", "schedule": 5.0, "options": {"expires": 15}},
    "jobs.sweep": {"task": "jobs.sweep", "schedule": 15.0, "options": {"expires": 30}},
    "audit.seal": {"task": "audit.seal", "schedule": 5.0, "options": {"expires": 15}},
    "audit.anchor": {"task": "audit.anchor", "schedule": 3600.0},
}
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": "murima:celery:",
    # A request that sends a task may not wait for a broker that is away: what it left is swept up later.
    "max_retries": 0,
    "socket_connect_timeout": 2,
    "socket_timeout": 10,
}
