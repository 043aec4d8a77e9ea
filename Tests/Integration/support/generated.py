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
        "silo/v1/silo.proto", "gubernator/gubernator.proto",
    ])
    assert code == 0, "protoc failed"
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    names = ["silo.v1.silo_pb2", "silo.v1.silo_pb2_grpc", "gubernator.gubernator_pb2", "gubernator.gubernator_pb2_grpc"]
    return [importlib.import_module(name) for name in names]


pb, rpc, gubernator_pb, gubernator_rpc = _generate()
