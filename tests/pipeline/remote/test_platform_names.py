"""Names, labels and regions that the platforms take, and those that are refused."""

import pytest

from albert_core.errors import InputError
from pipeline.remote.platforms.kubeflow.config import KubeflowConfig
from pipeline.remote.platforms.vertex.config import VertexConfig


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("us-central1-a", "got the zone 'us-central1-a', expected its region, us-central1"),
        ("us", "got 'us', expected a region"),
        ("Europe-West4", "expected a region"),
        ("us-central", "expected a region"),
    ],
)
def test_a_zone_or_a_continent_is_no_region(location, message):
    with pytest.raises(InputError, match=message):
        VertexConfig(location=location)
    for there in ("us-central1", "northamerica-northeast2", "europe-west12", "africa-south1"):
        assert VertexConfig(location=there)


@pytest.mark.parametrize("labels", [{"": "x"}, {"1a": "x"}, {"a": "X"}, {"a" * 64: ""}])
def test_labels_that_google_does_not_take(labels):
    with pytest.raises(InputError, match=r"vertex\.labels: got '"):
        VertexConfig(labels=labels)
    assert VertexConfig(labels={"team": "", "a-1_b": "x" * 63})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("project", value) for value in ("My Project", "Proj", "projects/proj", "gs://proj")),
        *(("service_account", value) for value in ("runner", "runner@proj", "a b@c.d", "@c.d")),
        *(("network", value) for value in ("default", "projects/1/networks/a", "/projects/1")),
        *(("encryption_key", value) for value in ("key", "projects/p/locations/eu/keyRings/r")),
    ],
)
def test_names_that_vertex_does_not_take(name, value):
    with pytest.raises(InputError, match=rf"vertex\.{name}: got '.*', expected"):
        VertexConfig(**{name: value})


def test_names_that_vertex_takes():
    for project in ("my-project-1", "12345", "example.com:my-project"):
        assert VertexConfig(
            project=project,
            service_account="12345-compute@developer.gserviceaccount.com",
            network=f"projects/{project}/global/networks/a-1",
            encryption_key=f"projects/{project}/locations/eu/keyRings/R_1/cryptoKeys/k",
        )


@pytest.mark.parametrize("name", ["namespace", "service_account"])
def test_names_that_kubernetes_does_not_take(name):
    for value in ("Team", "a b", "a_b", "-a", "a.", "a" * 64):
        with pytest.raises(InputError, match=rf"kubeflow\.{name}: got '.*', expected up to 63"):
            KubeflowConfig(**{name: value})
    assert KubeflowConfig(**{name: "team-1"})
