"""The ready files of examples/cluster/ are what Ray, KubeRay and a shell accept."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.test_docs import verbs

FOLDER = Path(__file__).parents[2] / "examples" / "cluster"
#: Fields that the API reference of KubeRay 1.6 documents.
CLUSTER_FIELDS = {
    *("rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs", "enableInTreeAutoscaling", "autoscalerOptions"),
    *("suspend", "headServiceAnnotations", "gcsFaultToleranceOptions", "managedBy", "upgradeStrategy"),
}
JOB_FIELDS = {
    *("entrypoint", "runtimeEnvYAML", "backoffLimit", "rayClusterSpec", "shutdownAfterJobFinishes", "metadata"),
    *("ttlSecondsAfterFinished", "activeDeadlineSeconds", "submissionMode", "suspend", "jobId", "clusterSelector"),
    *("entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "submitterConfig", "submitterPodTemplate"),
    *("deletionStrategy", "managedBy", "preRunningDeadlineSeconds"),
}
GROUP_FIELDS = {"template", "rayStartParams", "resources", "labels"}
WORKER_FIELDS = GROUP_FIELDS | {
    "groupName",
    "replicas",
    "minReplicas",
    "maxReplicas",
    "idleTimeoutSeconds",
    "numOfHosts",
}


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


@pytest.mark.parametrize("name", ["machines.yaml", "aws.yaml", "gcp.yaml"])
def test_ray_accepts_the_files_for_ray_up(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(read(name))
    validate_config(config)
    commands = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    for command in commands:
        subprocess.run(["bash", "-n", "-c", command], check=True)
    assert any("ray start --head" in command and "--dashboard-host=0.0.0.0" in command for command in commands)
    offers = [kind.get("resources", {}) for kind in config["available_node_types"].values()]
    assert sum("target:local" in kind for kind in offers) + ('{"target:local": 1}' in " ".join(commands)) == 1


def test_kuberay_documents_the_fields_of_the_cluster() -> None:
    found = read("raycluster.yaml")
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayCluster")
    check_cluster(found["spec"])


def test_a_retry_of_the_job_on_kubernetes_continues_the_study() -> None:
    found = read("rayjob.yaml")
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayJob")
    spec = found["spec"]
    assert spec.keys() <= JOB_FIELDS
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"]
    check_command(spec["entrypoint"])
    assert yaml.safe_load(spec["runtimeEnvYAML"])["env_vars"]["NAS_STORAGE"].startswith("postgresql://")
    check_cluster(spec["rayClusterSpec"])


def test_the_script_for_slurm_continues_its_study() -> None:
    script = FOLDER / "slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text().replace("\\\n", " ")
    (command,) = [line.split(" -- ")[1] for line in text.splitlines() if "ray symmetric-run" in line]
    check_command(command)


def check_cluster(spec: Mapping[str, Any]) -> None:
    assert spec.keys() <= CLUSTER_FIELDS
    assert spec["authOptions"] == {"mode": "token", "secretName": "nas-token"}
    assert spec["headGroupSpec"].keys() <= GROUP_FIELDS
    assert spec["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    offers = []
    for group in spec["workerGroupSpecs"]:
        assert group.keys() <= WORKER_FIELDS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        if option := group["rayStartParams"].get("resources"):
            # The operator pastes it into a command of a shell.
            offers.append(json.loads(shlex.split(f"--resources={option}")[0].partition("=")[2]))
            assert group["maxReplicas"] == 1
    assert offers == [{"target:local": 1}]


def check_command(command: str) -> None:
    words = shlex.split(command)
    assert words[:2] == ["nas", "search"]
    assert {"--or-resume", "--address", "auto"} <= set(words)
    known = {option for parameter in verbs()["search"].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    assert any(word.startswith("artifacts.root=") for word in words)
