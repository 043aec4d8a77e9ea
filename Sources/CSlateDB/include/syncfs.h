#pragma once

// syncfs(2): glibc declares it only for _GNU_SOURCE, which Swift's module of glibc does not ask for.
int syncfs(int fd);
