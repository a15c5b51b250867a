/* actor.c - what an actor of the soak does: one operation after another, drawn at random. */
#include "soak.h"

#include <dirent.h>
#include <stdatomic.h>
#include <unistd.h>

#define PATIENCE 20 /* seconds in which a process that was killed is dead */

struct desk *own_desk;
static uint64_t numbers;

uint64_t draw(uint64_t bound)
{
    return bound ? test_random_below(&numbers, bound) : 0;
}

int64_t a_while(void)
{
    return SHOAL_MILLISECONDS(1) * (int64_t)(1 + draw(40)) / 10;
}

static void nap_a_little(void)
{
    if (draw(3) == 0)
        usleep((useconds_t)draw(1000));
}

/* --- locks and permits: who holds one has a place to himself --- */

/* Take a place that is free, or whose holder is dead; returns its index. Fails where all are held by the living. */
static int occupy(struct room *room, int places, int *ret_inherited)
{
    int64_t end = test_now() + test_time(PATIENCE);
    int me = getpid();

    *ret_inherited = 0;
    for (;;) {
        for (int i = 0; i < places; i++) {
            int holder = room->place[i];
            if (holder && test_is_alive(holder))
                continue;
            if (atomic_compare_exchange_strong(&room->place[i], &holder, me)) {
                *ret_inherited = holder != 0;
                return i;
            }
        }
        if (test_now() > end)
            FAIL("%d hold it already, among them %d, and live", places, (int)room->place[0]);
        test_nap();
    }
}

static void vacate(struct room *room, int place)
{
    CHECK_EQ(room->place[place], getpid());
    room->place[place] = 0;
}

/* Change what the lock protects. It is whole, unless the lock has said that its last owner died. */
static void change(struct room *room, int is_told)
{
    if (!is_told)
        CHECK_EQ(room->first, room->second);
    uint64_t next = room->first + 1;
    room->first = next;
    nap_a_little();
    room->second = next;
}

/* Do something in the room of a lock that has just been taken. is_told: it was said that its last owner died. */
static void use(struct room *room, int is_told)
{
    int is_inherited;
    int place = occupy(room, 1, &is_inherited);

    if (is_inherited && !is_told)
        FAIL("the last owner died holding the lock, and acquire did not say so");
    change(room, is_told);
    vacate(room, place);
}

void play_lock(void)
{
    int number = (int)draw(LOCKS - 1), depth = number == LOCKS - 2 ? 2 : 1, is_told = 0;

    for (int i = 0; i < depth; i++) {
        int r = shoal_lock_acquire(stage.lock[number], draw(2) || i ? SHOAL_FOREVER : a_while());
        if (r == -ETIMEDOUT && i == 0)
            return;
        is_told |= CHECK_COUNT(r) == SHOAL_OWNER_DIED;
    }
    if (own_desk)
        own_desk->told += (uint64_t)is_told;
    use(&ledger->locks[number], is_told);
    for (int i = 0; i < depth; i++)
        CHECK_OK(shoal_lock_release(stage.lock[number]));
}

static void play_permit(void)
{
    int is_inherited;
    int r = shoal_semaphore_acquire(stage.permits, draw(2) ? SHOAL_FOREVER : a_while());

    if (r == -ETIMEDOUT)
        return;
    CHECK_COUNT(r);
    int place = occupy(&ledger->permits, MOST_PLACES, &is_inherited);
    nap_a_little();
    vacate(&ledger->permits, place);
    CHECK_OK(shoal_semaphore_release(stage.permits, 1));
}

static void play_signal(void)
{
    if (draw(2)) {
        own_desk->doubt = 1;
        CHECK_OK(shoal_semaphore_release(stage.signals, 1));
        own_desk->released++;
    } else {
        own_desk->doubt = 2;
        int r = shoal_semaphore_acquire(stage.signals, a_while());
        if (r == 0)
            own_desk->taken++;
        else
            CHECK_EQ(r, -ETIMEDOUT);
    }
    own_desk->doubt = 0;
}

/* --- waiting for others --- */

static void play_condition(void)
{
    enum { NUMBER = LOCKS - 1 };
    struct room *room = &ledger->locks[NUMBER];

    use(room, (int)CHECK_COUNT(shoal_lock_acquire(stage.lock[NUMBER], SHOAL_FOREVER)));
    if (draw(2)) {
        CHECK_COUNT(draw(2) ? shoal_condition_notify(stage.condition, 1 + (uint32_t)draw(3))
                            : shoal_condition_notify_all(stage.condition));
    } else {
        int r = shoal_condition_wait(stage.condition, stage.lock[NUMBER], a_while());
        if (r != -ETIMEDOUT)
            CHECK_COUNT(r);
        use(room, r != 0); /* who was not notified is not told of a death either */
    }
    CHECK_OK(shoal_lock_release(stage.lock[NUMBER]));
}

static void play_event(void)
{
    int r;

    switch (draw(4)) {
    case 0:
        CHECK_OK(shoal_event_set(stage.event));
        break;
    case 1:
        CHECK_OK(shoal_event_clear(stage.event));
        break;
    case 2:
        r = shoal_event_wait(stage.event, a_while());
        CHECK(r == 0 || r == -ETIMEDOUT);
        break;
    default:
        r = shoal_event_wait(stage.over, a_while());
        CHECK(r == -ETIMEDOUT || (r == 0 && ledger->is_over));
        break;
    }
}

static void play_barrier(void)
{
    int r = shoal_barrier_wait(stage.barrier, a_while());

    if (r == -EPIPE || r == -ETIMEDOUT)
        CHECK_OK(shoal_barrier_reset(stage.barrier));
    else if (r != -ECANCELED)
        CHECK_LT(CHECK_COUNT(r), 2);
}

static void play_pipe(void)
{
    shoal_pipe *first, *second;
    int x = 0;

    CHECK_OK(shoal_pipe_open(SHOAL_PIPE_DUPLEX, &first, &second));
    CHECK_OK(shoal_pipe_send(first, &(int){7}, sizeof x, SHOAL_FOREVER));
    CHECK_EQ(shoal_pipe_receive(second, &x, sizeof x, 0), sizeof x);
    CHECK_EQ(x, 7);
    shoal_pipe_free(first);
    AWAIT(shoal_pipe_send(second, &x, sizeof x, 0) == -EPIPE); /* at once, unless somebody is just mending the end */
    shoal_pipe_free(second);
}

/* --- one after another --- */

static const struct {
    void (*play)(void);
    unsigned weight; /* how often, in thousandths about */
    int is_for_actors;
} plays[OP_COUNT] = {
    [OP_PUT] = {play_put, 130, 0},
    [OP_PUT_MANY] = {play_put_many, 60, 0},
    [OP_SEND] = {play_send, 80, 0},
    [OP_GET] = {play_get, 150, 0},
    [OP_GET_MANY] = {play_get_many, 60, 0},
    [OP_RECEIVE] = {play_receive, 120, 0},
    [OP_LETTER] = {play_letter, 50, 0},
    [OP_LOCK] = {play_lock, 100, 0},
    [OP_PERMIT] = {play_permit, 60, 0},
    [OP_SIGNAL] = {play_signal, 60, 0},
    [OP_CONDITION] = {play_condition, 50, 0},
    [OP_EVENT] = {play_event, 50, 0},
    [OP_BARRIER] = {play_barrier, 30, 0},
    [OP_PIPE] = {play_pipe, 20, 0},
    [OP_POOL] = {play_pool, 3, 1},
    [OP_PROCESS] = {play_process, 4, 1},
};

static enum operation choose(int is_actor)
{
    unsigned sum = 0;

    for (int i = 0; i < OP_COUNT; i++)
        sum += is_actor || !plays[i].is_for_actors ? plays[i].weight : 0;
    uint64_t at = draw(sum);
    for (int i = 0;; i++) {
        unsigned weight = is_actor || !plays[i].is_for_actors ? plays[i].weight : 0;
        if (at < weight)
            return (enum operation)i;
        at -= weight;
    }
}

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    CHECK(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

void act(struct desk *desk, uint64_t seed, uint64_t operations)
{
    enum { KEPT = 4 }; /* what the library opens once in the life of a process */
    int is_actor = desk < ledger->desk + ACTORS;
    int descriptors = count_descriptors();

    own_desk = desk;
    numbers = seed;
    desk->pid = getpid();
    for (uint64_t i = 0; i < operations && !ledger->is_over; i++) {
        enum operation operation = choose(is_actor);
        desk->operation = operation;
        plays[operation].play();
        desk->done[operation]++;
    }
    desk->operation = OP_NONE;
    CHECK_LE(count_descriptors(), descriptors + KEPT);
}
