#include "bench/target.h"

#include <stdio.h>

#include "bench/result.h"

bool target_put(const char *scenario, const char *work, const char *metric,
		const char *unit, const struct series *measured, double target,
		bool more_is_better)
{
	double median = series_median(measured);
	bool holds = more_is_better ? median >= target : median <= target;
	struct series series = {0};
	const struct result result = {.scenario = scenario,
				      .work = work,
				      .who = "target",
				      .metric = metric,
				      .unit = unit,
				      .more_is_better = more_is_better,
				      .series = &series};
	char text[256];

	series_add(&series, target);
	result_put(&result);
	(void)snprintf(text, sizeof(text),
		       "%s: %s %.4g %s, to be reached: %s %.4g: %s", work,
		       metric, median, unit,
		       more_is_better ? "at least" : "at most", target,
		       holds ? "reached" : "missed");
	result_note(scenario, "target", text);
	return holds;
}
