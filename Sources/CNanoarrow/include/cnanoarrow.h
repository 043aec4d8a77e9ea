#pragma once
#include <stdint.h>

/* Rows as Arrow IPC streams, by nanoarrow. A writer is used by one thread at a time. What returns int gives 0 or an errno:
   ENOMEM, EINVAL for a value that is not of its column's type, EOVERFLOW for more than 2 GiB in a column of a batch. After one
   that is not 0 the writer may only be destroyed. */
typedef struct cnanoarrow_writer cnanoarrow_writer;

typedef enum {
    CNANOARROW_NULL,
    CNANOARROW_BOOLEAN,
    CNANOARROW_INT32,
    CNANOARROW_INT64,
    CNANOARROW_UINT8,
    CNANOARROW_UINT32,
    CNANOARROW_UINT64,
    CNANOARROW_FLOAT64,
    CNANOARROW_UTF8,
    CNANOARROW_BINARY,
    /* Of texts. */
    CNANOARROW_LIST,
    /* From text to text. */
    CNANOARROW_MAP,
} cnanoarrow_type;

typedef struct {
    const uint8_t *start;
    /* -1 in place of NULL. */
    int64_t count;
} cnanoarrow_bytes;

/* NULL: there is no memory. */
cnanoarrow_writer *cnanoarrow_create(int columns);
void cnanoarrow_destroy(cnanoarrow_writer *writer);

/* Names a column, which is copied; each once, before cnanoarrow_begin. */
int cnanoarrow_column(cnanoarrow_writer *writer, int column, const char *name, cnanoarrow_type type, int is_nullable);
int cnanoarrow_begin(cnanoarrow_writer *writer);

/* A row is a value for each of its columns, and then cnanoarrow_end_row. */
int cnanoarrow_null(cnanoarrow_writer *writer, int column);
int cnanoarrow_signed(cnanoarrow_writer *writer, int column, int64_t value);
int cnanoarrow_unsigned(cnanoarrow_writer *writer, int column, uint64_t value);
int cnanoarrow_real(cnanoarrow_writer *writer, int column, double value);
/* Of a text or a blob, which is copied. */
int cnanoarrow_content(cnanoarrow_writer *writer, int column, cnanoarrow_bytes bytes);
/* Of a list or a map: its elements, and then cnanoarrow_end_elements. No key is NULL. */
int cnanoarrow_item(cnanoarrow_writer *writer, int column, cnanoarrow_bytes item);
int cnanoarrow_pair(cnanoarrow_writer *writer, int column, cnanoarrow_bytes key, cnanoarrow_bytes value);
int cnanoarrow_end_elements(cnanoarrow_writer *writer, int column);
int cnanoarrow_end_row(cnanoarrow_writer *writer);

/* Ends a batch and begins the next. Lends the message of the schema, and the head and the body of that of the batch, until the
   next call. */
int cnanoarrow_end_batch(
    cnanoarrow_writer *writer, cnanoarrow_bytes *schema, cnanoarrow_bytes *head, cnanoarrow_bytes *body);
