"""`fairuse demo`: chooses the stage. What it needs is imported only when it is called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from fairuse_cli.failures import REFUSED, USAGE, CommandFailed

Once = Annotated[bool, typer.Option("--once", help="End after the story, with its exit status.")]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the steps and their figures to FILE."),
]
Clean = Annotated[
    bool, typer.Option("--clean", help="Only remove what an earlier run left on this machine.")
]
Simulated = Annotated[
    bool, typer.Option("--simulated", help="Over a simulated kernel, even as root.")
]


def demo(
    once: Once = False,
    json_file: JsonFile = None,
    clean: Clean = False,
    simulated: Simulated = False,
) -> None:
    """Tell the whole story on this machine's kernel in about two minutes, then keep serving.

    Not as root, it runs over a simulated kernel and says so on every line.
    """
    try:
        from fairuse_cli.demo import cgroups, leftovers, running, signals  # noqa: PLC0415 - see above
    except ImportError as error:
        raise CommandFailed(
            USAGE,
            f"the demo needs all parts of Fairuse, and {error.name} is not installed; "
            "install them with: pip install 'fairuse[agent,controller,cli,demo]'",
        ) from error
    if json_file is not None:
        _check_writable(json_file)
    try:
        if clean:
            with leftovers.lock():
                leftovers.clean()
        elif simulated or os.geteuid() != 0:
            raise typer.Exit(running.run_simulated(once=once, json_file=json_file))
        else:
            raise typer.Exit(running.run_on_kernel(once=once, json_file=json_file))
    except (leftovers.AlreadyRunning, leftovers.CannotClean) as error:
        raise CommandFailed(REFUSED, str(error)) from error
    except cgroups.WorldError as error:
        raise CommandFailed(
            REFUSED, f"{error}; over a simulated kernel: fairuse demo --simulated"
        ) from error
    except signals.Ended as ended:
        raise typer.Exit(ended.status) from ended


def _check_writable(file: Path) -> None:
    """Before two minutes are spent."""
    try:
        file.write_bytes(b"")
    except OSError as error:
        raise CommandFailed(USAGE, f"--json: {file} cannot be written: {error}") from error
