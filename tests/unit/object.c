/* object.c - shared objects and their handles: naming, attaching, forks, and the end with the last handle. */
#include "arena/object.h"

#include "arena/block.h"
#include "arena/handle.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "board.h"
#include "harness.h"

#include <pthread.h>
#include <shoal/arena.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bodies of zeroes: an event that is not set. */
#define KIND SH_KIND_EVENT
#define BODY_SIZE 512

static struct shoal_arena_stats stats(void)
{
    struct shoal_arena_stats stats;
    CHECK_OK(shoal_arena_stats(&stats));
    return stats;
}

static void check_arena(void)
{
    if (sh_arena_check() != 0)
        test_fail(__FILE__, __LINE__, "arena: %s", sh_check_note);
}

static struct sh_handle *open_object(void)
{
    struct sh_handle *handle;

    CHECK_OK(sh_handle_create(KIND, BODY_SIZE, sizeof *handle, &handle));
    sh_handle_publish(handle);
    return handle;
}

static shoal_ref ref_of(const struct sh_handle *handle)
{
    shoal_ref ref;
    CHECK_OK(sh_handle_ref(handle, &ref));
    return ref;
}

static int attach(shoal_ref ref, struct sh_handle **ret_handle)
{
    return sh_handle_attach(&ref, KIND, sizeof **ret_handle, ret_handle);
}

TEST(an_object_is_found_by_its_name)
{
    struct sh_handle *first = open_object(), *second = NULL;

    CHECK_OK(attach(ref_of(first), &second));
    CHECK(second != first);
    CHECK(second->object == first->object);
    CHECK_EQ(stats().objects, 1);
    check_arena();
    sh_handle_free(first);
    CHECK_EQ(stats().objects, 1);
    CHECK_OK(sh_handle_enter(second));
    sh_handle_free(second);
    CHECK_EQ(stats().objects, 0);
    check_arena();
}

TEST(names_that_mean_nothing_are_refused)
{
    struct sh_handle *handle = open_object(), *none = NULL;
    shoal_ref good = ref_of(handle), bad = good;

    bad.family++;
    CHECK_RETURN(attach(bad, &none), -EXDEV);
    bad = good, bad.kind++;
    CHECK_RETURN(attach(bad, &none), -EINVAL);
    CHECK_RETURN(sh_handle_attach(&good, SH_KIND_LOCK, sizeof *none, &none), -EINVAL);
    bad = good, bad.generation++;
    CHECK_RETURN(attach(bad, &none), -ESTALE);
    uint64_t offsets[] = {0, 1, good.offset + 1, good.offset + 64, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 39};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        bad = good, bad.offset = offsets[i];
        CHECK_RETURN(attach(bad, &none), -ESTALE);
    }
    CHECK_RETURN(sh_handle_attach(NULL, KIND, sizeof *none, &none), -EINVAL);
    CHECK(none == NULL);
    sh_handle_free(handle);
    CHECK_RETURN(attach(good, &none), -ESTALE);
}

TEST(freeing_nothing_does_nothing)
{
    sh_handle_free(NULL);
}

TEST(an_object_that_is_discarded_leaves_nothing)
{
    struct sh_handle *handle;

    CHECK_OK(sh_handle_create(KIND, BODY_SIZE, sizeof *handle, &handle));
    shoal_ref ref = ref_of(handle);
    CHECK_RETURN(attach(ref, &(struct sh_handle *){NULL}), -ESTALE); /* not yet published */
    sh_handle_discard(handle);
    CHECK_RETURN(attach(ref, &(struct sh_handle *){NULL}), -ESTALE);
    CHECK_EQ(stats().objects, 0);
    check_arena();
}

TEST(a_new_object_at_the_place_of_an_old_one_has_another_name)
{
    struct sh_handle *handle = open_object();
    shoal_ref old = ref_of(handle);

    sh_handle_free(handle);
    handle = open_object();
    shoal_ref new = ref_of(handle);
    CHECK_EQ(new.offset, old.offset); /* what this test is about */
    CHECK_RETURN(attach(old, &(struct sh_handle *){NULL}), -ESTALE);
    sh_handle_free(handle);
}

TEST(many_objects_come_and_go_in_any_order)
{
    enum { COUNT = 700 };
    static struct sh_handle *handles[COUNT];
    uint64_t seed = test_seed();

    for (int i = 0; i < COUNT; i++)
        handles[i] = open_object();
    CHECK_EQ(stats().objects, COUNT);
    for (int step = 0; step < 5000; step++) {
        uint64_t i = test_random_below(&seed, COUNT);
        if (test_random_below(&seed, 2)) {
            sh_handle_free(handles[i]);
            handles[i] = open_object();
        } else {
            struct sh_handle *second;
            CHECK_OK(attach(ref_of(handles[i]), &second));
            sh_handle_free(handles[i]);
            handles[i] = second;
        }
    }
    check_arena();
    for (int i = 0; i < COUNT; i++) {
        CHECK_OK(sh_handle_enter(handles[i]));
        sh_handle_free(handles[i]);
    }
    CHECK_EQ(stats().objects, 0);
}

TEST(a_forked_child_has_handles_of_its_own)
{
    struct board *board = board_map();
    struct sh_handle *handle = open_object();
    shoal_ref ref = ref_of(handle);
    pid_t pid;

    CHILD(pid) {
        CHECK_OK(sh_handle_enter(handle));
        board->step = 1;
        AWAIT(board->step == 2);
        CHECK_OK(sh_handle_enter(handle));
        struct sh_handle *again;
        CHECK_OK(attach(ref, &again));
        sh_handle_free(again);
        sh_handle_free(handle);
    }
    AWAIT(board->step == 1);
    sh_handle_free(handle);
    CHECK_EQ(stats().objects, 1);
    board->step = 2;
    CHECK_EXITS(pid, 0);
    CHECK_EQ(stats().objects, 0);
    check_arena();
    board_unmap(board);
}

TEST(an_object_that_went_before_the_child_came_is_stale_in_it)
{
    struct board *board = board_map();
    struct sh_handle *gone = open_object(), *stays = open_object();
    pid_t pid;

    CHILD(pid) {
        AWAIT(board->step == 1);
        CHECK_OK(sh_handle_enter(stays));
        CHECK_RETURN(sh_handle_enter(gone), -ESTALE);
        sh_handle_free(gone);
        CHECK_EQ(stats().objects, 2);
        sh_handle_free(stays);
    }
    uint64_t place = ref_of(gone).offset;
    sh_handle_free(gone);
    struct sh_handle *other = open_object();
    CHECK_EQ(ref_of(other).offset, place); /* so the child might take it for the one that is gone */
    board->step = 1;
    CHECK_EXITS(pid, 0);
    sh_handle_free(other);
    CHECK_EQ(stats().objects, 1);
    sh_handle_free(stays);
    CHECK_EQ(stats().objects, 0);
    check_arena();
    board_unmap(board);
}

TEST(a_child_that_only_frees_what_it_inherited_changes_nothing_for_others)
{
    struct sh_handle *handle = open_object();
    pid_t pid;

    CHILD(pid) {
        sh_handle_free(handle);
    }
    CHECK_EXITS(pid, 0);
    CHECK_OK(sh_handle_enter(handle));
    CHECK_EQ(stats().objects, 1);
    sh_handle_free(handle);
    CHECK_EQ(stats().objects, 0);
}

TEST(an_object_goes_with_the_death_of_the_last_that_was_attached)
{
    struct board *board = board_map();
    struct sh_handle *handle = open_object();
    shoal_ref ref = ref_of(handle);
    pid_t pid;

    CHILD(pid) {
        CHECK_OK(sh_handle_enter(handle));
        struct sh_handle *own = open_object();
        CHECK_OK(sh_handle_enter(own));
        board->step = 1;
        pause();
    }
    AWAIT(board->step == 1);
    sh_handle_free(handle);
    CHECK_EQ(stats().objects, 2);
    kill(pid, SIGKILL);
    CHECK_KILLED(pid, SIGKILL);
    CHECK_EQ(sh_reclaim_wait(), 1);
    sh_block_flush();
    CHECK_EQ(stats().blocks, 0);
    CHECK_RETURN(attach(ref, &handle), -ESTALE);
    check_arena();
    board_unmap(board);
}

TEST(an_object_outlives_the_process_that_made_it)
{
    struct board *board = board_map();
    pid_t pid;

    CHECK_OK(sh_arena_enter());
    CHILD(pid) {
        struct sh_handle *handle = open_object();
        board->ref = ref_of(handle);
        CHECK_SYS(kill(getpid(), SIGSTOP));
        raise(SIGKILL);
    }
    CHECK_SYS(waitpid(pid, NULL, WUNTRACED));
    struct sh_handle *handle;
    CHECK_OK(attach(board->ref, &handle));
    CHECK_SYS(kill(pid, SIGCONT));
    CHECK_KILLED(pid, SIGKILL);
    CHECK_EQ(sh_reclaim_wait(), 1);
    CHECK_OK(sh_handle_enter(handle));
    CHECK_EQ(stats().objects, 1);
    sh_handle_free(handle);
    CHECK_EQ(stats().objects, 0);
    board_unmap(board);
}

TEST(an_object_half_made_goes_with_its_maker)
{
    pid_t pid;

    CHECK_OK(sh_arena_enter());
    CHILD(pid) {
        struct sh_handle *handle;
        CHECK_OK(sh_handle_create(KIND, BODY_SIZE, sizeof *handle, &handle));
        raise(SIGKILL);
    }
    CHECK_KILLED(pid, SIGKILL);
    CHECK_EQ(sh_reclaim_wait(), 1);
    CHECK_EQ(stats().blocks, 0);
    check_arena();
}

TEST(an_object_under_way_lives_until_it_is_received)
{
    struct sh_handle *handle = open_object(), *received;
    shoal_ref ref = ref_of(handle);
    uint64_t ticket = sh_object_send(handle->object);

    sh_handle_free(handle);
    CHECK_EQ(stats().objects, 1);
    CHECK_OK(attach(ref, &received));
    sh_object_receive(ticket);
    CHECK_EQ(stats().objects, 1);
    sh_handle_free(received);
    CHECK_EQ(stats().objects, 0);
    check_arena();
}

TEST(what_was_received_twice_does_not_count_for_others)
{
    struct sh_handle *handle = open_object(), *received;
    shoal_ref ref = ref_of(handle);
    uint64_t first = sh_object_send(handle->object), second = sh_object_send(handle->object);

    sh_object_receive(first);
    sh_object_receive(first);
    sh_object_receive(0);
    sh_object_receive(UINT64_MAX);
    sh_handle_free(handle);
    CHECK_OK(attach(ref, &received)); /* by the second */
    sh_object_receive(second);
    sh_handle_free(received);
    CHECK_EQ(stats().objects, 0);
}

TEST(an_object_under_way_outlives_its_sender)
{
    struct board *board = board_map();
    struct sh_handle *received;
    pid_t pid;

    CHECK_OK(sh_arena_enter());
    CHILD(pid) {
        struct sh_handle *handle = open_object();
        board->ref = ref_of(handle);
        board->step = (int)(sh_object_send(handle->object) != 0);
        raise(SIGKILL);
    }
    CHECK_KILLED(pid, SIGKILL);
    CHECK_EQ(board->step, 1);
    CHECK_EQ(sh_reclaim_wait(), 1);
    CHECK_OK(attach(board->ref, &received));
    sh_handle_free(received); /* still under way: nobody said that it was received */
    CHECK_EQ(stats().objects, 1);
    check_arena();
    board_unmap(board);
}

TEST(what_is_never_received_is_pushed_out_in_the_end)
{
    struct sh_handle *lost = open_object(), *other = open_object();

    sh_object_send(lost->object);
    sh_handle_free(lost);
    for (unsigned i = 1; i < SH_TRANSIT_MAX; i++)
        sh_object_send(other->object);
    CHECK_EQ(stats().objects, 2);
    sh_object_send(other->object);
    CHECK_EQ(stats().objects, 1);
    sh_handle_free(other); /* all that is under way is this one: as many sends later it is gone too */
    CHECK_EQ(stats().objects, 1);
    other = open_object();
    for (unsigned i = 0; i < SH_TRANSIT_MAX; i++)
        sh_object_receive(sh_object_send(other->object));
    CHECK_EQ(stats().objects, 1);
    sh_handle_free(other);
    CHECK_EQ(stats().objects, 0);
    check_arena();
}

static shoal_ref common;

static void *attach_and_free(void *unused)
{
    for (int i = 0; i < 3000; i++) {
        struct sh_handle *handle;
        CHECK_OK(attach(common, &handle));
        CHECK_OK(sh_handle_enter(handle));
        sh_handle_free(handle);
    }
    return unused;
}

TEST(threads_and_processes_attach_and_free_at_the_same_time)
{
    struct sh_handle *handle = open_object();
    pid_t pids[2];

    common = ref_of(handle);
    for (int i = 0; i < 2; i++) {
        CHILD(pids[i]) {
            pthread_t thread;
            CHECK_EQ(pthread_create(&thread, NULL, attach_and_free, NULL), 0);
            attach_and_free(NULL);
            pthread_join(thread, NULL);
        }
    }
    attach_and_free(NULL);
    CHECK_EXITS(pids[0], 0);
    CHECK_EXITS(pids[1], 0);
    sh_handle_free(handle);
    sh_reclaim_wait();
    CHECK_EQ(stats().objects, 0);
    check_arena();
}
