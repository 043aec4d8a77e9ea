#include "build_info.h"

const char *silo_build_commit(void) { return SILO_COMMIT; }
const char *silo_build_slatedb(void) { return SILO_SLATEDB; }
