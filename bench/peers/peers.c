/* peers.c - the contestants that were built, in the order of the tables. */
#include "harness/lock.h"
#include "harness/peer.h"

const struct bench_size bench_sizes[BENCH_SIZES] = {
    {8, "8 B"}, {64, "64 B"}, {1024, "1 KiB"}, {64 * 1024, "64 KiB"}, {1024 * 1024, "1 MiB"},
};

const struct bench_peer *const bench_peers[] = {
    &bench_raw_line,
    &bench_raw_futex,
    &bench_shoal_copy,
    &bench_shoal_many,
    &bench_shoal_loan,
    &bench_pipe,
    &bench_unix_stream,
    &bench_unix_seqpacket,
    &bench_posix_mq,
#ifdef BENCH_HAVE_BOOST
    &bench_boost,
#endif
#ifdef BENCH_HAVE_ZEROMQ
    &bench_zeromq,
#endif
    NULL,
};

const char *const bench_peers_left_out[] = {
#ifndef BENCH_HAVE_BOOST
    "Boost message_queue (Debian: libboost-dev)",
#endif
#ifndef BENCH_HAVE_ZEROMQ
    "ZeroMQ ipc (Debian: libzmq3-dev)",
#endif
    NULL,
};

const struct bench_lock *const bench_locks[] = {
    &bench_shoal_lock,    &bench_shoal_lock_any_release, &bench_shoal_word,   &bench_plain_word,
    &bench_mutex_private, &bench_mutex_shared,           &bench_mutex_robust, NULL,
};
