// SlateDB writes a file under another name and renames it when it is whole, and never syncs it. A program's own functions come
// before those of the C library, for the libraries that it loads too, so here a file is synced before it gets its name, and the
// folder before the call returns. That is one sync for each file, whatever the file system. Whoever is preloaded comes after us.
#define _GNU_SOURCE
#include "durable_files.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// dlsym gives an address without a type.
#define NEXT(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

/// Syncs the file or folder. What cannot be opened for what it is, such as a socket, has no content.
static int sync_at(int folder, const char *path) {
    struct stat about;
    if (fstatat(folder, path, &about, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    if (!S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode)) return 0;
    int file = openat(folder, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return -1;
    int result;
    do { result = fsync(file); } while (result != 0 && errno == EINTR);
    int error = errno;
    close(file);
    errno = error;
    return result;
}

/// Syncs the folder that the path's last name stands in.
static int sync_folder_of(int folder, const char *path) {
    char parent[PATH_MAX];
    if (strlen(path) >= sizeof parent) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(parent, path);
    return sync_at(folder, dirname(parent));
}

int rename(const char *from, const char *to) {
    if (sync_at(AT_FDCWD, from) != 0 || NEXT(rename)(from, to) != 0) return -1;
    return sync_folder_of(AT_FDCWD, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    if (sync_at(from_folder, from) != 0 || NEXT(linkat)(from_folder, from, to_folder, to, flags) != 0) return -1;
    return sync_folder_of(to_folder, to);
}

int mkdir(const char *path, mode_t mode) {
    if (NEXT(mkdir)(path, mode) != 0) return -1;
    return sync_folder_of(AT_FDCWD, path);
}

bool durable_files_are_in_force(void) {
    return dlsym(RTLD_DEFAULT, "rename") == (void *) rename && dlsym(RTLD_DEFAULT, "linkat") == (void *) linkat
        && dlsym(RTLD_DEFAULT, "mkdir") == (void *) mkdir;
}
