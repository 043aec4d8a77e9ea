/* Preloaded into a program, writes down everything that it does to the files below one folder, in order, so that disk.py can tell
   afterwards what a power cut might have left of them.

     POWERCUT_FOLDER    the folder, as an absolute path without links
     POWERCUT_JOURNAL   where to write it down: a file outside the folder, made anew
     POWERCUT_AT        ends the process in the middle of so manieth operation; without it, or when it is 0, somebody else does
     POWERCUT_SYNC_US   how long a sync takes, in microseconds

   The files themselves are written as ever; what is synced is only written down. An operation and its line in the journal are one
   step for all threads.
   What a call does that is not modelled here is refused by an abort, or shows when disk.py compares its files with the real ones. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The system's own function of this name. */
#define SYSTEM(name)                                              \
    ({                                                            \
        static __typeof__(name) *found;                           \
        if (!found) found = system_function(#name);               \
        found;                                                    \
    })

enum { DESCRIPTORS = 65536 };

/* One line of the journal; names and data follow it. disk.py reads the same. */
struct line {
    char kind, flag, padding[6];
    uint64_t file, at, bytes;
    uint32_t name_bytes, data_bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_length;
static int journal = -1;
static uint64_t written, operations, last_operation;
static long sync_nanoseconds;
/* By descriptor: the number of the file below the folder; 0 for all others. */
static uint64_t files[DESCRIPTORS];

static void *system_function(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

static void fail(const char *what) {
    dprintf(2, "powercut: %s\n", what);
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *root = getenv("POWERCUT_FOLDER"), *path = getenv("POWERCUT_JOURNAL");
    if (!root || !path) return;
    int file = SYSTEM(open)(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) fail("cannot write the journal");
    folder_length = (size_t)snprintf(folder, sizeof folder, "%s", root);
    if (getenv("POWERCUT_AT")) last_operation = strtoull(getenv("POWERCUT_AT"), NULL, 10);
    if (getenv("POWERCUT_SYNC_US")) sync_nanoseconds = strtol(getenv("POWERCUT_SYNC_US"), NULL, 10) * 1000;
    journal = file;
}

/* The journal */

static void put(const void *bytes, size_t count) {
    const char *next = bytes;
    while (count > 0) {
        ssize_t got = SYSTEM(write)(journal, next, count);
        if (got < 0 && errno != EINTR) fail("cannot write the journal");
        if (got > 0) next += got, count -= (size_t)got;
    }
}

/* With the lock held, after the operation. A cut is the last line: the operation before it had not returned. */
static void note(struct line line, const char *name, const void *data) {
    int error = errno;
    put(&line, sizeof line);
    if (line.name_bytes) put(name, line.name_bytes);
    if (line.data_bytes) put(data, line.data_bytes);
    written += sizeof line + line.name_bytes + line.data_bytes;
    if (++operations == last_operation) {
        struct line cut = {.kind = 'C'};
        put(&cut, sizeof cut);
        SYSTEM(kill)(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = error;
}

static void note_name(char kind, const char *name) {
    note((struct line){.kind = kind, .name_bytes = (uint32_t)strlen(name)}, name, NULL);
}

static void note_names(char kind, const char *old, const char *new) {
    char names[2 * PATH_MAX + 1];
    int count = snprintf(names, sizeof names, "%s%c%s", old, 0, new);
    note((struct line){.kind = kind, .name_bytes = (uint32_t)count}, names, NULL);
}

static int is_zero(const char *data, size_t count) {
    return count > 0 && data[0] == 0 && memcmp(data, data + 1, count - 1) == 0;
}

static void note_write(int fd, uint64_t at, const void *data, size_t count) {
    int zero = is_zero(data, count);
    note((struct line){.kind = 'W', .file = files[fd], .at = at, .bytes = count, .data_bytes = zero ? 0 : (uint32_t)count}, NULL,
         data);
}

/* Names and descriptors */

static int is_file(int fd) { return journal >= 0 && fd >= 0 && fd < DESCRIPTORS && files[fd] != 0; }

/* Whether a path leads below the folder; `full` gets it then. */
static int is_below(int at, const char *path, char full[PATH_MAX]) {
    if (journal < 0 || !path) return 0;
    int error = errno;
    int count;
    if (path[0] == '/') {
        count = snprintf(full, PATH_MAX, "%s", path);
    } else {
        char start[PATH_MAX] = "", link[64];
        snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, start, sizeof start - 1);
        start[length > 0 ? length : 0] = 0;
        count = snprintf(full, PATH_MAX, "%s/%s", start, path);
    }
    errno = error;
    return count < PATH_MAX && strncmp(full, folder, folder_length) == 0 && (full[folder_length] == '/' || !full[folder_length]);
}

static uint64_t number_of(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static int open_file(int at, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    if (!is_below(at, path, full)) {
        int fd = SYSTEM(openat)(at, path, flags, mode);
        if (fd >= 0 && fd < DESCRIPTORS) files[fd] = 0;
        return fd;
    }
    if ((flags & O_TMPFILE) == O_TMPFILE || flags & (O_SYNC | O_DSYNC)) fail("O_TMPFILE and O_SYNC are not modelled");
    pthread_mutex_lock(&lock);
    int is_new = flags & O_CREAT && faccessat(AT_FDCWD, full, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    int fd = SYSTEM(openat)(at, path, flags, mode);
    if (fd >= DESCRIPTORS) fail("too many descriptors");
    if (fd >= 0) {
        files[fd] = number_of(fd);
        note((struct line){.kind = 'O', .flag = (char)is_new, .file = files[fd], .name_bytes = (uint32_t)strlen(full)}, full, NULL);
        if (flags & O_TRUNC && !is_new) note((struct line){.kind = 'T', .file = files[fd]}, NULL, NULL);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN(name, parameters, at)                                    \
    int name parameters {                                             \
        mode_t mode = 0;                                              \
        if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) {         \
            va_list rest;                                             \
            va_start(rest, flags);                                    \
            mode = va_arg(rest, mode_t);                              \
            va_end(rest);                                             \
        }                                                             \
        return open_file(at, path, flags, mode);                      \
    }
OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int at, const char *path, int flags, ...), at)
OPEN(openat64, (int at, const char *path, int flags, ...), at)
int creat(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
    if (!is_file(fd)) return SYSTEM(close)(fd);
    pthread_mutex_lock(&lock);
    files[fd] = 0;
    int result = SYSTEM(close)(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

static int copied(int from, int to) {
    if (to >= 0 && to < DESCRIPTORS && from >= 0 && from < DESCRIPTORS) files[to] = files[from];
    return to;
}

int dup(int fd) { return copied(fd, SYSTEM(dup)(fd)); }
int dup2(int fd, int to) { return copied(fd, SYSTEM(dup2)(fd, to)); }
int dup3(int fd, int to, int flags) { return copied(fd, SYSTEM(dup3)(fd, to, flags)); }

#define FCNTL(name)                                                                                 \
    int name(int fd, int command, ...) {                                                            \
        va_list rest;                                                                               \
        va_start(rest, command);                                                                    \
        void *argument = va_arg(rest, void *);                                                      \
        va_end(rest);                                                                               \
        int result = SYSTEM(name)(fd, command, argument);                                           \
        return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(fd, result) : result;      \
    }
FCNTL(fcntl)
FCNTL(fcntl64)

/* Content */

static ssize_t write_at(int fd, const void *data, size_t count, off_t at) {
    pthread_mutex_lock(&lock);
    ssize_t result = SYSTEM(pwrite)(fd, data, count, at);
    if (result > 0) note_write(fd, (uint64_t)at, data, (size_t)result);
    pthread_mutex_unlock(&lock);
    return result;
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t at) {
    return is_file(fd) ? write_at(fd, data, count, at) : SYSTEM(pwrite)(fd, data, count, at);
}
ssize_t pwrite64(int fd, const void *data, size_t count, off_t at) { return pwrite(fd, data, count, at); }

ssize_t write(int fd, const void *data, size_t count) {
    if (!is_file(fd)) return SYSTEM(write)(fd, data, count);
    pthread_mutex_lock(&lock);
    ssize_t result = SYSTEM(write)(fd, data, count);
    if (result > 0) note_write(fd, (uint64_t)(lseek(fd, 0, SEEK_CUR) - result), data, (size_t)result);
    pthread_mutex_unlock(&lock);
    return result;
}

/* Fewer bytes than there are may be written: only the first piece is. */
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    if (!is_file(fd)) return SYSTEM(writev)(fd, pieces, count);
    while (count > 1 && pieces->iov_len == 0) pieces++, count--;
    return write(fd, pieces->iov_base, pieces->iov_len);
}
ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at) {
    if (!is_file(fd)) return SYSTEM(pwritev)(fd, pieces, count, at);
    while (count > 1 && pieces->iov_len == 0) pieces++, count--;
    return pwrite(fd, pieces->iov_base, pieces->iov_len, at);
}
ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off_t at) { return pwritev(fd, pieces, count, at); }

static int change_length(int fd, off_t length, char kind) {
    pthread_mutex_lock(&lock);
    int result = kind == 'T' ? SYSTEM(ftruncate)(fd, length) : SYSTEM(fallocate)(fd, 0, 0, length);
    if (result == 0) note((struct line){.kind = kind, .file = files[fd], .at = (uint64_t)length}, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length) { return is_file(fd) ? change_length(fd, length, 'T') : SYSTEM(ftruncate)(fd, length); }
int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }
int fallocate(int fd, int mode, off_t at, off_t count) {
    if (is_file(fd) && mode != 0) fail("this mode of fallocate is not modelled");
    return is_file(fd) ? change_length(fd, at + count, 'E') : SYSTEM(fallocate)(fd, mode, at, count);
}
int fallocate64(int fd, int mode, off_t at, off_t count) { return fallocate(fd, mode, at, count); }
int posix_fallocate(int fd, off_t at, off_t count) {
    if (!is_file(fd)) return SYSTEM(posix_fallocate)(fd, at, count);
    return change_length(fd, at + count, 'E') == 0 ? 0 : errno;
}
int posix_fallocate64(int fd, off_t at, off_t count) { return posix_fallocate(fd, at, count); }

/* Syncs: what had returned before the call is durable when it returns. */

static int sync_file(int fd, char kind) {
    pthread_mutex_lock(&lock);
    struct line line = {.kind = kind, .file = files[fd], .at = written};
    pthread_mutex_unlock(&lock);
    nanosleep(&(struct timespec){.tv_nsec = sync_nanoseconds}, NULL);
    pthread_mutex_lock(&lock);
    note(line, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) { return is_file(fd) ? sync_file(fd, 'S') : SYSTEM(fsync)(fd); }
int fdatasync(int fd) { return is_file(fd) ? sync_file(fd, 'D') : SYSTEM(fdatasync)(fd); }
int syncfs(int fd) { return is_file(fd) ? sync_file(fd, 'F') : SYSTEM(syncfs)(fd); }
/* Promises nothing that lasts. */
int sync_file_range(int fd, off_t at, off_t count, unsigned flags) {
    return is_file(fd) ? 0 : SYSTEM(sync_file_range)(fd, at, count, flags);
}

/* Names */

static int change_name(char kind, int at, const char *path, int argument) {
    char full[PATH_MAX];
    int is_ours = is_below(at, path, full);
    if (is_ours) pthread_mutex_lock(&lock);
    int result = kind == 'M' ? SYSTEM(mkdirat)(at, path, (mode_t)argument) : SYSTEM(unlinkat)(at, path, argument);
    if (is_ours && result == 0) note_name(kind, full);
    if (is_ours) pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *path, mode_t mode) { return change_name('M', AT_FDCWD, path, (int)mode); }
int mkdirat(int at, const char *path, mode_t mode) { return change_name('M', at, path, (int)mode); }
int unlink(const char *path) { return change_name('U', AT_FDCWD, path, 0); }
int rmdir(const char *path) { return change_name('U', AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int at, const char *path, int flags) { return change_name('U', at, path, flags); }
int remove(const char *path) { return unlink(path) == 0 ? 0 : errno == EISDIR ? rmdir(path) : -1; }

static int change_names(char kind, int old_at, const char *old, int new_at, const char *new, unsigned flags) {
    char old_full[PATH_MAX], new_full[PATH_MAX];
    int is_ours = is_below(new_at, new, new_full);
    if (is_below(old_at, old, old_full) != is_ours) fail("a name that comes from outside the folder, or leaves it");
    if (is_ours && kind == 'R' && flags & ~(unsigned)RENAME_NOREPLACE) fail("this way to rename is not modelled");
    if (is_ours) pthread_mutex_lock(&lock);
    int result = kind == 'R' ? SYSTEM(renameat2)(old_at, old, new_at, new, flags)
                             : SYSTEM(linkat)(old_at, old, new_at, new, (int)flags);
    if (is_ours && result == 0) note_names(kind, old_full, new_full);
    if (is_ours) pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *old, const char *new) { return change_names('R', AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int old_at, const char *old, int new_at, const char *new) { return change_names('R', old_at, old, new_at, new, 0); }
int renameat2(int old_at, const char *old, int new_at, const char *new, unsigned flags) {
    return change_names('R', old_at, old, new_at, new, flags);
}
int link(const char *old, const char *new) { return change_names('N', AT_FDCWD, old, AT_FDCWD, new, 0); }
int linkat(int old_at, const char *old, int new_at, const char *new, int flags) {
    return change_names('N', old_at, old, new_at, new, (unsigned)flags);
}

/* Ways to change a file that are not modelled */

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t at) {
    if (is_file(fd) && protection & PROT_WRITE && (flags & MAP_TYPE) != MAP_PRIVATE) fail("writing through memory is not modelled");
    return SYSTEM(mmap)(address, length, protection, flags, fd, at);
}
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t at) {
    return mmap(address, length, protection, flags, fd, at);
}
ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t count, unsigned flags) {
    if (is_file(to)) fail("copy_file_range is not modelled");
    return SYSTEM(copy_file_range)(from, from_at, to, to_at, count, flags);
}
