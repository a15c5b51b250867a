/* handles.h - how many handles this process has of each shared object: private memory, copied by fork. */
#ifndef SH_ARENA_HANDLES_H
#define SH_ARENA_HANDLES_H

#include <stdint.h>

/* Held around every use of what is below, and, by the arena, across fork. */
void sh_handles_lock(void);
void sh_handles_unlock(void);

/* One more, one less: returns how many there are then. -ENOMEM. */
int sh_handles_add(uint64_t offset, uint32_t generation);
int sh_handles_remove(uint64_t offset);

/* Go through the objects with handles, and forget those that keep returns 0 for. */
void sh_handles_filter(int (*keep)(uint64_t offset, uint32_t generation, void *context), void *context);

#endif
