/* arena.c - the family arena: blocks, growth, exhaustion, members, and what the dead leave. */
#include "arena/arena.h"

#include "arena/block.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "harness.h"

#include <shoal/arena.h>
#include <shoal/pipe.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

static uint64_t alloc(uint64_t size)
{
    uint64_t offset = 0;
    CHECK_OK(sh_block_alloc(size, &offset));
    CHECK_GE(sh_block_capacity(offset), size);
    return offset;
}

TEST(classes_hold_what_they_say_and_waste_a_quarter_at_most)
{
    CHECK_OK(sh_arena_enter());
    for (uint64_t size = 1; size <= sh_arena.direct_minimum; size += size / 50 + 1) {
        uint32_t class = sh_block_class_of(size);
        CHECK_LT(class, SH_CLASS_COUNT);
        CHECK_GE(sh_block_class_size(class), size);
        CHECK_LE(sh_block_class_size(class), size + sh_max(size / 4, UINT64_C(63)));
        if (class > 0)
            CHECK_LT(sh_block_class_size(class - 1), size);
    }
}

TEST(blocks_of_all_sizes_do_not_overlap)
{
    enum { COUNT = 400 };
    uint64_t offsets[COUNT], sizes[COUNT];

    CHECK_OK(sh_arena_enter());
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = i % 7 == 6 ? (uint64_t)i * 40000 : (uint64_t)(i * i) % 9000;
        offsets[i] = alloc(sizes[i]);
        CHECK_EQ(sh_block_owner(offsets[i]), sh_member_tag());
        memset(sh_at(offsets[i]), i, sizes[i]);
    }
    check_arena();
    for (int i = 0; i < COUNT; i++) {
        unsigned char *bytes = sh_at(offsets[i]);
        for (uint64_t k = 0; k < sizes[i]; k += 61)
            CHECK_EQ(bytes[k], i & 255);
    }
    for (int i = 0; i < COUNT; i++)
        sh_block_free(offsets[i]);
    check_arena();
}

TEST(a_freed_large_block_is_reused_warm)
{
    CHECK_OK(sh_arena_enter());
    uint64_t first = alloc(1 << 20);
    uint64_t committed = stats().committed;
    for (int i = 0; i < 100; i++) {
        sh_block_free(first);
        CHECK_EQ(alloc(1 << 20), first);
    }
    CHECK_EQ(stats().committed, committed);
}

TEST(large_free_blocks_go_back_to_the_kernel)
{
    enum { COUNT = 40 };
    struct shoal_arena_options options = {SHOAL_OPTIONS(shoal_arena), .limit = UINT64_C(1) << 30};
    uint64_t offsets[COUNT];

    CHECK_OK(shoal_arena_open(&options));
    CHECK_OK(sh_arena_enter());
    for (int i = 0; i < COUNT; i++)
        offsets[i] = alloc(16 << 20);
    CHECK_GT(stats().committed, (uint64_t)COUNT * (16 << 20));
    for (int i = 0; i < COUNT; i++)
        sh_block_free(offsets[i]);
    CHECK_LE(stats().committed, UINT64_C(400) << 20);
    check_arena();
}

/* A program that passes on messages of some size finds the pages of the last ones, however large they are. */
TEST(blocks_of_a_thirty_second_of_the_limit_are_kept_warm)
{
    struct shoal_arena_options options = {SHOAL_OPTIONS(shoal_arena), .limit = UINT64_C(6) << 30};

    CHECK_OK(shoal_arena_open(&options));
    CHECK_OK(sh_arena_enter());
    uint64_t first = alloc(80 << 20), second = alloc(80 << 20);
    uint64_t committed = stats().committed;
    sh_block_free(first);
    sh_block_free(second);
    CHECK_EQ(stats().committed, committed);
    CHECK_EQ(alloc(80 << 20), first);
    CHECK_EQ(alloc(80 << 20), second);
    check_arena();
}

TEST(a_small_limit_is_an_error_from_the_call_and_passes_with_a_free)
{
    struct shoal_arena_options options = {SHOAL_OPTIONS(shoal_arena), .limit = 8 << 20};
    uint64_t offsets[64], refused;
    int count = 0;

    CHECK_OK(shoal_arena_open(&options));
    CHECK_RETURN(shoal_arena_open(&options), -EBUSY);
    while (count < 64 && sh_block_alloc(1 << 20, &offsets[count]) == 0) {
        memset(sh_at(offsets[count]), 1, 1 << 20);
        count++;
    }
    CHECK_GE(count, 5);
    CHECK_LE(count, 8);
    CHECK_RETURN(sh_block_alloc(1 << 20, &refused), -ENOMEM);
    CHECK_RETURN(sh_block_alloc(UINT64_C(1) << 50, &refused), -ENOMEM);
    CHECK_LE(stats().committed, stats().limit);
    sh_block_free(offsets[--count]);
    offsets[count] = alloc(1 << 20);
    check_arena();
    while (count >= 0)
        sh_block_free(offsets[count--]);
    alloc(5 << 20); /* what was kept warm gives way */
    check_arena();
}

TEST(a_small_address_space_makes_a_small_arena)
{
    struct rlimit limit = {.rlim_cur = 300 << 20, .rlim_max = 300 << 20};
    uint64_t offset;
    int count = 0;

#ifdef __SANITIZE_ADDRESS__
    SKIP("sanitizers need more addresses");
#endif
    CHECK_SYS(setrlimit(RLIMIT_AS, &limit));
    CHECK_OK(sh_arena_enter());
    CHECK_LE(stats().reserve, UINT64_C(150) << 20);
    while (sh_block_alloc(100000, &offset) == 0) {
        memset(sh_at(offset), 1, 100000);
        count++;
    }
    CHECK_GT(count, 600);
    check_arena();
}

TEST(what_a_dead_process_held_is_taken_back)
{
    CHECK_OK(sh_arena_enter());
    uint64_t before = stats().blocks;
    pid_t child = CHECK_SYS(fork());
    if (child == 0) {
        CHECK_OK(sh_arena_enter());
        for (int i = 0; i < 300; i++)
            alloc(i % 3 ? 200 : 70000);
        alloc(30 << 20);
        raise(SIGKILL);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WTERMSIG(status), SIGKILL);
    CHECK_EQ(stats().blocks, before + 301);
    CHECK_EQ(stats().processes, 2);
    CHECK_EQ(sh_reclaim_dead(), 1);
    CHECK_EQ(stats().blocks, before);
    CHECK_EQ(stats().processes, 1);
    CHECK_EQ(stats().deaths, 1);
    CHECK_EQ(stats().reclaimed, 301);
    check_arena();
}

TEST(tags_of_members_are_not_used_again_soon)
{
    uint32_t tags[50];

    CHECK_OK(sh_arena_enter());
    for (int i = 0; i < 50; i++) {
        int ends[2];
        CHECK_SYS(pipe(ends));
        pid_t child = CHECK_SYS(fork());
        if (child == 0) {
            CHECK_OK(sh_arena_enter());
            uint32_t tag = sh_member_tag();
            CHECK_EQ(write(ends[1], &tag, sizeof tag), sizeof tag);
            _exit(0);
        }
        CHECK_EQ(read(ends[0], &tags[i], sizeof tags[i]), sizeof tags[i]);
        close(ends[0]);
        close(ends[1]);
        waitpid(child, NULL, 0);
        CHECK(sh_member_is_dead(tags[i]));
        for (int k = 0; k < i; k++)
            CHECK_NE(tags[k], tags[i]);
    }
    CHECK_LE(stats().processes, 51);
    sh_reclaim_dead();
    CHECK_EQ(stats().processes, 1);
}

static void end_thread_that_attached(void)
{
    CHECK_OK(sh_arena_enter());
}

static void *attach_in_thread(void *unused)
{
    (void)unused;
    end_thread_that_attached();
    return NULL;
}

TEST(a_process_outlives_the_thread_that_attached_it)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, attach_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    uint32_t tag = sh_member_tag();
    pid_t child = CHECK_SYS(fork());
    if (child == 0) {
        CHECK_OK(sh_arena_enter());
        CHECK(!sh_member_is_dead(tag));
        CHECK_EQ(sh_reclaim_dead(), 0);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
    sh_member_adopt();
    CHECK_EQ(sh_load_relaxed(sh_mutex_word(&sh_member_self.slot->life)) & SH_WORD_ID, gettid());
}

/* Nobody that lives looks after the dead here, so who comes when they have all but filled the table buries them. */
TEST_WITHIN(60, a_table_full_of_the_dead_lets_others_in)
{
    uint32_t most = 0;
    pid_t child;

    CHECK_OK(sh_arena_enter());
    for (int i = 0; i < SH_MEMBERS_MAX + 100; i++) {
        CHILD(child) {
            shoal_pipe *first, *second; /* their burial attaches to queues, and destroys them */
            CHECK_OK(sh_arena_enter());
            if (i == 0)
                CHECK_OK(shoal_pipe_open(0, &first, &second));
        }
        CHECK_EXITS(child, 0);
        most = sh_max(most, sh_member_count());
    }
    CHECK_GT(most, SH_MEMBERS_MAX - 100);
    CHECK_GE(stats().deaths, SH_MEMBERS_MAX - 100);
    sh_reclaim_wait();
    CHECK_EQ(sh_member_count(), 1);
    CHECK_EQ(stats().objects, 0);
    check_arena();
}

TEST(who_has_become_another_program_is_no_member)
{
    int ends[2];
    pid_t child;

    CHECK_OK(sh_arena_enter());
    uint64_t before = stats().blocks;
    CHECK_SYS(pipe(ends));
    CHILD(child) {
        CHECK_OK(sh_arena_enter());
        alloc(100);
        uint32_t tag = sh_member_tag();
        CHECK_EQ(write(ends[1], &tag, sizeof tag), sizeof tag);
        execlp("sleep", "sleep", "1000", (char *)NULL);
    }
    uint32_t tag;
    CHECK_EQ(read(ends[0], &tag, sizeof tag), sizeof tag);
    AWAIT(sh_member_is_dead(tag));
    CHECK(test_is_alive(child));
    CHECK_EQ(sh_reclaim_dead(), 1);
    CHECK_EQ(stats().blocks, before);
    CHECK_SYS(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
    close(ends[0]);
    close(ends[1]);
}

TEST(who_has_closed_the_arenas_descriptor_is_a_member_still)
{
    int ends[2];
    pid_t child;

    CHECK_OK(sh_arena_enter());
    CHECK_SYS(pipe(ends));
    CHILD(child) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, attach_in_thread, NULL), 0);
        pthread_join(thread, NULL);
        close(sh_arena.fd);
        uint32_t tag = sh_member_tag();
        CHECK_EQ(write(ends[1], &tag, sizeof tag), sizeof tag);
        pause();
    }
    uint32_t tag;
    CHECK_EQ(read(ends[0], &tag, sizeof tag), sizeof tag);
    CHECK(!sh_member_is_dead(tag));
    CHECK_SYS(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
    CHECK(sh_member_is_dead(tag));
    close(ends[0]);
    close(ends[1]);
}

TEST(any_offset_is_looked_up_without_harm)
{
    struct sh_block block;
    uint64_t mine;

    CHECK_OK(sh_arena_enter());
    mine = alloc(1000);
    alloc(100000);
    alloc(9 << 20);
    uint64_t seed = test_seed();
    CHECK_OK(sh_block_find(mine, &block));
    CHECK_RETURN(sh_block_find(mine + 1, &block), -EINVAL);
    CHECK_RETURN(sh_block_find(0, &block), -EINVAL);
    CHECK_RETURN(sh_block_find(UINT64_MAX, &block), -EINVAL);
    for (int i = 0; i < 200000; i++) {
        uint64_t offset = sh_arena.heap_offset + test_random_below(&seed, 20 << 20);
        if (sh_block_find(offset, &block) == 0)
            CHECK_EQ(sh_offset(block.slab) + block.slab->first + block.index * block.slab->block_size, offset);
    }
}

TEST(bad_options_are_refused)
{
    struct shoal_arena_options options = {.size = 3};

    CHECK_RETURN(shoal_arena_open(&options), -EINVAL);
    options = (struct shoal_arena_options){SHOAL_OPTIONS(shoal_arena), .limit = 1000};
    CHECK_RETURN(shoal_arena_open(&options), -EINVAL);
    options = (struct shoal_arena_options){SHOAL_OPTIONS(shoal_arena), .reserve = 1000};
    CHECK_RETURN(shoal_arena_open(&options), -EINVAL);
    CHECK_RETURN(shoal_arena_stats(NULL), -EINVAL);
}
