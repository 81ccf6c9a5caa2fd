#ifndef STORAGE_RUN_H
#define STORAGE_RUN_H
/*
 * A run is the index of some envelopes of one slice, one blob that is written
 * once and read where it lies: a header, the entries in the order of their
 * keys, the topics in order, and for each topic the ordinals of its entries,
 * ascending and therefore in the order of time.
 *
 *	header (120) ‖ entry (52) × count ‖ topic (12) × topics ‖
 *	ordinal (4) × count ‖ zeros
 *
 * Integers are little endian, as are the machines that we support; keys are
 * bytes, compared by memcmp().
 *
 * A blob may come from a damaged file: run_view_init() checks the frame, the
 * functions below check what they follow.
 *
 * Thread: a view from any; a builder belongs to its caller.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/envelope.h"
#include "core/topic.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "runs are stored little endian and read in place");

#define RUN_PAD_MAX 65536

struct run_entry {
	uint8_t key[ENVELOPE_KEY_SIZE];
	struct topic topic;
	uint32_t chunk;
	uint32_t offset;
	uint32_t size;
};
_Static_assert(sizeof(struct run_entry) == 52, "no padding");

struct run_topic {
	struct topic topic;
	uint32_t first; /* into the ordinals */
	uint32_t count;
};
_Static_assert(sizeof(struct run_topic) == 12, "no padding");

struct run_header {
	uint64_t magic;
	uint32_t count;
	uint32_t topics;
	uint8_t min_key[ENVELOPE_KEY_SIZE];
	uint8_t max_key[ENVELOPE_KEY_SIZE];
	uint64_t envelope_bytes;
	uint32_t chunks; /* that hold the envelopes */
	uint32_t reserved;
	uint64_t body_sum;   /* xxh3 of all that follows the header */
	uint64_t header_sum; /* xxh3 of what stands before this */
};
_Static_assert(sizeof(struct run_header) == 120, "no padding");

struct run_view {
	const struct run_header *header;
	const struct run_entry *entries;
	const struct run_topic *topics;
	const uint32_t *ordinals;
	size_t size;
};

/* `data` must be aligned to 8. Returns 0 or ERR_CORRUPT. */
int run_view_init(const void *data, size_t size, struct run_view *out);
/* Everything: sums, orders, ordinals. Returns 0 or ERR_CORRUPT. */
int run_view_check(const struct run_view *run);

/* First ordinal whose key is >= key, or > key; `count` if there is none. */
uint32_t run_lower_bound(const struct run_view *run, const uint8_t *key);
uint32_t run_upper_bound(const struct run_view *run, const uint8_t *key);
/* NULL if no entry has exactly this key. */
const struct run_entry *run_find_key(const struct run_view *run,
				     const uint8_t *key);

/* A part of the ordinals: those of one topic. */
struct run_list {
	const uint32_t *ordinals;
	uint32_t count;
};
/* Returns 0 (found), ERR_NOTFOUND or ERR_CORRUPT. */
int run_find_topic(const struct run_view *run, struct topic topic,
		   struct run_list *out);
/* The list of topics[index]. Returns 0 or ERR_CORRUPT. */
int run_topic_list(const struct run_view *run, uint32_t index,
		   struct run_list *out);
/* Number of leading ordinals whose entries lie below `bound`. */
uint32_t run_list_cut(const struct run_view *run, const struct run_list *list,
		      uint32_t bound);

/*
 * Building: reset for at most so many entries, add them in the order of
 * their keys and without equals, finish. Chunks and offsets may be set after
 * run_builder_index(), in the order of topics it gives, and before
 * run_builder_seal().
 */
struct run_builder {
	uint8_t *blob; /* aligned */
	size_t blob_max;
	uint32_t *scratch;
	size_t scratch_max;
	uint32_t count;
	uint32_t count_max;
	uint64_t seed;
};

void run_builder_init(struct run_builder *b);
void run_builder_release(struct run_builder *b);
/* Returns 0 or ERR_NOMEM. */
int run_builder_reset(struct run_builder *b, uint32_t entries_max);
/* The next entry, for the caller to fill in; valid until the reset. */
struct run_entry *run_builder_add(struct run_builder *b);
/* Topics and ordinals. At least one entry. Returns 0 or ERR_NOMEM. */
int run_builder_index(struct run_builder *b);
/* The i-th entry in the order topic, key. After run_builder_index(). */
struct run_entry *run_builder_by_topic(struct run_builder *b, uint32_t i);
/* Header and sums; at least `size_min` (<= RUN_PAD_MAX). Returns the size. */
size_t run_builder_seal(struct run_builder *b, uint32_t chunks,
			size_t size_min);

#endif
