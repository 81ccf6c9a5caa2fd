/* Metrics: found again, counted, and shown as Prometheus reads them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/metrics.h"

static unsigned occurrences(const char *text, const char *what)
{
	unsigned count = 0;

	for (; (text = strstr(text, what)); text++)
		count++;
	return count;
}

Test(metrics, a_metric_is_found_again_by_name_and_labels)
{
	struct metric *a = metric_counter("a_total", "x=\"1\"", "a");

	cr_assert_eq(a, metric_counter("a_total", "x=\"1\"", "a"));
	cr_assert_neq(a, metric_counter("a_total", "x=\"2\"", "a"));
	cr_assert_neq(a, metric_counter("b_total", "x=\"1\"", "b"));
	metric_add(a, 3);
	metric_add(a, 4);
	cr_assert_eq(metric_value(a), 7);
}

Test(metrics, families_stand_together_under_one_head)
{
	struct metric *g = metric_gauge("g", NULL, "a \\ and\na line");
	size_t len;
	char *text;

	metric_add(metric_counter("a_total", "x=\"1\"", "help a"), 1);
	metric_set(g, 10);
	metric_change(g, -15);
	metric_add(metric_counter("a_total", "x=\"2\"", "help a"), 2);
	text = metrics_text(&len);
	cr_assert_eq(strlen(text), len);
	cr_assert_str_eq(text, "# HELP g a \\\\ and\\na line\n"
			       "# TYPE g gauge\n"
			       "g -5\n"
			       "# HELP a_total help a\n"
			       "# TYPE a_total counter\n"
			       "a_total{x=\"1\"} 1\n"
			       "a_total{x=\"2\"} 2\n");
	free(text);
}

/* The value of the sample whose line begins with `start`. */
static double sample(const char *text, const char *start)
{
	const char *at = strstr(text, start);

	cr_assert(at, "%s", start);
	return strtod(at + strlen(start), NULL);
}

Test(metrics, a_histogram_is_cumulative)
{
	struct metric *h = metric_histogram("h_seconds", "k=\"v\"", "h");
	size_t len;
	char *text;
	double last = 0;
	const char *at;

	metric_observe_us(h, 0);
	metric_observe_us(h, 1);
	metric_observe_us(h, 2);
	metric_observe_us(h, 3);
	metric_observe_us(h, 1u << 26);
	metric_observe_us(h, (1u << 26) + 1);
	metric_observe_us(h, UINT64_C(1) << 40);
	text = metrics_text(&len);
	cr_assert_eq(occurrences(text, "# TYPE h_seconds histogram\n"), 1);
	cr_assert_eq(occurrences(text, "h_seconds_bucket{"), 28);
	cr_assert_eq(sample(text, "{k=\"v\",le=\"0.000001\"} "), 2);
	cr_assert_eq(sample(text, "{k=\"v\",le=\"0.000002\"} "), 3);
	cr_assert_eq(sample(text, "{k=\"v\",le=\"0.000004\"} "), 4);
	cr_assert_eq(sample(text, "{k=\"v\",le=\"67.108864\"} "), 5);
	cr_assert_eq(sample(text, "{k=\"v\",le=\"+Inf\"} "), 7);
	cr_assert_eq(sample(text, "h_seconds_count{k=\"v\"} "), 7);
	cr_assert_float_eq(sample(text, "h_seconds_sum{k=\"v\"} "),
			   1099645.845511, 1e-5);
	for (at = text; (at = strstr(at, ",le=")); at++) {
		const char *value = strchr(at, ' ');

		cr_assert_geq(strtod(value, NULL), last);
		last = strtod(value, NULL);
	}
	free(text);
}

Test(metrics, a_full_table_shares_the_spare)
{
	static char names[METRICS_MAX + 2][16];
	struct metric *last[2];
	char *text;
	size_t len;

	for (unsigned i = 0; i < METRICS_MAX + 2; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "m%u", i);
		last[i % 2] = metric_counter(names[i], NULL, "m");
		metric_add(last[i % 2], 1);
	}
	cr_assert_eq(last[0], last[1]);
	text = metrics_text(&len);
	cr_assert_eq(occurrences(text, "# TYPE "), METRICS_MAX);
	free(text);
}
