#include "app/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

#define BAR_WIDTH 30
#define REDRAW_MS 100

void progress_start(struct progress *progress, const char *what)
{
	memset(progress, 0, sizeof(*progress));
	progress->what = what;
	progress->is_shown = isatty(STDERR_FILENO) == 1;
	progress->start_ms = clock_mono_ms();
}

static void draw_bar(double done, char out[static BAR_WIDTH + 1])
{
	int full;

	if (done > 1)
		done = 1;
	full = (int)(done * BAR_WIDTH);
	for (int i = 0; i < BAR_WIDTH; i++)
		out[i] = i < full ? '#' : '.';
	out[BAR_WIDTH] = '\0';
}

void progress_show(struct progress *progress, double done, const char *text)
{
	uint64_t now_ms = clock_mono_ms();
	char bar[BAR_WIDTH + 1];

	if (!progress->is_shown || now_ms - progress->drawn_ms < REDRAW_MS)
		return;
	progress->drawn_ms = now_ms;
	progress->is_drawn = true;
	if (done < 0) {
		(void)fprintf(stderr, "\r\033[K%s %s", progress->what, text);
		return;
	}
	draw_bar(done, bar);
	(void)fprintf(stderr, "\r\033[K%s [%s] %3.0f %% %s", progress->what,
		      bar, done * 100, text);
}

void progress_end(struct progress *progress)
{
	if (progress->is_drawn)
		(void)fprintf(stderr, "\r\033[K");
	progress->is_drawn = false;
}

double progress_seconds(const struct progress *progress)
{
	return (double)(clock_mono_ms() - progress->start_ms) / 1000.0;
}

void progress_size(double bytes, char out[static PROGRESS_SIZE_MAX])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	unsigned unit = 0;

	while (bytes >= 1000 && unit < 4) {
		bytes /= 1000;
		unit++;
	}
	(void)snprintf(out, PROGRESS_SIZE_MAX,
		       unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}
