/* word.c - the slow paths of the robust word. */
#include "os/word.h"

#include "os/clock.h"
#include "os/futex.h"

#include <errno.h>
#include <limits.h>

/* How many pauses a taker makes before its first look again, and before its last: twice as many each time, a few
 * microseconds in all, a hundred times what a word is held. Whoever looks more often takes the word's line, and that of
 * what it protects, from a holder that could have used both several times over. */
#define PAUSES_FIRST 4
#define PAUSES_LAST 128

void (*sh_word_on_backstop)(void);

/* Swap this thread in for a free or orphaned value; keeps WAITERS, since others may sleep. */
static int try_take(struct sh_word *word, struct sh_thread *self, uint32_t value)
{
    uint32_t mine = self->tid | (value & SH_WORD_WAITERS);

    if (sh_load_relaxed(&word->sleepers) & SH_WORD_CLASSES)
        mine |= SH_WORD_WAITERS;
    return sh_cas_acquire(&word->value, &value, mine);
}

static int is_held(uint32_t value)
{
    return (value & SH_WORD_ID) != 0;
}

/* The return of a lock that took the word when it had this value. */
static int taken(uint32_t value)
{
    return value & SH_WORD_DIED ? SHOAL_OWNER_DIED : 0;
}

int sh_word_trylock(struct sh_word *word)
{
    struct sh_thread *self = sh_thread_self();
    uint32_t value = sh_load_relaxed(&word->value);

    sh_word_announce(self, word);
    while (!is_held(value)) {
        if (try_take(word, self, value))
            return taken(value);
        value = sh_load_relaxed(&word->value);
    }
    sh_word_withdraw(self);
    return -EAGAIN;
}

int sh_word_lock_slow(struct sh_word *word, struct sh_thread *self, int64_t deadline)
{
    for (int pauses = PAUSES_FIRST; pauses <= PAUSES_LAST; pauses *= 2) {
        for (int i = 0; i < pauses; i++)
            sh_pause();
        uint32_t value = sh_load_relaxed(&word->value);
        if (!is_held(value) && try_take(word, self, value))
            return taken(value);
    }
    for (;;) {
        uint32_t seen = sh_word_prepare(word, SH_WORD_LOCK);
        if (!is_held(seen)) {
            if (try_take(word, self, seen))
                return taken(seen);
            continue;
        }
        int r = sh_word_sleep(word, seen, SH_WORD_LOCK, deadline);
        if (r == -ETIMEDOUT) {
            sh_word_withdraw(self);
            sh_word_pass(word, SH_WORD_LOCK); /* a wake may have come together with the deadline */
            return r;
        }
    }
}

/* Say that there may be sleepers of these classes. Returns what sleepers is then; the count in its upper half makes it
 * differ from what it was before. */
static uint32_t note_sleepers(struct sh_word *word, uint32_t classes)
{
    uint32_t old = sh_load_relaxed(&word->sleepers);

    while (!sh_cas_ordered(&word->sleepers, &old, (old | classes) + (SH_WORD_CLASSES + 1)))
        ;
    return (old | classes) + (SH_WORD_CLASSES + 1);
}

/* Take back the hint for classes of which nobody slept. A sleeper that is just about to sleep has set WAITERS, or will
 * fail to; whoever takes that away notes sleepers, so that this does nothing any more. */
static void forget_sleepers(struct sh_word *word, uint32_t noted, uint32_t classes)
{
    if (classes)
        sh_cas_ordered(&word->sleepers, &noted, noted & ~classes);
}

/* WAITERS has been taken away: wake one that waits for the lock, and count of these classes. Two calls, also where the
 * hint was for one class only: a sleeper may have given its hint, and not slept yet, when somebody looked for it in
 * vain and took the hint back; since then WAITERS alone stands for it, which does not say for which class. The model
 * finds that one asleep for good where the hint is asked. */
static void wake_after(struct sh_word *word, uint32_t classes, int count)
{
    uint32_t noted = note_sleepers(word, SH_WORD_CLASSES), empty = 0;

    if (sh_futex_wake(&word->value, SH_WORD_LOCK, 1) == 0)
        empty |= SH_WORD_LOCK;
    if (classes && sh_futex_wake(&word->value, classes, count) == 0)
        empty |= classes;
    forget_sleepers(word, noted, empty);
}

void sh_word_wake(struct sh_word *word)
{
    wake_after(word, SH_WORD_OTHERS, 1);
}

void sh_word_unlock_all(struct sh_word *word, uint32_t classes)
{
    if (sh_word_must_wake(word, sh_exchange_ordered(&word->value, 0)))
        wake_after(word, classes & SH_WORD_OTHERS, INT_MAX);
    sh_word_withdraw(&sh_thread_state);
}

void sh_word_ring_some(struct sh_word *word, int count)
{
    struct sh_thread *self = sh_thread_self();

    sh_word_announce(self, word);
    if (sh_word_has_sleepers(word)) {
        uint32_t noted = note_sleepers(word, SH_WORD_OTHERS);
        sh_exchange_ordered(&word->value, 0); /* who is about to sleep looks again; pairs with the swap in prepare */
        if (sh_futex_wake(&word->value, SH_WORD_OTHERS, count) == 0)
            forget_sleepers(word, noted, SH_WORD_OTHERS);
    }
    sh_word_withdraw(self);
}

void sh_word_ring(struct sh_word *word)
{
    sh_word_ring_some(word, INT_MAX);
}

uint32_t sh_word_prepare(struct sh_word *word, uint32_t class)
{
    sh_word_announce(sh_thread_self(), word);
    note_sleepers(word, class);

    uint32_t value = sh_load_relaxed(&word->value);
    while (!(value & SH_WORD_WAITERS)) {
        if (sh_cas_ordered(&word->value, &value, value | SH_WORD_WAITERS)) /* pairs with the exchange in unlock */
            value |= SH_WORD_WAITERS;
    }
    return value;
}

int sh_word_sleep(struct sh_word *word, uint32_t seen, uint32_t class, int64_t deadline)
{
    if (seen & SH_WORD_DIED)
        return 0;
    if (deadline == SH_DEADLINE_PAST)
        return -ETIMEDOUT;

    int64_t backstop = sh_clock_now() + SH_WORD_BACKSTOP;
    int r = sh_futex_wait(&word->value, seen, class, sh_min(backstop, deadline));
    if (r == -ETIMEDOUT && backstop < deadline) {
        sh_word_withdraw(&sh_thread_state);
        if (sh_word_on_backstop)
            sh_word_on_backstop();
        sh_word_announce(&sh_thread_state, word);
        return 0;
    }
    return r == -EAGAIN ? 0 : r;
}

void sh_word_pass(struct sh_word *word, uint32_t class)
{
    if (!sh_word_has_sleepers(word))
        return;
    uint32_t noted = note_sleepers(word, class);
    if (sh_futex_wake(&word->value, class, 1) == 0)
        forget_sleepers(word, noted, class);
}
