"""What the integration tests have already: programs and their environment, free ports, waiting, the messages of the protocol."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "Tests/Integration"))

from support import programs  # noqa: E402
from support.ports import fixed_address  # noqa: E402
from support.waiting import until  # noqa: E402

__all__ = ["ROOT", "free_port", "messages", "programs", "until"]


def free_port():
    return int(fixed_address().rsplit(":", 1)[1])


def messages():
    """The modules of Silo's messages and stubs, generated when first asked for."""
    from support.generated import pb, rpc

    return pb, rpc
