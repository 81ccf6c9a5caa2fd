#include "bench/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "bench/bench.h"
#include "bench/loaded.h"

#define ENVELOPE_BYTES 545.0 /* of 512 B of data, with its frame's share */

/* ---- the table ---- */

/* What bounds a row; from the limits of the same run. */
enum bound {
	BOUND_NONE,
	BOUND_PUT,        /* LMDB with nothing round it, 1000 a commit */
	BOUND_PUT_CPU,    /* the same, CPU */
	BOUND_DEVICE,     /* the bytes themselves */
	BOUND_WIRE,       /* TCP on loopback */
	BOUND_CRYPTO_CPU, /* AES, Keccak of one stream, sending */
	BOUND_CRYPTO_8,   /* the same with eight streams */
};

struct row {
	const char *title;
	const char *scenario, *work, *metric;
	const char *unit;
	enum bound bound;
};

static const struct row rows[] = {
	{"durable ingest", "rivals", "durable ingest", "rate", "1/s, more",
	 BOUND_PUT},
	{"durable ingest, server CPU", "rivals", "durable ingest", "cpu",
	 "us, less", BOUND_PUT_CPU},
	{"durable ingest, to the device", "rivals", "durable ingest", "device",
	 "B, less", BOUND_DEVICE},
	{"ingest, 50 a packet, 8 connections, server CPU", "ingest",
	 "512 B, 50 a packet, 8 connections", "cpu", "us, less", BOUND_PUT_CPU},
	{"ingest, 1 a packet, 8 connections, server CPU", "ingest",
	 "512 B, 1 a packet, 8 connections", "cpu", "us, less", BOUND_NONE},
	{"everything, 1 client", "rivals", "everything, 100000", "rate",
	 "1/s, more", BOUND_WIRE},
	{"everything, 1 client, server CPU", "rivals", "everything, 100000",
	 "cpu", "us, less", BOUND_CRYPTO_CPU},
	{"everything, 8 clients, server CPU", "fetch",
	 "everything of 200000, pages of 1000, 8 clients", "cpu", "us, less",
	 BOUND_CRYPTO_8},
	{"one topic of 1000 among 100 000, p50", "rivals",
	 "one topic of 1000, 100000", "latency_p50", "us, less", BOUND_NONE},
	{"one topic of 1000 among 1 000 000, p50", "rivals",
	 "one topic of 1000, 1000000", "latency_p50", "us, less", BOUND_NONE},
	{"no match among 100 000, p50", "rivals", "no match, 100000",
	 "latency_p50", "us, less", BOUND_NONE},
	{"no match among 1 000 000, p50", "rivals", "no match, 1000000",
	 "latency_p50", "us, less", BOUND_NONE},
};
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

static void put_row(FILE *out, const struct loaded_file *file,
		    const struct row *row)
{
	const struct loaded *ours = loaded_find(file, row->scenario, row->work,
						"restante", row->metric);
	const struct loaded *rival =
		loaded_find(file, row->scenario, row->work, NULL, row->metric);
	const struct loaded *lmdb = loaded_find(file, row->scenario, row->work,
						"lmdb-indexed", row->metric);
	double bound = bound_of(file, row->bound);

	if (!ours)
		return;
	(void)fprintf(out, "| %s (%s) |", row->title, row->unit);
	put_number(out, ours->median);
	if (rival)
		(void)fprintf(out, " %.4g %s |", rival->median, rival->who);
	else
		(void)fputs(" - |", out);
	put_number(out, lmdb ? lmdb->median : 0);
	put_number(out, bound);
	put_ratio(out, ours->median, rival ? rival->median : 0);
	put_ratio(out, ours->median, bound);
	(void)fputc('\n', out);
}

static void put_table(FILE *out, const struct loaded_file *file)
{
	(void)fputs(
		"| work | ours | best rival | LMDB, indexed | limit | ours / "
		"rival | ours / limit |\n|---|---|---|---|---|---|---|\n",
		out);
	for (size_t i = 0; i < ROWS; i++)
		put_row(out, file, &rows[i]);
	(void)fputs(
		"\nMedians of all rounds, of envelopes of 512 B. The limit is "
		"the best round of what bounds the work: LMDB with nothing "
		"round it (ingest), TCP on loopback (rate of everything), "
		"AES-256-CTR, Keccak-256 and sending one after the other on "
		"one core (CPU of everything). Only ours decrypts, "
		"authenticates and checks what it takes, and encrypts what it "
		"gives; the best rival is a server on "
		"loopback as well, LMDB is called directly.\n",
		out);
}

/* ---- plots ---- */

static bool is_same_plot(const struct loaded *a, const struct loaded *b)
{
	return strcmp(a->scenario, b->scenario) == 0 &&
	       strcmp(a->metric, b->metric) == 0;
}

static bool is_same_line(const struct loaded *a, const struct loaded *b)
{
	return is_same_plot(a, b) && strcmp(a->curve, b->curve) == 0 &&
	       strcmp(a->who, b->who) == 0;
}

/* Is `index` the first of those that `same` puts together? */
static bool is_first(const struct loaded_file *file, size_t index,
		     bool (*same)(const struct loaded *, const struct loaded *))
{
	if (!file->results[index].curve[0])
		return false;
	for (size_t i = 0; i < index; i++)
		if (file->results[i].curve[0] &&
		    same(&file->results[i], &file->results[index]))
			return false;
	return true;
}

static unsigned points_of(const struct loaded_file *file,
			  const struct loaded *line)
{
	unsigned points = 0;

	for (size_t i = 0; i < file->count; i++)
		points += file->results[i].curve[0] &&
			  is_same_line(&file->results[i], line);
	return points;
}

static void put_block(FILE *script, const struct loaded_file *file,
		      const struct loaded *line, unsigned number)
{
	(void)fprintf(script, "$d%u << EOD\n", number);
	for (size_t i = 0; i < file->count; i++) {
		const struct loaded *r = &file->results[i];

		if (r->curve[0] && is_same_line(r, line))
			(void)fprintf(script, "%g %g %g %g\n", r->x, r->median,
				      r->min, r->max);
	}
	(void)fputs("EOD\n", script);
}

static void put_plot_command(FILE *script, const struct loaded_file *file,
			     const struct loaded *first, unsigned *lines)
{
	const char *join = "plot ";

	*lines = 0;
	for (size_t i = 0; i < file->count; i++) {
		const struct loaded *r = &file->results[i];

		if (!is_first(file, i, is_same_line) ||
		    !is_same_plot(r, first) || points_of(file, r) < 2)
			continue;
		(void)fprintf(script,
			      "%s$d%zu using 1:2:3:4 with yerrorlines lw 2 "
			      "title \"%s, %s\"",
			      join, i, r->who, r->curve);
		join = ", ";
		(*lines)++;
	}
	(void)fputc('\n', script);
}

/* Returns whether there is anything to see. */
static bool write_script(const char *path, const char *base,
			 const struct loaded_file *file,
			 const struct loaded *first)
{
	static const char *const terminals[] = {"svg size 900,540",
						"pngcairo size 900,540"};
	static const char *const endings[] = {"svg", "png"};
	FILE *script = fopen(path, "w");
	unsigned lines = 0;

	if (!script)
		bench_fail("%s: %s", path, strerror(errno));
	for (size_t i = 0; i < file->count; i++)
		if (is_first(file, i, is_same_line) &&
		    is_same_plot(&file->results[i], first))
			put_block(script, file, &file->results[i], (unsigned)i);
	(void)fprintf(script,
		      "set title \"%s: %s\"\nset logscale xy\nset grid\n"
		      "set format x \"%%g\"\nset key outside bottom "
		      "center vertical maxrows 4\nset ylabel \"%s\"\n",
		      first->scenario, first->metric, first->unit);
	for (unsigned i = 0; i < 2; i++) {
		(void)fprintf(script,
			      "set terminal %s noenhanced\nset output "
			      "\"%s.%s\"\n",
			      terminals[i], base, endings[i]);
		put_plot_command(script, file, first, &lines);
	}
	(void)fclose(script);
	return lines > 0;
}

static void plot(const char *folder, const struct loaded_file *file,
		 const struct loaded *first, FILE *out)
{
	char base[BENCH_PATH_MAX], script[BENCH_PATH_MAX + 8];
	char log[BENCH_PATH_MAX + 8];
	const char *const argv[] = {"gnuplot", script, NULL};
	int status = 1;
	pid_t pid;

	(void)snprintf(base, sizeof(base), "%s/%s-%s", folder, first->scenario,
		       first->metric);
	(void)snprintf(script, sizeof(script), "%s.gp", base);
	(void)snprintf(log, sizeof(log), "%s/gnuplot.log", folder);
	if (!write_script(script, base, file, first)) {
		(void)remove(script);
		return;
	}
	pid = bench_spawn(argv, NULL, log, NULL);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		(void)fprintf(stderr, "gnuplot failed, see %s\n", log);
		return;
	}
	(void)fprintf(out, "![%s, %s](%s-%s.svg)\n\n", first->scenario,
		      first->metric, first->scenario, first->metric);
}

/* The metrics in which growth is looked at. */
static bool is_plotted(const struct loaded *r)
{
	static const char *const metrics[] = {"rate",   "cpu",    "latency_p50",
					      "memory", "device", "start"};

	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		if (strcmp(r->metric, metrics[i]) == 0)
			return true;
	return false;
}

static void plot_all(const char *folder, const struct loaded_file *file,
		     FILE *out)
{
	if (!bench_has_program("gnuplot")) {
		(void)fputs("No plots: gnuplot is not installed.\n\n", out);
		return;
	}
	for (size_t i = 0; i < file->count; i++)
		if (is_first(file, i, is_same_plot) &&
		    is_plotted(&file->results[i]))
			plot(folder, file, &file->results[i], out);
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
				      "median | min | max | unit "
				      "|\n|---|---|---|---|---|---|---|\n",
				      scenario);
		}
		(void)fprintf(out,
			      "| %s | %s | %s | %.5g | %.5g | %.5g | %s |\n",
			      r->work, r->who, r->metric, r->median, r->min,
			      r->max, r->unit);
	}
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
	(void)fprintf(
		out,
		"# Restante bench, %s\n\n%s, %.0f cores, %.0f GiB, Linux "
		"%s, commit %s, %.0f Keccak streams at once\n\n",
		file.machine.when, file.machine.processor, file.machine.cores,
		file.machine.memory_bytes / (1u << 30), file.machine.kernel,
		file.machine.commit, file.machine.keccak_width);
	put_table(out, &file);
	(void)fputs("\n## Growth\n\n", out);
	plot_all(folder, &file, out);
	(void)fputs("## Settings and remarks\n\n", out);
	for (size_t i = 0; i < file.notes_count; i++)
		(void)fprintf(out, "* %s, %s: %s\n", file.notes[i].scenario,
			      file.notes[i].who, file.notes[i].text);
	(void)fputs("\n## All results\n", out);
	put_all_results(out, &file);
	(void)fclose(out);
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

unsigned report_compare(const char *before, const char *after)
{
	struct loaded_file a, b;
	unsigned changed = 0, same = 0;

	loaded_read(&a, before);
	loaded_read(&b, after);
	(void)printf("before: %s, %s, %s\nafter:  %s, %s, %s\n", a.machine.when,
		     a.machine.commit, a.machine.processor, b.machine.when,
		     b.machine.commit, b.machine.processor);
	if (strcmp(a.machine.processor, b.machine.processor) != 0 ||
	    strcmp(a.machine.kernel, b.machine.kernel) != 0)
		(void)puts("these are not the same machine");
	for (size_t i = 0; i < a.count; i++) {
		const struct loaded *r = &a.results[i];
		const struct loaded *now = loaded_find(&b, r->scenario, r->work,
						       r->who, r->metric);

		if (!now || r->median <= 0)
			continue;
		if (now->min <= r->max && now->max >= r->min) {
			same++;
			continue;
		}
		put_change(r, now);
		changed++;
	}
	(void)printf("%u changed, %u within the noise (their ranges meet)\n",
		     changed, same);
	loaded_free(&a);
	loaded_free(&b);
	return changed;
}
