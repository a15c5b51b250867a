/* step.c - runs a function one instruction at a time and kills or pauses the process at a chosen one. */
#include "step.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define TRAP_FLAG 0x100

int64_t step_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#if STEP_SUPPORTED
/* step_call(function, flags): sets flags in the processor's flag register around a call of function, and does nothing
 * between, so that the first trap finds the next instruction at function and the last at step_return. Without flags it
 * leaves the register alone: a tracer steps by the same flag, which reading and writing it would make permanent. */
__asm__(".text\n"
        ".type step_call, @function\n"
        ".globl step_call\n"
        "step_call:\n"
        "    pushq %rbx\n"
        "    movq %rsi, %rbx\n"
        "    testq %rbx, %rbx\n"
        "    jz 1f\n"
        "    pushfq\n"
        "    orq %rbx, (%rsp)\n"
        "    popfq\n"
        "1:  call *%rdi\n"
        ".globl step_return\n"
        "step_return:\n"
        "    testq %rbx, %rbx\n"
        "    jz 2f\n"
        "    notq %rbx\n"
        "    pushfq\n"
        "    andq %rbx, (%rsp)\n"
        "    popfq\n"
        "2:  popq %rbx\n"
        "    ret\n"
        ".size step_call, . - step_call\n");

/* What others can see of this process: private copies of the pages (absent: could not be read, being beyond the file's
 * end), and the fields of the thread's robust list that the kernel reads when the thread dies. */
struct snapshot {
    unsigned char *copy;
    bool absent[STEP_PAGES_MAX];
    const struct robust_list_head *robust;
    const void *robust_next, *robust_pending;
};

/* The run in progress: one a process, since the flag and the handler are the process's. */
static struct {
    const struct step_plan *plan;
    struct step_report *report;
    uintptr_t entry;
    uintptr_t last_pc; /* the instruction just executed */
    uint64_t steps, instructions;
    bool running;
    pid_t pid;
    struct snapshot seen;
} run;

static bool read_page(uintptr_t page, void *copy)
{
    struct iovec local = {copy, PAGE}, remote = {(void *)page, PAGE};
    return process_vm_readv(run.pid, &local, 1, &remote, 1, 0) == PAGE;
}

static void snapshot_begin(void)
{
    size_t count = run.plan->pages->count;
    size_t size = count * PAGE;

    run.seen.copy = mmap(NULL, size ? size : PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (run.seen.copy == MAP_FAILED)
        abort();
    for (size_t i = 0; i < count; i++)
        run.seen.absent[i] = !read_page(run.plan->pages->page[i], run.seen.copy + i * PAGE);
    if (syscall(SYS_get_robust_list, 0, &run.seen.robust, &size) < 0)
        abort();
    run.seen.robust_next = run.seen.robust->list.next;
    run.seen.robust_pending = run.seen.robust->list_op_pending;
}

/* Whether anything that others can see changed since the last call. */
static bool snapshot_differs(void)
{
    bool differs = false;

    for (size_t i = 0; i < run.plan->pages->count; i++) {
        const void *page = (const void *)run.plan->pages->page[i];
        unsigned char *copy = run.seen.copy + i * PAGE;
        if (run.seen.absent[i]) {
            run.seen.absent[i] = !read_page((uintptr_t)page, copy);
            differs |= !run.seen.absent[i];
        } else if (memcmp(page, copy, PAGE) != 0) {
            memcpy(copy, page, PAGE);
            differs = true;
        }
    }
    const struct robust_list_head *robust = run.seen.robust;
    differs |= robust->list.next != run.seen.robust_next || robust->list_op_pending != run.seen.robust_pending;
    run.seen.robust_next = robust->list.next;
    run.seen.robust_pending = robust->list_op_pending;
    return differs;
}

static bool is_syscall(uintptr_t pc)
{
    const unsigned char *code = (const unsigned char *)pc;
    return code[0] == 0x0f && code[1] == 0x05;
}

static void act(uintptr_t pc)
{
    atomic_store(&run.report->pc, pc);
    if (run.plan->action == STEP_KILL) {
        atomic_store(&run.report->killed_at, step_now());
        kill(run.pid, SIGKILL);
    }
    atomic_store(&run.report->paused, 1);
    while (!atomic_load(&run.report->resume))
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

/* Whether the moment before the instruction at pc is a step of the plan. */
static bool is_step(uintptr_t pc)
{
    if (run.plan->unit == STEP_INSTRUCTION)
        return true;
    return snapshot_differs() || is_syscall(pc) || is_syscall(run.last_pc) || pc == run.entry ||
           pc == (uintptr_t)step_return;
}

static void on_step(uintptr_t pc)
{
    if (is_step(pc)) {
        run.steps++;
        atomic_store_explicit(&run.report->steps, run.steps, memory_order_relaxed);
        if (run.steps == run.plan->at)
            act(pc);
    }
    run.last_pc = pc;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    uintptr_t pc = (uintptr_t)at->uc_mcontext.gregs[REG_RIP];
    int saved = errno;

    (void)sig;
    (void)info;
    if (!run.running && pc == run.entry && run.steps == 0) {
        run.running = true;
        on_step(pc);
    } else if (run.running && pc != run.last_pc) { /* the same again: inside a repeated string instruction */
        if (is_syscall(run.last_pc) && getpid() != run.pid) {
            /* a child that the function forked: not the one to step */
            at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
        } else {
            /* The kernel returns from a system call with the flag set, which then traps after one instruction more. */
            run.instructions += is_syscall(run.last_pc) && pc != run.last_pc + 2 ? 2 : 1;
            atomic_store_explicit(&run.report->instructions, run.instructions, memory_order_relaxed);
            on_step(pc);
            run.running = pc != (uintptr_t)step_return;
        }
    }
    errno = saved;
}

void step_run(const struct step_plan *plan, struct step_report *report, void (*function)(void))
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction before;

    memset(&run, 0, sizeof run);
    run.plan = plan;
    run.report = report;
    run.entry = run.last_pc = (uintptr_t)function;
    run.pid = getpid();
    if (plan->unit == STEP_STATE)
        snapshot_begin();
    sigaction(SIGTRAP, &action, &before);
    step_call(function, TRAP_FLAG);
    sigaction(SIGTRAP, &before, NULL);
}
#else
const char step_return[1];

__attribute__((noinline)) void step_call(void (*function)(void), uintptr_t flags)
{
    (void)flags;
    function();
}

void step_run(const struct step_plan *plan, struct step_report *report, void (*function)(void))
{
    (void)plan;
    (void)report;
    (void)function;
    abort();
}
#endif
