#ifndef BENCH_CORPUS_H
#define BENCH_CORPUS_H
/*
 * Envelopes and packets of them, made before the clock starts: valid, of
 * random data, over a number of topics. Seed and numbers decide all but the
 * time. No proof of work is sought: servers that are measured take any.
 *
 * Thread: one makes, any read.
 */
#include <stddef.h>
#include <stdint.h>

#include "core/keccak.h"
#include "core/topic.h"
#include "storage/archive.h"

struct corpus_config {
	uint32_t count;
	uint32_t size;   /* of an envelope's data; a mail server's 512 B */
	uint32_t topics; /* envelopes are spread over so many */
	unsigned zipf;   /* 1: the first topic gets a tenth, others by rank */
	uint32_t first_s, last_s; /* of `sent`, rising through the corpus */
	uint32_t jitter_s;        /* give or take */
	uint32_t ttl_s;
	uint64_t seed; /* of the data; topics are the same for all seeds */
};

struct corpus {
	struct corpus_config config;
	uint8_t *bytes;   /* all envelopes, one behind the other */
	uint64_t *starts; /* count + 1 */
};

/* An envelope a packet code 1 carries, ready to be sent. */
struct packed {
	uint8_t *bytes; /* the payload: a list of envelopes */
	uint32_t size;
	uint32_t count;
	uint8_t hash[KECCAK_DIGEST];
};

/* 512 B over 1 000 topics within the last minute. */
void corpus_config_default(struct corpus_config *config, uint32_t count);
void corpus_make(struct corpus *corpus, const struct corpus_config *config);
void corpus_release(struct corpus *corpus);
struct topic corpus_topic(uint32_t index);

/* Packets of `per_packet`; returns how many. One allocation: free(*out). */
size_t corpus_pack(const struct corpus *corpus, uint32_t per_packet,
		   struct packed **out);
/* As the archive takes them, borrowing from the corpus. One allocation. */
struct archive_item *corpus_items(const struct corpus *corpus);

#endif
