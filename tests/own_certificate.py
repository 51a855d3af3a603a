"""Certificates that nobody vouches for, for servers on this machine."""

import ssl
import subprocess
from pathlib import Path


def own_certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context with a new certificate, of a name such as DNS:www.example.org; it is `cert` in the folder."""
    asked = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    files = ["-keyout", "key", "-out", "cert", "-subj", "/CN=test", "-addext", f"subjectAltName={name}"]
    subprocess.run(asked + files, cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context
