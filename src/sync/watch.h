/* watch.h - sleep on a word, and on the lives of those who hold what one waits for.
 *
 * The kernel marks a member's life word when it dies, and wakes one of those who sleep on it; that one wakes the
 * others. From the mark until the whole process is gone the member is in doubt, since the mark may also mean that one
 * of its threads ended: then the sleep is short, and repeated.
 *
 *     struct sh_watch watch = {0};
 *     for (;;) {
 *         prepare to sleep on the word; leave the loop where there is no need to
 *         sh_watch_clear(&watch);
 *         if (sh_watch_add(&watch, holder) == -ESRCH)
 *             it is dead: take back what it held, and look again
 *         r = sh_watch_sleep(&watch, word, seen, SH_WORD_DATA, deadline);
 *     } */
#ifndef SH_SYNC_WATCH_H
#define SH_SYNC_WATCH_H

#include "os/futex.h"
#include "os/word.h"

/* places[0] is the word's. Private to one thread. */
struct sh_watch {
    unsigned lives;
    int in_doubt; /* one of those added cannot be watched for now */
    int64_t nap;  /* length of the last short sleep */
    struct sh_futex_place places[SH_FUTEX_PLACES_MAX];
};

static inline void sh_watch_clear(struct sh_watch *watch)
{
    watch->lives = 0;
    watch->in_doubt = 0;
}

/* Watch a member's life. -ESRCH where it is dead. Where as many are watched as can be, it is left to the backstop. */
int sh_watch_add(struct sh_watch *watch, uint32_t tag);

/* Sleep until one of those watched dies or the word, which this thread has announced, is changed and woken in this
 * class (in any, where lives are watched). SH_WATCH_WOKEN where the word may have been it, 0 for another reason to look
 * again; -ETIMEDOUT at the deadline, -EINTR. */
int sh_watch_sleep(struct sh_watch *watch, struct sh_word *word, uint32_t seen, uint32_t class, int64_t deadline);

#define SH_WATCH_WOKEN 1

#endif
