#include "bench/result.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "app/version.h"
#include "core/keccak.h"

static FILE *out_file;
static bool is_quiet;

void result_open(FILE *out, bool quiet)
{
	out_file = out;
	is_quiet = quiet;
}

/* A line for a person, over a line of progress if there is one. */
__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
	va_list args;

	if (is_quiet)
		return;
	if (isatty(STDERR_FILENO))
		(void)fputs("\r\033[K", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
}

static void put_text(const char *text)
{
	(void)fputc('"', out_file);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			(void)fprintf(out_file, "\\%c", c);
		else if (c < 0x20)
			(void)fprintf(out_file, "\\u%04x", c);
		else
			(void)fputc(c, out_file);
	}
	(void)fputc('"', out_file);
}

static void put_key(const char *key, const char *text, const char *before)
{
	(void)fprintf(out_file, "%s\"%s\":", before, key);
	put_text(text);
}

/* "model name" of the first processor. */
static void processor_name(char *name, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[256];

	(void)snprintf(name, size, "unknown");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		colon[strcspn(colon, "\n")] = '\0';
		(void)snprintf(name, size, "%s", colon + 2);
		break;
	}
	(void)fclose(file);
}

void result_machine(const char *data_dir)
{
	struct utsname uts;
	char name[128];
	char when[32];
	time_t now = time(NULL);
	struct tm tm;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	long pages = sysconf(_SC_PHYS_PAGES);
	uint64_t memory = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);

	(void)uname(&uts);
	(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ",
		       gmtime_r(&now, &tm));
	processor_name(name, sizeof(name));
	put_key("kind", "machine", "{");
	put_key("when", when, ",");
	put_key("processor", name, ",");
	(void)fprintf(out_file, ",\"cores\":%ld,\"memory_bytes\":%" PRIu64,
		      cores, memory);
	put_key("kernel", uts.release, ",");
	put_key("version", VERSION_TEXT, ",");
	put_key("commit", version_commit, ",");
	(void)fprintf(out_file, ",\"keccak_width\":%u", keccak_width());
	put_key("data_dir", data_dir, ",");
	(void)fputs("}\n", out_file);
	(void)fflush(out_file);
	tell("%s, %ld cores, %.0f GiB, Linux %s, %s\n", name, cores,
	     (double)memory / (1u << 30), uts.release, version_commit);
}

static const char *curve_name, *axis_label;
static double curve_x;

void result_curve(const char *curve, double x)
{
	curve_name = curve;
	curve_x = x;
}

void result_axis(const char *label)
{
	axis_label = label;
}

void result_put(const struct result *r)
{
	put_key("kind", "result", "{");
	put_key("scenario", r->scenario, ",");
	put_key("work", r->work, ",");
	put_key("who", r->who, ",");
	put_key("metric", r->metric, ",");
	put_key("unit", r->unit, ",");
	if (curve_name) {
		put_key("curve", curve_name, ",");
		put_key("axis", axis_label ? axis_label : "", ",");
		(void)fprintf(out_file, ",\"x\":%.9g", curve_x);
	}
	(void)fprintf(out_file,
		      ",\"more_is_better\":%s,\"median\":%.6g,\"min\":%.6g,"
		      "\"max\":%.6g,\"rounds\":[",
		      r->more_is_better ? "true" : "false",
		      series_median(r->series), series_min(r->series),
		      series_max(r->series));
	for (unsigned i = 0; i < r->series->count; i++)
		(void)fprintf(out_file, "%s%.6g", i ? "," : "",
			      r->series->values[i]);
	(void)fputs("]}\n", out_file);
	(void)fflush(out_file);
	tell("%-9s %-40s %-12s %-12s %12.5g %-14s [%.4g .. %.4g]\n",
	     r->scenario, r->work, r->who, r->metric, series_median(r->series),
	     r->unit, series_min(r->series), series_max(r->series));
}

static double quantile_us(const struct histogram *histogram, double share)
{
	return (double)histogram_quantile(histogram, share) / 1e3;
}

void result_latency(const char *scenario, const char *work, const char *who,
		    const struct histogram *histogram)
{
	static const struct {
		const char *name;
		double share;
	} points[] = {{"p50", 0.5},
		      {"p90", 0.9},
		      {"p99", 0.99},
		      {"p99.9", 0.999},
		      {"max", 1.0}};

	put_key("kind", "latency", "{");
	put_key("scenario", scenario, ",");
	put_key("work", work, ",");
	put_key("who", who, ",");
	(void)fprintf(out_file, ",\"count\":%" PRIu64, histogram->total);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		double us = i == 4 ? (double)histogram->max_ns / 1e3
				   : quantile_us(histogram, points[i].share);

		(void)fprintf(out_file, ",\"%s_us\":%.3f", points[i].name, us);
	}
	(void)fputs("}\n", out_file);
	(void)fflush(out_file);
	tell("%-9s %-40s %-12s p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max "
	     "%.1f us of %" PRIu64 "\n",
	     scenario, work, who, quantile_us(histogram, 0.5),
	     quantile_us(histogram, 0.9), quantile_us(histogram, 0.99),
	     quantile_us(histogram, 0.999), (double)histogram->max_ns / 1e3,
	     histogram->total);
}

void result_note(const char *scenario, const char *who, const char *text)
{
	put_key("kind", "note", "{");
	put_key("scenario", scenario, ",");
	put_key("who", who, ",");
	put_key("text", text, ",");
	(void)fputs("}\n", out_file);
	(void)fflush(out_file);
	tell("%-9s %s: %s\n", scenario, who, text);
}
