"""`atlas job schedule`: show or change when a job is ordered again."""

from typing import Annotated

import typer

from atlas.documents.stored import get_document
from atlas.errors import SpecError
from atlas.home import AtlasHome
from atlas.spec.job import JobSpec
from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.content.open import open_content
from atlas_pipelines.cli.output import results_console
from resources.errors import JobNotFound
from resources.jobs.registry import JobRegistry
from resources.jobs.schedules import JobSchedule, JobSchedules


def schedule(
    name: Annotated[str, typer.Argument(help="The job's name.")],
    cron: Annotated[str | None, typer.Option(help="Minute, hour, day, month and weekday, such as '0 3 * * 1'.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone, such as Europe/Berlin; UTC by default.")] = None,
    monthly_budget: Annotated[
        int | None,
        typer.Option(min=0, help="The most micro-units that its orders escrow in a calendar month; 0 for no limit."),
    ] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Turn it on or off.", show_default=False)] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the schedule.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show when a job is ordered again, or change it. Dagster's daemon uses the change within a minute."""
    home = AtlasHome.from_environment()
    row = JobRegistry(home.jobs_database).job(name)
    if row is None:
        raise JobNotFound(f"No job {name!r} was opened here. List the jobs with: atlas job ls")
    kept = JobSchedules(home.jobs_database)
    found = kept.get(name)
    chosen: dict[str, object] = {
        field: value
        for field, value in (
            ("cron", cron),
            ("timezone", timezone),
            ("enabled", on),
            ("monthly_budget", monthly_budget),
        )
        if value is not None
    }
    if chosen.get("monthly_budget") == 0:
        chosen["monthly_budget"] = None
    now = None if remove or found is None else found[1]
    if chosen and not remove:
        if now is None and cron is None:
            raise SpecError(f"Job {name!r} has no schedule yet. Give one with --cron, such as --cron '0 3 * * 1'.")
        now = JobSchedule.from_value({**(now.model_dump() if now else {}), **chosen})
    if chosen or remove:
        order = get_document(open_content(home), row.spec_cid, JobSpec)
        kept.put(name, order.payment.budget, now)
    if json:
        print_json(now.model_dump() if now else None)
    else:
        results_console().print(describe(name, now), highlight=False)


def describe(name: str, schedule: JobSchedule | None) -> str:
    """One line about a job's schedule."""
    if schedule is None:
        return f"{name} has no schedule."
    limit = schedule.monthly_budget
    return (
        f"{name}: {schedule.cron} ({schedule.timezone}), {'on' if schedule.enabled else 'off'}, "
        f"{f'at most {limit:,} micro-units a month' if limit else 'no monthly budget'}"
    )
