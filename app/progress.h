#ifndef APP_PROGRESS_H
#define APP_PROGRESS_H
/*
 * A progress bar on a terminal's standard error, and nothing anywhere else.
 *
 * Thread: one.
 */
#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what;
	bool is_shown; /* standard error is a terminal */
	bool is_drawn;
	uint64_t start_ms;
	uint64_t drawn_ms;
};

void progress_start(struct progress *progress, const char *what);
/* `done` 0..1, or < 0 when nobody knows. `text` stands behind the bar. */
void progress_show(struct progress *progress, double done, const char *text);
/* Wipe the bar off. */
void progress_end(struct progress *progress);
double progress_seconds(const struct progress *progress);

/* "1.2 GB", "345 kB": decimal units. */
#define PROGRESS_SIZE_MAX 32
void progress_size(double bytes, char out[static PROGRESS_SIZE_MAX]);

#endif
