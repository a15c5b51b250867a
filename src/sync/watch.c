/* watch.c - sleeping on a word, a value and lives. */
#include "sync/watch.h"

#include "arena/member.h"
#include "os/clock.h"

#include <errno.h>
#include <limits.h>

/* The first short sleep, and the longest; each is twice the one before. */
#define FIRST_NAP 100000
#define LONGEST_NAP 5000000
#define SUSPICIOUS_NAPS 7 /* 13 ms in all: a process is gone by then, as a rule */

int sh_watch_life(struct sh_watch *watch, uint32_t tag)
{
    struct sh_futex_place *place = &watch->places[watch->count];
    _Atomic uint32_t *life = sh_member_life(tag);

    if (tag == sh_member_tag()) /* this process, which will not see its own death */
        return 0;
    for (unsigned i = (unsigned)watch->lives_from; i < watch->count; i++)
        if (watch->places[i].word == life)
            return 0;
    if (watch->count == sizeof watch->places / sizeof *watch->places)
        return sh_member_is_dead(tag) ? -ESRCH : 0;
    int r = sh_member_watch(tag, &place->word, &place->value);
    if (r == 0)
        watch->count++;
    else if (r == -EAGAIN)
        watch->in_doubt = 1;
    return r == -ESRCH ? r : 0;
}

int sh_watch_glance(struct sh_watch *watch, uint32_t tag)
{
    _Atomic uint32_t *life;
    uint32_t value;
    int r = tag == sh_member_tag() ? 0 : sh_member_watch(tag, &life, &value);

    if (r == -EAGAIN)
        watch->in_doubt = 1;
    return r == -ESRCH ? r : 0;
}

/* Who sleeps on a life that has been marked is to look closely, whatever he waits for. */
static void wake_others(struct sh_watch *watch)
{
    for (unsigned i = (unsigned)watch->lives_from; i < watch->count; i++) {
        struct sh_futex_place *place = &watch->places[i];
        if (sh_load_acquire(place->word) != place->value)
            sh_futex_wake(place->word, SH_FUTEX_ALL, INT_MAX);
    }
}

static int is_nap(const struct sh_watch *watch)
{
    return watch->in_doubt || watch->suspicion > 0;
}

/* How long this sleep may last: until the backstop, or a nap where a death is in the air. */
static int64_t length_of(struct sh_watch *watch)
{
    if (!is_nap(watch)) {
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

/* The sleep ended before its time: by a wake, or because something has changed. */
static void note_wake(struct sh_watch *watch)
{
    for (unsigned i = 0; i < watch->count; i++)
        if (sh_load_acquire(watch->places[i].word) != watch->places[i].value)
            return;
    watch->suspicion = SUSPICIOUS_NAPS;
}

static _Thread_local const struct sh_watch_guard *thread_guard;

const struct sh_watch_guard *sh_watch_set_guard(const struct sh_watch_guard *guard)
{
    const struct sh_watch_guard *before = thread_guard;

    thread_guard = guard;
    return before;
}

/* Whether the guard says that the sleep is over: 0 or -EINTR. */
static int ask_guard(struct sh_word *word)
{
    if (!thread_guard)
        return 0;
    sh_word_withdraw(&sh_thread_state);
    int is_interrupted = thread_guard->is_interrupted(thread_guard->argument);
    sh_word_announce(&sh_thread_state, word);
    return is_interrupted ? -EINTR : 0;
}

int sh_watch_sleep(struct sh_watch *watch, struct sh_word *word, uint32_t seen, int64_t deadline)
{
    if (deadline == SH_DEADLINE_PAST)
        return -ETIMEDOUT;

    int64_t limit = sh_clock_now() + length_of(watch);
    watch->places[0] = (struct sh_futex_place){&word->value, seen};
    int r = watch->count > 1 ? sh_futex_wait_any(watch->places, watch->count, sh_min(limit, deadline))
                             : sh_futex_wait(&word->value, seen, SH_FUTEX_ALL, sh_min(limit, deadline));
    wake_others(watch);
    if (r == -ETIMEDOUT && limit < deadline) {
        if (watch->suspicion > 0)
            watch->suspicion--;
        else if (!watch->in_doubt)
            look_for_dead(word);
        return ask_guard(word);
    }
    if (r == -EINTR && thread_guard)
        return ask_guard(word);
    if (r >= 0 && watch->suspicion == 0)
        note_wake(watch);
    return r == -EAGAIN ? 0 : sh_min(r, 0);
}
