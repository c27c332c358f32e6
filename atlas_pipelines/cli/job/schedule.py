"""`atlas job schedule`: show or change when a job is ordered again."""

from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel

from atlas.documents.stored import get_document
from atlas.errors import SpecError
from atlas.home import AtlasHome
from atlas.spec.job import JobSpec
from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.content.open import open_content
from atlas_pipelines.cli.output import results_console
from resources.errors import JobNotFound
from resources.jobs.automation import JobAutomation, JobAutomations, RetrainingRules
from resources.jobs.registry import JobRegistry
from resources.jobs.schedules import JobSchedule, JobSchedules

Setting = TypeVar("Setting", bound=BaseModel)
EVENTS = ("on_new_data", "on_new_base", "after")


def schedule(
    name: Annotated[str, typer.Argument(help="The job's name.")],
    cron: Annotated[str | None, typer.Option(help="Minute, hour, day, month and weekday, such as '0 3 * * 1'.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone, such as Europe/Berlin; UTC by default.")] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Turn the times on or off.", show_default=False)] = None,
    on_new_data: Annotated[
        bool | None,
        typer.Option("--on-new-data/--no-new-data", help="When its source has a new version.", show_default=False),
    ] = None,
    on_new_base: Annotated[
        str | None, typer.Option(metavar="JOB", help="When a model of this job is promoted; '' for none.")
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(metavar="JOB", help="When this job or its newest retraining has finished; '' for none."),
    ] = None,
    monthly_budget: Annotated[
        int | None,
        typer.Option(min=0, help="The most micro-units that its orders escrow in a calendar month; 0 for no limit."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove schedule and automation.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show when a job is ordered again, or change it. Dagster's daemon uses the change within a minute."""
    home = AtlasHome.from_environment()
    row = JobRegistry(home.jobs_database).job(name)
    if row is None:
        raise JobNotFound(f"No job {name!r} was opened here. List the jobs with: atlas job ls")
    schedules, automations = JobSchedules(home.jobs_database), JobAutomations(home.jobs_database)
    times = _given(cron=cron, timezone=timezone, enabled=on)
    events = _given(on_new_data=on_new_data, on_new_base=on_new_base, after=after)
    now = RetrainingRules(_setting(schedules.get(name)), _setting(automations.get(name)))
    if remove:
        now = RetrainingRules()
    elif times or events or monthly_budget is not None:
        now = changed_rules(name, now, times, events, monthly_budget)
    if remove or times or events or monthly_budget is not None:
        budget = get_document(open_content(home), row.spec_cid, JobSpec).payment.budget
        automations.put(name, budget, now.automation)
        schedules.put(name, budget, now.schedule)
    if json:
        print_json({field: one and one.model_dump() for field, one in now._asdict().items()})
    else:
        for line in describe(name, now):
            results_console().print(line, highlight=False)


def changed_rules(
    name: str, rules: RetrainingRules, times: dict[str, Any], events: dict[str, Any], monthly_budget: int | None
) -> RetrainingRules:
    """Rules with other times, events or budget. Schedule and automation get the same budget; 0 stands for no limit.

    Raises `SpecError` for an invalid value, and if there is nothing to which the change applies.
    """
    schedule, automation = rules
    if times and schedule is None and "cron" not in times:
        raise SpecError(f"Job {name!r} has no schedule yet. Give one with --cron, such as --cron '0 3 * * 1'.")
    budget = {} if monthly_budget is None else {"monthly_budget": monthly_budget or None}
    if budget and not (schedule or automation or times or events):
        raise SpecError(f"Job {name!r} is not ordered again. Say when, such as --cron '0 3 * * 1' or --on-new-data.")
    if schedule or times:
        schedule = JobSchedule.from_value({**_fields(schedule), **times, **budget})
    if automation or events:
        value = {**_fields(automation), **{event: chosen or None for event, chosen in events.items()}, **budget}
        value["on_new_data"] = bool(value.get("on_new_data"))
        automation = JobAutomation.from_value(value) if any(value.get(event) for event in EVENTS) else None
    return RetrainingRules(schedule, automation)


def describe(name: str, rules: RetrainingRules) -> list[str]:
    """One line about the times at which a job is ordered again, and one about the events."""
    schedule, automation = rules
    lines = []
    if schedule is not None:
        times = f"{schedule.cron} ({schedule.timezone}), {'on' if schedule.enabled else 'off'}"
        lines.append(f"{name}: {times}, {_limit(schedule.monthly_budget)}")
    if automation is not None:
        events = [
            *(["on new data"] if automation.on_new_data else []),
            *([f"when a model of {automation.on_new_base} is promoted"] if automation.on_new_base else []),
            *([f"after {automation.after}"] if automation.after else []),
        ]
        lines.append(f"{name}: {', '.join(events)}, {_limit(automation.monthly_budget)}")
    return lines or [f"{name} has no schedule and no automation."]


def _limit(budget: int | None) -> str:
    return f"at most {budget:,} micro-units a month" if budget else "no monthly budget"


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _setting(kept: tuple[int, Setting] | None) -> Setting | None:
    return None if kept is None else kept[1]


def _fields(setting: BaseModel | None) -> dict[str, Any]:
    return {} if setting is None else setting.model_dump()
