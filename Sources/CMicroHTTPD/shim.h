#pragma once
/* libmicrohttpd: the calls with variable arguments, which Swift cannot make. */
#include <microhttpd.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

typedef struct {
    int listener; /* a listening socket, which is the library's from then on */
    bool ipv6;
    unsigned connections, connections_per_address;
    unsigned idle_seconds;
    size_t connection_memory; /* request line and headers must fit */
    const char *certificate, *key; /* PEM, valid until the daemon has stopped; NULL: plain text */
    MHD_AccessHandlerCallback request;
    MHD_RequestCompletedCallback completed;
    MHD_NotifyConnectionCallback connection;
    void *context;
} chttp_settings;

/* Leaves what was sent as it is: it is decoded after it was taken apart. */
static inline size_t chttp_unescape(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

/* One thread of its own serves all connections. NULL when it does not start. */
static inline struct MHD_Daemon *chttp_start(const chttp_settings *s) {
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    if (s->ipv6) flags |= MHD_USE_IPv6;
    if (s->certificate) flags |= MHD_USE_TLS;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)s->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)s->key},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(
        flags, 0, NULL, NULL, s->request, s->context,
        MHD_OPTION_LISTEN_SOCKET, s->listener,
        MHD_OPTION_CONNECTION_LIMIT, s->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, s->connections_per_address,
        MHD_OPTION_CONNECTION_TIMEOUT, s->idle_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->connection_memory,
        MHD_OPTION_NOTIFY_COMPLETED, s->completed, s->context,
        MHD_OPTION_NOTIFY_CONNECTION, s->connection, s->context,
        MHD_OPTION_UNESCAPE_CALLBACK, chttp_unescape, NULL,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_ARRAY, s->certificate ? tls : tls + 2,
        MHD_OPTION_END);
}

/* -1 when it is not known. */
static inline int chttp_descriptor(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

/* The client has closed its side. Swift's Glibc has no POLLRDHUP, nor has poll.h without _GNU_SOURCE. */
static inline bool chttp_has_left(int descriptor) {
    const short closed = 0x2000; /* POLLRDHUP */
    struct pollfd look = {.fd = descriptor, .events = closed};
    return poll(&look, 1, 0) > 0;
}

static inline const struct sockaddr *chttp_peer(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}
