/* post.h - what main tells idle workers of a job that it submits, in one line that they look at (struct sh_post). A
 * post only saves time: the list of jobs is what counts. */
#ifndef SH_POOL_POST_H
#define SH_POOL_POST_H

#include "pool/shared.h"

/* What a post said of a job, as of so many cancellations. number 0: nothing. */
struct sh_posted {
    uint64_t number;
    uint64_t function;
    uint32_t index, generation;
    uint32_t size, submitter_cpu;
    uint32_t cancellations;
    int is_followed; /* the last claim was by a post: look at the next one before the list */
    uint64_t data[SH_POST_SIZE / sizeof(uint64_t)];
};

/* Main, under put: post a job whose slot is complete, and which is about to be linked. */
void sh_post_write(struct sh_pool_shared *pool, const struct sh_job *job, uint32_t index, uint32_t generation);

/* Main: what was posted of this job does not hold any more. */
void sh_post_clear(struct sh_pool_shared *pool, uint64_t number);

/* Worker: whether the job with this number has been posted. Its post may say no more than that: 1 and *ret_posted, with
 * number 0 there. cancellations is what they were before the number was looked up. */
int sh_post_read(struct sh_pool_shared *pool, uint64_t number, uint32_t cancellations, struct sh_posted *ret_posted);

/* Worker: whether the job with this number has not been posted yet, and so not linked. 0 where that is not sure. */
int sh_post_is_missing(struct sh_pool_shared *pool, uint64_t number);

#endif
