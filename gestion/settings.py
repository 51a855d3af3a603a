"""Settings, all from the environment; `gestion/checks.py` says what to set when one is wrong.

Without any, the panel runs embedded: SQLite, a broker in a folder, secrets of its own in DATA_DIR.
"""

import logging
import secrets
import tomllib
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _
from kombu.transport import TRANSPORT_ALIASES

from gestion import data_folder
from gestion.environment import Environment, made_folder, wrong

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]
env = Environment()
env.read_files("GESTION_ENV_FILE", default=str(BASE_DIR / ".env"))  # what is set already stays

DATA_DIR = made_folder("DATA_DIR", Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))), 0o700)
OWN_SECRETS = ["SECRET_KEY", "GESTION_ENCRYPTION_KEYS", "VM_PASS_SECRET", "SAMBA_SECRET_KEY"]
try:
    data_folder.close(DATA_DIR, OWN_SECRETS)
except data_folder.ForeignFolderError as error:
    raise ImproperlyConfigured(str(error)) from None
EMBEDDED = not env.str("DATABASE_URL", default="")
DEMO = env.bool("DEMO", default=False)
DEBUG = env.bool("DEBUG", default=False)


def own_secret(name: str) -> str:
    """The secret of this name, from the environment or, embedded, from DATA_DIR, made on first use (0600)."""
    given = env.str(name, default="")
    if given or not EMBEDDED:
        if not given:
            raise ImproperlyConfigured(
                f"Set {name}, which DATABASE_URL needs. Make one with: "
                'python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        return given
    path = DATA_DIR / name.lower()
    try:
        if not path.exists():
            fresh = path.with_suffix(f".{secrets.token_hex(4)}")
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_urlsafe(48))
            with suppress(FileExistsError):
                path.hardlink_to(fresh)  # the first of several processes wins, and all read the same
            fresh.unlink()
        return path.read_text()
    except OSError as error:
        what = f"cannot be kept in DATA_DIR: {path}: {error.strerror}"
        raise wrong(
            name, what, "Let the panel's user read and write there, or set another DATA_DIR."
        ) from None


SECRET_KEY = own_secret("SECRET_KEY")
# The first encrypts; all decrypt, so that a key can be replaced: put the new one in front.
GESTION_ENCRYPTION_KEYS = own_secret("GESTION_ENCRYPTION_KEYS").split(",")
# ⚓ What root's password on created containers is computed from; without it none is created.
VM_PASS_SECRET = own_secret("VM_PASS_SECRET") if EMBEDDED else env.str("VM_PASS_SECRET", default="")
# ⚓ What the passwords of shares are computed from; without it none is made.
SAMBA_SECRET_KEY = own_secret("SAMBA_SECRET_KEY") if EMBEDDED else env.str("SAMBA_SECRET_KEY", default="")
# ⚓ What the unix users of shares made from now on begin with.
SAMBA_USER_PREFIX = env.str("SAMBA_USER_PREFIX", default="smb-")

# The panel's own address ⚓ and, for hosts that share its Proxmox host, how they reach it inside.
GESTION_URL = env.web_url("GESTION_URL", default="http://127.0.0.1:8000/").rstrip("/") + "/"
GESTION_IP = env.str("GESTION_IP", default="")
GESTION_NAME = env.str("GESTION_NAME", default="")
GESTION_VM_NAME = env.str("GESTION_VM_NAME", default="")

SECURE = GESTION_URL.startswith("https://")
TRUST_PROXY = env.bool("TRUST_PROXY", default=False)
ALLOW_PLAIN_HTTP_KEYS = env.bool("ALLOW_PLAIN_HTTP_KEYS", default=DEMO)
# Bits that an RSA key must have (NIST SP 800-131A Rev. 2). Under 3072 it is taken with a warning.
RSA_MIN_BITS = env.int("RSA_MIN_BITS", default=2048, least=1024, most=16384)
# Memory for answers that are ready to be sent, in bytes, of each web process.
KEYS_CACHE_BYTES = env.int("KEYS_CACHE_BYTES", default=64 * 1024 * 1024, least=0)
# After a change, have the servers fetch their keys at once; without it they do within the hour.
KEYS_PUSH = env.bool("KEYS_PUSH", default=True)
# With this in the header X-Gestion-Token, a monitoring system may read how things stand, and nothing else.
MONITORING_TOKEN = env.str("MONITORING_TOKEN", default="")
# Where “Back up this server” puts copies: a server's name, and the folder in which each backup gets its own.
BACKUP_SERVER = env.str("BACKUP_SERVER", default="").strip()
BACKUP_BASE_FOLDER = env.folder("BACKUP_BASE_FOLDER", default="/backups")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(GESTION_URL).hostname or "localhost"])
if not SECURE:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(GESTION_URL))]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "pages",
    "accounts",
    "jobs",
    "notifications",
    "servers",
    "keymanager",
    "forwarding",
    "fabrun",
    "githooks",
    "proxmox",
    "backups",
    "samba",
    "wizards",
    "gestion",
]

MIDDLEWARE = [
    "jobs.live.BeganMiddleware",
    "pages.limits.RequestLimitsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "gestion.time_limit.DatabaseTimeMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "gestion.errors.SlashMiddleware",
    "pages.hidden.ShowHiddenMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.ApiTokenMiddleware",
    "gestion.errors.WrongMethodMiddleware",
    "accounts.middleware.LoginRequiredMiddleware",
    "accounts.middleware.SecondFactorMiddleware",
    "accounts.middleware.LocalTimeMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "pages.second_word.SecondWordMiddleware",
    "pages.preview.PreviewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "gestion.errors.NoExitMiddleware",
    "gestion.errors.MeanwhileMiddleware",
]

ROOT_URLCONF = "gestion.urls"
ASGI_APPLICATION = "gestion.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "pages.context.shell",
            ],
            "builtins": [
                "django.templatetags.i18n",
                "django.templatetags.static",
                "pages.templatetags.pages_tags",
            ],
            "loaders": [
                ("django.template.loaders.cached.Loader", ["django.template.loaders.filesystem.Loader"]),
            ]
            if not DEBUG
            else ["django.template.loaders.filesystem.Loader"],
        },
    },
]

DATABASES = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'gestion.sqlite3'}"),
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        # Take the write lock at BEGIN: a read that becomes a write cannot then fail half-way as "locked".
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    data_folder.close_database(Path(DATABASES["default"]["NAME"]))
    # A file, because tests share the database with other processes, as the panel does.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
else:
    # Under ASGI each request has a thread of its own: a connection kept for the next one would never be used
    # again, and fifty requests would leave forty open.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    # A database whose machine has vanished is noticed after half a minute, not after the quarter of an hour of TCP.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30000,
        **DATABASES["default"].get("OPTIONS", {}),
    }
# How long the database may work for one request; workers and commands take the time that they need. 0: no limit.
REQUEST_DATABASE_SECONDS = env.float("REQUEST_DATABASE_SECONDS", default=15.0)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("username", "full_name", "email")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "accounts:sign_in"

# Ten wrong passwords for one name from one address shut that pair out for a quarter of an hour.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # more wrong passwords do not make it longer
AXES_ENABLE_ADMIN = False
AXES_LOCKOUT_CALLABLE = "accounts.lockout.locked_out"
AXES_CLIENT_IP_CALLABLE = "accounts.actors.client_address"
AXES_WHITELIST_CALLABLE = "accounts.guard.axes_lets_in"
AXES_USERNAME_CALLABLE = "accounts.guard.axes_name"
AXES_DISABLE_ACCESS_LOG = True  # the audit trail has who signed in, and axes would keep its own for ever

# Who must sign in with a code besides the password: none, admins or all.
REQUIRE_TWO_FACTOR = env.choice("REQUIRE_TWO_FACTOR", default="none", among=("none", "admins", "all"))
PASSWORD_RESET_TIMEOUT = 72 * 3600  # the longest that a link lives; see accounts/password_links.py

LANGUAGES = [("en", _("English"))]
LANGUAGE_CODE = env.choice("LANGUAGE_CODE", default="en", among=("en", "en-us"))
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.time_zone("TIME_ZONE", default="UTC")
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(DATA_DIR / "static"))
made_folder("STATIC_ROOT", Path(STATIC_ROOT), 0o755)  # WhiteNoise warns at every start where there is none
# Static files are for everybody; a web server reads them as another user.
FILE_UPLOAD_PERMISSIONS, FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o644, 0o755
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("tabler/css", BASE_DIR / "node_modules/@tabler/core/dist/css"),
    ("htmx", BASE_DIR / "node_modules/htmx.org/dist"),
]
WHITENOISE_USE_FINDERS = EMBEDDED
WHITENOISE_AUTOREFRESH = DEBUG

# Cookies and transport.
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_SSL_REDIRECT = SECURE
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
SECURE_REFERRER_POLICY = "same-origin"
SECURE_REDIRECT_EXEMPT = [r"^health/$"]  # a load balancer asks for it inside, without TLS
CSRF_FAILURE_VIEW = "gestion.errors.csrf_failed"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",
    "security.W021",
]  # subdomains and preload lists are not ours to bind
if TRUST_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],  # Tabler's own icons in its style sheet
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.sender(
    "EMAIL_FROM", default=f"gestion@{urlsplit(GESTION_URL).hostname or 'localhost'}"
)
EMAIL_TIMEOUT = 20

# Celery. Without a broker of its own, messages are files in a folder: same code paths, no service to run.
CELERY_BROKER_URL = (
    env.broker_url("CELERY_BROKER_URL", TRANSPORT_ALIASES, "amqp://user:password@host//")
    or env.broker_url("REDIS_URL", {"redis", "rediss", "sentinel"}, "redis://host:6379/0")
    or "embedded://here"
)
if CELERY_BROKER_URL.startswith("embedded"):
    _broker = DATA_DIR / "broker"
    _broker.mkdir(mode=0o700, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker),
        "data_folder_out": str(_broker),
        "polling_interval": 0.02,
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # it waits for its broker as long as it takes
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # `jobs` knows its workers by their heartbeat in the database
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 4  # a message is a wake-up of no weight: the database is the queue
CELERY_WORKER_POOL = "threads"
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"  # when things ran last is in the database, not in a file
CELERY_TIMEZONE = "UTC"
# How many jobs of each queue one worker process runs at once, and how long ended ones are kept.
JOBS_SLOTS = env.counts("JOBS_SLOTS", default={"default": "6", "backups": "6"})
CELERY_WORKER_CONCURRENCY = sum(JOBS_SLOTS.values()) + 2  # two for the scheduler's messages
JOBS_KEEP_DAYS = env.int("JOBS_KEEP_DAYS", default=90)

# The Fabric scripts ⚓, such as server.setup.
FABRIC_FOLDER = env.str("FABRIC_FOLDER", default=str(BASE_DIR / "fabfiles"))
# A folder of one's own wizards, beside those in wizards/wizards/ ⚓.
WIZARDS_FOLDER = env.str("WIZARDS_FOLDER", default="").strip()

# What the wizard create_vm fills in ⚓: groups to join, groups that are allowed on it, the first script.
CREATEVM_DEFAULT_GROUPS = env.list("CREATEVM_DEFAULT_GROUPS", default=["Servers"])
CREATEVM_DEFAULT_GROUPS_ALLOWED = env.list("CREATEVM_DEFAULT_GROUPS_ALLOWED", default=["Gestion"])
SETUP_FABRIC_SCRIPT = env.str("SETUP_FABRIC_SCRIPT", default="server.setup").strip()
SETUP_FABRIC_ARGUMENTS = env.dict("SETUP_FABRIC_ARGUMENTS", default={})

# Repositories that git hosts may have pulled ⚓: key=/folder,key=/folder.
GIT_REPOS = env.dict("GIT_REPOS", default={})
# Keys of GIT_REPOS of which a pull takes only what an active admin has signed.
GIT_REQUIRE_SIGNED = env.list("GIT_REQUIRE_SIGNED", default=[])
# Certificates that hostnames get by themselves. The default is Let's Encrypt, whose terms one agrees to by using it.
ACME_DIRECTORY = env.str("ACME_DIRECTORY", default="https://acme-v02.api.letsencrypt.org/directory")
ACME_EMAIL = env.str("ACME_EMAIL", default="")
ACME_CA_FILE = env.str("ACME_CA_FILE", default="")
# Backups: how many run at once on one backup server, and when one that gets nowhere is ended.
BACKUPS_AT_ONCE = env.int("BACKUPS_AT_ONCE", default=2)
BACKUP_SCHEDULE = env.bool("BACKUP_SCHEDULE", default=True)
BACKUP_STALL_SECONDS = env.int("BACKUP_STALL_SECONDS", default=1800)
BACKUP_LONGEST_HOURS = env.int("BACKUP_LONGEST_HOURS", default=48)
BACKUP_VERIFY_BYTES = env.int("BACKUP_VERIFY_BYTES", default=20 * 1024**3)

# Networks of our own that web hooks may lead to, in CIDR; without it, only public addresses.
WEBHOOK_NETWORKS = env.list("WEBHOOK_NETWORKS", default=[])
# The same for addresses that people name to have public keys fetched from.
KEY_URL_NETWORKS = env.list("KEY_URL_NETWORKS", default=[])

# How servers are reached; tests bring a fleet in memory.
SERVERS_TRANSPORT = "servers.transport.SSHTransport"

# As whom to sign in to the APIs of Proxmox hosts whose access says nothing else.
PROXMOX_USER = env.str("PROXMOX_USER", default="")
PROXMOX_PASS = env.str("PROXMOX_PASS", default="")
PROXMOX_TOKEN = env.str("PROXMOX_TOKEN", default="")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"paths": {"()": "gestion.logs.PathFilter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["paths"]}},
    "root": {
        "handlers": ["console"],
        "level": env.choice("LOG_LEVEL", default="INFO", among=logging.getLevelNamesMapping()),
    },
    "loggers": {
        # In the place of Django's own handlers, which know nothing of our filter.
        "django": {"handlers": []},
        "django.server": {"handlers": [], "propagate": True},
        # With DEBUG it logs each statement with its values: sessions, hashes, addresses.
        "django.db.backends": {"level": "INFO"},
        # Both log what was sent, passwords too.
        "proxmoxer": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
        "paramiko": {"level": "CRITICAL"},  # what fails reaches us as an exception
        "acme": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        # A line for each message would drown what matters: `jobs` logs jobs.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.consumer.connection": {"level": "WARNING"},
        "celery.apps.worker": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
    },
}
