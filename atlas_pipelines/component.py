"""The Dagster component `FineTuning`: a job of this project in another team's Dagster project."""

from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component
from pydantic import Field

JOB_FILE = "job.yaml"
EXAMPLE = "examples/sentiment.yaml"


class FineTuningScaffolder(dg.Scaffolder):
    """Writes `defs.yaml`, and `job.yaml` with a copy of the example, named after the folder."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Write both files; raises `SpecError` if the examples are not installed."""
        from assets.launch.order import find_spec, model_slug
        from atlas.spec.job import read_mapping

        example = find_spec(EXAMPLE)
        text, name = example.read_text(encoding="utf-8"), read_mapping(example)["name"]
        folder = request.target_path.parent if request.append else request.target_path
        new = text.replace(f"name: {name}\n", f"name: {model_slug(folder.name)}\n", 1)
        (folder / JOB_FILE).write_text(new, encoding="utf-8")
        scaffold_component(request, {"job": JOB_FILE})


@dg.scaffold_with(FineTuningScaffolder)
class FineTuning(dg.Component, dg.Model, dg.Resolvable):
    """Fine-tunes a model with LoRA on machines of others, and proves every step.

    Adds the asset `started_job/NAME`, which starts the job after the assets that write its data, and the assets, jobs,
    sensors and resources of Atlas Pipelines. Several of these components in one project share them.
    """

    job: str | dict[str, Any] = Field(
        description="The job: the path of a job's file, from the folder of this file, or the fields of such a file.",
    )
    deps: list[str] = Field(default=[], description="Keys of the assets that write the data of the job.")
    run_rounds: bool = Field(
        default=True, description="Whether the sensor started_jobs launches the rounds once the job is started."
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The job's asset, with the definitions of Atlas Pipelines; raises `SpecError` that names each bad field."""
        from assets.launch.order import job_file
        from assets.started_job import started_job
        from atlas.spec.job import read_mapping
        from atlas_pipelines.definitions import defs

        raw = self.job if isinstance(self.job, dict) else read_mapping(Path(context.path) / self.job)
        deps = [dg.AssetKey.from_user_string(key) for key in self.deps]
        own = dg.Definitions(assets=[started_job(job_file(raw), deps, self.run_rounds)])
        return dg.Definitions.merge(defs, own) if self._is_first(context) else own

    def _is_first(self, context: dg.ComponentLoadContext) -> bool:
        """Whether this component adds the shared definitions, which a project can have only once."""
        components = context.component_tree.get_all_components(FineTuning)
        return not components or components[0] is self
