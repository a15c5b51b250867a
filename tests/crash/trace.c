/* trace.c - steps the victim from outside with ptrace: the same kill points found in another way. */
#include "board.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

void crash_trace_me(void (*function)(void))
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        crash_fail(CRASH_BROKEN, "ptrace: %s", strerror(errno));
    kill(getpid(), SIGSTOP);
    step_call(function, 0);
}

static uintptr_t read_pc(pid_t pid)
{
    struct user_regs_struct registers;
    struct iovec buffer = {&registers, sizeof registers};

    if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &buffer) < 0)
        return 0;
#if defined(__x86_64__)
    return registers.rip;
#elif defined(__aarch64__)
    return registers.pc;
#else
#error "where does this processor keep its program counter?"
#endif
}

/* Code lies at the same place in the victim and in its parent. */
static bool enters_kernel(uintptr_t pc)
{
#if defined(__x86_64__)
    const unsigned char *code = (const unsigned char *)pc;
    return code[0] == 0x0f && code[1] == 0x05;
#else
    return *(const uint32_t *)pc == 0xd4000001;
#endif
}

static bool has_ended(uintptr_t pc)
{
#if STEP_SUPPORTED
    return pc == (uintptr_t)step_return;
#else
    (void)pc;
    return crash_victim_finished();
#endif
}

/* Wait for the victim's next stop. False where it has ended: the caller reaps it. */
static bool await_stop(pid_t victim, bool may_block, int *ret_signal)
{
    siginfo_t info;
    int status;

    for (;;) {
        info.si_pid = 0;
        /* Only looks: an end is left for the agent to reap. */
        if (waitid(P_PID, (id_t)victim, &info, WSTOPPED | WEXITED | WNOWAIT | (may_block ? WNOHANG : 0)) < 0)
            return false;
        if (info.si_pid == 0) {
            crash_attend_victim();
            continue;
        }
        if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
            return false;
        if (waitpid(victim, &status, __WALL) != victim || !WIFSTOPPED(status))
            return false;
        *ret_signal = WSTOPSIG(status);
        return true;
    }
}

void crash_trace(pid_t victim)
{
    struct step_report *report = &crash_board->report;
    uintptr_t entry = (uintptr_t)crash_board->test->operation, last = 0;
    uint64_t steps = 0;
    int signal = 0;

    if (!await_stop(victim, false, &signal))
        return;
    ptrace(PTRACE_SETOPTIONS, victim, NULL, (void *)PTRACE_O_EXITKILL);
    signal = 0;
    for (;;) {
        uintptr_t pc = read_pc(victim);
        if ((steps > 0 || pc == entry) && pc != last) {
            atomic_store(&report->steps, ++steps);
            if (steps == crash_board->at) {
                atomic_store(&report->pc, pc);
                atomic_store(&report->killed_at, step_now());
                kill(victim, SIGKILL);
                return;
            }
            if (has_ended(pc)) {
                ptrace(PTRACE_DETACH, victim, NULL, NULL);
                return;
            }
            last = pc;
        }
        if (ptrace(PTRACE_SINGLESTEP, victim, NULL, (void *)(intptr_t)signal) < 0 ||
            !await_stop(victim, pc && enters_kernel(pc), &signal))
            return;
        if (signal == SIGTRAP)
            signal = 0;
    }
}
