// What the C library declares only with _GNU_SOURCE, which Swift's Glibc module is built without.
#include <spawn.h>

int pipe2(int ends[2], int flags);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
