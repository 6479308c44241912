"""YAML of the pages, as the gateway would read it. A whole file is loaded as it is; a part is put where it belongs, into the
configuration of `base/`. Where that is, a reader knows from a first line such as `# tenants/acme.yaml`, or from its keys."""

import copy
import hashlib
import itertools
import json
import pathlib
import re
import subprocess
import tempfile

import yaml

BASE = pathlib.Path(__file__).parent / "base"
NAME = re.compile(r"^# ((?:[\w-]+/)*[\w.-]+\.yaml)\b.*$", re.M)
ELIDED = re.compile(r"(sha256:\s*)([0-9a-f]*)…")
counter = itertools.count()


class Loader(yaml.SafeLoader):
    """YAML 1.2's words for truth, no dates, no key twice: as the gateway reads it."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.YAMLError(f"the key `{key}` stands twice")
    return {loader.construct_object(key, deep=True): loader.construct_object(value, deep=True) for key, value in node.value}


Loader.add_constructor("tag:yaml.org,2002:map", mapping)


def load(text):
    return yaml.load(text, Loader)


def filled(text):
    """`sha256: 2bb8…` stands for a whole hash; the same beginning for the same."""

    def whole(match):
        seed = match[2] or f"elided {next(counter)}"
        return match[1] + '"' + (match[2] + hashlib.sha256(seed.encode()).hexdigest())[:64] + '"'

    return ELIDED.sub(whole, text)


def merged(under, over):
    if isinstance(under, dict) and isinstance(over, dict):
        found = dict(under)
        for key, value in over.items():
            found[key] = merged(under[key], value) if key in under else value
        # Of ways to say one thing the later counts.
        for one, other in (("url", "urls"), ("url", "command"), ("bearer", "header"), ("file", "url"), ("file", "env")):
            if one in under and other in over and one not in over:
                del found[one]
            if other in under and one in over and other not in over:
                del found[other]
        return found
    return over


class Settings:
    def __init__(self, binary, root, environment):
        self.binary, self.environment = binary, environment
        schema = json.loads((root / "config/schema.json").read_text())["$defs"]
        keys = lambda name: set(schema[name]["properties"])
        self.main, self.tenant, self.upstream, self.issuer = map(keys, ["tollgate-yaml", "tenant-file", "upstream", "token-issuer"])
        self.base = {}
        for name in ("tollgate.yaml", "tenants/acme.yaml"):
            self.base[name] = load((BASE / name).read_text())

    def parts(self, text):
        """The files that a block has parts of."""
        found = NAME.split(text)
        parts = {}
        if found[0].strip():
            parts[None] = found[0]
        for name, body in zip(found[1::2], found[2::2]):
            parts[name] = body
        return parts

    def places(self, data):
        """Where a part without a name may belong: each as {file: what stands there}."""
        if isinstance(data, list):
            yield {"tenants/acme.yaml": {"tools": data}}
            return
        if not isinstance(data, dict) or not data:
            return
        keys = set(data)
        if keys <= self.main:
            yield {"tollgate.yaml": data}
        if keys <= self.tenant:
            yield {f"tenants/{data.get('tenant', 'acme')}.yaml": data}
        if all(isinstance(value, dict) and "kind" in value for value in data.values()):
            yield {"tollgate.yaml": {"upstreams": data}}
        if keys <= self.upstream:
            yield {"tollgate.yaml": {"upstreams": {"openai": data}}}
        if keys <= self.issuer:
            base = {"issuer": "https://idp.example", "audience": "tollgate", "tenant": "claims.org", "jwks": {"file": "jwks.json"}}
            yield {"tollgate.yaml": {"identity": {"jwt": [merged(base, data)]}}}

    def loaded(self, text, beside=None):
        """What `tollgate check` says of a part: its problems, of the place where it fits best."""
        parts = {name: load(filled(part)) for name, part in self.parts(text).items()}
        alone = parts.pop(None, None)
        choices = list(self.places(alone)) if alone is not None else [{}]
        if not choices:
            raise yaml.YAMLError("whose keys are these? Begin it with the file's name: `# tollgate.yaml`, `# tenants/acme.yaml`")
        best = None
        for choice in choices:
            for name, data in parts.items():
                choice = merged(choice, {name.removeprefix("config/"): data})
            problems = self.check(choice, beside or {})
            errors = sum(each["severity"] == "error" for each in problems)
            if best is None or errors < sum(each["severity"] == "error" for each in best):
                best = problems
        return best

    def check(self, over, beside):
        files = copy.deepcopy(self.base)
        whole = {name for name, data in over.items() if isinstance(data, dict) and ("tenant" in data or "tenants" in data)}
        for each in (beside, over):
            for name, data in each.items():
                under = {} if name in whole and each is over else files.get(name, {"tenant": pathlib.Path(name).stem})
                if data is None:
                    del files[name]
                    continue
                files[name] = merged(without_models(under, data), data)
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            (directory / "tenants").mkdir()
            for name, data in files.items():
                path = directory / name
                path.parent.mkdir(parents=True, exist_ok=True)
                self.place_secrets(data, path.parent)
                path.write_text(json.dumps(data))
            done = subprocess.run(
                [self.binary, "check", "--config", directory / "tollgate.yaml", "--format", "json"],
                capture_output=True, text=True, env=self.environment | self.variables(files),
            )
            try:
                return json.loads(done.stdout)
            except ValueError:
                return [{"severity": "error", "code": "none", "message": done.stdout + done.stderr}]

    def place_secrets(self, data, directory):
        """Files of secrets that the page names are there."""
        for value in walk(data):
            if isinstance(value, dict) and set(value) == {"file"} and value["file"] not in self.made():
                path = directory / "secrets" / pathlib.Path(value["file"]).name
                path.parent.mkdir(exist_ok=True)
                path.write_text("redis://:word@tollgate-redis:6379" if "redis" in path.name else "a-secret-of-the-suite-which-is-long-enough\n")
                value["file"] = f"secrets/{path.name}"
        for name, text in self.made().items():
            (directory / name).write_text(text)

    def made(self):
        """Keys and certificates, made once."""
        if not hasattr(self, "files"):
            with tempfile.TemporaryDirectory() as directory:
                run = lambda *words: subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)
                run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=page",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", "tls.key", "-out", "tls.pem")
                run("genpkey", "-algorithm", "ed25519", "-out", "sign.pem")
                read = lambda name: pathlib.Path(directory, name).read_text()
                certificate = read("tls.pem")
                keys = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "1",
                                             "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})
                self.files = {
                    "tls.pem": certificate, "tls.key": read("tls.key"), "clients.pem": certificate, "internal-ca.pem": certificate,
                    "sign.pem": read("sign.pem"),
                    **dict.fromkeys(("jwks.json", "a.json", "b.json"), keys),
                }
        return self.files

    def variables(self, files):
        found = {}
        for value in walk(files):
            if isinstance(value, dict) and set(value) == {"env"} and isinstance(value["env"], str):
                url = {"REDIS_URL": "rediss://127.0.0.1:6379"}
                found[value["env"]] = url.get(value["env"], "https://a-secret-of-the-suite.example/x")
        return found

    def complete(self, name, text):
        """A file of `config/` as it is written down: what the page leaves out stands at the end, so that its lines keep their numbers."""
        text = filled(text)
        data = load(text)
        if name == "config/tollgate.yaml" and "tenants" not in data:
            text += "tenants: tenants/\ndata_dir: ../data\n"
        return text


def without_models(under, over):
    """A model that is written anew has nothing of the old one."""
    models = under.get("models")
    if not isinstance(models, dict) or not isinstance(over.get("models"), dict):
        return under
    return under | {"models": {name: model for name, model in models.items() if name not in over["models"]}}


def walk(data):
    yield data
    children = data.values() if isinstance(data, dict) else data if isinstance(data, list) else []
    for each in children:
        yield from walk(each)
