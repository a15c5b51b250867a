/* fault.c - counting calls up to the one that is to fail, and what must hold after it. */
#include "fault.h"

#include "arena/arena.h"
#include "arena/block.h"
#include "base/check.h"
#include "internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Names this memory to a program that is started again: "/proc/PID/fd/N". */
#define ENVIRONMENT "TEST_FAULT_PLAN"

/* A run that takes longer hangs. */
#define RUN_SECONDS 60

/* One run's plan and what came of it, in memory that all its processes share. */
struct plan {
    _Atomic int n;     /* the call that fails, of each process's; 0: none does */
    _Atomic int which; /* of its errors */
    _Atomic int side;
    _Atomic int armer;  /* the process that operates */
    _Atomic int owner;  /* the test's, whose calls never fail */
    _Atomic int struck; /* it has come to that */
    _Atomic int error;
    _Atomic int error_count; /* errors that the call has */
    char name[40];
};
static struct plan *plan;

/* Of this process, since it is one. */
static long counted_pid;
static int count;

/* A program that was started again finds the plan by its environment. */
__attribute__((constructor)) static void find_plan(void)
{
    const char *path = getenv(ENVIRONMENT);
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    plan = shared == MAP_FAILED ? NULL : shared;
}

int test_fault_strikes(const char *name, const int *errors)
{
    if (!plan || plan->n == 0)
        return 0;
    long pid = syscall(SYS_getpid);
    if (pid == plan->owner || (pid == plan->armer) != (plan->side == TEST_FAULT_HERE))
        return 0;
    if (counted_pid != pid)
        count = 0;
    counted_pid = pid;
    if (++count != plan->n || atomic_exchange(&plan->struck, 1))
        return 0;
    int errors_there = 0;
    while (errors[errors_there])
        errors_there++;
    plan->error = errors[plan->which % errors_there];
    plan->error_count = errors_there;
    snprintf(plan->name, sizeof plan->name, "%s", name);
    return plan->error;
}

static _Atomic int held; /* the number to go on with */

void test_fault_hold(void)
{
    if (plan)
        held = atomic_exchange(&plan->n, 0);
}

void test_fault_release(void)
{
    if (plan)
        plan->n = held;
}

int test_fault_error(void)
{
    return plan && plan->struck ? plan->error : 0;
}

/* What of the arena is in use; all zero where there is none. */
struct use {
    uint64_t blocks, members;
    int is_attached;
};

static int count_block(uint64_t offset, uint32_t owner, uint64_t size, void *context)
{
    (void)offset, (void)owner, (void)size;
    ++*(uint64_t *)context;
    return 0;
}

static struct use look_at_arena(void)
{
    struct use use = {0};

    if (!sh_arena.base)
        return use;
    use.is_attached = sh_member_is_attached();
    if (use.is_attached)
        sh_block_flush();
    sh_block_walk(count_block, &use.blocks);
    uint32_t top = sh_load_acquire(&sh_arena.shared->member_top);
    for (uint32_t i = 0; i < top; i++)
        use.members += sh_load_acquire(&sh_arena.shared->members[i].state) != SH_MEMBER_FREE;
    return use;
}

static void compare_use(struct use before)
{
    struct use after = look_at_arena();

    if (after.blocks != before.blocks)
        test_note("left in the arena: %lld blocks", (long long)(after.blocks - before.blocks));
    if (after.members - (uint64_t)after.is_attached != before.members - (uint64_t)before.is_attached)
        test_note("left in the family: %llu members, of %llu", (unsigned long long)after.members,
                  (unsigned long long)before.members);
    if (sh_arena.base && sh_arena_check() < 0)
        test_note("the arena is damaged: %s", sh_check_note);
}

static const char *describe(bool warm)
{
    static char text[200];

    snprintf(text, sizeof text, "%s process: call %d%s, %s, fails with %s", warm ? "warm" : "cold", plan->n,
             plan->side == TEST_FAULT_HERE ? "" : " of a child", plan->name, strerrorname_np(plan->error));
    return text;
}

/* In a child of its own: plan->struck says whether there was a call to fail. */
static void run_with_fault(int (*operation)(void), void (*undo)(void), bool warm, int n)
{
    if (warm) {
        CHECK_COUNT(operation());
        undo();
    }
    struct test_holdings *before = test_holdings_new();
    struct use use = look_at_arena();
    plan->armer = getpid();
    counted_pid = 0;
    plan->n = n;
    int r = operation();
    plan->n = 0;
    if (!plan->struck && r < 0)
        FAIL("the operation returned %d (%s) where nothing failed", r, shoal_strerror(r));
    plan->n = n; /* for the text */
    const char *text = plan->struck ? describe(warm) : "";
    plan->n = 0;
    if (plan->struck && getenv("TEST_VERBOSE"))
        printf("# %s: %d\n", text, r);
    if (r < 0) {
        if (strcmp(shoal_strerror(r), "an error that shoal has no text for") == 0)
            test_note("the operation returned %d, an error that is not documented", r);
        test_holdings_compare(before);
        test_check_children();
        compare_use(use);
        if (test_report->failed)
            FAIL("%s: left by the operation, which returned %d (%s)", text, r, shoal_strerror(r));
        r = operation();
        if (r < 0)
            FAIL("%s: when it was tried again the operation returned %d (%s)", text, r, shoal_strerror(r));
    }
    undo();
    test_holdings_free(before);
}

/* One run: whether a call failed in it. */
static bool run(int (*operation)(void), void (*undo)(void), bool warm, int n)
{
    int status;

    plan->struck = 0;
    plan->name[0] = 0;
    pid_t pid = FORK();
    if (pid == 0) {
        alarm((unsigned)(test_time(RUN_SECONDS) / 1000000000));
        run_with_fault(operation, undo, warm, n);
        test_exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (status != 0) {
        plan->n = n;
        FAIL("%s: wait status %#x", describe(warm), (unsigned)status);
    }
    return plan->struck;
}

static void make_plan(int *ret_fd)
{
    char path[64];
    int fd = CHECK_SYS(memfd_create("faults", MFD_CLOEXEC));

    CHECK_SYS(ftruncate(fd, sizeof *plan));
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(plan != MAP_FAILED);
    plan->owner = getpid();
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fd);
    setenv(ENVIRONMENT, path, 1);
    *ret_fd = fd;
}

static void drop_plan(int fd)
{
    munmap(plan, sizeof *plan);
    plan = NULL;
    close(fd);
    unsetenv(ENVIRONMENT);
}

void test_each_fault_in(enum test_fault_side side, int (*operation)(void), void (*undo)(void))
{
    const char *word = getenv("TEST_FAULTS");
    bool all = word ? strcmp(word, "all") == 0 : !test_under_asan();
    int faults = 0, fd;

    make_plan(&fd);
    plan->side = (int)side;
    for (int warm = 0; warm <= 1; warm++) {
        for (int n = 1;; n++) {
            plan->which = all ? 0 : n + warm;
            if (!run(operation, undo, warm, n))
                break;
            faults++;
            for (int which = 1; all && which < plan->error_count; which++) {
                plan->which = which;
                faults += run(operation, undo, warm, n);
            }
        }
    }
    drop_plan(fd);
    if (faults == 0)
        FAIL("the operation makes no call that can fail");
    printf("# %d faults\n", faults);
}

void test_each_fault(int (*operation)(void), void (*undo)(void))
{
    test_each_fault_in(TEST_FAULT_HERE, operation, undo);
}
