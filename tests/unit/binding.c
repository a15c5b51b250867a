/* binding.c - a pool whose processes are started, and whose tasks are run, in the way of another language: here of this
 * program, by a fork of its own. */
#include "pool/binding.h"

#include "arena/arena.h"
#include "os/life.h"
#include "os/process.h"
#include "pool/names.h"
#include "pool/run.h"
#include "pool/submit.h"
#include "pools.h"

#include <signal.h>
#include <sys/wait.h>

enum { CALL_SQUARE = 1, CALL_ADD_COMMON, CALL_ABANDON, CALL_DIE };

/* In workers. */
static unsigned rests;

static int run(struct shoal_task *task)
{
    int x = 0;
    void *to;

    memcpy(&x, task->data, sh_min(task->size, sizeof x));
    switch (task->word & 7) {
    case CALL_SQUARE:
        x *= x;
        break;
    case CALL_ADD_COMMON:
        x += *(const int *)task->common.data;
        break;
    case CALL_ABANDON:
        return x == 2 ? sh_task_abandon(task) : 0;
    default:
        raise(SIGKILL);
    }
    int r = sh_task_reserve(task, sizeof x, &to);
    if (r == 0)
        memcpy(to, &x, sizeof x);
    return r;
}

static void rest(void *context)
{
    ++*(unsigned *)context;
}

static int resume(void *context)
{
    return *(unsigned *)context > 1000000 ? -1 : 0;
}

/* In main and the keeper. */
struct starter {
    unsigned refusals; /* workers that are to refuse */
    unsigned launches, reaps;
};

static int enter(uint32_t tag, int ticket)
{
    sh_life_follow(ticket);
    return sh_arena_enter_as(tag);
}

static pid_t fork_keeper(void *context, uint32_t tag, int ticket, int *ret_pidfd)
{
    pid_t pid = sh_process_fork(ret_pidfd);

    (void)context;
    if (pid == 0 && enter(tag, ticket) < 0)
        sh_process_quit(1);
    return pid;
}

static void be_worker(struct starter *starter, const struct sh_expected *expected)
{
    const struct sh_worker_calls calls = {.run = run, .rest = rest, .resume = resume, .context = &rests};
    struct sh_pool_shared *shared = expected->pool->shared;

    if (enter(expected->tag, expected->ticket) < 0)
        sh_process_quit(1);
    sh_binding_close_inherited(expected->pool);
    if (starter->refusals) {
        sh_binding_refuse(shared, expected->index, "nothing is ready here");
        sh_process_quit(1);
    }
    sh_process_quit(sh_binding_serve(shared, expected->index, expected->generation, &calls) < 0 ? 7 : 0);
}

static int launch(void *context, const struct sh_expected *expected, pid_t *ret_pid, int *ret_pidfd)
{
    struct starter *starter = context;
    pid_t pid = sh_process_fork(ret_pidfd);

    starter->launches++;
    if (pid == 0)
        be_worker(starter, expected);
    *ret_pid = pid;
    return pid < 0 ? pid : 0;
}

static int reap(void *context, uint32_t index, int pidfd, pid_t pid, struct sh_process_end *ret_end)
{
    (void)index;
    ((struct starter *)context)->reaps++;
    return sh_process_reap(pidfd, pid, ret_end);
}

static shoal_pool *open_bound(struct starter *starter, unsigned workers)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = workers};
    struct sh_binding binding = {.fork = fork_keeper, .launch = launch, .reap = reap, .context = starter};
    shoal_pool *pool;

    CHECK_OK(shoal_arena_stats(&(struct shoal_arena_stats){0})); /* there is an arena */
    CHECK_OK(sh_binding_open(&options, &binding, &pool));
    return pool;
}

/* Main's own children are the binding's to reap. */
static void reap_children(struct sh_pool_shared *shared, const pid_t *pids)
{
    for (uint32_t i = 0; i < shared->workers; i++)
        waitpid(pids[i], NULL, 0);
}

static void end_bound(shoal_pool *pool, const pid_t *pids)
{
    CHECK_OK(shoal_pool_close(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    reap_children(pool->shared, pids);
    if (sh_pool_check(&pool->shared->object) != 0)
        FAIL("pool: %s", sh_check_note);
    shoal_pool_free(pool);
    CHECK_EQ(blocks_in_use(), 0);
}

static void note_pids(shoal_pool *pool, pid_t *pids)
{
    for (uint32_t i = 0; i < pool->shared->workers; i++)
        pids[i] = sh_load_relaxed(&pool->shared->worker[i].pid);
}

static shoal_future *submit_word(shoal_pool *pool, uint64_t word, const int *items, size_t count)
{
    struct sh_submission submission = {
        .word = word, .items = items, .size = sizeof *items, .count = count, .chunk = 1, .timeout = SHOAL_FOREVER};
    shoal_future *future;

    CHECK_OK(sh_submit(pool, &submission, &future));
    return future;
}

TEST(a_binding_runs_tasks_by_their_words)
{
    struct starter starter = {0};
    shoal_pool *pool = open_bound(&starter, 2);
    const int items[] = {1, 2, 3, 4};
    pid_t pids[2];
    int x;

    note_pids(pool, pids);
    CHECK_EQ(starter.launches, 2);
    shoal_future *future = submit_word(pool, CALL_SQUARE, items, 4);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(shoal_future_get(future, (uint64_t)i, &x, sizeof x, SHOAL_FOREVER), sizeof x);
        CHECK_EQ(x, items[i] * items[i]);
    }
    shoal_future_free(future);
    end_bound(pool, pids);
}

/* Items in a block that the caller has made, with what they have in common. */
static shoal_future *submit_block(shoal_pool *pool, size_t count)
{
    size_t head = (count + 1) * sizeof(struct sh_part), size = head + (count + 1) * 8;
    struct sh_submission submission = {.word = CALL_ADD_COMMON,
                                       .block_size = size,
                                       .block_flags = SH_JOB_SIZES | SH_JOB_COMMON,
                                       .count = count,
                                       .timeout = SHOAL_FOREVER};
    shoal_future *future;

    CHECK_OK(sh_block_alloc(size, &submission.block));
    struct sh_part *parts = sh_at(submission.block);
    for (size_t i = 0; i <= count; i++) {
        int value = i < count ? (int)i : 1000;
        parts[i] = (struct sh_part){.offset = head + i * 8, .size = sizeof(int)};
        memcpy((char *)parts + parts[i].offset, &value, sizeof value);
    }
    CHECK_OK(sh_submit(pool, &submission, &future));
    return future;
}

TEST(items_have_a_common_part_even_a_single_one)
{
    struct starter starter = {0};
    shoal_pool *pool = open_bound(&starter, 2);
    pid_t pids[2];
    int x;

    note_pids(pool, pids);
    for (size_t count = 1; count <= 50; count += 7) {
        shoal_future *future = submit_block(pool, count);
        for (size_t i = 0; i < count; i++) {
            CHECK_EQ(shoal_future_get(future, i, &x, sizeof x, SHOAL_FOREVER), sizeof x);
            CHECK_EQ(x, 1000 + (int)i);
        }
        shoal_future_free(future);
    }
    end_bound(pool, pids);
}

TEST(names_are_kept_as_long_as_the_pool)
{
    struct starter starter = {0};
    shoal_pool *pool = open_bound(&starter, 1);
    uint64_t words[20];
    char text[20];
    pid_t pids[1];

    note_pids(pool, pids);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "name %d", i);
        CHECK_OK(sh_names_keep(pool, text, strlen(text), &words[i]));
        CHECK_EQ(words[i] & 7, 0);
    }
    for (int i = 0; i < 20; i++) {
        struct shoal_bytes name = sh_names_text(words[i]);
        snprintf(text, sizeof text, "name %d", i);
        CHECK_EQ(name.size, strlen(text));
        CHECK_EQ(memcmp(name.data, text, name.size), 0);
    }
    end_bound(pool, pids);
}

TEST(an_item_that_was_abandoned_is_lost_with_the_exit_code_and_another_worker_goes_on)
{
    struct starter starter = {0};
    shoal_pool *pool = open_bound(&starter, 2);
    const int items[] = {1, 2, 3, 4};
    struct shoal_task_error error;
    pid_t pids[2];

    note_pids(pool, pids);
    shoal_future *future = submit_word(pool, CALL_ABANDON, items, 4);
    CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
    for (int i = 0; i < 4; i++) {
        if (i != 1) {
            CHECK_RETURN(shoal_future_error(future, (uint64_t)i, &error), -ENOENT);
            continue;
        }
        CHECK_OK(shoal_future_error(future, 1, &error));
        CHECK_EQ(error.error, -ECHILD);
        CHECK_EQ(error.signal, 0);
        CHECK_EQ(error.exit_code, 7);
    }
    shoal_future_free(future);
    end_bound(pool, pids);
}

TEST(a_worker_that_was_killed_is_launched_again)
{
    struct starter starter = {0};
    shoal_pool *pool = open_bound(&starter, 2);
    const int items[] = {5, 6};
    struct shoal_task_error error;
    pid_t pids[2];
    int x;

    note_pids(pool, pids);
    for (int i = 0; i < 5; i++) {
        shoal_future *future = submit_word(pool, CALL_DIE, items, 1);
        CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
        CHECK_OK(shoal_future_error(future, 0, &error));
        CHECK_EQ(error.signal, SIGKILL);
        shoal_future_free(future);
    }
    shoal_future *future = submit_word(pool, CALL_SQUARE, items, 2);
    CHECK_EQ(shoal_future_get(future, 1, &x, sizeof x, SHOAL_FOREVER), sizeof x);
    CHECK_EQ(x, 36);
    shoal_future_free(future);
    end_bound(pool, pids);
}

TEST(workers_that_refuse_say_why)
{
    struct starter starter = {.refusals = 1};
    shoal_pool *pool = open_bound(&starter, 2);
    const int item = 1;
    struct shoal_task_error error;
    shoal_future *future;
    pid_t pids[2];

    note_pids(pool, pids);
    struct sh_submission submission = {
        .word = CALL_SQUARE, .items = &item, .size = sizeof item, .count = 1, .timeout = SHOAL_FOREVER};
    int r = sh_submit(pool, &submission, &future);
    if (r == 0) { /* before they were so many that it is hopeless */
        CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
        CHECK_OK(shoal_future_error(future, 0, &error));
        CHECK_EQ(error.error, -ENOEXEC);
        CHECK(strstr(error.message, "nothing is ready here") != NULL);
        shoal_future_free(future);
    } else {
        CHECK_RETURN(r, -ENOEXEC);
    }
    end_bound(pool, pids);
}

TEST(a_result_is_taken_over_with_its_block)
{
    shoal_pool *pool = open_pool(1);
    struct shoal_message message;
    char large[5000];
    shoal_future *future;

    memset(large, 'x', sizeof large);
    CHECK_OK(shoal_pool_submit(pool, NULL, echo, large, sizeof large, 1, &future));
    CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
    CHECK_EQ(sh_future_take(future, 0, &message), 1);
    CHECK_EQ(message.size, sizeof large);
    CHECK_EQ(memcmp(message.data, large, sizeof large), 0);
    CHECK_EQ(sh_block_owner(message.block), sh_member_tag());
    CHECK_EQ(sh_future_take(future, 0, &(struct shoal_message){0}), 0);
    shoal_future_free(future);
    CHECK_EQ(((char *)message.data)[sizeof large - 1], 'x'); /* it outlives the future */
    shoal_message_release(&message);
    end_pool(pool);
}
