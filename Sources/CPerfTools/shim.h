#pragma once
/* gperftools: the allocator of the programs that link it, and its profilers. */
#include <gperftools/heap-profiler.h>
#include <gperftools/malloc_extension_c.h>
#include <gperftools/profiler.h>
#include <stdio.h>

/* The library writes lines of its own to standard error, beside a log whose lines are JSON. What it asks before most of them is
   how talkative it is, which it reads from PERFTOOLS_VERBOSE before main; a version without that variable talks on. */
extern int silo_perftools_verbose
    __asm__("_ZN61FLAG__namespace_do_not_use_directly_use_DECLARE_int32_instead13FLAGS_verboseE") __attribute__((weak));

static inline void silo_perftools_hush(void) {
    if (&silo_perftools_verbose) silo_perftools_verbose = -1;
}

/* ProfilerStop without the line that it prints on the stream of the C library, which nothing of ours uses. What stands in for that
   stream stays open: somebody may have taken it meanwhile. */
static inline void silo_profiler_stop(void) {
    static FILE *nowhere;
    if (!nowhere) nowhere = fopen("/dev/null", "we");
    FILE *before = stderr;
    if (nowhere) stderr = nowhere;
    ProfilerStop();
    stderr = before;
}
