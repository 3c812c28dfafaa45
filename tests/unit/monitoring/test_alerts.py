import json
import logging
from pathlib import Path

import pytest

from mlops_runtime.monitoring.alerts import MAX_ATTEMPTS, Alerts
from mlops_runtime.monitoring.config import AlertConfig, SmtpConfig, WebhookConfig
from mlops_runtime.monitoring.receivers import receivers

from .conftest import Server


class Desk:
    """Alerts with a clock that tests move."""

    def __init__(self, folder: Path, *told: AlertConfig, smtp: SmtpConfig | None = None) -> None:
        self.folder = folder
        self.told = told
        self.smtp = smtp
        self.now = 1_000_000.0
        self.reopen()

    def reopen(self) -> None:
        told = receivers(self.told, self.smtp, self.folder / "outbox")
        self.alerts = Alerts(self.folder, told, {"monitor": "m", "model": "delay"}, clock=lambda: self.now)

    def window(self, exceeded: bool, value: float = 1.0) -> None:
        at = str(self.now)
        if exceeded:
            self.alerts.raise_("error_rate", at, "too many errors", {"value": value})
        else:
            self.alerts.resolve("error_rate", at, "good again", {"value": value})
        self.alerts.deliver()


@pytest.fixture
def desk(tmp_path: Path, webhook: Server) -> Desk:
    return Desk(tmp_path, WebhookConfig(webhook=webhook.url, min_interval_s=3600))


def states(webhook: Server) -> list[str]:
    return [post["state"] for post in webhook.posts]


def test_an_alert_that_lasts_is_repeated_after_the_interval_only(desk: Desk, webhook: Server) -> None:
    for _ in range(13):  # 0 to 7200 s
        desk.window(True)
        desk.now += 600
    assert states(webhook) == ["firing"] * 3
    assert len({post["id"] for post in webhook.posts}) == 3
    assert {post["since"] for post in webhook.posts} == {"1000000.0"}


def test_an_alert_that_flaps_is_told_once_within_the_interval(desk: Desk, webhook: Server) -> None:
    for _ in range(3):
        desk.window(True)
        desk.now += 60
        desk.window(False)
        desk.now += 60
    assert states(webhook) == ["firing", "resolved"]
    desk.now += 3600
    desk.window(True)
    assert states(webhook) == ["firing", "resolved", "firing"]
    history = [json.loads(line)["state"] for line in (desk.folder / "alerts.jsonl").read_text().splitlines()]
    assert history == ["firing", "resolved"] * 3 + ["firing"]


def test_an_alert_held_back_is_told_when_its_interval_is_over_and_it_still_lasts(desk: Desk, webhook: Server) -> None:
    desk.window(True)
    desk.now += 60
    desk.window(False)
    desk.now += 60
    desk.window(True)
    assert len(webhook.posts) == 2
    desk.now += 3600
    desk.window(True)
    assert states(webhook) == ["firing", "resolved", "firing"]
    assert webhook.posts[-1]["since"] == "1000120.0"


def test_a_restart_repeats_nothing(desk: Desk, webhook: Server) -> None:
    desk.window(True)
    desk.reopen()
    desk.now += 60
    desk.window(True)
    assert states(webhook) == ["firing"]
    assert desk.alerts.active == {"error_rate": "1000000.0"}
    desk.window(False)
    assert states(webhook) == ["firing", "resolved"]


def test_a_failed_delivery_is_tried_again_with_growing_pauses_in_order(desk: Desk, webhook: Server) -> None:
    webhook.statuses = [500, 503]
    desk.window(True)
    desk.window(False)
    assert webhook.posts == []
    desk.now += 0.9
    desk.alerts.deliver()
    assert len(webhook.statuses) == 1  # not tried before a second has passed
    desk.now += 0.2
    desk.reopen()  # what waits survives a restart
    desk.alerts.deliver()
    assert webhook.statuses == []
    desk.now += 1.5
    desk.alerts.deliver()
    assert webhook.posts == []
    desk.now += 0.6
    desk.alerts.deliver()
    assert states(webhook) == ["firing", "resolved"]
    assert desk.alerts.waiting == 0


def test_a_webhook_that_never_answers_is_given_up_and_does_not_hold_up_another(
    tmp_path: Path, webhook: Server, caplog: pytest.LogCaptureFixture
) -> None:
    dead = WebhookConfig(webhook="http://127.0.0.1:9/token-in-the-path")
    desk = Desk(tmp_path, dead, WebhookConfig(webhook=webhook.url))
    desk.window(True)
    assert states(webhook) == ["firing"]
    tries = 0
    while desk.alerts.waiting:
        desk.now += 300
        desk.alerts.deliver()
        tries += 1
    assert tries == MAX_ATTEMPTS - 1
    assert (desk.alerts.given_up, desk.alerts.delivered) == (1, 1)
    assert "127.0.0.1:9, attempt 1: ConnectError" in caplog.text
    assert "token-in-the-path" not in caplog.text


def test_a_secret_webhook_is_resolved_when_used_and_never_written(
    tmp_path: Path, webhook: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mlops_runtime")
    secret = f"{webhook.url}/T0KEN"
    desk = Desk(tmp_path / "a", WebhookConfig(webhook="env:MLOPS_TEST_HOOK"))
    desk.window(True)
    assert "set the environment variable MLOPS_TEST_HOOK" in caplog.text
    monkeypatch.setenv("MLOPS_TEST_HOOK", secret)
    webhook.statuses = [500]
    for _ in range(2):
        desk.now += 10
        desk.alerts.deliver()
    assert states(webhook) == ["firing"]
    assert "HTTP status 500" in caplog.text
    written = caplog.text + "".join(path.read_text() for path in (tmp_path / "a").iterdir())
    assert "T0KEN" not in written
    (tmp_path / "hook").write_text(secret + "\n")
    desk = Desk(tmp_path / "b", WebhookConfig(webhook=f"file:{tmp_path / 'hook'}"))
    desk.window(True)
    assert len(webhook.posts) == 2


def test_a_webhook_taken_out_of_the_config_gets_nothing_more(desk: Desk, webhook: Server) -> None:
    webhook.statuses = [500]
    desk.window(True)
    desk.told = ()
    desk.reopen()
    desk.now += 10
    desk.alerts.deliver()
    assert (webhook.posts, desk.alerts.waiting) == ([], 0)


def test_a_message_in_the_history_twice_is_written_once(desk: Desk) -> None:
    desk.window(True)
    (desk.folder / "alerts.json").unlink()  # the crash came between history and state
    desk.reopen()
    desk.window(True)
    assert len((desk.folder / "alerts.jsonl").read_text().splitlines()) == 1
