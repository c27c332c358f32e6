"""The operator's settings, which are refused where they are read."""

import pytest

from atlas.errors import SpecError
from resources.alerts.settings import OperatorSettings, read_operator_settings
from resources.errors import CoordinatorError

MAIL = "kind: email, server: mail.example.org, sender: atlas@example.org, to: [me@example.org]"


@pytest.fixture
def read(tmp_path):
    def read(text: str) -> OperatorSettings:
        path = tmp_path / "settings.yaml"
        path.write_text(text)
        return read_operator_settings(path)

    return read


def test_without_a_file_there_are_no_hooks(tmp_path):
    assert read_operator_settings(tmp_path / "settings.yaml").hooks == []


def test_each_kind_is_read_and_found_by_its_name(read):
    settings = read(
        "hooks:\n"
        "- {name: a, kind: command, command: [notify, --now], events: [run.failed]}\n"
        "- {name: b, kind: webhook, url_variable: CHAT_URL, secret_variable: CHAT_KEY}\n"
        f"- {{name: c, {MAIL}, user: me, password_variable: MAIL_PASSWORD}}\n"
    )
    assert [settings.hook(name).kind for name in "abc"] == ["command", "webhook", "email"]
    assert settings.hook("b").events == ["run.failed", "run.refused", "check.failed"]
    with pytest.raises(CoordinatorError, match="no hook 'd'"):
        settings.hook("d")


@pytest.mark.parametrize(
    ("hook", "named"),
    [
        ("{name: a, kind: pigeon}", "kind|tag"),
        ("{name: a, kind: command, command: []}", "command"),
        ("{name: a, kind: webhook}", "either url or url_variable"),
        ("{name: a, kind: webhook, url: 'ftp://x'}", "url"),
        ("{name: a, kind: webhook, url: 'https://x', secret: s3cret}", "secret"),
        (f"{{name: a, {MAIL}, password_variable: P}}", "both user and password_variable"),
        (f"{{name: a, {MAIL}, tls: none, user: me, password_variable: P}}", "unencrypted"),
        ("{name: a, kind: command, command: [x]}\n- {name: a, kind: command, command: [y]}", "'a' is given twice"),
        ("{name: a, kind: command, command: [x], events: [round.failed]}", "events"),
    ],
)
def test_a_bad_hook_is_refused_by_its_field(read, hook, named):
    with pytest.raises(SpecError, match=named):
        read(f"hooks:\n- {hook}\n")
