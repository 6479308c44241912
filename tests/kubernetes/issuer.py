"""Service account tokens, as a cluster issues them. Signed with openssl, so that nothing need be installed."""

import base64
import json
import subprocess
import tempfile
import time


class Issuer:
    """A cluster's issuer of service account tokens."""

    def __init__(self, name):
        self.name = name
        self.key = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        modulus = openssl("rsa", "-noout", "-modulus", text=self.key).decode().strip().split("=")[1]
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "n": encode(bytes.fromhex(modulus)), "e": "AQAB"}
        self.jwks = json.dumps({"keys": [key]})

    def token(self, namespace, audience="tollgate", seconds=3600):
        """As the kubelet projects one."""
        now = int(time.time())
        claims = {
            "aud": [audience], "exp": now + seconds, "iat": now, "nbf": now, "iss": self.name, "jti": "x",
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": "invoices", "uid": "u"}, "pod": {"name": "p", "uid": "v"}},
            "sub": f"system:serviceaccount:{namespace}:invoices",
        }
        head = {"alg": "RS256", "kid": "k1"}
        signed = ".".join(encode(json.dumps(part).encode()) for part in (head, claims))
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.key)
            file.flush()
            signature = openssl("dgst", "-sha256", "-sign", file.name, text=signed.encode())
        return f"{signed}.{encode(signature)}"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*command, text=b""):
    done = subprocess.run(["openssl", *command], input=text, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
