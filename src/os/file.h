/* file.h - small files of /proc and /sys read whole. */
#ifndef SH_OS_FILE_H
#define SH_OS_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Read up to capacity - 1 bytes of a file and end them with 0. Returns how many. */
ssize_t sh_file_read(const char *path, char *buffer, size_t capacity);

/* The number a file begins with; -1 where there is none, or a negative one. */
long long sh_file_read_number(const char *path);

/* Reads a limit out of the folder of a control group, where version is that of the interface (1 or 2): -1 for none. */
typedef long long sh_file_limit_reader(const char *folder, int version);

/* The smallest limit that this process's control group and those above it set; -1 where none does. controller is the
 * name of the hierarchy in version 1. */
long long sh_file_cgroup_least(const char *controller, sh_file_limit_reader *read_limit);

#endif
