"""``dj-panel shell`` and ``dj.cli``: a Python prompt with ``dj`` and chosen schemas under short names.

Source: DataJoint 2.3, its command ``dj``.
"""

from __future__ import annotations

import argparse
import code
import sys
from collections.abc import Sequence
from getpass import getpass
from typing import Any

import dj_panel
from dj_panel.core.schema import VirtualModule

try:
    import readline
    import rlcompleter
except ImportError:  # not on every system; the prompt then completes nothing
    _HAS_READLINE = False
else:
    _HAS_READLINE = True

__all__ = ["add_arguments", "cli", "run"]

_ASK = object()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be said after ``dj-panel shell``."""
    parser.add_argument("-u", "--user", help="database account (default: as set)")
    parser.add_argument(
        "-p",
        "--password",
        nargs="?",
        const=_ASK,
        help="ask for the account's password (default: as set). Do not write it here: others on this computer"
        " see it, and it stays in the shell's history",
    )
    parser.add_argument("--host", help="database server as host or host:port (default: as set)")
    parser.add_argument(
        "-s",
        "--schemas",
        nargs="+",
        action="extend",
        default=[],
        type=_schema_and_alias,
        metavar="SCHEMA:ALIAS",
        help="schemas to open, and the names that they get",
    )


def run(options: argparse.Namespace) -> int:
    """Open the schemas, then read and run Python until its end."""
    _log_in(options)
    names: dict[str, Any] = {alias: VirtualModule(alias, schema) for schema, alias in options.schemas}
    lines = [
        f"dj_panel {dj_panel.__version__}, Python {sys.version.split()[0]}",
        "The library is dj. " + ("Schemas:" if names else "Open a schema: lab = dj.virtual_schema('lab')"),
        *(f"  {alias} is {module.schema.name}" for alias, module in names.items()),
    ]
    names["dj"] = dj_panel
    if _HAS_READLINE and sys.stdin.isatty():
        readline.set_completer(rlcompleter.Completer(names).complete)
        readline.parse_and_bind("tab: complete")
    code.interact("\n".join(lines), local={"__name__": "__console__", **names}, exitmsg="")
    return 0


def cli(args: Sequence[str] | None = None) -> None:
    """Open a Python prompt with ``dj`` and chosen schemas, and end the program with it.

    Parameters
    ----------
    args
        ``-u USER``, ``-p`` (asks for the password), ``--host HOST:PORT``, ``-s SCHEMA:ALIAS …``, ``-V``; those of
        the process if not given.

    Raises
    ------
    SystemExit
        At the end of input, after ``-h`` and ``-V``, and for arguments that mean nothing.
    """
    parser = argparse.ArgumentParser(
        prog="dj", description="Python with dj_panel as dj.", epilog="For example: dj -u ann -p -s my_lab:lab"
    )
    parser.add_argument("-V", "--version", action="version", version=f"dj_panel {dj_panel.__version__}")
    add_arguments(parser)
    raise SystemExit(run(parser.parse_args(args)))


def _schema_and_alias(text: str) -> tuple[str, str]:
    schema, _, alias = text.partition(":")
    if not schema or not alias.isidentifier() or alias == "dj":
        raise argparse.ArgumentTypeError(
            f"'{text}' is not of the form SCHEMA:ALIAS, where the alias is a name in Python other than dj"
        )
    return schema, alias


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):  # an address of IPv6, whose own colons the brackets hold
        host, _, port = text[1:].partition("]")
        return host, port.lstrip(":")
    host, _, port = text.partition(":")
    return (host, port) if ":" not in port else (text, "")


def _log_in(options: argparse.Namespace) -> None:
    settings = dj_panel.config
    host, port = _host_and_port(options.host or "")
    password = options.password
    if password is _ASK:
        password = getpass(f"Password of {options.user or settings['database.user']}: ")
    if host:
        settings["database.backend"] = "mysql"
    if port:
        settings["database.port"] = port
    if host or options.user or password is not None:
        dj_panel.conn(host or None, options.user, password, reset=True)
