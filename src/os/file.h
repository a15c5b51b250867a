/* file.h - small files of /proc and /sys read whole. */
#ifndef SH_OS_FILE_H
#define SH_OS_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Read up to capacity - 1 bytes of a file and end them with 0. Returns how many. */
ssize_t sh_file_read(const char *path, char *buffer, size_t capacity);

/* The first number of this process's control group file (both versions of the interface, this group and those above
 * it: the smallest). -1 where there is none or it is "max". file2 and file1 are the names in version 2 and 1,
 * controller the version 1 hierarchy. */
long long sh_file_cgroup_limit(const char *file2, const char *controller, const char *file1);

#endif
