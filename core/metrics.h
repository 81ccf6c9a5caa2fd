#ifndef CORE_METRICS_H
#define CORE_METRICS_H
/*
 * Counters, gauges and histograms, and their Prometheus text. A metric is
 * registered once under its name and one fixed set of labels; names keep
 * status-go's `mailserver_*` and `waku_*` where the meaning is the same.
 *
 * Thread: registering and changing from any; changes are relaxed atomics, so
 * hot paths add once a batch, not once an envelope.
 */
#include <stddef.h>
#include <stdint.h>

struct metric;

/*
 * Find or make. `labels` is the text between the braces or NULL
 * (`reason="bad_mac"`). Strings must live for ever (literals). Never NULL:
 * when the table (METRICS_MAX) is full all further ones share a spare.
 */
#define METRICS_MAX 1024
struct metric *metric_counter(const char *name, const char *labels,
			      const char *help);
struct metric *metric_gauge(const char *name, const char *labels,
			    const char *help);
/* Bucket bounds are 2^i microseconds, i = 0..26; shown in seconds. */
struct metric *metric_histogram(const char *name, const char *labels,
				const char *help);

void metric_add(struct metric *metric, uint64_t n);
void metric_set(struct metric *metric, int64_t value);
void metric_change(struct metric *metric, int64_t delta);
void metric_observe_us(struct metric *metric, uint64_t us);
int64_t metric_value(const struct metric *metric);

/* All of them as Prometheus text, malloc'ed and NUL-terminated; NULL: no
 * memory. */
char *metrics_text(size_t *len);

#endif
