/* fuzz.h - arbitrary bytes where the library reads what other processes have written: an error may come of it, a wrong
 * message too, but no crash and no endless loop.
 *
 * A target is a program with one function, as libFuzzer wants it. Where it is compiled by clang with -fsanitize=fuzzer,
 * libFuzzer is its main; else driver.c is, which runs the inputs of the corpus, then others made of them at random.
 *
 * A scene is an arena with objects in it, made once. For each input it is put back as it was, written over at places
 * that the input names, and then used. Input: records of 12 bytes each, struct fuzz_patch. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "arena/arena.h"
#include "arena/block.h"
#include "arena/handles.h"
#include "arena/object.h"
#include "arena/slab.h"

#include <shoal/shoal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In the region (modulo their number), at offset (in units of 4 bytes, modulo its size): the lowest bytes of value, 1,
 * 2, 4 or 8 of them; of kind: as it is, or where it names something of the scene. */
struct fuzz_patch {
    uint8_t region;
    uint8_t width; /* lowest 2 bits; the next: value is that many bytes from the begin of the heap */
    uint16_t offset;
    uint8_t value[8];
};

/* A stretch of the arena that inputs write over. */
struct fuzz_region {
    uint64_t offset, size;
};

/* Make the arena, with a reserve that is small. */
void fuzz_arena(void);

/* Words that may be written over: who holds one is nobody, since a word whose holder lives is waited for. */
void fuzz_word(struct sh_word *word);

/* A place for inputs to write over. */
void fuzz_region(uint64_t offset, uint64_t size);

/* The slab header of the block at this offset, and the entries of the span map. */
void fuzz_region_slab(uint64_t offset);
void fuzz_region_map(void);

/* The scene is made: keep it. */
void fuzz_keep(void);

/* Put the scene back, then write over it. What is left of the input is returned. */
void fuzz_spoil(const uint8_t *data, size_t size);

/* All is done with this input. */
void fuzz_done(void);

/* End the program where a call of the scene's making fails. */
void fuzz_must(long r);

/* A number from the input's bytes, the same for the same input. */
uint64_t fuzz_number(const uint8_t *data, size_t size);

#endif
