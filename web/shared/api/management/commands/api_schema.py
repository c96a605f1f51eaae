"""`api_schema` writes the OpenAPI description to the committed file; `--check` compares instead.

A warning of the generator is an error here: what it warns of (two lists of choices that want one name, a view
whose body it cannot tell) comes out as something, and clients are generated from it.
"""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from config.env import BASE
from web.shared.core.exits import Exit

FILE = BASE / "web" / "ui" / "src" / "api" / "openapi.json"


def generate() -> str:
    """The description as text, in a stable order, ending with a newline. Exit when anything is unclear.

    What is unclear has been said on standard error by then.
    """
    stats: Any = GENERATOR_STATS  # untyped upstream
    generator: Any = SchemaGenerator
    stats.reset()
    document = generator(urlconf=settings.SPECTACULAR_SETTINGS["SERVE_URLCONF"]).get_schema(
        request=None, public=True
    )
    if stats:
        raise Exit(
            "The API description was made with the warnings above, so it may say what nobody meant.",
            why="A name or a type had to be guessed.",
            next_step="name enumerations in ENUM_NAME_OVERRIDES, declare bodies with extend_schema",
        )
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


class Command(BaseCommand):
    help = "Write the OpenAPI description to web/ui/src/api/openapi.json, or compare it with --check."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail when the committed file differs")

    def handle(self, *args: Any, **options: Any) -> None:
        text = generate()
        if not options["check"]:
            FILE.parent.mkdir(parents=True, exist_ok=True)
            FILE.write_text(text, encoding="utf-8")
            self.stdout.write(f"{FILE.relative_to(BASE)} written")
        elif not FILE.is_file() or FILE.read_text(encoding="utf-8") != text:
            raise Exit(
                "The committed API description differs from what the views say.",
                why="A view, serializer or permission changed.",
                next_step="manage.py api_schema, then read and commit the difference",
            )
