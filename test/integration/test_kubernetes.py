"""Promise: the manifests for Kubernetes and the keepalived pair say what a router accepts, end it
with patience, ask it without asking its servers, and give it no rights that it does not need."""
import os
import re
import subprocess

import pytest
import yaml

from lib.ini import frontend, tcp_backend
from lib.fake import echo
from lib.process import free_port
from lib.router import run

EXAMPLES = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "examples"))
KUBERNETES = os.path.join(EXAMPLES, "kubernetes")
KEEPALIVED = os.path.join(EXAMPLES, "keepalived")
MANIFESTS = ["sidecar.yaml", "shared.yaml"]
SESSION_BYTES = 3 * 49152       # src/capacity.c
IDLE_BYTES = 8 << 20
UNITS = {"s": 1.0, "ms": 0.001, "m": 60.0}
SIZES = {"Mi": 1 << 20, "Gi": 1 << 30}


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


class Manifest:
    def __init__(self, name):
        self.things = {thing["kind"]: thing for thing in
                       yaml.safe_load_all(read(KUBERNETES, name))}
        self.pod = self.things["Deployment"]["spec"]["template"]["spec"]
        self.ini = self.things["ConfigMap"]["data"]["router.ini"]

    def router(self):
        """The container."""
        return next(c for c in self.pod.get("initContainers", []) + self.pod["containers"]
                    if c["name"] == "router")

    def mounts(self):
        """Where what is mounted: {path: the volume}."""
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        return {mount["mountPath"]: volumes[mount["name"]]
                for mount in self.router()["volumeMounts"]}


@pytest.fixture(params=MANIFESTS, scope="module")
def manifest(request):
    return Manifest(request.param)


def seconds(ini, key):
    found = re.search(rf"^{key} = (\d+)(ms|s|m)$", ini, re.M)
    return float(found[1]) * UNITS[found[2]] if found else 0.0


def check(home, manifest):
    """`router -t` on what it would find in the pod."""
    directory = home.directory("pod")
    ini = manifest.ini
    for path, volume in manifest.mounts().items():
        if "secret" in volume:
            secret = manifest.things["Secret"]
            assert volume["secret"]["secretName"] == secret["metadata"]["name"]
            for name, value in secret["stringData"].items():
                with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                    file.write(value)
            ini = ini.replace(path + "/", directory + "/")
        if "configMap" in volume:
            assert volume["configMap"]["name"] == manifest.things["ConfigMap"]["metadata"]["name"]
            assert manifest.router()["args"] == ["-c", path + "/router.ini"]
    return run("-t", "-c", home.file(f"{os.path.basename(directory)}.ini", ini))


def test_the_configuration_in_it_is_right(home, manifest):
    done = check(home, manifest)
    assert done.returncode == 0, done.stderr
    assert "/run/router" in manifest.mounts()       # for the control socket


def test_the_kubelet_waits_longer_than_the_router(manifest):
    patience = manifest.pod["terminationGracePeriodSeconds"]
    needed = seconds(manifest.ini, "shutdown_delay") + seconds(manifest.ini, "drain_timeout")
    assert 20 <= needed <= patience - 5


def test_probes_ask_the_router_and_never_a_server(home, manifest):
    router = home.router(frontend("f", free_port()) + tcp_backend(home.fake(echo)))
    container = manifest.router()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    admin = int(re.search(r"^admin = \S*:(\d+)$", manifest.ini, re.M)[1])
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz"),
                        ("startupProbe", "/readyz")):
        get = container[probe]["httpGet"]
        assert get["path"] == path and ports[get["port"]] == admin
        assert router.http(path)[0] == 200
        assert not {"exec", "tcpSocket"} & set(container[probe])


def test_it_has_no_right_that_it_does_not_need(manifest):
    pod, own = manifest.pod["securityContext"], manifest.router()["securityContext"]
    assert pod["runAsNonRoot"] is True and pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own == {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
                   "capabilities": {"drop": ["ALL"]}}
    assert manifest.pod["automountServiceAccountToken"] is False
    assert not re.search(r":(\d{1,3})$", manifest.ini, re.M), "a port below 1024"
    for path, volume in manifest.mounts().items():
        mount = next(m for m in manifest.router()["volumeMounts"] if m["mountPath"] == path)
        assert mount.get("readOnly") or "emptyDir" in volume
    assert "secret" in next(v for p, v in manifest.mounts().items() if "secrets" in p)


def test_its_memory_limit_is_above_what_its_sessions_may_take(manifest):
    found = re.fullmatch(r"(\d+)(Mi|Gi)", manifest.router()["resources"]["limits"]["memory"])
    limit = int(found[1]) * SIZES[found[2]]
    sessions = int(re.search(r"^max_sessions = (\d+)$", manifest.ini, re.M)[1])
    assert IDLE_BYTES + sessions * SESSION_BYTES <= limit


def test_the_shared_ones_do_not_fall_together():
    shared = Manifest("shared.yaml")
    deployment = shared.things["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    budget = shared.things["PodDisruptionBudget"]["spec"]
    assert budget["selector"]["matchLabels"] == labels and budget["maxUnavailable"] == 1
    rule = shared.pod["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert rule["labelSelector"]["matchLabels"] == labels
    service = shared.things["Service"]["spec"]
    assert service["selector"] == labels
    ports = {port["name"]: port["containerPort"] for port in shared.router()["ports"]}
    bound = {int(port) for port in re.findall(r"^bind = \S*:(\d+)$", shared.ini, re.M)}
    assert {ports[port["targetPort"]] for port in service["ports"]} == bound


def test_the_sidecar_is_there_before_the_application_and_after_it():
    sidecar = Manifest("sidecar.yaml")
    assert sidecar.pod["initContainers"] == [sidecar.router()]
    assert sidecar.router()["restartPolicy"] == "Always"
    assert "probe_keep = no" in sidecar.ini


def test_the_image_is_nobodys_and_from_this_debian():
    lines = read(KUBERNETES, "Containerfile").splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert bases == ["debian:12", "debian:12-slim"]
    user = next(line for line in lines if line.startswith("USER ")).split()[1]
    assert user == "65532:65532"
    makefile = read(EXAMPLES, "..", "Makefile")
    packages = re.search(r"^BUILD_PACKAGES := (.*)$", makefile, re.M)[1].split()
    assert set(packages) <= set(" ".join(lines).split())
    for line in lines:
        for source in line.split()[1:-1] if re.match("COPY [^-]", line) else []:
            assert os.path.exists(os.path.join(EXAMPLES, "..", source)), line


# The pair.


def test_the_keepalived_pair_is_right(home):
    done = run("-t", "-c", os.path.join(KEEPALIVED, "router.ini"))
    assert done.returncode == 0, done.stderr
    if os.geteuid() != 0:
        pytest.skip("only root can make the interface that keepalived wants to see")
    for name in ("router-a.conf", "router-b.conf"):
        # Its own check of another user's script ends it by SIGTERM (keepalived 2.2.7).
        text = read(KEEPALIVED, name)
        assert "script_user nobody\n" in text
        path = home.file(name, text.replace("script_user nobody", "script_user root"))
        done = subprocess.run(
            ["unshare", "--net", "sh", "-c", "ip link add eth0 type veth peer name eth1 && "
             'ip link set eth0 up && exec keepalived -t -f "$1"', "sh", path],
            capture_output=True, text=True, check=False, start_new_session=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_two_of_the_pair_are_each_others():
    first, second = (read(KEEPALIVED, name) for name in ("router-a.conf", "router-b.conf"))
    found = [(re.search(r"unicast_src_ip (\S+)", text)[1],
              re.search(r"unicast_peer \{\s+(\S+)", text)[1],
              int(re.search(r"priority (\d+)", text)[1])) for text in (first, second)]
    assert found[0][:2] == found[1][1::-1] and found[0][2] > found[1][2]
    ini = read(KEEPALIVED, "router.ini")
    fall = int(re.search(r"fall (\d+)", first)[1]) * int(re.search(r"interval (\d+)", first)[1])
    shutdown = re.search(r"^shutdown_delay = (\d+)s", ini, re.M)
    assert int(shutdown[1]) > fall
