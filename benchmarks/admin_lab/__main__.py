"""Serve the lab in Django's admin, on a free port: ``python -m benchmarks.admin_lab FOLDER``.

It is Django's own server with SQLite in ``FOLDER``, and debugging off. Static files are kept by the browser, as a web
server in front would have it, so that pages after the first do not ask for them again.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.servers.basehttp import run
from django.core.wsgi import get_wsgi_application
from django.urls import path

from benchmarks.admin_lab import PASSWORD, USER
from benchmarks.lab import SPECIES, SUBJECTS

LAB = "benchmarks.admin_lab"
urlpatterns: list[Any] = []


class KeptFiles(StaticFilesHandler):
    """Static files that the browser keeps."""

    def get_response(self, request: Any) -> Any:
        """Return a file."""
        response = super().get_response(request)
        response["Cache-Control"] = "max-age=31536000, immutable"
        return response


def configure(folder: Path) -> None:
    """Tell Django what ``startproject`` would write."""
    of_django = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "lab.sqlite3"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[*(f"django.contrib.{name}" for name in of_django), LAB],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        ROOT_URLCONF=f"{LAB}.__main__",
        SECRET_KEY="of a database that is thrown away",
        STATIC_URL="static/",
        TEMPLATES=[
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
        ],
        TIME_ZONE="UTC",
        USE_TZ=True,
    )
    django.setup()


def fill() -> None:
    """Make the tables, the animals, and the account of whoever enters rows."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    apps.get_model("auth.User").objects.create_superuser(USER, password=PASSWORD)
    species, subjects = (apps.get_model("admin_lab", name).objects for name in ("Species", "Subject"))
    species.bulk_create(species.model(name) for name in SPECIES)
    subjects.bulk_create(subjects.model(subject=name, species_id=SPECIES[0]) for name in SUBJECTS)


def main(folder: Path) -> None:
    """Serve until the process is ended."""
    configure(folder)
    fill()
    urlpatterns.append(path("admin/", admin.site.urls))
    typed_site = import_module(f"{LAB}.admin").typed_site
    urlpatterns.append(path("typed/", typed_site.urls))
    run(
        "127.0.0.1",
        0,
        KeptFiles(get_wsgi_application()),
        threading=True,
        on_bind=lambda port: print(f"Django is at http://127.0.0.1:{port}/", flush=True),
    )


if __name__ == "__main__":
    # Django finds the addresses in this module by its name.
    sys.modules[f"{LAB}.__main__"] = sys.modules["__main__"]
    main(Path(sys.argv[1]))
