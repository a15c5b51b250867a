/* step.c - runs a function one instruction at a time: to record its points, or to act at one of them. */
#include "step.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
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

#if STEP_SUPPORTED
/* Breakpoints may stand in libc: what handlers do, they do without it. */
static long system_call(long number, long a, long b)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return result;
}

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
    const struct step_pages *pages;
    unsigned char *copy;
    bool absent[STEP_PAGES_MAX];
    const struct robust_list_head *robust;
    const void *robust_next, *robust_pending;
};

/* The run in progress: one a process, since the flag and the handler are the process's. */
static struct {
    step_visitor *visit;        /* or, where it is NULL, */
    struct step_record *record; /* or, where that is, counts, to act */
    uint64_t at;
    enum step_action action;
    struct step_report *report;
    uintptr_t entry;
    uintptr_t last_pc; /* the instruction just executed */
    uint64_t steps;
    bool running;
    pid_t pid;
    struct snapshot seen;
} run;

int64_t step_now(void)
{
    struct timespec now;

    system_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void step_act(enum step_action action, struct step_report *report, uintptr_t pc)
{
    atomic_store(&report->pc, pc);
    if (action == STEP_KILL) {
        atomic_store(&report->killed_at, step_now());
        system_call(SYS_kill, system_call(SYS_getpid, 0, 0), SIGKILL);
    }
    atomic_store(&report->paused, 1);
    while (!atomic_load(&report->resume))
        system_call(SYS_nanosleep, (long)&(struct timespec){.tv_nsec = 20000}, 0);
}

static bool read_page(uintptr_t page, void *copy)
{
    struct iovec local = {copy, PAGE}, remote = {(void *)page, PAGE};
    return process_vm_readv(run.pid, &local, 1, &remote, 1, 0) == PAGE;
}

static void snapshot_begin(const struct step_pages *pages)
{
    size_t size = pages->count * PAGE;

    run.seen.pages = pages;
    run.seen.copy = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (run.seen.copy == MAP_FAILED)
        abort();
    for (size_t i = 0; i < pages->count; i++)
        run.seen.absent[i] = !read_page(pages->page[i], run.seen.copy + i * PAGE);
    if (syscall(SYS_get_robust_list, 0, &run.seen.robust, &size) < 0)
        abort();
    run.seen.robust_next = run.seen.robust->list.next;
    run.seen.robust_pending = run.seen.robust->list_op_pending;
}

/* Whether anything that others can see changed since the last call. */
static bool snapshot_differs(void)
{
    const struct robust_list_head *robust = run.seen.robust;
    bool differs = robust->list.next != run.seen.robust_next || robust->list_op_pending != run.seen.robust_pending;

    for (size_t i = 0; i < run.seen.pages->count; i++) {
        const void *page = (const void *)run.seen.pages->page[i];
        unsigned char *copy = run.seen.copy + i * PAGE;
        if (run.seen.absent[i]) {
            run.seen.absent[i] = !read_page((uintptr_t)page, copy);
            differs |= !run.seen.absent[i];
        } else if (memcmp(page, copy, PAGE) != 0) {
            memcpy(copy, page, PAGE);
            differs = true;
        }
    }
    run.seen.robust_next = robust->list.next;
    run.seen.robust_pending = robust->list_op_pending;
    return differs;
}

bool step_is_syscall(uintptr_t pc)
{
    const unsigned char *code = (const unsigned char *)pc;
    return code[0] == 0x0f && code[1] == 0x05;
}

static void call_visitor(uintptr_t pc)
{
    unsigned what = run.seen.pages && snapshot_differs() ? STEP_WROTE : 0;

    run.visit(pc, what | (step_is_syscall(run.last_pc) ? STEP_RETURNED : 0) | (step_is_syscall(pc) ? STEP_CALLS : 0));
}

static void on_point(uintptr_t pc)
{
    run.steps++;
    if (run.visit) {
        call_visitor(pc);
    } else if (!run.record) {
        atomic_store_explicit(&run.report->steps, run.steps, memory_order_relaxed);
        if (run.steps == run.at)
            step_act(run.action, run.report, pc);
    } else {
        bool changed = snapshot_differs() || step_is_syscall(pc) || step_is_syscall(run.last_pc) || pc == run.entry ||
                       pc == (uintptr_t)step_return;
        if (run.record->count < STEP_POINTS_MAX)
            run.record->point[run.record->count] = (struct step_point){.pc = pc, .changed = changed};
        run.record->count++;
    }
    run.last_pc = pc;
}

/* Repeated string instructions would trap once for each repetition, sixteen thousand times to clear a slab's header: so
 * the handler carries them out, as the one instruction that they are. Returns false where there is none at pc. */
bool step_carry_out_string(void *machine)
{
    mcontext_t *at = machine;
    greg_t *r = at->gregs;
    const unsigned char *code = (const unsigned char *)r[REG_RIP];
    bool wide = code[0] == 0xf3 && code[1] == 0x48;
    unsigned char operation = code[1 + wide];
    bool moves = operation == 0xa4 || operation == 0xa5, stores = operation == 0xaa || operation == 0xab;

    if (code[0] != 0xf3 || (!moves && !stores))
        return false;
    size_t size = !(operation & 1) ? 1 : wide ? 8 : 4;
    for (; r[REG_RCX] > 0; r[REG_RCX]--, r[REG_RDI] += (greg_t)size) {
        memcpy((void *)r[REG_RDI], moves ? (const void *)r[REG_RSI] : &r[REG_RAX], size);
        r[REG_RSI] += moves ? (greg_t)size : 0;
    }
    r[REG_RIP] += 2 + wide;
    return true;
}

/* After an instruction of the function that is stepped. */
static void on_instruction(mcontext_t *at)
{
    uintptr_t pc = (uintptr_t)at->gregs[REG_RIP];
    bool after_syscall = step_is_syscall(run.last_pc);

    if (after_syscall && getpid() != run.pid) { /* a child that the function forked: not the one to step */
        at->gregs[REG_EFL] &= ~TRAP_FLAG;
        run.running = false;
        return;
    }
    /* The kernel returns from a system call with the flag set, which then traps after one instruction more: the moment
     * between them is over. A breakpoint can be planted there all the same. */
    if (after_syscall && pc != run.last_pc + 2)
        on_point(run.last_pc + 2);
    on_point(pc);
    run.running = pc != (uintptr_t)step_return;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
    mcontext_t *at = &((ucontext_t *)context)->uc_mcontext;
    uintptr_t pc = (uintptr_t)at->gregs[REG_RIP];
    int saved = errno;

    (void)sig;
    (void)info;
    if (run.running) {
        on_instruction(at);
    } else if (pc == run.entry && run.steps == 0) {
        run.running = true;
        on_point(pc);
    }
    while (run.running && step_carry_out_string(at))
        on_instruction(at);
    errno = saved;
}

static void begin(void (*function)(void))
{
    memset(&run, 0, sizeof run);
    run.entry = run.last_pc = (uintptr_t)function;
    run.pid = getpid();
}

static void call_stepped(void (*function)(void))
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction before;

    sigaction(SIGTRAP, &action, &before);
    step_call(function, TRAP_FLAG);
    sigaction(SIGTRAP, &before, NULL);
}

void step_run(uint64_t at, enum step_action action, struct step_report *report, void (*function)(void))
{
    begin(function);
    run.at = at;
    run.action = action;
    run.report = report;
    call_stepped(function);
}

void step_record(const struct step_pages *pages, struct step_record *record, void (*function)(void))
{
    begin(function);
    record->count = 0;
    run.record = record;
    snapshot_begin(pages);
    call_stepped(function);
}

void step_visit(const struct step_pages *pages, step_visitor *visit, void (*function)(void))
{
    begin(function);
    run.visit = visit;
    if (pages)
        snapshot_begin(pages);
    call_stepped(function);
}

void step_forget_changes(void)
{
    if (run.seen.pages)
        snapshot_differs();
}
#else
const char step_return[1];

int64_t step_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

__attribute__((noinline)) void step_call(void (*function)(void), uintptr_t flags)
{
    (void)flags;
    function();
}

void step_run(uint64_t at, enum step_action action, struct step_report *report, void (*function)(void))
{
    (void)at, (void)action, (void)report, (void)function;
    abort();
}

void step_record(const struct step_pages *pages, struct step_record *record, void (*function)(void))
{
    (void)pages, (void)record, (void)function;
    abort();
}

void step_visit(const struct step_pages *pages, step_visitor *visit, void (*function)(void))
{
    (void)pages, (void)visit, (void)function;
    abort();
}

void step_forget_changes(void)
{
}
#endif
