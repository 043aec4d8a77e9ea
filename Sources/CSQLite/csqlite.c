// Functions with variable arguments, which Swift cannot call, and an allocator that counts for each thread: SQLite's own limit
// is one for the process. Connections are opened, used and closed on one thread, so its count is theirs.
#include "csqlite.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

static __thread int64_t used, most = INT64_MAX;
static __thread int refused;

static int has_room(int64_t bytes) {
    if (used + bytes <= most) return 1;
    refused = 1;
    return 0;
}

static void *take(int bytes) {
    if (!has_room(bytes)) return NULL;
    void *memory = malloc((size_t)bytes);
    if (memory) used += (int64_t)malloc_usable_size(memory);
    return memory;
}

static void give_back(void *memory) {
    if (memory) used -= (int64_t)malloc_usable_size(memory);
    free(memory);
}

static void *resize(void *memory, int bytes) {
    int64_t before = memory ? (int64_t)malloc_usable_size(memory) : 0;
    if (bytes > before && !has_room(bytes - before)) return NULL;
    void *moved = realloc(memory, (size_t)bytes);
    if (moved) used += (int64_t)malloc_usable_size(moved) - before;
    return moved;
}

static int size(void *memory) { return memory ? (int)malloc_usable_size(memory) : 0; }
static int round_up(int bytes) { return (bytes + 7) & ~7; }
static int begin(void *unused) { (void)unused; return SQLITE_OK; }
static void end(void *unused) { (void)unused; }

int csqlite_configure(void) {
    static const sqlite3_mem_methods methods = {take, give_back, resize, size, round_up, begin, end, NULL};
    int code = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    if (code == SQLITE_OK) code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (code == SQLITE_OK) code = sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    return code == SQLITE_OK ? sqlite3_initialize() : code;
}

void csqlite_limit_thread(int64_t bytes_max) {
    used = 0;
    most = bytes_max;
    refused = 0;
}

int64_t csqlite_thread_bytes(void) { return used; }
int csqlite_thread_refused(void) { return refused; }

int csqlite_defend(sqlite3 *connection) {
    static const int settings[][2] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1}, {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},   {SQLITE_DBCONFIG_DQS_DDL, 0},        {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        int code = sqlite3_db_config(connection, settings[i][0], settings[i][1], NULL);
        if (code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
}

typedef struct {
    int niceness;
    void *(*body)(void *);
    void *argument;
} thread_start;

static void *run(void *start) {
    thread_start copy = *(thread_start *)start;
    free(start);
    // On Linux that of the thread alone.
    setpriority(PRIO_PROCESS, 0, copy.niceness);
    return copy.body(copy.argument);
}

int csqlite_thread_start(size_t stack_bytes, int niceness, void *(*body)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_t thread;
    thread_start *start = malloc(sizeof *start);
    if (!start) return ENOMEM;
    *start = (thread_start){niceness, body, argument};
    int error = pthread_attr_init(&attributes);
    if (!error) {
        pthread_attr_setstacksize(&attributes, stack_bytes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        error = pthread_create(&thread, &attributes, run, start);
        pthread_attr_destroy(&attributes);
    }
    if (error) free(start);
    return error;
}
