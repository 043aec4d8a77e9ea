#pragma once
#include <stdbool.h>

/// Whether `rename`, `linkat` and `mkdir` of this process, as the libraries that it is linked with call them, are ours: what they
/// did is on the disk when they return, content before names. False in a program whose linker lets libraries pass ours by.
bool durable_files_are_in_force(void);
