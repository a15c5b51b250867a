/* process.c - the calls on a process, in every way to start it. */
#include "harness.h"
#include "starts.h"

#include <fcntl.h>
#include <poll.h>
#include <shoal/process.h>
#include <signal.h>
#include <stdio.h>

SHOAL_REGISTER(report_and_wait)

static int return_byte(void *argument, size_t size)
{
    return size == 1 ? *(unsigned char *)argument : -1;
}
SHOAL_REGISTER(return_byte)

static int return_minus_one(void *argument, size_t size)
{
    (void)argument, (void)size;
    return -1;
}
SHOAL_REGISTER(return_minus_one)

static int raise_number(void *argument, size_t size)
{
    (void)size;
    signal(*(int *)argument, SIG_DFL); /* sanitizers handle some */
    raise(*(int *)argument);
    return 98;
}
SHOAL_REGISTER(raise_number)

static int wait_for_ever(void *argument, size_t size)
{
    (void)argument, (void)size;
    while (pause() < 0)
        ;
    return 0;
}
SHOAL_REGISTER(wait_for_ever)

TEST(exit_codes_and_signals_are_told_apart)
{
    static const unsigned char codes[] = {0, 1, 9, 127, 128, 137, 255};
    static const int signals[] = {SIGKILL, SIGSEGV, SIGTERM, SIGABRT};
    enum shoal_start how;

    EACH_START(how) {
        for (size_t i = 0; i < sizeof codes; i++)
            CHECK_ENDS(start(how, 0, return_byte, &codes[i], 1), codes[i], 0);
        for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
            CHECK_ENDS(start(how, 0, raise_number, &signals[i], sizeof *signals), 0, signals[i]);
        CHECK_ENDS(start(how, 0, return_minus_one, NULL, 0), 255, 0);
    }
}

static int print_to_file(void *argument, size_t size)
{
    (void)size;
    FILE *file = *(FILE **)argument;
    return fprintf(file, "child\n") < 0 || fclose(file) < 0;
}

TEST(what_stdio_holds_of_the_parents_files_is_not_written_twice)
{
    FILE *file = tmpfile(), *shared = tmpfile();
    char text[20] = "";

    CHECK(file && shared);
    fprintf(file, "once");
    CHECK_ENDS(start(SHOAL_START_FORK, 0, return_byte, "", 1), 0, 0);
    rewind(file);
    CHECK_EQ(fread(text, 1, sizeof text, file), 4);
    CHECK_ENDS(start(SHOAL_START_FORK, 0, print_to_file, &shared, sizeof(FILE *)), 0, 0);
    rewind(shared);
    CHECK_EQ(fread(text, 1, sizeof text, shared), 6);
    fclose(file);
    fclose(shared);
}

TEST(join_waits_as_long_as_it_is_told_and_no_longer)
{
    enum shoal_start how;

    EACH_START(how) {
        shoal_process *process = start(how, 0, wait_for_ever, NULL, 0);
        CHECK_RETURN(shoal_process_join(process, 0), -EAGAIN);
        CHECK_RETURN(shoal_process_join(process, INT64_MIN), -EAGAIN);
        int64_t begin = test_now();
        CHECK_RETURN(shoal_process_join(process, SHOAL_MILLISECONDS(30)), -ETIMEDOUT);
        CHECK_GE(test_now() - begin, SHOAL_MILLISECONDS(30));
        CHECK_EQ(shoal_process_is_alive(process), 1);
        struct shoal_exit end;
        CHECK_RETURN(shoal_process_exit(process, &end), -EAGAIN);

        CHECK_OK(shoal_process_terminate(process));
        CHECK_OK(shoal_process_join(process, SHOAL_FOREVER));
        CHECK_OK(shoal_process_join(process, 0));
        CHECK_OK(shoal_process_join(process, SHOAL_FOREVER));
        CHECK_EQ(shoal_process_is_alive(process), 0);
        CHECK_OK(shoal_process_terminate(process));
        CHECK_OK(shoal_process_kill(process));
        CHECK_ENDS(process, 0, SIGTERM);
    }
}

TEST(the_sentinel_becomes_readable_at_the_end)
{
    enum shoal_start how;

    EACH_START(how) {
        shoal_process *process = start(how, 0, wait_for_ever, NULL, 0);
        struct pollfd end = {.fd = shoal_process_sentinel(process), .events = POLLIN};
        CHECK_GE(end.fd, 0);
        CHECK_EQ(fcntl(end.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        CHECK_EQ(poll(&end, 1, 10), 0);
        CHECK_OK(shoal_process_kill(process));
        CHECK_EQ(poll(&end, 1, 10000), 1);
        CHECK(end.revents & POLLIN);
        CHECK_ENDS(process, 0, SIGKILL);
    }
}

static int return_whether_child_of(void *argument, size_t size)
{
    (void)size;
    return getppid() == *(pid_t *)argument;
}
SHOAL_REGISTER(return_whether_child_of)

TEST(the_child_is_this_processs_but_for_the_forkservers)
{
    enum shoal_start how;
    pid_t self = getpid();

    EACH_START(how)
        CHECK_ENDS(start(how, 0, return_whether_child_of, &self, sizeof self), how != SHOAL_START_FORKSERVER, 0);
}

TEST(a_process_has_the_name_it_was_given_or_a_number)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process)};
    shoal_process *process;
    char name[100], shown[64];
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);

    EACH_START(options.start) {
        memset(name, 'n', sizeof name);
        name[63] = 0;
        options.name = name;
        CHECK_OK(shoal_process_start(&options, report_and_wait, &ref, sizeof ref, &process));
        name[0] = 'x'; /* it was copied */
        CHECK_EQ(strlen(shoal_process_name(process)), 63);
        CHECK_EQ(shoal_process_name(process)[0], 'n');
        CHECK_EQ(next_report(reports), shoal_process_pid(process));
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/comm", (int)shoal_process_pid(process));
        int fd = (int)CHECK_SYS(open(path, O_RDONLY | O_CLOEXEC));
        CHECK_EQ(read(fd, shown, sizeof shown), 16);
        close(fd);
        CHECK_MEM_EQ(shown, "nnnnnnnnnnnnnnn\n", 16);
        CHECK_OK(shoal_process_kill(process));
        CHECK_ENDS(process, 0, SIGKILL);
    }
    memset(name, 'n', sizeof name);
    name[64] = 0;
    CHECK_RETURN(shoal_process_start(&options, wait_for_ever, NULL, 0, &process), -EINVAL);

    unsigned char zero = 0;
    for (int i = 1; i <= 3; i++) {
        process = start(SHOAL_START_FORK, 0, return_byte, &zero, 1);
        snprintf(name, sizeof name, "process-%d", i);
        CHECK_STR_EQ(shoal_process_name(process), name);
        CHECK_ENDS(process, 0, 0);
    }
    shoal_queue_free(reports);
}

static int try_to_start(void *argument, size_t size)
{
    shoal_process *process;
    unsigned char zero = 0;

    (void)argument, (void)size;
    int r = shoal_process_start(NULL, return_byte, &zero, 1, &process);
    if (r < 0)
        return -r;
    must(shoal_process_join(process, SHOAL_FOREVER));
    shoal_process_free(process);
    return 0;
}
SHOAL_REGISTER(try_to_start)

TEST(a_child_may_start_processes_and_a_daemon_may_not)
{
    enum shoal_start how, inner;

    EACH_START(how)
        for (inner = SHOAL_START_FORK; inner <= SHOAL_START_SPAWN; inner++) {
            CHECK_OK(shoal_process_set_start(inner)); /* which the child inherits */
            CHECK_ENDS(start(how, 0, try_to_start, NULL, 0), 0, 0);
            CHECK_ENDS(start(how, SHOAL_PROCESS_DAEMON, try_to_start, NULL, 0), EPERM, 0);
        }
}

TEST(the_default_way_to_start_can_be_chosen)
{
    pid_t self = getpid();
    shoal_process *process;

    CHECK_OK(shoal_process_set_start(SHOAL_START_FORKSERVER));
    CHECK_OK(shoal_process_start(NULL, return_whether_child_of, &self, sizeof self, &process));
    CHECK_ENDS(process, 0, 0);
    CHECK_OK(shoal_process_set_start(SHOAL_START_DEFAULT));
    CHECK_OK(shoal_process_start(NULL, return_whether_child_of, &self, sizeof self, &process));
    CHECK_ENDS(process, 1, 0);
    CHECK_RETURN(shoal_process_set_start((enum shoal_start)4), -EINVAL);
    CHECK_RETURN(shoal_process_set_start((enum shoal_start) - 1), -EINVAL);
}

static int return_zero(void *argument, size_t size)
{
    (void)argument, (void)size;
    return 0;
}

TEST(bad_arguments_are_refused_and_start_nothing)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process)};
    shoal_process *process = (shoal_process *)&options; /* untouched by failures */
    shoal_process *const untouched = process;
    struct shoal_exit end;

    CHECK_RETURN(shoal_process_start(NULL, NULL, NULL, 0, &process), -EINVAL);
    CHECK_RETURN(shoal_process_start(NULL, return_zero, NULL, 1, &process), -EINVAL);
    CHECK_RETURN(shoal_process_start(NULL, return_zero, NULL, 0, NULL), -EINVAL);
    options.size--;
    CHECK_RETURN(shoal_process_start(&options, return_zero, NULL, 0, &process), -EINVAL);
    options.size = sizeof options;
    options.flags = 4;
    CHECK_RETURN(shoal_process_start(&options, return_zero, NULL, 0, &process), -EINVAL);
    options.flags = SHOAL_PROCESS_DAEMON | SHOAL_PROCESS_DETACHED;
    CHECK_RETURN(shoal_process_start(&options, return_zero, NULL, 0, &process), -EINVAL);
    options.flags = 0;
    options.start = (enum shoal_start)7;
    CHECK_RETURN(shoal_process_start(&options, return_zero, NULL, 0, &process), -EINVAL);
    options.start = SHOAL_START_FORKSERVER; /* return_zero has no name */
    CHECK_RETURN(shoal_process_start(&options, return_zero, NULL, 0, &process), -ENOENT);
    options.start = SHOAL_START_SPAWN;
    CHECK_RETURN(shoal_process_start(&options, return_zero, NULL, 0, &process), -ENOENT);
    CHECK(process == untouched);

    CHECK_RETURN(shoal_process_join(NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_process_is_alive(NULL), -EINVAL);
    CHECK_RETURN(shoal_process_exit(NULL, &end), -EINVAL);
    CHECK_RETURN(shoal_process_terminate(NULL), -EINVAL);
    CHECK_RETURN(shoal_process_kill(NULL), -EINVAL);
    CHECK_RETURN(shoal_process_pid(NULL), -EINVAL);
    CHECK_RETURN(shoal_process_sentinel(NULL), -EINVAL);
    CHECK(shoal_process_name(NULL) == NULL);
    shoal_process_free(NULL);
    process = start(SHOAL_START_FORK, 0, return_zero, NULL, 0);
    CHECK_RETURN(shoal_process_exit(process, NULL), -EINVAL);
    CHECK_ENDS(process, 0, 0);
}

TEST(a_name_is_one_functions_and_63_bytes_long_at_most)
{
    static char name[65];

    memset(name, 'a', 64);
    CHECK_RETURN(shoal_register(name, (void (*)(void))return_zero), -EINVAL);
    name[63] = 0;
    CHECK_OK(shoal_register(name, (void (*)(void))return_zero));
    CHECK_OK(shoal_register(name, (void (*)(void))return_zero));
    CHECK_RETURN(shoal_register(name, (void (*)(void))return_byte), -EEXIST);
    CHECK_RETURN(shoal_register(NULL, (void (*)(void))return_zero), -EINVAL);
    CHECK_RETURN(shoal_register("", (void (*)(void))return_zero), -EINVAL);
    CHECK_RETURN(shoal_register("nothing", NULL), -EINVAL);
}

TEST(the_count_of_cpus_is_at_least_one)
{
    CHECK_GE(shoal_cpu_count(), 1);
    CHECK_LE(shoal_cpu_count(), sysconf(_SC_NPROCESSORS_CONF));
}
