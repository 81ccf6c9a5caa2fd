#include "bench/report.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/loaded.h"
#include "bench/report_plot.h"

#define CHANGE_MIN     0.03
#define ENVELOPE_BYTES 545.0 /* of 512 B of data, with its frame's share */

/* ---- the table ---- */

/* What bounds a row; from the limits of the same run. */
enum bound {
	BOUND_NONE,
	BOUND_PUT,     /* LMDB with nothing round it, 1000 a commit */
	BOUND_PUT_CPU, /* the same, CPU */
	BOUND_SYNC,    /* a write of 4 kB and fdatasync, one after the other */
	BOUND_DEVICE,  /* the bytes themselves */
	BOUND_WIRE,    /* TCP on loopback */
	BOUND_CRYPTO_CPU, /* AES, Keccak of one stream, sending */
	BOUND_CRYPTO_8,   /* the same with eight streams */
	BOUND_TRIP,       /* a round trip over TCP on loopback */
	BOUND_TOPIC,      /* that, and a topic's hundred envelopes encrypted */
	BOUND_SHAKE,      /* four ECDH and a recovery */
};

struct row {
	const char *title;
	const char *scenario, *work, *metric;
	const char *unit;
	enum bound bound;
};

/* clang-format off */
static const struct row rows[] = {
	{"durable ingest", "rivals", "durable ingest",
	 "rate", "1/s, more", BOUND_PUT},
	{"durable ingest, server CPU", "rivals", "durable ingest",
	 "cpu", "us, less", BOUND_PUT_CPU},
	{"durable ingest, to the device", "rivals", "durable ingest",
	 "device", "B, less", BOUND_DEVICE},
	{"durable ingest into 1 000 000", "rivals", "durable ingest, up to 1000000",
	 "rate", "1/s, more", BOUND_PUT},
	{"ingest, 50 a packet, 8 connections, server CPU", "ingest", "512 B, 50 a packet, 8 connections",
	 "cpu", "us, less", BOUND_PUT_CPU},
	{"ingest, 50 a packet, 1 connection, server CPU", "ingest", "512 B, 50 a packet, 1 connections",
	 "cpu", "us, less", BOUND_PUT_CPU},
	{"ingest, 1 a packet, 8 connections, server CPU", "ingest", "512 B, 1 a packet, 8 connections",
	 "cpu", "us, less", BOUND_NONE},
	{"ingest, 1 a packet, 8 connections", "ingest", "512 B, 1 a packet, 8 connections",
	 "rate", "1/s, more", BOUND_SYNC},
	{"everything, 1 client", "rivals", "everything, 100000",
	 "rate", "1/s, more", BOUND_WIRE},
	{"everything, 1 client, server CPU", "rivals", "everything, 100000",
	 "cpu", "us, less", BOUND_CRYPTO_CPU},
	{"everything, 8 clients, server CPU", "fetch", "everything of 200000, pages of 1000, 8 clients",
	 "cpu", "us, less", BOUND_CRYPTO_8},
	{"everything of 1 000 000, 1 client", "rivals", "everything, 1000000",
	 "rate", "1/s, more", BOUND_WIRE},
	{"one topic of 1000 among 100 000, p50", "rivals", "one topic of 1000, 100000",
	 "latency_p50", "us, less", BOUND_TOPIC},
	{"one topic of 1000 among 1 000 000, p50", "rivals", "one topic of 1000, 1000000",
	 "latency_p50", "us, less", BOUND_NONE},
	{"no match among 100 000, p50", "rivals", "no match, 100000",
	 "latency_p50", "us, less", BOUND_TRIP},
	{"no match among 1 000 000, p50", "rivals", "no match, 1000000",
	 "latency_p50", "us, less", BOUND_TRIP},
	{"newest 100 of a topic among 10 000 000, p50", "growth", "one topic of 1000, newest 100, among 10000000",
	 "latency_p50", "us, less", BOUND_TOPIC},
	{"no match among 10 000 000, p50", "growth", "no match, among 10000000",
	 "latency_p50", "us, less", BOUND_TRIP},
	{"restart with 1 000 000", "growth", "restart, 1000000",
	 "start", "s, less", BOUND_NONE},
	{"restart with 10 000 000", "growth", "restart, 10000000",
	 "start", "s, less", BOUND_NONE},
	{"a handshake with Hello and Status, server CPU", "handshakes", "handshake, Hello and Status",
	 "cpu", "us, less", BOUND_SHAKE},
	{"gossip to 100 peers, server CPU a delivery", "fanout", "gossip to 100 peers",
	 "cpu", "us, less", BOUND_CRYPTO_8},
};
/* clang-format on */
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static double limit_of(const struct loaded_file *file, const char *work,
		       const char *metric, bool best)
{
	const struct loaded *r =
		loaded_find(file, "limits", work, "limit", metric);

	if (!r)
		return 0;
	/* A limit is what was reached at best. */
	return !best ? r->median : r->more_is_better ? r->max : r->min;
}

/* us an envelope */
static double crypto_cpu(const struct loaded_file *file, const char *keccak)
{
	double aes = limit_of(file, "AES-256-CTR, 64 kB", "rate", true);
	double mac = limit_of(file, keccak, "rate", true);
	double send = limit_of(file, "TCP on loopback, send and recv",
			       "sender_cpu", true);

	if (aes <= 0 || mac <= 0)
		return 0;
	return ENVELOPE_BYTES * (1 / aes + 1 / mac) / 1e3 +
	       ENVELOPE_BYTES / 1e3 * send / 1e3;
}

static double trip_us(const struct loaded_file *file)
{
	return limit_of(file, "TCP on loopback, round trip", "latency_p50",
			true);
}

/* What EIP-8 asks of the one that answers. */
static double shake_us(const struct loaded_file *file)
{
	double ecdh = limit_of(file, "ECDH", "rate", true);
	double recovery = limit_of(file, "recovery", "rate", true);

	return ecdh > 0 && recovery > 0 ? 4e6 / ecdh + 1e6 / recovery : 0;
}

static double bound_of(const struct loaded_file *file, enum bound bound)
{
	static const char put[] = "LMDB put, 1000 a commit, full sync";

	switch (bound) {
	case BOUND_NONE:
		return 0;
	case BOUND_PUT:
		return limit_of(file, put, "rate", true);
	case BOUND_PUT_CPU:
		return limit_of(file, put, "cpu", true);
	case BOUND_SYNC:
		return limit_of(file, "write of 4 kB and fdatasync", "rate",
				true);
	case BOUND_DEVICE:
		return ENVELOPE_BYTES;
	case BOUND_WIRE:
		return limit_of(file, "TCP on loopback, send and recv", "rate",
				true) *
		       1e9 / ENVELOPE_BYTES;
	case BOUND_CRYPTO_CPU:
		return crypto_cpu(file, "Keccak-256, 1 stream");
	case BOUND_CRYPTO_8:
		return crypto_cpu(file, "Keccak-256, 8 streams");
	case BOUND_TRIP:
		return trip_us(file);
	case BOUND_TOPIC:
		return trip_us(file) > 0
			       ? trip_us(file) +
					 100 * crypto_cpu(file, "Keccak-256, 1 "
								"stream")
			       : 0;
	case BOUND_SHAKE:
		return shake_us(file);
	}
	return 0;
}

static void put_ratio(FILE *out, double a, double b)
{
	if (a > 0 && b > 0)
		(void)fprintf(out, " %.2f |", a / b);
	else
		(void)fputs(" - |", out);
}

static void put_number(FILE *out, double value)
{
	if (value <= 0)
		(void)fputs(" - |", out);
	else if (value >= 10000)
		(void)fprintf(out, " %.0f |", value);
	else
		(void)fprintf(out, " %.3g |", value);
}

/* The better of both layouts of LMDB, which is no server. */
static const struct loaded *plain_of(const struct loaded_file *file,
				     const struct row *row)
{
	const struct loaded *one = loaded_find(file, row->scenario, row->work,
					       "lmdb", row->metric);
	const struct loaded *two = loaded_find(file, row->scenario, row->work,
					       "lmdb-indexed", row->metric);

	if (!one || !two)
		return one ? one : two;
	return (one->median > two->median) == one->more_is_better ? one : two;
}

static void put_row(FILE *out, const struct loaded_file *file,
		    const struct row *row)
{
	const struct loaded *ours = loaded_find(file, row->scenario, row->work,
						"restante", row->metric);
	const struct loaded *rival =
		loaded_find(file, row->scenario, row->work, NULL, row->metric);
	const struct loaded *plain = plain_of(file, row);
	double bound = bound_of(file, row->bound);

	if (!ours)
		return;
	(void)fprintf(out, "| %s (%s) |", row->title, row->unit);
	put_number(out, ours->median);
	if (rival) {
		put_number(out, rival->median);
		(void)fprintf(out, " %s |", rival->who);
	} else {
		(void)fputs(" - | |", out);
	}
	put_number(out, plain ? plain->median : 0);
	put_number(out, bound);
	put_ratio(out, ours->median, rival ? rival->median : 0);
	put_ratio(out, ours->median, bound);
	(void)fprintf(out, " %u |\n",
		      rival && rival->rounds < ours->rounds ? rival->rounds
							    : ours->rounds);
}

static void put_table(FILE *out, const struct loaded_file *file)
{
	(void)fputs("| work | ours | best rival | which | LMDB alone | limit | "
		    "ours / rival | ours / limit | rounds "
		    "|\n|---|---:|---:|---|---:|---:|---:|---:|---:|\n",
		    out);
	for (size_t i = 0; i < ROWS; i++)
		put_row(out, file, &rows[i]);
}

static void put_table_words(FILE *out)
{
	(void)fputs(
		"Medians of all rounds (as many as the last column says, of "
		"ours or of the rival if that has fewer), of envelopes of "
		"512 B. The limit is "
		"the best round of what bounds the work in the same run: LMDB "
		"with nothing round it (ingest), writes with fdatasync one "
		"after the other (one a packet), the envelope's own bytes "
		"(device), TCP on loopback (rate of everything), AES-256-CTR, "
		"Keccak-256 and sending on one core (CPU of everything and of "
		"gossip; eight streams where there are several peers), a "
		"round trip on loopback (no match) and a hundred envelopes "
		"encrypted besides (one topic; the rivals' row asks for all "
		"of a topic), four ECDH and a recovery (handshake). "
		"Only ours decrypts, authenticates and checks what it takes, "
		"and encrypts what it gives. A rival is a server on loopback "
		"as well; LMDB alone is the better of two layouts, called "
		"directly without server, network or cryptography.\n\n",
		out);
}

/* ---- everything ---- */

static void put_all_results(FILE *out, const struct loaded_file *file)
{
	const char *scenario = "";

	for (size_t i = 0; i < file->count; i++) {
		const struct loaded *r = &file->results[i];

		if (strcmp(r->scenario, scenario) != 0) {
			scenario = r->scenario;
			(void)fprintf(out,
				      "\n### %s\n\n| work | who | metric | "
				      "median | min | max | unit | rounds "
				      "|\n|---|---|---|---|---|---|---|---:|\n",
				      scenario);
		}
		(void)fprintf(out,
			      "| %s | %s | %s | %.5g | %.5g | %.5g | %s | %u "
			      "|\n",
			      r->work, r->who, r->metric, r->median, r->min,
			      r->max, r->unit, r->rounds);
	}
}

static void put_times(FILE *out, const struct loaded_file *file)
{
	(void)fputs(
		"\n## Times\n\nOf all rounds together, from a histogram "
		"with buckets of 1/64 of their value; us.\n\n| scenario | work "
		"| who | count | p50 | p90 | p99 | p99.9 | max "
		"|\n|---|---|---|---:|---:|---:|---:|---:|---:|\n",
		out);
	for (size_t i = 0; i < file->latencies_count; i++) {
		const struct loaded_latency *l = &file->latencies[i];

		(void)fprintf(out,
			      "| %s | %s | %s | %.0f | %.1f | %.1f | %.1f | "
			      "%.1f | %.1f |\n",
			      l->scenario, l->work, l->who, l->count, l->p50,
			      l->p90, l->p99, l->p999, l->max);
	}
}

static void put_head(FILE *out, const struct loaded_file *file)
{
	const struct loaded_machine *m = &file->machine;

	(void)fprintf(out,
		      "# Restante bench, %s\n\n%s, %.0f cores, %.0f GiB, Linux "
		      "%s, commit %s, %.0f Keccak streams at once\n\n",
		      m->when, m->processor, m->cores,
		      m->memory_bytes / (1u << 30), m->kernel, m->commit,
		      m->keccak_width);
	(void)fputs("## Settings and remarks\n\n", out);
	for (size_t i = 0; i < file->notes_count; i++)
		(void)fprintf(out, "* %s, %s: %s\n", file->notes[i].scenario,
			      file->notes[i].who, file->notes[i].text);
}

/* Works that have something to reach, see bench/target.h. */
static void put_targets(FILE *out, const struct loaded_file *file)
{
	bool has_some = false;

	for (size_t i = 0; i < file->count; i++) {
		const struct loaded *t = &file->results[i];
		const struct loaded *ours;

		if (strcmp(t->who, "target") != 0)
			continue;
		ours = loaded_find(file, t->scenario, t->work, "restante",
				   t->metric);
		if (!ours)
			continue;
		if (!has_some)
			(void)fputs(
				"| work | metric | measured | to be reached "
				"| unit | measured / that | rounds | |\n"
				"|---|---|---|---|---|---|---:|---|\n",
				out);
		has_some = true;
		(void)fprintf(out, "| %s | %s | %.4g | %s %.4g | %s |", t->work,
			      t->metric, ours->median,
			      t->more_is_better ? "≥" : "≤", t->median,
			      t->unit);
		put_ratio(out, ours->median, t->median);
		(void)fprintf(out, " %u | %s |\n", ours->rounds,
			      (t->more_is_better ? ours->median >= t->median
						 : ours->median <= t->median)
				      ? "reached"
				      : "**missed**");
	}
	if (has_some)
		(void)fputc('\n', out);
}

void report_write(const char *folder)
{
	struct loaded_file file;
	char path[BENCH_PATH_MAX];
	FILE *out;

	loaded_read(&file, folder);
	(void)snprintf(path, sizeof(path), "%s/report.md", folder);
	out = fopen(path, "w");
	if (!out)
		bench_fail("%s: %s", path, strerror(errno));
	put_head(out, &file);
	(void)fputs("\n## All results\n", out);
	put_all_results(out, &file);
	put_times(out, &file);
	(void)fputs("\n## Growth\n\n", out);
	report_plots(folder, &file, out);
	(void)fputs("## What was to be reached\n\n", out);
	put_targets(out, &file);
	(void)fputs("## Ours, the best rival, the limit\n\n", out);
	put_table_words(out);
	put_table(out, &file);
	(void)fclose(out);
	put_targets(stdout, &file);
	put_table(stdout, &file);
	(void)printf("\n%s has it all\n", path);
	loaded_free(&file);
}

/* ---- two runs ---- */

static void put_change(const struct loaded *a, const struct loaded *b)
{
	bool is_better = (b->median > a->median) == a->more_is_better;

	(void)printf("%-6s %5.2fx  %s, %s, %s %s: %.4g [%.4g .. %.4g] -> %.4g "
		     "[%.4g .. %.4g] %s\n",
		     is_better ? "better" : "worse", b->median / a->median,
		     a->scenario, a->work, a->who, a->metric, a->median, a->min,
		     a->max, b->median, b->min, b->max, a->unit);
}

/*
 * Beyond the noise: no round of one run lies within the rounds of the other,
 * and the medians are further apart than CHANGE_MIN. With few rounds ranges
 * miss each other by chance: once in C(2n, n) / 2 times.
 */
static bool is_changed(const struct loaded *a, const struct loaded *b)
{
	double ratio = b->median / a->median;

	return (b->min > a->max || b->max < a->min) &&
	       (ratio > 1 + CHANGE_MIN || ratio < 1 / (1 + CHANGE_MIN));
}

static double by_chance(unsigned rounds)
{
	double ways = 1;

	for (unsigned i = 1; i <= rounds; i++)
		ways = ways * (rounds + i) / i;
	return rounds ? 2 / ways : 1;
}

static void put_machines(const struct loaded_file *a,
			 const struct loaded_file *b)
{
	(void)printf("before: %s, %s, %s\nafter:  %s, %s, %s\n",
		     a->machine.when, a->machine.commit, a->machine.processor,
		     b->machine.when, b->machine.commit, b->machine.processor);
	if (strcmp(a->machine.processor, b->machine.processor) != 0 ||
	    strcmp(a->machine.kernel, b->machine.kernel) != 0)
		(void)puts("these are not the same machine");
}

static unsigned missing_in(const struct loaded_file *a,
			   const struct loaded_file *b)
{
	unsigned missing = 0;

	for (size_t i = 0; i < a->count; i++) {
		const struct loaded *r = &a->results[i];

		missing += !loaded_find(b, r->scenario, r->work, r->who,
					r->metric);
	}
	return missing;
}

unsigned report_compare(const char *before, const char *after)
{
	struct loaded_file a, b;
	unsigned changed = 0, same = 0, least = UINT_MAX;

	loaded_read(&a, before);
	loaded_read(&b, after);
	put_machines(&a, &b);
	for (size_t i = 0; i < a.count; i++) {
		const struct loaded *r = &a.results[i];
		const struct loaded *now = loaded_find(&b, r->scenario, r->work,
						       r->who, r->metric);

		if (!now || r->median <= 0)
			continue;
		/* A single number has no noise to go by. */
		if (r->rounds < 2 || now->rounds < 2)
			continue;
		least = r->rounds < least ? r->rounds : least;
		least = now->rounds < least ? now->rounds : least;
		if (!is_changed(r, now)) {
			same++;
			continue;
		}
		put_change(r, now);
		changed++;
	}
	(void)printf("%u changed, %u within the noise; %u only before, %u only "
		     "after\n",
		     changed, same, missing_in(&a, &b), missing_in(&b, &a));
	if (changed + same > 0)
		(void)printf("of figures of %u rounds without a change %.1f %% "
			     "are apart by chance\n",
			     least, 100 * by_chance(least));
	loaded_free(&a);
	loaded_free(&b);
	return changed;
}
