"""SeaweedFS on loopback: an S3 server of its own for a test."""

import pathlib
import random
import subprocess
import urllib.error
import urllib.request

from .ports import fixed_address
from .programs import PATIENCE, ROOT
from .waiting import until

WEED = ROOT / ".deps/python/bin/weed"


class Seaweed:
    BUCKET = "silo-tests"
    #: Of 64 MB each: what it has room for.
    volumes = 20

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "data").mkdir(parents=True)
        self.process = None
        names = ["master", "volume", "filer", "s3"]
        self.ports = {}
        while len(set(self.ports.values())) < 8:
            self.ports = {
                name: fixed_address(random).rsplit(":", 1)[1] for name in [*names, *(f"{name}-grpc" for name in names)]
            }

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.ports['s3']}"

    @property
    def environment(self):
        """What a program needs to find it."""
        return {
            "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_ENDPOINT": self.endpoint, "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
        }

    def start(self):
        flags = ["-dir", self.folder / "data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", f"-volume.max={self.volumes}",
                 "-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-volume.preStopSeconds=1",
                 # Two that run at once must not want the same port for what nobody asks.
                 "-s3.port.iceberg=0", "-s3.port.lance=0"]
        for name in ["master", "volume", "filer", "s3"]:
            flags += [f"-{name}.port={self.ports[name]}", f"-{name}.port.grpc={self.ports[name + '-grpc']}"]
        with open(self.folder / "log.txt", "ab") as log:
            self.process = subprocess.Popen(
                [WEED, "-logtostderr", "server", *map(str, flags)], stdout=log, stderr=log, cwd=self.folder,
                env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"},
            )
        until(self._has_bucket, PATIENCE, "SeaweedFS to serve", self.tail)
        return self

    def _has_bucket(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"weed ended with {self.process.returncode}:\n{self.tail()}")
        try:
            for path, body in [(self.BUCKET, None), (f"{self.BUCKET}/probe", b"x")]:
                request = urllib.request.Request(f"{self.endpoint}/{path}", data=body, method="PUT")
                try:
                    urllib.request.urlopen(request, timeout=10).read()
                except urllib.error.HTTPError as error:
                    if error.code != 409:
                        return False
            return True
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)

    def close(self):
        """Ends it for good."""
        if self.process:
            self.process.kill()
            self.process.wait(20)

    def tail(self):
        return (self.folder / "log.txt").read_text(errors="replace")[-3000:]
