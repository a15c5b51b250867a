/* memory.h - memory without a name that processes share, and how much of it there may be. */
#ifndef SH_OS_MEMORY_H
#define SH_OS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Make a sparse file without a name, size bytes long, close-on-exec. Returns its descriptor. The name shows in
 * /proc. */
int sh_memory_create(const char *name, uint64_t size);
/* Close its descriptor; what is mapped stays mapped. */
void sh_memory_close(int fd);

/* Map size bytes of it, shared, reserving addresses alone.
 * -ENOMEM. */
int sh_memory_map(int fd, uint64_t size, void **ret_base);
void sh_memory_unmap(void *base, uint64_t size);

/* Get pages for a range before it is touched: -ENOMEM where there are none. */
int sh_memory_reserve(int fd, uint64_t offset, uint64_t size);
/* Have reserved pages mapped here for writing at once, where the kernel can (5.14): touching them one by one takes
 * twice as long. */
void sh_memory_populate(void *begin, uint64_t size);
/* Give the range's pages back; it reads as zeros then, and needs to be reserved again. */
int sh_memory_release(int fd, uint64_t offset, uint64_t size);

uint64_t sh_memory_page_size(void);
/* Largest file and mapping that the limits of this process allow. */
uint64_t sh_memory_max_reserve(void);
/* Bytes of memory that this process may use: the machine's, or its control group's where that is less. */
uint64_t sh_memory_total(void);

/* Size of an open file. */
int sh_memory_size(int fd, uint64_t *ret_size);

#endif
