"""The `fairuse` command: what is going on, the steps that a person may take, and the demo.

It talks to the controller over HTTP only; `run` and `demo` start the programs themselves, and
`policy` and `trace` work on files.
"""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import typer

from controller.language.catalogue import CatalogueError
from fairuse_cli import agreements, announcements, requests, steps, views
from fairuse_cli.audit import audit_app
from fairuse_cli.backtest import backtest
from fairuse_cli.demo.command import demo
from fairuse_cli.export import export_app
from fairuse_cli.failures import EXIT_STATUSES, INTERNAL, USAGE, CommandFailed
from fairuse_cli.forget import forget
from fairuse_cli.policy import policy_app
from fairuse_cli.run import run
from fairuse_cli.tenant import tenant_app
from fairuse_cli.trace import trace

app = typer.Typer(
    name="fairuse",
    help="Fair use of shared hosts: who takes more than their share, and what is done about it.",
    epilog=EXIT_STATUSES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    views.status,
    views.hosts,
    views.tenants,
    views.cases,
    views.case,
    views.top,
    steps.approve,
    steps.dismiss,
    steps.hold,
    steps.release,
    steps.lift,
    steps.suspend,
    steps.thaw,
    requests.grant,
    requests.refuse,
    steps.pause,
    steps.resume,
    agreements.agreements,
    agreements.agree,
    agreements.consent,
    agreements.withdraw,
    announcements.announcements,
    forget,
    run,
    demo,
    backtest,
):
    app.command()(command)
app.add_typer(policy_app)
app.add_typer(audit_app)
app.add_typer(export_app)
app.add_typer(tenant_app)
app.add_typer(trace, name="trace")


def main() -> NoReturn:
    """Run the command that was typed; see --help for the exit statuses."""
    try:
        app()
    except CommandFailed as failure:
        print(f"fairuse: {failure}", file=sys.stderr)
        sys.exit(failure.status)
    except CatalogueError as error:
        print(f"fairuse: {error}", file=sys.stderr)
        sys.exit(USAGE)
    except Exception:  # noqa: BLE001 - a defect, which may not look like the controller's refusal
        traceback.print_exc()
        sys.exit(INTERNAL)
    sys.exit(0)


if __name__ == "__main__":
    main()
