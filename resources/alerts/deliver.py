"""Deliver one alert through one hook, once. The caller retries."""

import hashlib
import hmac
import smtplib
import ssl
import subprocess
from collections.abc import Mapping
from email.message import EmailMessage

import rfc8785

from atlas.unexpected import one_line
from resources.alerts.alert import Alert
from resources.alerts.settings import CommandHook, EmailHook, WebhookHook, secret
from resources.errors import AlertNotDelivered

SIGNATURE = "X-Atlas-Signature"


def deliver(alert: Alert, hook: CommandHook | WebhookHook | EmailHook, environment: Mapping[str, str]) -> None:
    """Send the alert; raises `AlertNotDelivered`, and `CoordinatorError` when a variable of the hook is not set."""
    body = rfc8785.dumps(alert.model_dump(mode="json"))
    if isinstance(hook, CommandHook):
        _run(hook, body)
    elif isinstance(hook, WebhookHook):
        _post(hook, body, environment)
    else:
        _mail(hook, alert, environment)


def signature(body: bytes, key: str) -> str:
    """The value of `X-Atlas-Signature`: the HMAC-SHA256 (RFC 2104) of the body, in hex digits."""
    return f"sha256={hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}"


def _run(hook: CommandHook, body: bytes) -> None:
    try:
        done = subprocess.run(hook.command, input=body, capture_output=True, timeout=hook.seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise AlertNotDelivered(f"The command of hook {hook.name!r} did not end within {hook.seconds:g} s.") from error
    except OSError as error:
        raise AlertNotDelivered(
            f"The command of hook {hook.name!r} cannot be started: {error.strerror}: {hook.command[0]}."
        ) from error
    if done.returncode != 0:
        said = one_line((done.stderr or done.stdout).decode(errors="replace"))
        raise AlertNotDelivered(f"The command of hook {hook.name!r} ended with exit code {done.returncode}: {said}")


def _post(hook: WebhookHook, body: bytes, environment: Mapping[str, str]) -> None:
    """The URL may be secret, so no message has it."""
    import httpx2  # slow, and every Dagster process loads this module

    url = hook.url or secret(hook.url_variable or "", hook.name, environment)
    headers = {"Content-Type": "application/json"}
    if hook.secret_variable is not None:
        headers[SIGNATURE] = signature(body, secret(hook.secret_variable, hook.name, environment))
    try:
        with httpx2.stream("POST", url, content=body, headers=headers, timeout=hook.seconds) as answer:
            status = answer.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise AlertNotDelivered(f"The server of hook {hook.name!r} does not answer: {type(error).__name__}.") from None
    if not 200 <= status < 300:
        raise AlertNotDelivered(f"The server of hook {hook.name!r} answered with status {status}, expected 2xx.")


def _mail(hook: EmailHook, alert: Alert, environment: Mapping[str, str]) -> None:
    message = EmailMessage()
    message["From"], message["To"] = hook.sender, ", ".join(hook.to)
    message["Subject"] = one_line(f"Atlas: {alert.title}")
    message.set_content(_text(alert))
    password = secret(hook.password_variable, hook.name, environment) if hook.password_variable else None
    try:
        with _connected(hook) as server:
            if hook.user is not None and password is not None:
                server.login(hook.user, password)
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise AlertNotDelivered(f"The mail server of hook {hook.name!r} failed: {one_line(str(error))}") from error


def _connected(hook: EmailHook) -> smtplib.SMTP:
    if hook.tls == "tls":
        return smtplib.SMTP_SSL(hook.server, hook.port, timeout=hook.seconds, context=ssl.create_default_context())
    server = smtplib.SMTP(hook.server, hook.port, timeout=hook.seconds)
    if hook.tls == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


def _text(alert: Alert) -> str:
    lines = [alert.title, "", alert.text, f"Run {alert.run}"]
    lines += [f"{one.severity} {one.asset} {one.check}: {one.description}" for one in alert.checks]
    return "\n".join(lines)
