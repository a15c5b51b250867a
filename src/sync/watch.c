/* watch.c - sleeping on a word and on lives. */
#include "sync/watch.h"

#include "arena/member.h"
#include "os/clock.h"

#include <errno.h>
#include <limits.h>

/* The first sleep while one is in doubt, and the longest; each is twice the one before. */
#define FIRST_NAP 100000
#define LONGEST_NAP 5000000

int sh_watch_add(struct sh_watch *watch, uint32_t tag)
{
    struct sh_futex_place *place = &watch->places[watch->lives + 1];

    if (tag == sh_member_tag()) /* this process, which will not see its own death */
        return 0;
    if (watch->lives + 1 == SH_FUTEX_PLACES_MAX)
        return sh_member_is_dead(tag) ? -ESRCH : 0;
    for (unsigned i = 0; i < watch->lives; i++)
        if (watch->places[i + 1].word == sh_member_life(tag))
            return 0;
    int r = sh_member_watch(tag, &place->word, &place->value);
    if (r == 0)
        watch->lives++;
    else if (r == -EAGAIN)
        watch->in_doubt = 1;
    return r == -ESRCH ? r : 0;
}

/* Who sleeps on a life that has been marked is to look closely, whatever it waits for. */
static void wake_others(struct sh_watch *watch)
{
    for (unsigned i = 1; i <= watch->lives; i++) {
        struct sh_futex_place *place = &watch->places[i];
        if (sh_load_acquire(place->word) != place->value)
            sh_futex_wake(place->word, SH_FUTEX_ALL, INT_MAX);
    }
}

/* How long this sleep may last: until the backstop, or a nap where a death is in the air. */
static int64_t limit_of(struct sh_watch *watch)
{
    if (!watch->in_doubt) {
        watch->nap = 0;
        return SH_WORD_BACKSTOP;
    }
    watch->nap = watch->nap ? sh_min(watch->nap * 2, LONGEST_NAP) : FIRST_NAP;
    return watch->nap;
}

static void look_for_dead(struct sh_word *word)
{
    sh_word_withdraw(&sh_thread_state);
    if (sh_word_on_backstop)
        sh_word_on_backstop();
    sh_word_announce(&sh_thread_state, word);
}

int sh_watch_sleep(struct sh_watch *watch, struct sh_word *word, uint32_t seen, uint32_t class, int64_t deadline)
{
    int r;

    if (deadline == SH_DEADLINE_PAST)
        return -ETIMEDOUT;
    int64_t limit = sh_clock_now() + limit_of(watch);
    if (watch->lives) {
        watch->places[0] = (struct sh_futex_place){&word->value, seen};
        r = sh_futex_wait_any(watch->places, watch->lives + 1, sh_min(limit, deadline));
        wake_others(watch);
    } else {
        r = sh_futex_wait(&word->value, seen, class, sh_min(limit, deadline));
    }
    if (r == -ETIMEDOUT && limit < deadline) {
        if (!watch->in_doubt)
            look_for_dead(word);
        return 0;
    }
    if (r == -EAGAIN)
        return 0;
    return r == 0 ? SH_WATCH_WOKEN : sh_min(r, 0);
}
