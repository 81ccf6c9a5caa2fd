#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/corpus.h"
#include "bench/limits_net.h"
#include "bench/lmdb_plain.h"
#include "bench/meters.h"
#include "bench/scenarios.h"
#include "core/aes.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/keccak.h"
#include "core/secp.h"
#include "core/snap.h"

#define ROUND_NS    100000000u /* of each limit in each round, --full */
#define QUICK_NS    40000000u
#define COPY_BYTES  (64u << 20)
#define BLOCK_BYTES (64u << 10)
#define PACK_BYTES  (256u << 10)
#define LANES       8

/* One limit: work() does some and returns how much, in its unit. */
struct limit {
	const char *name;
	const char *metric;
	const char *unit;
	double (*work)(struct limit *limit);
	unsigned number; /* its parameter */
	double scale;    /* units a second are divided by this */
	struct series rate;
};

static struct {
	uint8_t *from, *to;
	struct aes_ctr *aes;
	struct keccak states[LANES];
	struct secp_key keys[2];
	uint8_t digest[32], signature[SECP_SIGNATURE_SIZE];
	int fd;
	uint64_t offset;
} tools;

static double do_memcpy(struct limit *limit)
{
	(void)limit;
	memcpy(tools.to, tools.from, COPY_BYTES);
	__asm__ volatile("" : : "r"(tools.to) : "memory");
	return COPY_BYTES;
}

static double do_aes(struct limit *limit)
{
	(void)limit;
	aes_ctr_apply(tools.aes, tools.from, tools.to, BLOCK_BYTES);
	return BLOCK_BYTES;
}

static double do_keccak(struct limit *limit)
{
	struct keccak_absorb_job jobs[LANES];

	for (unsigned i = 0; i < limit->number; i++)
		jobs[i] = (struct keccak_absorb_job){
			.state = &tools.states[i],
			.in = tools.from + (size_t)i * BLOCK_BYTES,
			.len = BLOCK_BYTES};
	keccak_absorb_many(jobs, limit->number);
	return (double)limit->number * BLOCK_BYTES;
}

static double do_ecdh(struct limit *limit)
{
	uint8_t out[32];

	(void)limit;
	return secp_ecdh(tools.keys[0].private, tools.keys[1].public, out) ? 0
									   : 1;
}

static double do_recovery(struct limit *limit)
{
	uint8_t public[SECP_PUBLIC_SIZE];

	(void)limit;
	return secp_recover(tools.digest, tools.signature, public) ? 0 : 1;
}

/* A block of literals is built (one copy) and read again (another). */
static double do_snappy(struct limit *limit)
{
	size_t prefix = snap_literal_prefix(PACK_BYTES, tools.to);

	(void)limit;
	memcpy(tools.to + prefix, tools.from, PACK_BYTES);
	if (snap_decompress(tools.to, prefix + PACK_BYTES,
			    tools.to + 2 * PACK_BYTES, PACK_BYTES))
		bench_fail("snappy does not read what was built");
	return PACK_BYTES;
}

static double do_fdatasync(struct limit *limit)
{
	(void)limit;
	if (pwrite(tools.fd, tools.from, 4096, (off_t)tools.offset) != 4096 ||
	    fdatasync(tools.fd))
		bench_fail("writing failed");
	tools.offset += 4096;
	return 1;
}

#define GB 1e9
/* clang-format off */
static struct limit limits[] = {
	{"memcpy, 64 MB", "rate", "GB/s", do_memcpy, 0, GB, {{0}, 0}},
	{"AES-256-CTR, 64 kB", "rate", "GB/s", do_aes, 0, GB, {{0}, 0}},
	{"Keccak-256, 1 stream", "rate", "GB/s", do_keccak, 1, GB, {{0}, 0}},
	{"Keccak-256, 4 streams", "rate", "GB/s", do_keccak, 4, GB, {{0}, 0}},
	{"Keccak-256, 8 streams", "rate", "GB/s", do_keccak, 8, GB, {{0}, 0}},
	{"ECDH", "rate", "ops/s", do_ecdh, 0, 1, {{0}, 0}},
	{"recovery", "rate", "ops/s", do_recovery, 0, 1, {{0}, 0}},
	{"snappy literals, built and read", "rate", "GB/s", do_snappy, 0, GB, {{0}, 0}},
	{"write of 4 kB and fdatasync", "rate", "ops/s", do_fdatasync, 0, 1, {{0}, 0}},
};
/* clang-format on */
#define LIMITS (sizeof(limits) / sizeof(limits[0]))

/*
 * By the time that the thread had of a processor, so that others on the machine
 * do not lower a limit; but what waits for the disk by the clock.
 */
static void measure(struct limit *limit, uint64_t round_ns, bool counts)
{
	uint64_t begin_ns = clock_mono_ns(), cpu_ns = bench_thread_ns();
	uint64_t wall_ns;
	double done = 0;

	do {
		done += limit->work(limit);
		wall_ns = clock_mono_ns() - begin_ns;
	} while (wall_ns < round_ns);
	cpu_ns = bench_thread_ns() - cpu_ns;
	if (limit->work == do_fdatasync)
		cpu_ns = wall_ns;
	if (counts)
		series_add(&limit->rate,
			   done / ((double)cpu_ns / 1e9) / limit->scale);
}

static void open_tools(const struct bench *bench)
{
	uint8_t key[32] = {1}, iv[16] = {2};
	char path[BENCH_PATH_MAX + 16];

	tools.from = malloc(COPY_BYTES);
	tools.to = malloc(COPY_BYTES);
	tools.aes = aes_ctr_new(key, sizeof(key), iv);
	if (!tools.from || !tools.to || !tools.aes)
		bench_fail("no memory");
	bytes_random(tools.from, 1u << 20);
	for (size_t at = 1u << 20; at < COPY_BYTES; at *= 2)
		memcpy(tools.from + at, tools.from, at);
	memset(tools.to, 1, COPY_BYTES);
	for (unsigned i = 0; i < LANES; i++)
		keccak_init(&tools.states[i]);
	secp_key_new(&tools.keys[0]);
	secp_key_new(&tools.keys[1]);
	secp_sign(&tools.keys[0], tools.digest, tools.signature);
	(void)snprintf(path, sizeof(path), "%s/sync", bench->dir);
	tools.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (tools.fd < 0)
		bench_fail("%s cannot be made", path);
}

static void close_tools(void)
{
	free(tools.from);
	free(tools.to);
	aes_ctr_free(tools.aes);
	(void)close(tools.fd);
}

/* ---- LMDB, nothing else: 512 B under rising keys of 36 bytes ---- */

static const struct {
	uint32_t group, count, count_full;
} puts_of[] = {{1, 200, 400}, {100, 10000, 20000}, {1000, 50000, 100000}};
#define PUTS (sizeof(puts_of) / sizeof(puts_of[0]))

static struct {
	struct meters put[PUTS];
	struct series scan;
} lmdb;

static uint32_t count_of(const struct bench *bench, unsigned put)
{
	return bench->is_full ? puts_of[put].count_full : puts_of[put].count;
}

static void measure_lmdb(const struct bench *bench, bool counts)
{
	char path[BENCH_PATH_MAX];
	struct corpus_config config;
	struct archive_item *items;
	struct corpus corpus;

	corpus_config_default(&config, count_of(bench, PUTS - 1));
	corpus_make(&corpus, &config);
	items = corpus_items(&corpus);
	/* In the order of the keys: appending, the best case of a B-tree. */
	for (uint32_t i = 0; i < config.count; i++)
		be32_store(items[i].hash, i);
	for (unsigned i = 0; i < PUTS; i++) {
		uint32_t count = count_of(bench, i);
		struct span span;
		struct lmdb_plain db;
		uint64_t begin_ns;

		lmdb_plain_open(&db, bench_folder(bench, "raw", path),
				LMDB_BY_TIME);
		span_begin(&span, 0, path);
		lmdb_plain_put(&db, items, count, puts_of[i].group);
		span_end(&span);
		if (counts)
			meters_add(&lmdb.put[i], &span, count);
		if (i == PUTS - 1) {
			begin_ns = clock_mono_ns();
			for (unsigned n = 0; n < 5; n++)
				(void)lmdb_plain_all(&db, tools.to, COPY_BYTES);
			if (counts)
				series_add(&lmdb.scan,
					   5.0 * count /
						   ((double)(clock_mono_ns() -
							     begin_ns) /
						    1e9));
		}
		lmdb_plain_close(&db);
		bench_remove(path);
	}
	free(items);
	corpus_release(&corpus);
}

static void put_all(void)
{
	char work[64];

	for (unsigned i = 0; i < LIMITS; i++)
		meters_put_one(&limits[i].rate, "limits", limits[i].name,
			       "limit", limits[i].metric, limits[i].unit, true);
	for (unsigned i = 0; i < PUTS; i++) {
		(void)snprintf(work, sizeof(work),
			       "LMDB put, %u a commit, full sync",
			       puts_of[i].group);
		meters_put(&lmdb.put[i], "limits", work, "limit", "envelope");
	}
	meters_put_one(&lmdb.scan, "limits", "LMDB scan, copied", "limit",
		       "rate", "envelopes/s", true);
}

static void run(struct bench *bench)
{
	uint64_t round_ns = bench->is_full ? ROUND_NS : QUICK_NS;
	struct limits_net *net = calloc(1, sizeof(*net));

	if (!net)
		bench_fail("no memory");
	open_tools(bench);
	bench_rounds(bench, 1);
	for (unsigned round = 0; bench_has_round(bench, round); round++) {
		for (unsigned i = 0; i < LIMITS; i++)
			measure(&limits[i], round_ns, round > 0);
		measure_lmdb(bench, round > 0);
		limits_net_measure(net, 2 * round_ns, round > 0);
	}
	put_all();
	limits_net_put(net);
	close_tools();
	free(net);
}

static const struct setting options[] = {BENCH_OPTIONS, {0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "limits",
	.summary =
		"What this machine can do, before anything is made of it: "
		"copying, AES-256-CTR, Keccak-256 of one, four and eight "
		"streams at once, one ECDH, one recovery, snappy literals, "
		"LMDB with full synchronisation and nothing round it, a write "
		"with fdatasync, and TCP on loopback by plain calls and by "
		"io_uring with one and with eight connections, and the time "
		"of a round trip of 64 bytes.\n\n"
		"Each runs 40 ms in each round, 100 with --full, on one "
		"thread, and a second is one of its processor (the disk's: of "
		"the clock); TCP has one that sends and one that receives. The "
		"engine of io_uring is the server's own (net/ring), with "
		"nothing on top.",
	.options = options,
};

const struct scenario scenario_limits = {"limits", "what the machine can do",
					 &usage, run};
