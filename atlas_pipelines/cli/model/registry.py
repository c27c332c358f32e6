"""`atlas model ls | promote | deprecate`: the names of models on chain, and which version of a name is current."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from atlas.terminal.json_output import print_json
from atlas.terminal.tables import numbers, print_table, texts
from atlas_pipelines.cli.chain import network as given
from atlas_pipelines.cli.chain.network import ChainTarget, place
from atlas_pipelines.cli.content.open import open_content
from atlas_pipelines.cli.output import results_console
from chain_bridge.client.messages import RegisteredModel
from chain_bridge.ledger import Ledger
from resources.errors import CoordinatorError
from resources.jobs.registry import JobRegistry, RoundRef
from resources.operator_ledger import open_ledger
from resources.rounds.evaluating import recorded_verdict

Name = Annotated[str, typer.Argument(help="The model's name: that of its job.")]


def ls(
    name: Annotated[str | None, typer.Argument(help="Only the versions of this name.", show_default=False)] = None,
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    json: given.Json = False,
) -> None:
    """List the models that are registered on chain: each round of a job is a version of the job's name."""
    with place(network, url, key, reading=True) as here, Ledger(here.network) as ledger:
        models = ledger.models(name)
    if json:
        print_json([_facts(model) for model in models])
        return
    if not models:
        results_console().print(f"No model is registered{'' if name is None else f' as {name}'} yet.")
        return
    columns = [*texts("name"), *numbers("version"), *texts("status"), *numbers("job"), *texts("checkpoint")]
    cells = [[model.name, str(model.version), model.status, str(model.job), model.cid] for model in models]
    print_table(results_console(), columns, cells)


def promote(
    name: Name,
    version: Annotated[
        int | None,
        typer.Argument(help="The version: the round's number. [the newest that is not deprecated]", show_default=False),
    ] = None,
    worse: Annotated[
        bool, typer.Option("--worse", help="Promote the version even if it failed no_worse_than_base.")
    ] = False,
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    json: given.Json = False,
) -> None:
    """Make a version the current one of its name, as the job's owner; the previous one is then only registered.

    A version whose evaluation failed the check `no_worse_than_base` is refused, if this coordinator has the
    evaluation. `atlas content gc` keeps the files of promoted models, also after their job has ended.
    """
    _change("promoted", name, version, (network, url, key), json, worse)


def deprecate(
    name: Name,
    version: Annotated[int, typer.Argument(help="The version: the round's number.")],
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    json: given.Json = False,
) -> None:
    """Deprecate a version, as the job's owner; it is no longer current, and cannot be promoted again."""
    _change("deprecated", name, version, (network, url, key), json)


def _change(
    status: Literal["promoted", "deprecated"],
    name: str,
    version: int | None,
    where: tuple[Any, Any, Any],
    json: bool,
    worse: bool = True,
) -> None:
    """Give a version this status, unless it has it; one that is worse than its base only if `worse` is set."""
    with place(*where) as here, open_ledger(here.home, here.network, here.key) as ledger:
        model = _version(ledger.models(name), name, version)
        if model.status == "deprecated" and status == "promoted":
            raise CoordinatorError(f"Version {model.version} of model {name} is deprecated, which is final.")
        transaction = None
        if model.status != status:
            if not worse:
                _refuse_if_worse(model, here)
            send = ledger.promote_model if status == "promoted" else ledger.deprecate_model
            transaction = send(name, model.version).hash
            model = model.model_copy(update={"status": status})
    if json:
        print_json({**_facts(model), "transaction": transaction})
        return
    already = "" if transaction else " already"
    results_console().print(f"Model {name} {model.version} is {status}{already}: checkpoint {model.cid}")


def _refuse_if_worse(model: RegisteredModel, here: ChainTarget) -> None:
    """Raise `CoordinatorError` if the evaluation of this version failed."""
    ref = RoundRef(here.network.contract or "", model.job, model.version)
    verdict = recorded_verdict(model.cid, ref, JobRegistry(here.home.jobs_database), open_content(here.home))
    if verdict is not None and verdict.failed:
        raise CoordinatorError(
            f"Version {model.version} of model {model.name} is worse than the checkpoint that its round started from: "
            f"{verdict.worse}. Promote another version, or this one with --worse."
        )


def _version(models: Sequence[RegisteredModel], name: str, version: int | None) -> RegisteredModel:
    """The version with this number, or the newest that is not deprecated."""
    if not models:
        raise CoordinatorError(f"No model is registered as {name!r}. List the models with: atlas model ls")
    if version is None:
        usable = [model for model in models if model.status != "deprecated"]
        if not usable:
            raise CoordinatorError(f"Every version of model {name} is deprecated.")
        return usable[-1]
    for model in models:
        if model.version == version:
            return model
    found = ", ".join(str(model.version) for model in models)
    raise CoordinatorError(f"Model {name} has no version {version}; it has {found}.")


def _facts(model: RegisteredModel) -> dict[str, Any]:
    return model.model_dump(mode="json")
