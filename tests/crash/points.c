/* points.c - SIGKILL at each named crash point of queue, lock and arena: once for every time that an operation passes
 * one.
 *
 * A scenario runs in a child, first to the end, to count the points that it passes, then again and again, killed at the
 * first, the second and so on. After each death this process, which stands outside, checks what is left and uses it. */
#include "arena/arena.h"
#include "arena/block.h"
#include "arena/object.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "base/crash.h"
#include "harness.h"

#include <pthread.h>
#include <shoal/shoal.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_NAMES = 100, NAME_SIZE = 40 };

/* What the child tells: shared by both. */
static struct board {
    _Atomic int passed, fatal;
    _Atomic pid_t waiter; /* the thread that waits for the lock */
    int name_count;
    char names[MOST_NAMES][NAME_SIZE];
} * board;

static void note_name(const char *name)
{
    for (int i = 0; i < board->name_count; i++)
        if (strcmp(board->names[i], name) == 0)
            return;
    if (board->name_count < MOST_NAMES && strlen(name) < NAME_SIZE)
        strcpy(board->names[board->name_count++], name);
}

static void pass(const char *name)
{
    note_name(name);
    if (++board->passed == board->fatal)
        kill(getpid(), SIGKILL);
}

static int has_passed(const char *name)
{
    for (int i = 0; i < board->name_count; i++)
        if (strcmp(board->names[i], name) == 0)
            return 1;
    return 0;
}

static shoal_queue *queue;
static shoal_lock *lock;
static char data[100000];

static void put_and_get(size_t size, int count)
{
    for (int i = 0; i < count; i++)
        CHECK_OK(shoal_queue_put(queue, data, size, 0));
    for (int i = 0; i < count; i++)
        CHECK_EQ(shoal_queue_get(queue, data, sizeof data, 0), size);
}

static void small_messages(void)
{
    put_and_get(10, 3);
}

static void messages_in_blocks(void)
{
    put_and_get(5000, 2);
    put_and_get(90000, 2);
}

static void rings_that_grow(void)
{
    put_and_get(900, 60);
}

static void loans(void)
{
    struct shoal_message message;

    CHECK_OK(shoal_queue_loan(queue, 30000, &message));
    CHECK_OK(shoal_queue_send(queue, &message, 0));
    CHECK_OK(shoal_queue_receive(queue, &message, 0));
    shoal_message_release(&message);
}

static void many_at_once(void)
{
    struct shoal_bytes messages[5] = {{data, 10}, {data, 2000}, {data, 0}, {data, 30}, {data, 40}};

    CHECK_EQ(shoal_queue_put_many(queue, messages, 5, 0), 5);
    for (ssize_t done = 0; done < 5;)
        done += CHECK_COUNT(shoal_queue_get_many(queue, data, sizeof data, messages, 5, 0));
}

static void messages_that_are_done(void)
{
    for (int i = 0; i < 2; i++)
        CHECK_OK(shoal_queue_put(queue, data, 100, 0));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(shoal_queue_get(queue, data, sizeof data, 0), 100);
        CHECK_OK(shoal_queue_task_done(queue));
    }
}

static void a_queue_of_its_own(void)
{
    shoal_queue *own;

    CHECK_OK(shoal_queue_open(NULL, &own));
    for (int i = 0; i < 8; i++)
        CHECK_OK(shoal_queue_put(own, data, i % 2 ? 900 : 9000, 0));
    CHECK_OK(shoal_queue_close(own));
    shoal_queue_free(own);
}

static struct sh_object *object_of(shoal_queue *named)
{
    shoal_ref ref;

    CHECK_OK(shoal_queue_ref(named, &ref));
    return sh_at(ref.offset);
}

/* A queue that is under way, and never received, goes when as many others were sent as the table holds. */
static void a_queue_that_is_lost(void)
{
    shoal_queue *lost;

    CHECK_OK(shoal_queue_open(NULL, &lost));
    sh_object_send(object_of(lost));
    shoal_queue_free(lost);
    for (unsigned i = 0; i < SH_TRANSIT_MAX; i++)
        sh_object_receive(sh_object_send(object_of(queue)));
}

static void *wait_for_the_lock(void *unused)
{
    (void)unused;
    board->waiter = gettid();
    CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
    CHECK_OK(shoal_lock_release(lock));
    return NULL;
}

/* With a thread that waits for it: the points lie where somebody waits. */
static void the_lock(void)
{
    pthread_t thread;

    board->waiter = 0;
    CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_the_lock, NULL), 0);
    AWAIT(board->waiter != 0);
    test_await_asleep(board->waiter);
    CHECK_OK(shoal_lock_release(lock));
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void blocks(void)
{
    static const uint64_t sizes[] = {64, 3000, 70000, 300000, 9000000, 80000000};
    uint64_t offsets[6];

    for (int i = 0; i < 6; i++)
        CHECK_OK(sh_block_alloc(sizes[i], &offsets[i]));
    for (int i = 0; i < 6; i++)
        sh_block_free(offsets[i]);
}

static uint64_t blocks_in_use(void)
{
    struct shoal_arena_stats stats;

    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&stats));
    return stats.blocks;
}

/* All that a dead process can leave: taken back; everything sound, and to be used. */
static void check_what_is_left(uint64_t before, int fatal, int died)
{
    uint64_t unfinished;

    sh_reclaim_wait();
    int r = shoal_lock_acquire(lock, SHOAL_SECONDS(5));
    if (r < 0)
        FAIL("killed at point %d: the lock is not to be had: %s", fatal, shoal_strerror(r));
    CHECK(died || r == 0);
    CHECK_OK(shoal_lock_release(lock));
    for (;;) {
        ssize_t size = shoal_queue_get(queue, data, sizeof data, 0);
        if (size == -EAGAIN)
            break;
        CHECK_COUNT(size);
        CHECK_OK(shoal_queue_task_done(queue));
    }
    CHECK_OK(shoal_queue_unfinished(queue, &unfinished));
    if (unfinished != 0)
        FAIL("killed at point %d: %llu messages are never done", fatal, (unsigned long long)unfinished);
    messages_that_are_done();
    if (sh_arena_check() < 0)
        FAIL("killed at point %d: %s", fatal, sh_check_note);
    if (blocks_in_use() > before + 1) /* a ring that has grown may be there */
        FAIL("killed at point %d: %llu blocks left over", fatal, (unsigned long long)(blocks_in_use() - before));
}

/* How many points the child has passed when it has ended. */
static int board_after(pid_t pid)
{
    AWAIT(!test_is_alive(pid));
    return board->passed;
}

/* Run the scenario in a child that dies at its fatal-th point. Whether it passed so many. */
static int dies(void (*scenario)(void), int fatal)
{
    pid_t pid;

    board->passed = 0;
    board->fatal = fatal;
    CHILD(pid) {
        CHECK_OK(sh_arena_enter());
        sh_crash_hook = pass;
        scenario();
        sh_crash_hook = NULL;
    }
    if (board_after(pid) < fatal) {
        CHECK_EXITS(pid, 0);
        return 0;
    }
    CHECK_KILLED(pid, SIGKILL);
    return 1;
}

/* Kill the scenario at every point that it passes. Returns how many. */
static int kill_everywhere(void (*scenario)(void))
{
    struct shoal_queue_options joinable = {SHOAL_OPTIONS(shoal_queue), .flags = SHOAL_QUEUE_JOINABLE};
    int died = 1, fatal = 0;

    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(board != MAP_FAILED);
    CHECK_OK(shoal_lock_open(NULL, &lock));
    while (died) {
        CHECK_OK(shoal_queue_open(&joinable, &queue)); /* a new one each time: rings begin small */
        uint64_t before = blocks_in_use();
        died = dies(scenario, ++fatal);
        check_what_is_left(before, fatal, died);
        shoal_queue_free(queue);
    }
    shoal_lock_free(lock);
    return fatal - 1;
}

static void end(void)
{
    CHECK_SYS(munmap(board, sizeof *board));
}

/* The scenario passes a point of each of these names. */
#define CHECK_PASSES(scenario, ...)                                                                                    \
    do {                                                                                                               \
        const char *const wanted[] = {__VA_ARGS__};                                                                    \
        CHECK_GT(kill_everywhere(scenario), 0);                                                                        \
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)                                                    \
            if (!has_passed(wanted[i]))                                                                                \
                FAIL("%s does not pass %s", #scenario, wanted[i]);                                                     \
        end();                                                                                                         \
    } while (0)

TEST_WITHIN(60, whoever_dies_with_a_small_message_tears_nothing)
{
    CHECK_PASSES(small_messages, "queue_put_filled", "queue_put_committed", "queue_get_copied", "queue_get_committed");
}

TEST_WITHIN(60, whoever_dies_with_a_message_in_a_block_leaks_nothing)
{
    CHECK_PASSES(messages_in_blocks, "queue_put_intended", "queue_put_given", "queue_get_intended", "queue_get_given",
                 "block_taken", "block_warmed");
}

TEST_WITHIN(60, whoever_dies_where_rings_grow_leaves_one_queue)
{
    CHECK_PASSES(rings_that_grow, "queue_put_moved", "queue_get_leaving", "queue_get_left");
}

TEST_WITHIN(60, whoever_dies_with_a_loan_leaks_nothing)
{
    CHECK_PASSES(loans, "queue_put_given", "queue_get_given");
}

TEST_WITHIN(60, whoever_dies_with_many_messages_tears_none)
{
    CHECK_PASSES(many_at_once, "queue_put_committed", "queue_get_committed");
}

TEST_WITHIN(60, whoever_dies_while_it_says_done_lets_others_join)
{
    CHECK_PASSES(messages_that_are_done, "queue_done_intended", "queue_done_counted", "queue_done_committed");
}

TEST_WITHIN(60, whoever_dies_with_a_queue_of_its_own_takes_it_along)
{
    CHECK_PASSES(a_queue_of_its_own, "object_filled", "queue_closing", "queue_closed", "queue_drained",
                 "object_destroyed");
}

TEST_WITHIN(60, whoever_dies_pushing_out_what_is_lost_takes_it_along)
{
    CHECK_PASSES(a_queue_that_is_lost, "object_pushed_out");
}

TEST_WITHIN(60, whoever_dies_with_the_lock_gives_it_up)
{
    CHECK_PASSES(the_lock, "lock_released", "lock_before_wake", "lock_taken");
}

TEST_WITHIN(60, whoever_dies_with_blocks_gives_them_back)
{
    struct shoal_arena_options options = {SHOAL_OPTIONS(shoal_arena), .limit = UINT64_C(1) << 30};

    CHECK_OK(shoal_arena_open(&options)); /* so small that the largest block is not kept warm */
    CHECK_PASSES(blocks, "span_grown", "slab_filled", "slab_published", "block_taken", "block_warmed",
                 "direct_released");
}
