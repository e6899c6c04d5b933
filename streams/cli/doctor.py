"""``streams doctor``: what works here, what does not, and what to do about it."""

from __future__ import annotations

import typer

from streams.cli.errors import ExitCode, UserError
from streams.cli.listing import OutputOption, show
from streams.cli.options import current


def doctor(output: OutputOption = "table") -> None:
    """Check this installation, the settings, the schemas and the broker; say how to repair each.

    Ends with exit code 10 when something must be repaired. Warnings alone are no failure.

    Example: streams doctor --broker 127.0.0.1:9092
    """
    from streams.broker import default_bootstrap  # noqa: PLC0415
    from streams.ops.doctor import checks  # noqa: PLC0415

    options = current()
    config = options.config()
    found = list(checks(config, options.broker or default_bootstrap(), options.warnings))
    show([check._asdict() for check in found], output, ("check", "state", "found", "remedy"))
    failed = [check.check for check in found if check.state == "fail"]
    if failed:
        names = ", ".join(failed[:5]) + (", ..." if len(failed) > 5 else "")
        raise UserError(
            f"{len(failed)} checks failed: {names}",
            "do what the lines above say",
            ExitCode.UNHEALTHY,
        )
    typer.echo("everything that is needed works", err=True)
