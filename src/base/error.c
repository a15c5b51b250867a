/* error.c - the one table of error texts. */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <shoal/base.h>

/* Indexed by errno. The first part is what the public headers name; the second is what the kernel may answer to the
 * calls the library makes, passed on as it is. */
static const struct sh_error errors[] = {
    [EAGAIN] = {"not available without waiting", "BlockingIOError"},
    [EBADF] = {"this end of the pipe does not go in that direction", "OSError"},
    [EBUSY] = {"in use: this process already has a family, or another thread is inside this call", "RuntimeError"},
    [ECANCELED] = {"cancelled before it ended", "concurrent.futures.CancelledError"},
    [ECHILD] = {"the worker that ran this item died, or the process is not a child of this one", "ChildProcessError"},
    [EDEADLK] = {"the calling thread already holds this lock, and would wait for itself", "RuntimeError"},
    [EEXIST] = {"another function is registered under this name", "ValueError"},
    [EINVAL] = {"invalid argument, or a call that does not fit the object's state", "ValueError"},
    [EMSGSIZE] = {"the message or result does not fit", "multiprocessing.BufferTooShort"},
    [ENOENT] = {"no such thing: a function without a registered name, or a result that is not an error", "LookupError"},
    [ENOEXEC] = {"the pool gave up, because its workers fail at every start", "RuntimeError"},
    [ENOMEM] = {"out of memory, or the arena's limit is reached", "MemoryError"},
    [ENOSPC] = {"no slot left: too many processes, or too many readers of a descriptor", "OSError"},
    [ENOTSUP] = {"this kind of object does not support that", "NotImplementedError"},
    [EOVERFLOW] = {"a count would pass its maximum", "OverflowError"},
    [EPERM] = {"not the holder's, or not allowed in this process", "PermissionError"},
    [EPIPE] = {"closed or broken: nobody is left at the other side", "BrokenPipeError"},
    [ESTALE] = {"the object is gone: its last handle was freed", "ReferenceError"},
    [ETIMEDOUT] = {"the time ran out", "TimeoutError"},
    [EXDEV] = {"the object belongs to another family of processes", "RuntimeError"},

    [E2BIG] = {"the argument list of the new program is too long", "OSError"},
    [EACCES] = {"permission denied by the system", "PermissionError"},
    [EFAULT] = {"an address outside of this process's memory", "OSError"},
    [EINTR] = {"interrupted by a signal", "InterruptedError"},
    [EILSEQ] = {"the family's memory is damaged: a process has written over it", "RuntimeError"},
    [EIO] = {"input or output failed", "OSError"},
    [ECONNRESET] = {"the connection to another process of the library broke", "OSError"},
    [EFBIG] = {"a limit to the size of files is too low for the arena", "OSError"},
    [EMFILE] = {"this process has too many descriptors open", "OSError"},
    [ENAMETOOLONG] = {"the name is too long", "ValueError"},
    [ENOBUFS] = {"the system has no memory for messages between processes", "OSError"},
    [ENODEV] = {"the system does not have a kind of descriptor that shoal needs", "OSError"},
    [ENFILE] = {"the system has too many files open", "OSError"},
    [ENOSYS] = {"the kernel does not have a system call that shoal needs", "NotImplementedError"},
    [ESRCH] = {"no such process", "ProcessLookupError"},
    [ETOOMANYREFS] = {"the system has too many descriptors on their way between processes", "OSError"},
};
enum { ERROR_COUNT = sizeof errors / sizeof errors[0] };

/* Linux's numbers end near 133: a larger table means that an index is not an errno. */
static_assert(ERROR_COUNT <= 134, "the table of errors is indexed by errno");

static const struct sh_error unknown = {"an error that shoal has no text for", "OSError"};

const struct sh_error *sh_error_find(int error)
{
    if (error >= 0 || error <= -ERROR_COUNT || errors[-error].text == NULL)
        return &unknown;
    return &errors[-error];
}

const char *shoal_strerror(int error)
{
    if (error == SHOAL_OWNER_DIED)
        return "success, but the owner before died holding it";
    if (error >= 0)
        return "success";
    return sh_error_find(error)->text;
}

const char *shoal_version(void)
{
    return SHOAL_VERSION;
}
