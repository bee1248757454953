"""The command line. Each command is imported when it is called, so that `--help` costs nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

import otp_service.cli.lean as lean
import otp_service.cli.output as output
import otp_service.cli.typed as typed
from otp_service import __version__
from otp_service.errors import OtpServiceError

COMMANDS = {
    "demo": "All in one on this machine: API, worker, gateway simulator with inbox.",
    "init": "Ask for the gateway's data and write otp.toml.",
    "serve": "Run the API.",
    "worker": "Run the delivery worker.",
    "simulator": "Run the SMS gateway simulator alone.",
    "doctor": "Check configuration, Redis, channels and texts; say what to mend.",
    "send": "Send a code through a running service.",
    "check": "Check a code with a running service.",
    "status": "Show Redis, workers, queue, channels and pauses; say what needs a hand.",
    "trace": "Show what became of a number's sends, and what refuses the next.",
    "channels": "Pause, resume and test a channel.",
    "sends": "Hold back all sends, a country's or a prefix's.",
    "limits": "Show what is counted of a number, and forget it.",
    "recipients": "Export what is held on a number, and erase it; stop sends to it.",
    "audit": "Show what administrators did; check that nobody altered it.",
    "keys": "Make, list and revoke API keys; show the keys of offline token checks.",
    "secrets": "Make and rotate the service's own secrets.",
}
"""Name and summary; the command is the function of that name in the module of that name."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        lean.import_lean(lean.SERVING.get(cmd_name, ()))
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name=typed.NAME)
def cli() -> None:
    """Verification codes by SMS, through the gateways you already have."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command. Exits 0, 1 (it failed: one line of `error: …` on stderr a fault) or 2 (called wrongly).

    130 where it was interrupted, 141 where nobody reads on: what a shell says of SIGINT and SIGPIPE.
    """
    try:
        with output.printing():
            status = cli.main(arguments, prog_name=typed.program(), standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.UsageError as error:
        hint = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        sys.exit(_report(f"{error.format_message().rstrip('.')}{hint}", 2))
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_report("interrupted", 130))
    except output.StdoutLost as error:
        sys.exit(141 if error.is_unread else _report(str(error), 1))
    except click.ClickException as error:
        sys.exit(_report(error.format_message(), error.exit_code))
    except OtpServiceError as error:
        sys.exit(_report(str(error), 1))
    sys.exit(status if isinstance(status, int) else 0)


def _report(text: str, status: int) -> int:
    try:
        for line in typed.as_typed(text).splitlines():
            click.echo(f"error: {line}", err=True)
    except OSError:  # the status says it
        output.print_nowhere(sys.stderr)
    return status
