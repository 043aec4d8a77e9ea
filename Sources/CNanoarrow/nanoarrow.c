// nanoarrow itself, as far as writing needs it. `scripts/setup` puts its sources where these are found.
#include <nanoarrow/common/utils.c>
#include <nanoarrow/common/schema.c>
#include <nanoarrow/common/array.c>
