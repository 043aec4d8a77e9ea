#pragma once

#include <sys/statfs.h>

// statfs(2), which Swift's module of glibc leaves out: the kind of a file system, as linux/magic.h numbers them; -1 when it fails.
static inline long cslatedb_file_system(int fd) {
    struct statfs status;
    return fstatfs(fd, &status) == 0 ? (long)status.f_type : -1;
}
