"""What the checks of system calls share: which functions of libc those are, and what a library's objects call."""

import re

from common import finish, run

# libc functions that are system calls, or are there to make them. What takes time from the vDSO (clock_gettime) or only
# computes is not among them. printf and its kind are: the library never logs; and exit: it never ends a process.
CALLS = set("""
    accept accept4 bind connect listen recv recvfrom recvmmsg recvmsg send sendmmsg sendmsg setsockopt getsockopt
    shutdown socket socketpair brk sbrk madvise mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock
    munlockall munmap posix_madvise memfd_create shm_open shm_unlink shmat shmctl shmdt shmget semctl semget semop
    semtimedop msgctl msgget msgrcv msgsnd mq_close mq_getattr mq_notify mq_open mq_receive mq_send mq_timedreceive
    mq_timedsend mq_unlink sem_close sem_destroy sem_init sem_open sem_post sem_timedwait sem_trywait sem_unlink
    sem_wait access chdir chmod chown close close_range closefrom copy_file_range creat dup dup2 dup3 euidaccess
    faccessat fallocate fchdir fchmod fchown fcntl fdatasync flock fstat fstatat fstatfs fsync ftruncate getcwd
    ioctl link lockf lseek lstat mkdir mkdirat mkfifo mknod mkostemp mkstemp mkdtemp tmpfile tmpnam open openat pipe
    pipe2 posix_fadvise posix_fallocate pread preadv pwrite pwritev read readlink readlinkat readv realpath remove
    rename renameat rmdir sendfile splice stat statfs statvfs statx symlink tee truncate unlink unlinkat utimes
    vmsplice write writev fopen fdopen freopen fclose fread fwrite fgets fputs fputc fgetc fflush fprintf vfprintf
    printf vprintf dprintf vdprintf puts putchar perror getline getdelim fscanf scanf opendir fdopendir readdir
    closedir scandir nftw syslog vsyslog openlog clone execl execle execlp execv execve execveat execvp execvpe
    fexecve fork vfork posix_spawn posix_spawnp system popen pclose wait wait3 wait4 waitid waitpid _exit _Exit exit
    quick_exit daemon pidfd_open pidfd_send_signal pidfd_getfd getegid geteuid getgid getpgid getpgrp getpid getppid
    getpriority getresuid getrlimit getrusage getsid gettid getuid prlimit setpgid setpriority setrlimit setsid
    setuid setgid prctl ptrace personality unshare setns nice alarm kill killpg pause ppoll poll psignal raise
    select pselect setitimer sigaction sigaltstack signal signalfd sigpending sigprocmask sigqueue sigsuspend
    sigtimedwait sigwait sigwaitinfo tgkill pthread_kill pthread_sigmask pthread_sigqueue epoll_create epoll_create1
    epoll_ctl epoll_pwait epoll_wait eventfd eventfd_read eventfd_write inotify_init timerfd_create timerfd_gettime
    timerfd_settime clock_nanosleep nanosleep sleep usleep thrd_sleep pthread_create thrd_create pthread_cancel
    pthread_setaffinity_np pthread_getaffinity_np pthread_cond_timedwait pthread_cond_wait pthread_barrier_wait
    get_nprocs get_nprocs_conf sched_getaffinity sched_getcpu sched_setaffinity sched_setscheduler sched_yield
    sysconf sysinfo uname gethostname getrandom getentropy process_vm_readv process_vm_writev syscall
""".split())

# The names that compilers and libc make of them: __read_chk, open64, __isoc99_fscanf, ...
VARIANT = re.compile(r"^(?:__isoc\d+_)?_{0,2}(\w+?)(?:64)?(?:_chk|_2)?$")
MEMBER = re.compile(r"^\S*?\[(\S+)\.o\]: (\S+) (\w)")


def symbols(library):
    """(source, name, kind) for each symbol of each object in the library; kind is nm's letter."""
    for line in run("nm", "--print-file-name", "--format=posix", library).splitlines():
        match = MEMBER.match(line)
        if not match:
            finish([f"nm printed a line that this check does not understand: {line}"], 0)
        yield "src/" + match[1].replace("_", "/", 1), match[2], match[3]


def name_of(symbol):
    """The function's name in the manual, for one of the names that compilers and libc make of it."""
    match = VARIANT.match(symbol)
    return match[1] if match else symbol


def is_call(symbol):
    return symbol in CALLS or name_of(symbol) in CALLS
