/* watch.h - sleep on a word, and on what else should end the sleep: a value, and the lives of members.
 *
 * A value: the futex word of os/word.h changes and may change back before a sleeper is asleep; so what he really waits
 * for is given too, and the sleep does not begin where it has changed.
 *
 * Lives: the kernel marks a member's life word when it dies, and wakes one of those who sleep on it; that one wakes the
 * others. From the mark until the whole process is gone the member is in doubt, since the mark may also mean that one
 * of its threads ended: then the sleep is short, and repeated. So it is, a few times, for a sleeper that was woken and
 * finds nothing changed: the kernel may have woken it because another died asleep, whose process is not gone yet.
 *
 *     struct sh_watch watch = {0};
 *     for (;;) {
 *         uint32_t seen = sh_word_prepare(bell, SH_WORD_DATA);
 *         sh_watch_begin(&watch);
 *         look; leave the loop where there is no need to sleep
 *         if (sh_watch_life(&watch, holder) == -ESRCH)
 *             it is dead: take back what it held, and look again
 *         sh_watch_value(&watch, &shared->value, value_looked_at);
 *         r = sh_watch_sleep(&watch, bell, seen, deadline);
 *     }
 *     sh_word_forget(); */
#ifndef SH_SYNC_WATCH_H
#define SH_SYNC_WATCH_H

#include "os/futex.h"
#include "os/word.h"

#define SH_WATCH_LIVES 8

/* Private to one thread. places[0] is for the word, then come the others. */
struct sh_watch {
    unsigned count;
    int lives_from; /* index of the first life */
    int in_doubt;   /* a life cannot be watched for now */
    int suspicion;  /* short sleeps left, because the last was ended by nothing that can be seen */
    int64_t nap;    /* length of the last short sleep */
    struct sh_futex_place places[SH_WATCH_LIVES + 2];
};

/* Forget what the last sleep was on. */
static inline void sh_watch_begin(struct sh_watch *watch)
{
    watch->count = 1;
    watch->lives_from = 1;
    watch->in_doubt = 0;
}

/* Do not sleep unless the value is this one. Comes before the lives, once at most. */
static inline void sh_watch_value(struct sh_watch *watch, _Atomic uint32_t *word, uint32_t value)
{
    watch->places[watch->count++] = (struct sh_futex_place){word, value};
    watch->lives_from = (int)watch->count;
}

/* Watch a member's life. -ESRCH where it is dead. Where as many are watched as can be, it is left to the backstop. */
int sh_watch_life(struct sh_watch *watch, uint32_t tag);

/* The same for one whose sleep the kernel ends, by waking another: nothing is slept on, but while it is in doubt the
 * sleep is short. */
int sh_watch_glance(struct sh_watch *watch, uint32_t tag);

/* For bindings to languages that run signal handlers themselves: what decides, for this thread, whether a signal ends a
 * sleep. It is asked after each signal and now and then, since one may come just before the sleep; 0: sleep on. Nothing
 * is announced or held meanwhile, so it may do anything. NULL: each signal whose handler does not restart ends it. */
struct sh_watch_guard {
    int (*is_interrupted)(void *argument);
    void *argument;
};

/* Set it, NULL for none; returns what was set before. */
const struct sh_watch_guard *sh_watch_set_guard(const struct sh_watch_guard *guard);

/* Sleep on the word that this thread has announced, and on the rest. 0 where it is time to look again; -ETIMEDOUT at
 * the deadline, -EINTR. */
int sh_watch_sleep(struct sh_watch *watch, struct sh_word *word, uint32_t seen, int64_t deadline);

#endif
