/* peer.h - a way to carry messages from producers to consumers, as the benchmark sees it. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "harness/bench.h"
#include "harness/run.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a link is asked to carry. */
struct bench_shape {
    size_t size; /* of every message: a multiple of 8 */
    unsigned producers, consumers;
    unsigned slots; /* messages it should hold, where that can be chosen */
};

enum bench_role {
    BENCH_PRODUCER = 1 << 0,
    BENCH_CONSUMER = 1 << 1,
};

/* A link is opened by the process that forks producers and consumers; each of them enters it to have an end. The four
 * loops are those of loops.h, compiled into the peer's own file so that nothing stands between them and its calls. */
struct bench_peer {
    const char *name;
    /* 1 where it can carry shape; 0 where it cannot, by its own rules. */
    int (*fits)(const struct bench_shape *shape);
    /* ret_note (160 bytes) may say how it was set up. */
    int (*open)(const struct bench_shape *shape, void **ret_link, char *ret_note);
    void (*close)(void *link);
    int (*enter)(void *link, enum bench_role role, unsigned index, void **ret_end);
    void (*leave)(void *end);
    int spins; /* it never sleeps */
    /* Messages have no common order (one socket a pair): consumers stop by count, not by a last message. */
    int mesh;
    int (*produce)(void *end, struct bench_run *run, unsigned seat);
    int (*consume)(void *end, struct bench_run *run, unsigned seat);
    int (*ping)(void *out, void *in, struct bench_run *run, unsigned seat);
    int (*pong)(void *out, void *in, struct bench_run *run, unsigned seat);
    int (*put_get)(void *out, void *in, struct bench_run *run, unsigned seat);
    /* Send the message that ends a consumer. */
    int (*send_last)(void *end, size_t size);
};

/* The sizes of message that all are measured with. */
enum { BENCH_SIZES = 5 };
struct bench_size {
    size_t bytes;
    const char *name;
};
extern const struct bench_size bench_sizes[BENCH_SIZES];

/* Those that were built, in the order of the tables; NULL at the end. */
extern const struct bench_peer *const bench_peers[];
/* Names of those that were not, for want of their headers; NULL at the end. */
extern const char *const bench_peers_left_out[];

extern const struct bench_peer bench_shoal_copy, bench_shoal_loan, bench_shoal_many;
extern const struct bench_peer bench_pipe, bench_unix_stream, bench_unix_seqpacket, bench_posix_mq;
extern const struct bench_peer bench_boost, bench_zeromq;
extern const struct bench_peer bench_raw_line, bench_raw_futex;

#ifdef __cplusplus
}
#endif

#endif
