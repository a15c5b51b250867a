/* word.h - the robust word: a lock and a place to sleep in one, that the death of any process leaves usable.
 *
 * Shared state: value is the kernel's robust futex: the holder's thread id, SH_WORD_WAITERS where somebody may sleep,
 * SH_WORD_DIED where the kernel found the holder dead; nothing else may stand in it. sleepers says which classes of
 * sleepers there may be, in its lower half; the upper half counts, so that a hint can be taken back where it has not
 * been given anew. Both are written by anybody; value only by compare-and-swap, exchange or the kernel.
 *
 * Taking and releasing. The thread announces the word to the kernel as its pending operation (one store), swaps its
 * id in, and later 0. When it dies at any instruction between the announcement and its withdrawal, the kernel looks at
 * the word: the dead thread's id becomes SH_WORD_DIED, and one sleeper is woken; where there is no id (it had released
 * and perhaps not yet woken anybody) one sleeper is woken too. Only one word can be announced at a time, so words do
 * not nest: between lock and unlock of one, no other may be touched, nor a robust mutex of libc.
 *
 * What a word protects is written so that every prefix of the critical section is a consistent state: one store
 * commits. Who takes a word after a death (sh_word_lock returns SHOAL_OWNER_DIED) finishes or discards what the dead
 * one left, and wakes those who may wait for it.
 *
 * Sleeping. Who waits for a change of what the word protects (for data, for room) sleeps on the word itself, in a class
 * of its own, so that the ordinary unlock is the notification:
 *
 *     for (;;) {
 *         uint32_t seen = sh_word_prepare(word, SH_WORD_DATA);
 *         if (there is data)
 *             break;
 *         r = sh_word_sleep(word, seen, SH_WORD_DATA, deadline);
 *         if (r < 0)
 *             return r;
 *     }
 *
 * Why no wake-up is lost: prepare sets WAITERS before the condition is looked at, unlock's exchange comes after the
 * change; so either the sleeper sees the change, or the unlock sees WAITERS, and the sleep fails because the value is
 * another, or is woken. Every sleeper is covered by WAITERS in value or by its class in sleepers: who takes WAITERS
 * away sets all classes before it wakes, and takes those back only where nobody slept and nobody has come since.
 *
 * An unlock wakes one sleeper that waits for the lock, then one of all others. In this order: should the waker die
 * between, the kernel's wake goes to another of the first kind, who wakes one of each when it unlocks, or to one of the
 * second. What a woken sleeper leaves for others it must pass on (sh_word_pass): one that leaves the loop without
 * having slept may have stood between a wake and its sleeper.
 *
 * A wake that dies with its waker is repeated by the kernel, or, where another process has taken the word by then, by
 * that one's unlock: it finds sleepers set. (Who takes the word with sleepers set does so with WAITERS, so that the
 * kernel wakes one should it die inside.) Left over is a process that dies between two words, or before it slept:
 * woken, or about to see the change itself, and gone before it acts, while others sleep. For those each sleep ends
 * after SH_WORD_BACKSTOP at most, and looks again. tests/model/word.pml is this protocol, for a model checker. */
#ifndef SH_OS_WORD_H
#define SH_OS_WORD_H

#include "base/atomic.h"
#include "base/bits.h"
#include "os/thread.h"

#include <shoal/base.h>
#include <stdint.h>

struct sh_word {
    _Atomic uint32_t value;
    _Atomic uint32_t sleepers;
};

#define SH_WORD_WAITERS 0x80000000u
#define SH_WORD_DIED 0x40000000u
#define SH_WORD_ID 0x3fffffffu

/* Classes of sleepers: bits of the futex mask. From SH_WORD_DATA on each object makes what it needs; unlock wakes one
 * sleeper of SH_WORD_LOCK and one of all other classes together. */
#define SH_WORD_LOCK 1u
#define SH_WORD_DATA 2u
#define SH_WORD_OTHERS 0xfffeu
#define SH_WORD_CLASSES 0xffffu

/* The longest sleep without a look, in nanoseconds. */
#define SH_WORD_BACKSTOP 100000000

/* Called, where set, by a sleeper that reached the backstop, with nothing announced and nothing held but what the
 * sleeper's caller holds: the arena looks for dead processes here. */
extern void (*sh_word_on_backstop)(void);

int sh_word_lock_slow(struct sh_word *word, struct sh_thread *self, int64_t deadline);
void sh_word_wake(struct sh_word *word);

#ifdef SH_NOT_ROBUST /* for measuring what robustness costs, nothing else */
static inline void sh_word_announce(struct sh_thread *self, struct sh_word *word)
{
    (void)self, (void)word;
}
static inline void sh_word_withdraw(struct sh_thread *self)
{
    (void)self;
}
#else
static inline void sh_word_announce(struct sh_thread *self, struct sh_word *word)
{
    *self->pending = (char *)word + self->node;
    sh_compiler_barrier();
}
static inline void sh_word_withdraw(struct sh_thread *self)
{
    sh_compiler_barrier();
    *self->pending = NULL;
}
#endif

/* Take the word if it is free: 0, SHOAL_OWNER_DIED, or -EAGAIN. */
int sh_word_trylock(struct sh_word *word);

/* Take the word, until the deadline. 0, or SHOAL_OWNER_DIED; -ETIMEDOUT. Signals do not end the wait: words are held
 * for nanoseconds, by the living. */
static inline int sh_word_lock_until(struct sh_word *word, int64_t deadline)
{
    struct sh_thread *self = sh_thread_self();
    uint32_t value = 0;
    uint32_t mine = self->tid | (sh_load_relaxed(&word->sleepers) & SH_WORD_CLASSES ? SH_WORD_WAITERS : 0);

    sh_word_announce(self, word);
    if (sh_likely(sh_cas_acquire(&word->value, &value, mine))) /* pairs with the exchange in unlock */
        return 0;
    return sh_word_lock_slow(word, self, deadline);
}

static inline int sh_word_lock(struct sh_word *word)
{
    return sh_word_lock_until(word, INT64_MAX);
}

/* Whether an unlock that found this value has somebody to wake. The hint counts too: the value may be one that was
 * taken before the sleeper came, after another had taken WAITERS away and died before its wake. */
static inline int sh_word_must_wake(struct sh_word *word, uint32_t old)
{
    return (old & SH_WORD_WAITERS) || (sh_load_relaxed(&word->sleepers) & SH_WORD_CLASSES);
}

/* Release the word, which this thread holds, and wake one sleeper of each kind where there may be any. */
static inline void sh_word_unlock(struct sh_word *word)
{
    uint32_t old = sh_exchange_ordered(&word->value, 0); /* pairs with the swaps in lock and in prepare */

    if (sh_unlikely(sh_word_must_wake(word, old)))
        sh_word_wake(word);
    sh_word_withdraw(&sh_thread_state);
}

/* Release the word, and wake one that waits for the lock, and all other sleepers whose class shares a bit with classes:
 * with 0 none, where nothing changed that anybody waits for. */
void sh_word_unlock_all(struct sh_word *word, uint32_t classes);

/* Tell sleepers, all or count of them, of a change that needed no lock: one store, made before. Who announces the word
 * before the change (sh_word_announce) leaves no instruction at which his death could lose the wake: the kernel then
 * wakes one, who must pass on what is left for others. The word must be one that nobody locks: it stays 0 but for
 * SH_WORD_WAITERS. */
void sh_word_ring_some(struct sh_word *word, int count);
void sh_word_ring(struct sh_word *word);

/* Announce that this thread will sleep in class, and get the value to sleep on. The word stays announced until the
 * thread locks one, or says sh_word_forget. */
uint32_t sh_word_prepare(struct sh_word *word, uint32_t class);

/* Sleep until woken, on the value that prepare gave. 0 when woken, at the backstop, or where the value has changed;
 * -ETIMEDOUT when the deadline has passed, -EINTR. Where seen says SH_WORD_DIED it returns 0 at once: the caller is to
 * take the word, which mends what the dead holder left. */
int sh_word_sleep(struct sh_word *word, uint32_t seen, uint32_t class, int64_t deadline);

/* Done with waiting, without taking the word. */
static inline void sh_word_forget(void)
{
    sh_word_withdraw(&sh_thread_state);
}

/* There is more for others to act upon: wake one sleeper of the class, if there may be one. Nothing is held. */
void sh_word_pass(struct sh_word *word, uint32_t class);

/* Whether somebody may sleep there. Ordered after what the caller wrote before by a swap: a sleeper that this does not
 * see will see that. */
static inline int sh_word_has_sleepers(struct sh_word *word)
{
    return (sh_load_ordered(&word->value) & SH_WORD_WAITERS) || (sh_load_ordered(&word->sleepers) & SH_WORD_CLASSES);
}

/* Where the last owner of the word died and nobody has taken it since. */
static inline int sh_word_is_orphan(struct sh_word *word)
{
    return (sh_load_acquire(&word->value) & SH_WORD_DIED) != 0;
}

#endif
