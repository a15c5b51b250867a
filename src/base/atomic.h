/* atomic.h - atomics with their memory order in the name.
 *
 * All fields that two processes touch are _Atomic and go through these. Relaxed is for values that only one process
 * writes or that are hints; everything that orders something says with what it pairs where it is used. */
#ifndef SH_BASE_ATOMIC_H
#define SH_BASE_ATOMIC_H

#include <stdatomic.h>

#define sh_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define sh_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define sh_load_ordered(p) atomic_load_explicit((p), memory_order_seq_cst)
#define sh_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define sh_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define sh_store_ordered(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define sh_exchange_ordered(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define sh_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define sh_add_ordered(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define sh_sub_ordered(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define sh_or_ordered(p, v) atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define sh_and_ordered(p, v) atomic_fetch_and_explicit((p), (v), memory_order_seq_cst)

/* Compare and swap: *expected is what was found where it fails. */
#define sh_cas_acquire(p, expected, v)                                                                                 \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acquire, memory_order_relaxed)
#define sh_cas_ordered(p, expected, v)                                                                                 \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_seq_cst, memory_order_relaxed)

#define sh_fence_acquire() atomic_thread_fence(memory_order_acquire)
#define sh_fence_release() atomic_thread_fence(memory_order_release)

/* Keeps the compiler, not the processor, from moving accesses: enough between a thread and its own death. */
#define sh_compiler_barrier() atomic_signal_fence(memory_order_seq_cst)

/* A store that is a step of a protocol which survives a crash: the compiler moves nothing over it. Who finds the
 * process dead sees all its stores up to some instruction, in the program's order, so no processor barrier is needed
 * for that. */
#define sh_store_step(p, v)                                                                                            \
    do {                                                                                                               \
        sh_compiler_barrier();                                                                                         \
        sh_store_relaxed((p), (v));                                                                                    \
        sh_compiler_barrier();                                                                                         \
    } while (0)

#endif
