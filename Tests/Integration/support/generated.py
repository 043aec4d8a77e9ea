"""The Python classes of proto/, generated into a temporary folder when first imported."""

import atexit
import importlib
import pathlib
import shutil
import sys
import tempfile

from grpc_tools import protoc
import grpc_tools

PROTOS = pathlib.Path(__file__).parents[3] / "proto"


def _generate():
    folder = tempfile.mkdtemp(prefix="silo-protos-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    code = protoc.main([
        "protoc", f"-I{PROTOS}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}",
        "silo/v1/silo.proto",
    ])
    assert code == 0, "protoc failed on silo.proto"
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    return importlib.import_module("silo.v1.silo_pb2"), importlib.import_module("silo.v1.silo_pb2_grpc")


pb, rpc = _generate()
