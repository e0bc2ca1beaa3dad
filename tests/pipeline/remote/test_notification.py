"""E-mail on Vertex AI when a run has ended, as Google's own component compiles."""

import dataclasses

import pytest
from google.protobuf import json_format

from albert_core.errors import InputError
from pipeline.albert import OptionalSteps, build_pipeline
from pipeline.remote.platform_config import RemotePlatformConfig
from pipeline.remote.platforms.registry import PLATFORMS
from pipeline.remote.resources import default_resources

NAME = "vertex-pipelines-notification-email"
EMAILS = ("team@example.org", "boss@example.org")


def with_emails(platform: str, emails: tuple[str, ...]):
    resources = default_resources(PLATFORMS[platform].rules)
    return dataclasses.replace(resources, notification_emails=emails)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_the_task_is_of_the_form_of_an_exit_task_beside_the_summary(checkpoint):
    platform = RemotePlatformConfig(with_emails("vertex", EMAILS), caching=False)
    pipeline = build_pipeline(platform, OptionalSteps(summary=True, checkpoint=checkpoint))
    spec = json_format.MessageToDict(pipeline.pipeline_spec)
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks[NAME] == {
        "cachingOptions": {},
        "componentRef": {"name": f"comp-{NAME}"},
        "dependentTasks": ["exit-handler-1"],
        "inputs": {
            "parameters": {
                "pipeline_task_final_status": {
                    "taskFinalStatus": {"producerTask": "exit-handler-1"}
                },
                "recipients": {"runtimeValue": {"constant": list(EMAILS)}},
            }
        },
        "taskInfo": {"name": "E-mail"},
        "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
    }
    summary = tasks["summarise-run"]
    assert tasks[NAME].keys() == summary.keys() - {"retryPolicy"}
    assert tasks[NAME]["triggerPolicy"] == summary["triggerPolicy"]
    container = spec["deploymentSpec"]["executors"][f"exec-{NAME}"]["container"]
    # Vertex AI sends the e-mail itself, by this type; the container says where it was compiled.
    assert container["args"] == ["--type", "VertexNotificationEmail", "--payload", ""]
    assert container["image"].startswith("gcr.io/ml-pipeline/google-cloud-pipeline-components:2.")


def test_without_addresses_there_is_no_such_task():
    platform = RemotePlatformConfig(with_emails("vertex", ()), caching=False)
    pipeline = build_pipeline(platform, OptionalSteps(summary=True))
    assert set(pipeline.pipeline_spec.root.dag.tasks) == {"exit-handler-1", "summarise-run"}


@pytest.mark.parametrize(
    ("platform", "emails", "message"),
    [
        ("kubeflow", EMAILS, "got team@example.org, boss@example.org, expected none: Kubeflow"),
        ("vertex", ("team",), "got 'team', expected addresses such as team@example.org"),
        ("vertex", ("a@b.org, c@d.org",), "expected addresses"),
    ],
)
def test_e_mail_that_cannot_be_sent_is_refused(platform, emails, message):
    with pytest.raises(InputError, match=message):
        with_emails(platform, emails)
