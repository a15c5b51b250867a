/* spawn.c - the program started again as a child: what it has, what it has not, and starts that fail. */
#include "harness.h"
#include "process/again.h"
#include "starts.h"

#include <fcntl.h>
#include <shoal/arena.h>
#include <signal.h>
#include <stdio.h>

static int changed_by_the_program;

/* A program that dies, or goes away, before it reaches main. */
__attribute__((constructor)) static void die_early(void)
{
    const char *how = getenv("TEST_DIE_EARLY");

    if (how && strcmp(how, "signal") == 0)
        raise(SIGKILL);
    if (how)
        _exit(0);
}

static int return_changed(void *argument, size_t size)
{
    (void)argument, (void)size;
    return changed_by_the_program;
}
SHOAL_REGISTER(return_changed)

TEST(memory_is_that_of_a_program_that_has_just_begun)
{
    changed_by_the_program = 1;
    CHECK_ENDS(start(SHOAL_START_SPAWN, 0, return_changed, NULL, 0), 0, 0);
}

static size_t read_whole(const char *path, char *text, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, capacity);

    close(fd);
    return n < 0 ? 0 : (size_t)n;
}

static int compare_file(void *argument, size_t size)
{
    const char *path = argument;
    char text[4096];
    size_t offset = strlen(path) + 1;
    size_t n = read_whole(path, text, sizeof text);

    return n != size - offset || memcmp(text, path + offset, n) != 0;
}
SHOAL_REGISTER(compare_file)

TEST(arguments_and_name_are_the_programs)
{
    static const char *const paths[] = {"/proc/self/cmdline", "/proc/self/comm"};
    char text[4096];

    for (int i = 0; i < 2; i++) {
        size_t offset = strlen(paths[i]) + 1;
        memcpy(text, paths[i], offset);
        size_t n = read_whole(paths[i], text + offset, sizeof text - offset);
        CHECK_GT(n, 0);
        CHECK_ENDS(start(SHOAL_START_SPAWN, 0, compare_file, text, offset + n), 0, 0);
    }
}

static int look_at_environment(void *argument, size_t size)
{
    (void)argument, (void)size;
    const char *own = getenv("TEST_OWN");
    return getenv("SHOAL_CHILD") != NULL || !own || strcmp(own, "value") != 0;
}
SHOAL_REGISTER(look_at_environment)

TEST(the_environment_is_the_programs_without_a_trace_of_the_start)
{
    setenv("TEST_OWN", "value", 1);
    CHECK_ENDS(start(SHOAL_START_SPAWN, 0, look_at_environment, NULL, 0), 0, 0);
    unsetenv("TEST_OWN");
    CHECK_ENDS(start(SHOAL_START_SPAWN, 0, look_at_environment, NULL, 0), 1, 0);
}

static int is_open(void *argument, size_t size)
{
    (void)size;
    return fcntl(*(int *)argument, F_GETFD) >= 0;
}
SHOAL_REGISTER(is_open)

TEST(no_descriptors_are_inherited_but_the_first_three)
{
    for (int fd = 0; fd < 3; fd++)
        CHECK_ENDS(start(SHOAL_START_SPAWN, 0, is_open, &fd, sizeof fd), 1, 0);
#ifdef SH_HAVE_CLOSEFROM
    int fd = (int)CHECK_SYS(fcntl(0, F_DUPFD, 50)); /* not close-on-exec */
    CHECK_ENDS(start(SHOAL_START_SPAWN, 0, is_open, &fd, sizeof fd), 0, 0);
    CHECK_ENDS(start(SHOAL_START_FORK, 0, is_open, &fd, sizeof fd), 1, 0);
    close(fd);
#endif
}

TEST(standard_descriptors_may_be_closed)
{
    pid_t pid;

    CHILD(pid) {
        close(0);
        close(1);
        close(2);
        for (int fd = 0; fd < 3; fd++)
            CHECK_ENDS(start(SHOAL_START_SPAWN, 0, return_changed, NULL, 0), 0, 0);
    }
    CHECK_EXITS(pid, 0);
}

static int named_late(void *argument, size_t size)
{
    (void)argument, (void)size;
    return 0;
}

/* What a start in vain returns; it leaves nothing in the arena, and the harness looks for the rest. */
static void check_start_in_vain(shoal_process_function *function, int expected)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process), .start = SHOAL_START_SPAWN};
    struct shoal_arena_stats before, after;
    shoal_process *process;

    CHECK_OK(shoal_arena_stats(&before));
    CHECK_RETURN(shoal_process_start(&options, function, "argument", 9, &process), expected);
    CHECK_OK(shoal_arena_stats(&after));
    CHECK_EQ(after.blocks, before.blocks);
    CHECK_EQ(after.processes, before.processes);
}

TEST(a_function_that_the_child_does_not_know_is_refused)
{
    CHECK_OK(shoal_register("named_late", (void (*)(void))named_late));
    check_start_in_vain(named_late, -ENOENT);
}

TEST(a_program_that_ends_before_shoal_main_is_an_error_of_the_start)
{
    setenv("TEST_DIE_EARLY", "signal", 1);
    check_start_in_vain(return_changed, -ECHILD);
    setenv("TEST_DIE_EARLY", "exit", 1);
    check_start_in_vain(return_changed, -ECHILD);
    unsetenv("TEST_DIE_EARLY");
    CHECK_ENDS(start(SHOAL_START_SPAWN, 0, return_changed, NULL, 0), 0, 0);
}

TEST(a_program_that_cannot_be_started_again_is_an_error_of_the_start)
{
    size_t size = 3 << 20;
    char *large = malloc(size);

    memset(large, 'x', size - 1);
    large[size - 1] = 0;
    setenv("TEST_LARGE", large, 1);
    check_start_in_vain(return_changed, -E2BIG);
    unsetenv("TEST_LARGE");
    free(large);
}

TEST(a_process_with_the_mark_of_a_child_may_start_none)
{
    shoal_process *process;

    setenv("SHOAL_CHILD", "1", 1);
    CHECK_RETURN(shoal_process_start(NULL, return_changed, NULL, 0, &process), -EPERM);
    unsetenv("SHOAL_CHILD");
}

TEST(a_mark_that_is_a_strangers_does_not_make_a_child)
{
    char name[] = "program";
    char *arguments[] = {name, NULL};

    setenv("SHOAL_CHILD", "1", 1);
    CHECK_OK(shoal_main(1, arguments));
    CHECK(getenv("SHOAL_CHILD") == NULL);
    CHECK_ENDS(start(SHOAL_START_FORK, 0, named_late, NULL, 0), 0, 0);
    CHECK_RETURN(shoal_main(0, arguments), -EINVAL);
    CHECK_RETURN(shoal_main(1, NULL), -EINVAL);
}
