#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>

/* Batches of operations are unions and macros all through, which Swift sees badly: they are filled in here. The memory
 * that an operation needs until it completes lies in one block per call, which the Swift object of the call owns.
 * Nothing here locks or decides. */

#pragma clang assume_nonnull begin

/* What a completion queue gives back: whom to tell. `owner` is set when the operation starts. */
typedef struct cgrpc_tag {
    void *_Nullable owner;
    void (*_Nullable complete)(void *owner, bool ok);
} cgrpc_tag;

/* The core hands tags from thread to thread with orderings of its own; release and acquire let the thread sanitizer,
 * which does not see into it, know as well. */
static inline void cgrpc_tag_arm(cgrpc_tag *tag, void *owner, void (*complete)(void *owner, bool ok)) {
    tag->complete = complete;
    __atomic_store_n(&tag->owner, owner, __ATOMIC_RELEASE);
}

/* The owner, which the tag forgets. */
static inline void *_Nullable cgrpc_tag_disarm(cgrpc_tag *tag) {
    void *owner = __atomic_load_n(&tag->owner, __ATOMIC_ACQUIRE);
    __atomic_store_n(&tag->owner, NULL, __ATOMIC_RELAXED);
    return owner;
}

/* ---- threads ---- */

/* Runs `body(argument)` on a detached thread; returns an errno. */
static inline int cgrpc_thread_start(void *_Nullable (*_Nonnull body)(void *_Nullable), void *argument) {
    pthread_attr_t attributes;
    pthread_t thread;
    int error = pthread_attr_init(&attributes);
    if (error) return error;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    error = pthread_create(&thread, &attributes, body, argument);
    pthread_attr_destroy(&attributes);
    return error;
}

/* At most 15 bytes. */
static inline void cgrpc_thread_name(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

/* ---- slices and messages ---- */

static inline const uint8_t *cgrpc_slice_bytes(const grpc_slice *slice) { return GRPC_SLICE_START_PTR(*slice); }
static inline size_t cgrpc_slice_count(const grpc_slice *slice) { return GRPC_SLICE_LENGTH(*slice); }

/* A message of its own copy of the bytes. */
static inline grpc_byte_buffer *cgrpc_message(const void *_Nullable bytes, size_t count) {
    grpc_slice slice = count == 0 ? grpc_empty_slice() : grpc_slice_from_copied_buffer((const char *)bytes, count);
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return message;
}

/* Destroys what `message` points at and forgets it. */
static inline void cgrpc_message_drop(grpc_byte_buffer *_Nullable *_Nonnull message) {
    if (*message) grpc_byte_buffer_destroy(*message);
    *message = NULL;
}

/* The message's bytes when they lie in one piece, and NULL otherwise. They live as long as the message. */
static inline const uint8_t *_Nullable cgrpc_message_whole(grpc_byte_buffer *message) {
    if (message->data.raw.compression != GRPC_COMPRESS_NONE || message->data.raw.slice_buffer.count != 1) return NULL;
    return cgrpc_slice_bytes(&message->data.raw.slice_buffer.slices[0]);
}

/* Copies at most `count` bytes to `target` and says how many. */
static inline size_t cgrpc_message_copy(grpc_byte_buffer *message, uint8_t *target, size_t count) {
    grpc_byte_buffer_reader reader;
    size_t copied = 0;
    if (!grpc_byte_buffer_reader_init(&reader, message)) return 0;
    grpc_slice *slice;
    while (grpc_byte_buffer_reader_peek(&reader, &slice)) {
        size_t part = cgrpc_slice_count(slice);
        if (part > count - copied) part = count - copied;
        memcpy(target + copied, cgrpc_slice_bytes(slice), part);
        copied += part;
    }
    grpc_byte_buffer_reader_destroy(&reader);
    return copied;
}

/* ---- metadata to send ---- */

typedef struct cgrpc_metadata {
    size_t count;
    grpc_metadata *_Nullable entries;
} cgrpc_metadata;

static inline cgrpc_metadata cgrpc_metadata_create(size_t capacity) {
    cgrpc_metadata list = {0, capacity ? (grpc_metadata *)calloc(capacity, sizeof(grpc_metadata)) : NULL};
    return list;
}

/* Appends a pair within the capacity; false, and nothing appended, when the key or the value is not allowed. */
static inline bool cgrpc_metadata_append(
    cgrpc_metadata *list, const void *key, size_t key_count, const void *_Nullable value, size_t value_count) {
    grpc_slice name = grpc_slice_from_copied_buffer((const char *)key, key_count);
    grpc_slice content = value_count == 0 ? grpc_empty_slice()
                                          : grpc_slice_from_copied_buffer((const char *)value, value_count);
    bool legal = list->entries && grpc_header_key_is_legal(name) &&
                 (grpc_is_binary_header(name) || grpc_header_nonbin_value_is_legal(content));
    if (!legal) {
        grpc_slice_unref(name);
        grpc_slice_unref(content);
        return false;
    }
    list->entries[list->count].key = name;
    list->entries[list->count].value = content;
    list->count += 1;
    return true;
}

static inline void cgrpc_metadata_drop(cgrpc_metadata *list) {
    for (size_t index = 0; index < list->count; index++) {
        grpc_slice_unref(list->entries[index].key);
        grpc_slice_unref(list->entries[index].value);
    }
    free(list->entries);
    list->count = 0;
    list->entries = NULL;
}

/* ---- calls on the server ---- */

typedef struct cgrpc_server_call {
    cgrpc_tag requested, closed, sent, received, finished;
    grpc_call *_Nullable call;
    grpc_call_details details; /* only of methods nobody registered */
    grpc_metadata_array metadata;
    grpc_byte_buffer *_Nullable request;
    gpr_timespec deadline;
    int cancelled;
    grpc_byte_buffer *_Nullable outgoing;
    grpc_byte_buffer *_Nullable incoming;
    cgrpc_metadata trailers;
} cgrpc_server_call;

static inline cgrpc_server_call *cgrpc_server_call_create(void) {
    cgrpc_server_call *c = (cgrpc_server_call *)calloc(1, sizeof(cgrpc_server_call));
    if (!c) abort();
    grpc_call_details_init(&c->details);
    grpc_metadata_array_init(&c->metadata);
    return c;
}

/* The call itself must have been released before. */
static inline void cgrpc_server_call_destroy(cgrpc_server_call *c) {
    grpc_call_details_destroy(&c->details);
    grpc_metadata_array_destroy(&c->metadata);
    cgrpc_message_drop(&c->request);
    cgrpc_message_drop(&c->outgoing);
    cgrpc_message_drop(&c->incoming);
    cgrpc_metadata_drop(&c->trailers);
    free(c);
}

/* The first value of the header `key` among `headers`, and NULL when there is none. It lives as long as the headers. */
static inline const grpc_slice *_Nullable cgrpc_metadata_find(const grpc_metadata_array *headers, const char *key) {
    for (size_t index = 0; index < headers->count; index++) {
        if (grpc_slice_str_cmp(headers->metadata[index].key, key) == 0) return &headers->metadata[index].value;
    }
    return NULL;
}

/* Calls `each` with every value of one property of the certificate that the peer showed, such as its subject. */
static inline void cgrpc_call_peer_values(
    grpc_call *call, const char *property, void *context, void (*each)(void *context, const char *value, size_t count)) {
    grpc_auth_context *peer = grpc_call_auth_context(call);
    if (!peer) return;
    grpc_auth_property_iterator values = grpc_auth_context_find_properties_by_name(peer, property);
    const grpc_auth_property *value;
    while ((value = grpc_auth_property_iterator_next(&values)) != NULL) each(context, value->value, value->value_length);
    grpc_auth_context_release(peer);
}

/* Waits for the next call of a registered method, with its first message when `with_request`. */
static inline grpc_call_error cgrpc_server_request(
    grpc_server *server, void *method, bool with_request, cgrpc_server_call *c, grpc_completion_queue *queue) {
    return grpc_server_request_registered_call(
        server, method, &c->call, &c->deadline, &c->metadata, with_request ? &c->request : NULL, queue, queue,
        &c->requested);
}

/* Waits for the next call of a method that nobody registered. */
static inline grpc_call_error cgrpc_server_request_unknown(
    grpc_server *server, cgrpc_server_call *c, grpc_completion_queue *queue) {
    return grpc_server_request_call(server, &c->call, &c->details, &c->metadata, queue, queue, &c->requested);
}

/* Completes `closed` when the call is over on both sides, with `cancelled` set if not by a status of ours. */
static inline grpc_call_error cgrpc_server_watch(cgrpc_server_call *c) {
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &c->cancelled;
    return grpc_call_start_batch(c->call, &op, 1, &c->closed, NULL);
}

static inline grpc_call_error cgrpc_server_send(cgrpc_server_call *c, bool with_headers) {
    grpc_op ops[2];
    memset(ops, 0, sizeof ops);
    size_t count = 0;
    if (with_headers) ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[count].op = GRPC_OP_SEND_MESSAGE;
    ops[count++].data.send_message.send_message = c->outgoing;
    return grpc_call_start_batch(c->call, ops, count, &c->sent, NULL);
}

static inline grpc_call_error cgrpc_server_receive_into(cgrpc_server_call *c, grpc_byte_buffer *_Nullable *_Nonnull target) {
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = target;
    return grpc_call_start_batch(c->call, &op, 1, &c->received, NULL);
}

/* A message of a stream. */
static inline grpc_call_error cgrpc_server_receive(cgrpc_server_call *c) {
    return cgrpc_server_receive_into(c, &c->incoming);
}

/* The request of a unary call that was requested without it. */
static inline grpc_call_error cgrpc_server_receive_request(cgrpc_server_call *c) {
    return cgrpc_server_receive_into(c, &c->request);
}

/* Ends the call: headers unless they went before, `outgoing` if there is one, the status and `trailers`. */
static inline grpc_call_error cgrpc_server_finish(
    cgrpc_server_call *c, bool with_headers, bool with_close, int status, const void *_Nullable text,
    size_t text_count) {
    grpc_op ops[4];
    memset(ops, 0, sizeof ops);
    size_t count = 0;
    grpc_slice details = text_count == 0 ? grpc_empty_slice()
                                         : grpc_slice_from_copied_buffer((const char *)text, text_count);
    if (with_headers) ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (c->outgoing) {
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        ops[count++].data.send_message.send_message = c->outgoing;
    }
    ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[count].data.send_status_from_server.status = (grpc_status_code)status;
    ops[count].data.send_status_from_server.status_details = &details;
    ops[count].data.send_status_from_server.trailing_metadata_count = c->trailers.count;
    ops[count++].data.send_status_from_server.trailing_metadata = c->trailers.entries;
    if (with_close) {
        ops[count].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
        ops[count++].data.recv_close_on_server.cancelled = &c->cancelled;
    }
    grpc_call_error error = grpc_call_start_batch(c->call, ops, count, &c->finished, NULL);
    grpc_slice_unref(details);
    return error;
}

/* ---- connections that were accepted elsewhere ---- */

/* The core's own listener ends for good when the process is out of descriptors ("Failed accept4"), and cannot be told to
 * stop below that. So connections are accepted by us and handed over, in the way that C++'s ExternalConnectionAcceptor
 * does it: the core writes a `grpc_core::TcpServerFdHandler *` to where a channel argument points that has the name of an
 * "external:" address. C has no name for that class; its one method follows the two destructors in the table of virtual
 * functions (Itanium C++ ABI, the only one on Linux). A test of the server fails at once should a release change it. */

#define CGRPC_EXTERNAL_ADDRESS "external:accepted"

static inline void *cgrpc_pointer_copy(void *pointer) { return pointer; }
static inline void cgrpc_pointer_destroy(void *pointer) { (void)pointer; }
static inline int cgrpc_pointer_compare(void *left, void *right) { return left < right ? -1 : left > right; }

/* GNU's, which the headers show only to those who ask for it before the first of them. */
struct sockaddr;
extern int accept4(int, struct sockaddr *_Nullable, unsigned int *_Nullable, int);

/* A connection; -1 and `errno` when there is none. The flags are those of `socket`. */
static inline int cgrpc_accept(int listener, int flags) { return accept4(listener, NULL, NULL, flags); }

/* A descriptor that can be polled beside sockets and becomes readable once it was rung; -1 when there is none left. */
static inline int cgrpc_bell_create(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
static inline void cgrpc_bell_ring(int bell) { (void)eventfd_write(bell, 1); }

/* The argument that makes the core write its handler to `*slot`, which must outlive the server. */
static inline grpc_arg cgrpc_arg_external(void *_Nullable *_Nonnull slot) {
    static const grpc_arg_pointer_vtable vtable = {cgrpc_pointer_copy, cgrpc_pointer_destroy, cgrpc_pointer_compare};
    grpc_arg arg;
    memset(&arg, 0, sizeof arg);
    arg.type = GRPC_ARG_POINTER;
    arg.key = (char *)CGRPC_EXTERNAL_ADDRESS;
    arg.value.pointer.p = slot;
    arg.value.pointer.vtable = &vtable;
    return arg;
}

/* Gives a connected socket to the server, which closes it in the end. Only between the server's start and its shutdown. */
static inline void cgrpc_serve_connection(void *handler, int listener, int connection) {
    typedef void (*handle)(void *, int, int, grpc_byte_buffer *_Nullable);
    handle *methods = *(handle **)handler;
    methods[2](handler, listener, connection, NULL);
}

/* ---- certificates that are renewed ---- */

/* A configuration for the handshakes to come. */
static inline grpc_ssl_server_certificate_config *_Nullable cgrpc_certificate_config(
    const char *authority, const char *key, const char *chain) {
    grpc_ssl_pem_key_cert_pair pair = {key, chain};
    return grpc_ssl_server_certificate_config_create(authority, &pair, 1);
}

/* Credentials that ask `fetch(context, …)` before each handshake. */
static inline grpc_server_credentials *_Nullable cgrpc_renewable_credentials(
    bool asks_for_certificate, grpc_ssl_server_certificate_config_callback fetch, void *context) {
    grpc_ssl_client_certificate_request_type request = asks_for_certificate
        ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(request, fetch, context));
}

/* ---- calls of a client ---- */

typedef struct cgrpc_client_call {
    cgrpc_tag finished, started, received;
    grpc_call *_Nullable call;
    cgrpc_metadata headers;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *_Nullable outgoing;
    grpc_byte_buffer *_Nullable incoming;
    grpc_status_code status;
    grpc_slice details;
} cgrpc_client_call;

static inline cgrpc_client_call *cgrpc_client_call_create(void) {
    cgrpc_client_call *c = (cgrpc_client_call *)calloc(1, sizeof(cgrpc_client_call));
    if (!c) abort();
    grpc_metadata_array_init(&c->initial);
    grpc_metadata_array_init(&c->trailing);
    c->details = grpc_empty_slice();
    return c;
}

/* The call itself must have been released before. */
static inline void cgrpc_client_call_destroy(cgrpc_client_call *c) {
    grpc_metadata_array_destroy(&c->initial);
    grpc_metadata_array_destroy(&c->trailing);
    cgrpc_message_drop(&c->outgoing);
    cgrpc_message_drop(&c->incoming);
    cgrpc_metadata_drop(&c->headers);
    grpc_slice_unref(c->details);
    free(c);
}

static inline grpc_call *_Nullable cgrpc_channel_call(
    grpc_channel *channel, grpc_completion_queue *queue, const char *path, size_t path_count, gpr_timespec deadline) {
    grpc_slice method = grpc_slice_from_copied_buffer(path, path_count);
    grpc_call *call = grpc_channel_create_call(
        channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue, method, NULL, deadline, NULL);
    grpc_slice_unref(method);
    return call;
}

static inline size_t cgrpc_client_send_ops(cgrpc_client_call *c, grpc_op *ops) {
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].data.send_initial_metadata.count = c->headers.count;
    ops[0].data.send_initial_metadata.metadata = c->headers.entries;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = c->outgoing;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &c->initial;
    return 4;
}

static inline void cgrpc_client_status_op(cgrpc_client_call *c, grpc_op *op) {
    op->op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op->data.recv_status_on_client.trailing_metadata = &c->trailing;
    op->data.recv_status_on_client.status = &c->status;
    op->data.recv_status_on_client.status_details = &c->details;
}

/* The whole of a unary call; completes `finished` once. */
static inline grpc_call_error cgrpc_client_unary(cgrpc_client_call *c) {
    grpc_op ops[6];
    memset(ops, 0, sizeof ops);
    size_t count = cgrpc_client_send_ops(c, ops);
    ops[count].op = GRPC_OP_RECV_MESSAGE;
    ops[count++].data.recv_message.recv_message = &c->incoming;
    cgrpc_client_status_op(c, &ops[count++]);
    return grpc_call_start_batch(c->call, ops, count, &c->finished, NULL);
}

/* Sends the only request of a streaming call; completes `started`. */
static inline grpc_call_error cgrpc_client_start(cgrpc_client_call *c) {
    grpc_op ops[4];
    memset(ops, 0, sizeof ops);
    return grpc_call_start_batch(c->call, ops, cgrpc_client_send_ops(c, ops), &c->started, NULL);
}

/* Completes `finished` when the call is over. */
static inline grpc_call_error cgrpc_client_await_status(cgrpc_client_call *c) {
    grpc_op op;
    memset(&op, 0, sizeof op);
    cgrpc_client_status_op(c, &op);
    return grpc_call_start_batch(c->call, &op, 1, &c->finished, NULL);
}

static inline grpc_call_error cgrpc_client_receive(cgrpc_client_call *c) {
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &c->incoming;
    return grpc_call_start_batch(c->call, &op, 1, &c->received, NULL);
}

/* ---- channel arguments ---- */

static inline grpc_arg cgrpc_arg_integer(char *key, int value) {
    grpc_arg arg;
    memset(&arg, 0, sizeof arg);
    arg.type = GRPC_ARG_INTEGER;
    arg.key = key;
    arg.value.integer = value;
    return arg;
}

static inline grpc_arg cgrpc_arg_string(char *key, char *value) {
    grpc_arg arg;
    memset(&arg, 0, sizeof arg);
    arg.type = GRPC_ARG_STRING;
    arg.key = key;
    arg.value.string = value;
    return arg;
}

static inline grpc_arg cgrpc_arg_quota(grpc_resource_quota *quota) {
    grpc_arg arg;
    memset(&arg, 0, sizeof arg);
    arg.type = GRPC_ARG_POINTER;
    arg.key = (char *)GRPC_ARG_RESOURCE_QUOTA;
    arg.value.pointer.p = quota;
    arg.value.pointer.vtable = grpc_resource_quota_arg_vtable();
    return arg;
}

#pragma clang assume_nonnull end
