#pragma once
/* gperftools: the allocator of the programs that link it, and its profilers. */
#include <gperftools/heap-profiler.h>
#include <gperftools/malloc_extension_c.h>
#include <gperftools/profiler.h>
