/* memory.c - memfd, mmap, fallocate. */
#include "os/memory.h"

#include "base/bits.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int sh_memory_create(const char *name, uint64_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    while (ftruncate(fd, (off_t)size) < 0) {
        int error = errno;
        if (error == EINTR)
            continue;
        close(fd);
        return -error;
    }
    return fd;
}

void sh_memory_close(int fd)
{
    close(fd);
}

int sh_memory_map(int fd, uint64_t size, void **ret_base)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

    if (base == MAP_FAILED)
        return -errno;
    *ret_base = base;
    return 0;
}

void sh_memory_unmap(void *base, uint64_t size)
{
    munmap(base, size);
}

int sh_memory_reserve(int fd, uint64_t offset, uint64_t size)
{
    for (;;) {
        if (fallocate(fd, 0, (off_t)offset, (off_t)size) == 0)
            return 0;
        if (errno == ENOSPC || errno == EFBIG) /* of a file without a name: memory is short, or the size limited */
            return -ENOMEM;
        if (errno != EINTR)
            return -errno;
    }
}

void sh_memory_populate(void *begin, uint64_t size)
{
    uint64_t page = sh_memory_page_size();
    uintptr_t first = sh_round_up((uintptr_t)begin, page);
    uintptr_t end = ((uintptr_t)begin + size) / page * page;

    if (first < end)
        madvise((void *)first, end - first, MADV_POPULATE_WRITE); /* where it cannot, the first touch does it */
}

int sh_memory_release(int fd, uint64_t offset, uint64_t size)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

    return fallocate(fd, mode, (off_t)offset, (off_t)size) < 0 ? -errno : 0;
}

uint64_t sh_memory_page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t sh_memory_max_reserve(void)
{
    struct rlimit limit;
    uint64_t most = UINT64_MAX;

    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        most = limit.rlim_cur / 2; /* the program needs addresses too */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        most = sh_min(most, (uint64_t)limit.rlim_cur);
    return most;
}

static long long read_group_limit(const char *folder, int version)
{
    char path[1100];

    snprintf(path, sizeof path, "%s/%s", folder, version == 2 ? "memory.max" : "memory.limit_in_bytes");
    return sh_file_read_number(path);
}

uint64_t sh_memory_total(void)
{
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * sh_memory_page_size();
    long long group = sh_file_cgroup_least("memory", read_group_limit);

    return group > 0 ? sh_min(total, (uint64_t)group) : total;
}

int sh_memory_size(int fd, uint64_t *ret_size)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    *ret_size = (uint64_t)status.st_size;
    return 0;
}
