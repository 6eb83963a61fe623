"""Settings for a laptop and a server: what differs comes from the variables that Piku sets."""

import os
from pathlib import Path

import dj_database_url
from django.core.management.utils import get_random_secret_key

BASE = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("DATA_ROOT", BASE))  # outlives every release
HOSTS = [name for name in os.environ.get("NGINX_SERVER_NAME", "").split(",") if name]


def secret_key(file: Path) -> str:
    """Made once and kept with the data, not in the repository."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(get_random_secret_key())
    return file.read_text()


SECRET_KEY = secret_key(DATA / "secret_key")
DEBUG = not HOSTS
ALLOWED_HOSTS = HOSTS
INSTALLED_APPS = ["django.contrib.staticfiles", "guestbook"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "guestbook.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {"default": dj_database_url.config(default=f"sqlite:///{DATA / 'db.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATIC_ROOT = BASE / "staticfiles"
USE_TZ = True
