/* old_kernel.c - runs a program as on an old Linux: what came after version 5.4 is not there.
 *
 *     old-kernel unit-lock --repeat 10
 *
 * All architectures number system calls alike since 5.1, and 5.4 ended with 435: those behind it are -ENOSYS. So is, as
 * -ENOTTY, what the library asks of a pidfd by ioctl. Exit code 77 where the system does not let calls be filtered. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAST_CALL 435
#define PIDFD_IOCTLS 0xff /* the type of their numbers */
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

int main(int argc, char **argv)
{
    struct sock_filter filter[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_CALL, 0, 1),
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4),
        LOAD(args[1]), /* its lower half, which comes first on all that the library runs on */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff00),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PIDFD_IOCTLS << 8, 0, 1),
        RETURN(SECCOMP_RET_ERRNO | ENOTTY),
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};

    if (argc < 2) {
        fprintf(stderr, "usage: old-kernel PROGRAM ARGUMENTS...\n");
        return 2;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        printf("calls cannot be filtered: %s\n", strerror(errno));
        return 77;
    }
    if (syscall(LAST_CALL + 1, ~0u, ~0u, 0) == 0 || errno != ENOSYS) { /* close_range */
        printf("what came later is there\n");
        return 1;
    }
    execv(argv[1], argv + 1);
    perror(argv[1]);
    return 1;
}
