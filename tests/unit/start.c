/* start.c - what a child begins with, and starts that fail. */
#include "arena/member.h"
#include "harness.h"
#include "starts.h"

#include <fcntl.h>
#include <pthread.h>
#include <shoal/arena.h>
#include <shoal/pipe.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

SHOAL_REGISTER(report_and_wait)

static int return_byte(void *argument, size_t size)
{
    return size == 1 ? *(unsigned char *)argument : -1;
}
SHOAL_REGISTER(return_byte)

static int wait_for_ever(void *argument, size_t size)
{
    (void)argument, (void)size;
    while (pause() < 0)
        ;
    return 0;
}
SHOAL_REGISTER(wait_for_ever)

static void fill_pattern(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251 + size);
}

/* Checks the pattern, then writes all over it. */
static int check_pattern(void *argument, size_t size)
{
    unsigned char *bytes = argument;

    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)(i * 7 + i / 251 + size))
            return 1;
    memset(bytes, 0, size);
    return 42;
}
SHOAL_REGISTER(check_pattern)

TEST(the_argument_arrives_as_a_copy_of_its_own)
{
    static const size_t sizes[] = {0, 1, 63, 4096, 70001, 5000000};
    enum shoal_start how;

    EACH_START(how)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *bytes = malloc(sizes[i] + 1);
            fill_pattern(bytes, sizes[i]);
            shoal_process *process = start(how, 0, check_pattern, bytes, sizes[i]);
            memset(bytes, 1, sizes[i]); /* the child's copy was made before */
            CHECK_ENDS(process, 42, 0);
            free(bytes);
        }
}

TEST(a_ref_sent_as_argument_is_good_though_the_parent_frees_its_handle_at_once)
{
    enum shoal_start how;

    EACH_START(how) {
        shoal_ref refs[2];
        shoal_queue *reports = open_reports(&refs[0]);
        shoal_process *process = start(how, 0, report_and_wait, &refs[0], sizeof refs[0]);
        CHECK_EQ(next_report(reports), shoal_process_pid(process));
        CHECK_OK(shoal_process_kill(process));
        CHECK_ENDS(process, 0, SIGKILL);
        shoal_queue_free(reports);
    }
}

/* Attaches to a queue that its parent has no handle of any more. */
static int get_from_queue(void *argument, size_t size)
{
    shoal_queue *queue;
    long number = 0;

    (void)size;
    must(shoal_queue_attach(argument, &queue));
    must(shoal_queue_get(queue, &number, sizeof number, 0));
    shoal_queue_free(queue);
    return (int)number;
}
SHOAL_REGISTER(get_from_queue)

TEST(what_the_parent_frees_right_after_the_start_lives_until_the_child_has_it)
{
    enum shoal_start how;

    EACH_START(how)
        for (int i = 0; i < 5; i++) {
            shoal_ref ref;
            shoal_queue *queue = open_reports(&ref);
            long number = 40 + i;
            CHECK_OK(shoal_queue_put(queue, &number, sizeof number, 0));
            shoal_process *process = start(how, 0, get_from_queue, &ref, sizeof ref);
            shoal_queue_free(queue);
            CHECK_ENDS(process, 40 + i, 0);
        }
    struct shoal_arena_stats stats;
    CHECK_OK(shoal_arena_stats(&stats));
    CHECK_EQ(stats.objects, 0);
}

static int print_line(void *argument, size_t size)
{
    (void)argument, (void)size;
    printf("child\n");
    return 0;
}
SHOAL_REGISTER(print_line)

TEST(what_was_printed_before_a_start_is_not_printed_twice_and_what_the_child_prints_comes_out)
{
    enum shoal_start how;
    char text[100];
    pid_t pid;
    int ends[2];

    EACH_START(how) {
        CHECK_SYS(pipe2(ends, O_CLOEXEC));
        CHILD(pid) {
            CHECK_SYS(dup2(ends[1], STDOUT_FILENO));
            setvbuf(stdout, NULL, _IOFBF, 4096);
            printf("parent\n");
            CHECK_ENDS(start(how, 0, print_line, NULL, 0), 0, 0);
        }
        CHECK_EXITS(pid, 0);
        close(ends[1]);
        ssize_t n = read(ends[0], text, sizeof text - 1);
        CHECK_GE(n, 0);
        text[n] = 0;
        CHECK_EQ(read(ends[0], &pid, 1), 0);
        close(ends[0]);
        if (how == SHOAL_START_FORK)
            CHECK_STR_EQ(text, "parent\nchild\n");
        else
            CHECK_EQ(n, 13);
    }
}

static int count_descriptors(void *argument, size_t size)
{
    int count = 0;

    (void)argument, (void)size;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}
SHOAL_REGISTER(count_descriptors)

TEST(a_child_has_no_descriptors_of_its_parents_other_children)
{
    enum { COUNT = 10 };
    shoal_process *processes[COUNT];
    struct shoal_exit end;
    enum shoal_start how;

    EACH_START(how) {
        shoal_process *process = start(how, 0, count_descriptors, NULL, 0);
        CHECK_OK(shoal_process_join(process, SHOAL_FOREVER));
        CHECK_OK(shoal_process_exit(process, &end));
        shoal_process_free(process);
        for (int i = 0; i < COUNT; i++)
            processes[i] = start(all_starts[i % 3], 0, wait_for_ever, NULL, 0);
        CHECK_ENDS(start(how, 0, count_descriptors, NULL, 0), end.code, 0);
        for (int i = 0; i < COUNT; i++) {
            CHECK_OK(shoal_process_kill(processes[i]));
            CHECK_ENDS(processes[i], 0, SIGKILL);
        }
    }
}

static _Atomic int stop;

static void *keep_busy(void *argument)
{
    shoal_queue *queue = argument;
    char bytes[100] = "";

    while (!stop) {
        free(malloc(1000));
        fprintf(stderr, "%s", "");
        if (shoal_queue_put(queue, bytes, sizeof bytes, 0) < 0 ||
            shoal_queue_get(queue, bytes, sizeof bytes, SHOAL_FOREVER) < 0)
            FAIL("the queue failed");
    }
    return NULL;
}

static int use_everything(void *argument, size_t size)
{
    shoal_queue *queue;
    char *copy = malloc(size);
    int sum = 0;

    memcpy(copy, argument, size);
    must(shoal_queue_open(NULL, &queue));
    for (int i = 0; i < 10; i++)
        must(shoal_queue_put(queue, copy, size, SHOAL_FOREVER));
    for (int i = 0; i < 10; i++)
        sum += shoal_queue_get(queue, copy, size, SHOAL_FOREVER) == (ssize_t)size;
    shoal_queue_free(queue);
    free(copy);
    return sum;
}
SHOAL_REGISTER(use_everything)

TEST_WITHIN(60, a_program_with_busy_threads_can_start_processes)
{
    enum { THREADS = 3, ROUNDS = 15 };
    pthread_t threads[THREADS];
    shoal_queue *queues[THREADS];
    char bytes[200] = "bytes";
    enum shoal_start how;

    for (int i = 0; i < THREADS; i++) {
        CHECK_OK(shoal_queue_open(NULL, &queues[i]));
        CHECK_EQ(pthread_create(&threads[i], NULL, keep_busy, queues[i]), 0);
    }
    EACH_START(how)
        for (int i = 0; i < ROUNDS; i++)
            CHECK_ENDS(start(how, 0, use_everything, bytes, sizeof bytes), 10, 0);
    stop = 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        shoal_queue_free(queues[i]);
    }
}

static void *start_and_join_some(void *argument)
{
    enum shoal_start how = *(enum shoal_start *)argument;
    unsigned char code = 17;

    for (int i = 0; i < 8; i++)
        CHECK_ENDS(start(how, 0, return_byte, &code, 1), 17, 0);
    return NULL;
}

TEST_WITHIN(60, many_threads_start_and_join_at_once)
{
    enum { THREADS = 6 };
    enum shoal_start ways[THREADS];
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        ways[i] = all_starts[i % 3];
        CHECK_EQ(pthread_create(&threads[i], NULL, start_and_join_some, &ways[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void *start_with_all_blocked(void *argument)
{
    struct shoal_process **ret_process = argument;
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    ret_process[0] = start(SHOAL_START_FORKSERVER, 0, wait_for_ever, NULL, 0);
    ret_process[1] = start(SHOAL_START_SPAWN, 0, wait_for_ever, NULL, 0);
    return NULL;
}

TEST(a_program_started_again_blocks_the_signals_of_its_main_not_of_the_thread_that_starts_it)
{
    struct shoal_process *processes[2];
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, start_with_all_blocked, processes), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(shoal_process_terminate(processes[i]));
        CHECK_ENDS(processes[i], 0, SIGTERM);
    }
}

/* What a failed start must leave as it was; the harness looks for descriptors and processes. */
static void check_same(const struct shoal_arena_stats *before)
{
    struct shoal_arena_stats after;

    CHECK_OK(shoal_arena_stats(&after));
    CHECK_EQ(after.processes, before->processes);
    CHECK_EQ(after.blocks, before->blocks);
}

static int lowest_free_fd(void)
{
    int fd = (int)CHECK_SYS(dup(0));

    close(fd);
    return fd;
}

TEST(a_start_without_enough_descriptors_fails_cleanly_and_works_with_more)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process)};
    struct rlimit limit;
    struct shoal_arena_stats before;
    unsigned char code = 9;

    CHECK_SYS(getrlimit(RLIMIT_NOFILE, &limit));
    EACH_START(options.start) {
        CHECK_ENDS(start(options.start, 0, return_byte, &code, 1), 9, 0); /* what the process keeps is there */
        CHECK_OK(shoal_arena_stats(&before));
        int fd = lowest_free_fd(), failures = 0;
        for (int more = 0; more < 10; more++) {
            shoal_process *process;
            struct rlimit tight = {(rlim_t)(fd + more), limit.rlim_max};
            CHECK_SYS(setrlimit(RLIMIT_NOFILE, &tight));
            int r = shoal_process_start(&options, return_byte, &code, 1, &process);
            CHECK_SYS(setrlimit(RLIMIT_NOFILE, &limit));
            if (r < 0) {
                CHECK_RETURN(r, -EMFILE);
                CHECK_EQ(failures++, more);
                check_same(&before);
            } else {
                CHECK_ENDS(process, 9, 0);
            }
        }
        CHECK_GE(failures, 1);
        CHECK_LT(failures, 10);
    }
}

TEST(a_start_beyond_the_limit_of_processes_fails_cleanly)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process)};
    pid_t pid;

    if (getuid() != 0)
        SKIP("only root can become a user without other processes");
    EACH_START(options.start) {
        CHILD(pid) {
            struct shoal_arena_stats before;
            shoal_process *process;
            CHECK_SYS(setresuid(64123, 64123, 64123));
            CHECK_RETURN(shoal_process_start(&options, NULL, NULL, 0, &process), -EINVAL);
            CHECK_OK(shoal_arena_stats(&before));
            CHECK_SYS(setrlimit(RLIMIT_NPROC, &(struct rlimit){1, 1}));
            CHECK_RETURN(shoal_process_start(&options, return_byte, "", 1, &process), -EAGAIN);
            check_same(&before);
        }
        CHECK_EXITS(pid, 0);
    }
}

TEST(a_start_into_a_full_family_fails_cleanly)
{
    static uint32_t tags[SH_MEMBERS_MAX];
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process)};
    struct shoal_arena_stats before;
    shoal_process *process;
    unsigned char code = 2;
    int count = 0;

    CHECK_OK(shoal_arena_stats(&before));
    while (sh_member_expect(&tags[count]) == 0)
        count++;
    CHECK_EQ(count, SH_MEMBERS_MAX - 1);
    EACH_START(options.start)
        CHECK_RETURN(shoal_process_start(&options, return_byte, &code, 1, &process), -ENOSPC);
    sh_member_cancel(tags[--count]);
    CHECK_ENDS(start(SHOAL_START_FORK, 0, return_byte, &code, 1), 2, 0);
    check_same(&before);
}

TEST(an_argument_beyond_the_arenas_limit_is_refused_where_it_has_to_go_through_it)
{
    struct shoal_arena_options arena = {SHOAL_OPTIONS(shoal_arena), .limit = 4 << 20};
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process)};
    size_t size = 16 << 20;
    unsigned char *bytes = malloc(size);
    shoal_process *process;
    struct shoal_arena_stats before;

    fill_pattern(bytes, size);
    CHECK_OK(shoal_arena_open(&arena));
    CHECK_OK(shoal_arena_stats(&before));
    for (options.start = SHOAL_START_FORKSERVER; options.start <= SHOAL_START_SPAWN; options.start++) {
        CHECK_RETURN(shoal_process_start(&options, check_pattern, bytes, size, &process), -ENOMEM);
        check_same(&before);
    }
    CHECK_ENDS(start(SHOAL_START_FORK, 0, check_pattern, bytes, size), 42, 0);
    free(bytes);
}

/* Attach the end that the argument names, answer, and wait for the other end to go. */
static int wait_for_the_other_end(void *argument, size_t size)
{
    shoal_pipe *end;
    char byte;

    if (size != sizeof(shoal_ref) || shoal_pipe_attach(argument, &end) < 0)
        return 1;
    must(shoal_pipe_send(end, "x", 1, SHOAL_FOREVER));
    return shoal_pipe_receive(end, &byte, 1, SHOAL_SECONDS(10)) != -EPIPE;
}
SHOAL_REGISTER(wait_for_the_other_end)

TEST(a_child_that_was_started_afresh_holds_what_its_argument_names_and_nothing_else)
{
    static const enum shoal_start afresh[] = {SHOAL_START_FORKSERVER, SHOAL_START_SPAWN};
    shoal_pipe *mine, *its;
    shoal_ref ref;
    char byte;

    for (int i = 0; i < 2; i++) {
        CHECK_OK(shoal_pipe_open(SHOAL_PIPE_DUPLEX, &mine, &its));
        CHECK_OK(shoal_pipe_ref(its, &ref));
        shoal_process *process = start(afresh[i], 0, wait_for_the_other_end, &ref, sizeof ref);
        shoal_pipe_free(its); /* the child's place keeps it */
        CHECK_EQ(shoal_pipe_receive(mine, &byte, 1, SHOAL_SECONDS(10)), 1);
        shoal_pipe_free(mine);
        CHECK_ENDS(process, 0, 0);
    }
}
