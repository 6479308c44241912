"""What the Kustomize files come to: rendered by kubectl, and laid out on disk as a kubelet lays out a pod's volumes."""

import base64
import os
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "config" / "kubernetes"
KUBECTL = os.environ.get("KUBECTL", "kubectl")


def render(directory):
    """The objects of a kustomization, in order; whatever kubectl warns about is an error."""
    done = subprocess.run([KUBECTL, "kustomize", str(directory)], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr.strip(), f"{directory}: {done.stderr}"
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def overlay(directory, objects, components, namespace=None):
    """Renders objects with components, as a user's own kustomization does."""
    directory.mkdir(parents=True)
    (directory / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    relative = [os.path.relpath(KUBERNETES / each, directory.resolve()) for each in components]
    text = {"resources": ["objects.yaml"], "components": relative}
    if namespace:
        text["namespace"] = namespace
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(text))
    return render(directory)


def pod_of(owner):
    """The pod spec of a Deployment, StatefulSet or Job."""
    return owner["spec"]["template"]["spec"]


def owners(objects):
    return [each for each in objects if each["kind"] in ("Deployment", "StatefulSet", "Job")]


def gateways(pod):
    """The containers of a pod that run the gateway."""
    containers = pod.get("initContainers", []) + pod["containers"]
    return [each for each in containers if each["image"].split(":")[0].split("/")[-1] == "tollgate"]


def write_volume(directory, files, mode=0o644):
    """As a kubelet writes a volume: the files in a generation, a link to it, and links to its files. Swapped as a whole."""
    directory.mkdir(parents=True, exist_ok=True)
    old = os.readlink(directory / "..data") if (directory / "..data").is_symlink() else None
    number = int(old.rsplit("_", 1)[1]) + 1 if old else 0
    generation = directory / f"..generation_{number}"
    generation.mkdir(mode=0o755)
    for name, text in files.items():
        (generation / name).write_text(text)
        (generation / name).chmod(mode)
    os.symlink(generation.name, directory / "..data_tmp")
    os.rename(directory / "..data_tmp", directory / "..data")
    for name in files:
        if not (directory / name).is_symlink():
            os.symlink(f"..data/{name}", directory / name)
    if old:
        for name in os.listdir(directory / old):
            (directory / old / name).unlink()
            if name not in files:
                (directory / name).unlink()
        (directory / old).rmdir()


def lay_out(root, objects, pod, container, secrets):
    """Lays out what a container of a pod finds at its mount paths, below `root`. `secrets` are the files of Secrets, by
    their names. Volumes that are not there are an error, as they are to a kubelet."""
    volumes = {each["name"]: each for each in pod.get("volumes", [])}
    claims = {each["metadata"]["name"] for owner in owners(objects) for each in owner["spec"].get("volumeClaimTemplates", [])}
    maps = {each["metadata"]["name"]: each for each in objects if each["kind"] == "ConfigMap"}
    for mount in container.get("volumeMounts", []):
        assert "subPath" not in mount, f"a subPath is never updated: {mount}"
        directory = root / mount["mountPath"].lstrip("/")
        volume = volumes.get(mount["name"])
        if volume is None:
            assert mount["name"] in claims, f"{mount['name']} is no volume of the pod"
            directory.mkdir(parents=True)
        elif "configMap" in volume:
            found = maps[volume["configMap"]["name"]]
            binary = {name: base64.b64decode(text).decode() for name, text in found.get("binaryData", {}).items()}
            write_volume(directory, {**found.get("data", {}), **binary})
        elif "secret" in volume:
            # The mode may be read as an octal number or as the decimal one that the API shows.
            write_volume(directory, secrets[volume["secret"]["secretName"]], volume["secret"].get("defaultMode", 0o644))
        elif "emptyDir" in volume:
            directory.mkdir(parents=True)
        else:
            raise AssertionError(f"nobody lays out {volume}")


def argument(container, name):
    args = container["args"]
    return args[args.index(name) + 1]


def localize(root, container, replace):
    """Lets the laid out configuration name paths below `root`, and what else `replace` says. Its path."""
    path = root / argument(container, "--config").lstrip("/")
    text = path.read_text()
    for old, new in {"/run/secrets/": f"{root}/run/secrets/", "/var/lib/": f"{root}/var/lib/", **replace}.items():
        assert old in text, f"{old} is not in {path}"
        text = text.replace(old, new)
    real = path.resolve()
    real.write_text(text)
    return path
