"""`$ATLAS_HOME/settings.yaml`: the operator's hooks. It names the environment variables that hold their secrets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from atlas.documents.document import describe_validation
from atlas.errors import SpecError
from atlas.spec.job import read_mapping
from resources.alerts.alert import Event
from resources.errors import CoordinatorError

ALL: list[Event] = ["run.failed", "run.refused", "check.failed"]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Hook(BaseModel):
    """The fields that all kinds of hooks have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$", description="lower-case letters, digits, dashes")
    events: list[Event] = Field(default=ALL, min_length=1, description="the events that it is called for")
    seconds: float = Field(default=20.0, gt=0, le=300, description="one call may take this long")


class CommandHook(Hook):
    """A program that gets the alert as JSON on its standard input. No shell reads its arguments."""

    kind: Literal["command"]
    command: list[str] = Field(min_length=1, description="the program and its arguments")


class WebhookHook(Hook):
    """An HTTP server that gets the alert as the body of a POST."""

    kind: Literal["webhook"]
    url: str | None = Field(default=None, pattern=r"^https?://", description="where to post")
    url_variable: Variable | None = Field(default=None, description="the variable with the URL, if the URL is secret")
    secret_variable: Variable | None = Field(
        default=None, description="the variable with the key of X-Atlas-Signature; without one, nothing is signed"
    )

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_variable is None):
            raise ValueError("give either url or url_variable")
        return self


class EmailHook(Hook):
    """An SMTP server that gets the alert as a message in plain text."""

    kind: Literal["email"]
    server: str = Field(min_length=1, description="host of the SMTP server")
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="starttls before anything is sent, tls from the first byte, or none"
    )
    sender: str = Field(pattern=r"^[^\s@]+@[^\s@]+$")
    to: list[Annotated[str, Field(pattern=r"^[^\s@]+@[^\s@]+$")]] = Field(min_length=1)
    user: str | None = Field(default=None, description="for a server that asks for a login")
    password_variable: Variable | None = Field(default=None, description="the variable with the user's password")

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        if (self.user is None) != (self.password_variable is None):
            raise ValueError("give both user and password_variable, or neither")
        if self.user is not None and self.tls == "none":
            raise ValueError("tls: none would send the password unencrypted; choose starttls or tls")
        return self


AnyHook = Annotated[CommandHook | WebhookHook | EmailHook, Field(discriminator="kind")]


class OperatorSettings(BaseModel):
    """The settings of the person who runs a coordinator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hooks: list[AnyHook] = Field(default_factory=list, description="called when a run or a check has failed")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [hook.name for hook in self.hooks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"hooks: the name {name!r} is given twice")
        return self

    def hook(self, name: str) -> CommandHook | WebhookHook | EmailHook:
        """The hook of this name; raises `CoordinatorError` when there is none."""
        for hook in self.hooks:
            if hook.name == name:
                return hook
        raise CoordinatorError(
            f"$ATLAS_HOME/settings.yaml has no hook {name!r}. It was removed or renamed after the alert was launched."
        )


def read_operator_settings(path: Path) -> OperatorSettings:
    """The settings in a YAML file, or the defaults when there is none; raises `SpecError` that names each bad field."""
    if not path.exists():
        return OperatorSettings()
    try:
        return OperatorSettings.model_validate(read_mapping(path))
    except ValidationError as error:
        raise SpecError(
            f"{path} is not a valid settings file:\n{describe_validation(error, OperatorSettings)}"
        ) from error


def secret(variable: str, hook: str, environment: Mapping[str, str]) -> str:
    """The value of an environment variable; raises `CoordinatorError` when it is not set, or empty."""
    value = environment.get(variable, "")
    if not value:
        raise CoordinatorError(
            f"The hook {hook!r} needs the environment variable {variable}, which is not set. Set it where `atlas up` "
            "starts."
        )
    return value
