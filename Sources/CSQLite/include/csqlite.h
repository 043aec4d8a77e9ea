#pragma once
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

/* SQLite asks each module to put its own fields behind these. */
typedef struct { sqlite3_vtab base; void *table; } csqlite_table;
typedef struct { sqlite3_vtab_cursor base; void *cursor; } csqlite_cursor;

/* Before any other call, once: allocations are counted for each thread, and the statistics of the process are off.
   Returns an SQLite result code. */
int csqlite_configure(void);

/* From here on the calling thread may have so many bytes of SQLite's memory; what it has counts from 0. */
void csqlite_limit_thread(int64_t bytes_max);

/* What the calling thread has now, and whether a request of it was refused since it was limited. */
int64_t csqlite_thread_bytes(void);
int csqlite_thread_refused(void);

/* Of a connection that runs statements of strangers: no extensions, no double-quoted texts, no trust in schemas. */
int csqlite_defend(sqlite3 *connection);

/* Starts a detached thread for one statement, which comes after all others when the processors are busy. Returns an errno. */
int csqlite_thread_start(size_t stack_bytes, int niceness, void *(*body)(void *), void *argument);

/* A macro, which Swift does not see. */
static inline sqlite3_destructor_type csqlite_transient(void) { return SQLITE_TRANSIENT; }
