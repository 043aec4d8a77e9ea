// The few steps of nanoarrow that writing takes, for Swift, which sees neither its headers nor its structures.
#include "cnanoarrow.h"

#include <errno.h>
#include <nanoarrow/nanoarrow.h>
#include <nanoarrow/nanoarrow_ipc.h>
#include <stdlib.h>

struct cnanoarrow_writer {
    struct ArrowSchema schema;
    /* The rows since the last batch: a structure with a child for each column. */
    struct ArrowArray rows;
    struct ArrowArrayView view;
    struct ArrowIpcEncoder encoder;
    struct ArrowBuffer schema_message, head, body;
};

#define TRY(step)               \
    do {                        \
        int error_ = (step);    \
        if (error_) return error_; \
    } while (0)

static struct ArrowArray *child(cnanoarrow_writer *writer, int column) { return writer->rows.children[column]; }

static int append(struct ArrowArray *array, cnanoarrow_bytes bytes) {
    if (bytes.count < 0) return ArrowArrayAppendNull(array, 1);
    struct ArrowBufferView view = {.data.as_uint8 = bytes.start, .size_bytes = bytes.count};
    return ArrowArrayAppendBytes(array, view);
}

cnanoarrow_writer *cnanoarrow_create(int columns) {
    cnanoarrow_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return NULL;
    ArrowSchemaInit(&writer->schema);
    ArrowArrayViewInitFromType(&writer->view, NANOARROW_TYPE_UNINITIALIZED);
    ArrowBufferInit(&writer->schema_message);
    ArrowBufferInit(&writer->head);
    ArrowBufferInit(&writer->body);
    if (ArrowSchemaSetTypeStruct(&writer->schema, columns) || ArrowIpcEncoderInit(&writer->encoder)) {
        cnanoarrow_destroy(writer);
        return NULL;
    }
    return writer;
}

void cnanoarrow_destroy(cnanoarrow_writer *writer) {
    if (writer->schema.release) ArrowSchemaRelease(&writer->schema);
    if (writer->rows.release) ArrowArrayRelease(&writer->rows);
    ArrowArrayViewReset(&writer->view);
    ArrowIpcEncoderReset(&writer->encoder);
    ArrowBufferReset(&writer->schema_message);
    ArrowBufferReset(&writer->head);
    ArrowBufferReset(&writer->body);
    free(writer);
}

static int set_type(struct ArrowSchema *schema, cnanoarrow_type type) {
    static const enum ArrowType types[] = {
        [CNANOARROW_NULL] = NANOARROW_TYPE_NA,         [CNANOARROW_BOOLEAN] = NANOARROW_TYPE_BOOL,
        [CNANOARROW_INT32] = NANOARROW_TYPE_INT32,     [CNANOARROW_INT64] = NANOARROW_TYPE_INT64,
        [CNANOARROW_UINT8] = NANOARROW_TYPE_UINT8,     [CNANOARROW_UINT32] = NANOARROW_TYPE_UINT32,
        [CNANOARROW_UINT64] = NANOARROW_TYPE_UINT64,   [CNANOARROW_FLOAT64] = NANOARROW_TYPE_DOUBLE,
        [CNANOARROW_UTF8] = NANOARROW_TYPE_STRING,     [CNANOARROW_BINARY] = NANOARROW_TYPE_BINARY,
        [CNANOARROW_LIST] = NANOARROW_TYPE_LIST,       [CNANOARROW_MAP] = NANOARROW_TYPE_MAP,
    };
    TRY(ArrowSchemaSetType(schema, types[type]));
    if (type == CNANOARROW_LIST) return ArrowSchemaSetType(schema->children[0], NANOARROW_TYPE_STRING);
    if (type != CNANOARROW_MAP) return 0;
    struct ArrowSchema *entries = schema->children[0];
    TRY(ArrowSchemaSetType(entries->children[0], NANOARROW_TYPE_STRING));
    return ArrowSchemaSetType(entries->children[1], NANOARROW_TYPE_STRING);
}

int cnanoarrow_column(cnanoarrow_writer *writer, int column, const char *name, cnanoarrow_type type, int is_nullable) {
    struct ArrowSchema *schema = writer->schema.children[column];
    TRY(set_type(schema, type));
    TRY(ArrowSchemaSetName(schema, name));
    if (!is_nullable) schema->flags &= ~ARROW_FLAG_NULLABLE;
    return 0;
}

static int begin_batch(cnanoarrow_writer *writer) {
    TRY(ArrowArrayInitFromSchema(&writer->rows, &writer->schema, NULL));
    return ArrowArrayStartAppending(&writer->rows);
}

int cnanoarrow_begin(cnanoarrow_writer *writer) {
    TRY(ArrowIpcEncoderEncodeSchema(&writer->encoder, &writer->schema, NULL));
    TRY(ArrowIpcEncoderFinalizeBuffer(&writer->encoder, 1, &writer->schema_message));
    TRY(ArrowArrayViewInitFromSchema(&writer->view, &writer->schema, NULL));
    return begin_batch(writer);
}

int cnanoarrow_null(cnanoarrow_writer *writer, int column) { return ArrowArrayAppendNull(child(writer, column), 1); }

int cnanoarrow_signed(cnanoarrow_writer *writer, int column, int64_t value) {
    return ArrowArrayAppendInt(child(writer, column), value);
}

int cnanoarrow_unsigned(cnanoarrow_writer *writer, int column, uint64_t value) {
    return ArrowArrayAppendUInt(child(writer, column), value);
}

int cnanoarrow_real(cnanoarrow_writer *writer, int column, double value) {
    return ArrowArrayAppendDouble(child(writer, column), value);
}

int cnanoarrow_content(cnanoarrow_writer *writer, int column, cnanoarrow_bytes bytes) {
    return append(child(writer, column), bytes);
}

int cnanoarrow_item(cnanoarrow_writer *writer, int column, cnanoarrow_bytes item) {
    return append(child(writer, column)->children[0], item);
}

int cnanoarrow_pair(cnanoarrow_writer *writer, int column, cnanoarrow_bytes key, cnanoarrow_bytes value) {
    struct ArrowArray *entries = child(writer, column)->children[0];
    TRY(append(entries->children[0], key));
    TRY(append(entries->children[1], value));
    return ArrowArrayFinishElement(entries);
}

int cnanoarrow_end_elements(cnanoarrow_writer *writer, int column) { return ArrowArrayFinishElement(child(writer, column)); }

int cnanoarrow_end_row(cnanoarrow_writer *writer) { return ArrowArrayFinishElement(&writer->rows); }

static cnanoarrow_bytes lent(const struct ArrowBuffer *buffer) {
    return (cnanoarrow_bytes){buffer->data, buffer->size_bytes};
}

int cnanoarrow_end_batch(
    cnanoarrow_writer *writer, cnanoarrow_bytes *schema, cnanoarrow_bytes *head, cnanoarrow_bytes *body) {
    TRY(ArrowArrayFinishBuildingDefault(&writer->rows, NULL));
    TRY(ArrowArrayViewSetArray(&writer->view, &writer->rows, NULL));
    TRY(ArrowBufferResize(&writer->head, 0, 0));
    // Not kept: one large batch would leave its room to all that follow.
    ArrowBufferReset(&writer->body);
    TRY(ArrowIpcEncoderEncodeSimpleRecordBatch(&writer->encoder, &writer->view, &writer->body, NULL));
    TRY(ArrowIpcEncoderFinalizeBuffer(&writer->encoder, 1, &writer->head));
    ArrowArrayRelease(&writer->rows);
    *schema = lent(&writer->schema_message);
    *head = lent(&writer->head);
    *body = lent(&writer->body);
    return begin_batch(writer);
}
