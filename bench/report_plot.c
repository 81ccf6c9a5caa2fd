#include "bench/report_plot.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "bench/bench.h"
#include "bench/loaded.h"

#define PANELS_MAX   9u
#define PANEL_WIDTH  620u
#define PANEL_HEIGHT 470u
#define HUGE         1e300
#define WIDE         7.5 /* a range of more than this is drawn by powers */

/* A panel: all curves of a scenario in one metric and unit. */
struct panel {
	const struct loaded *first;
	unsigned rank; /* those of most interest first */
};

/* Which metrics are drawn, in this order; the first PANELS_MAX there are. */
static const struct {
	const char *metric, *title;
} metrics[] = {
	{"latency_p50", "time, p50"},        {"cpu", "CPU time of the server"},
	{"start", "from start to ready"},    {"rate", "rate"},
	{"device", "written to the device"}, {"disk", "files on disk"},
	{"memory", "memory of the server"}};
#define METRICS (sizeof(metrics) / sizeof(metrics[0]))

static bool has_curve(const struct loaded *r, const char *scenario)
{
	return r->curve[0] && strcmp(r->scenario, scenario) == 0;
}

static bool has_rivals(const struct loaded_file *file, const char *scenario)
{
	for (size_t i = 0; i < file->count; i++)
		if (has_curve(&file->results[i], scenario) &&
		    strcmp(file->results[i].who, "restante") != 0)
			return true;
	return false;
}

/* With rivals a panel for each kind of work, else they would be one tangle. */
static bool by_curve;

static bool is_same_panel(const struct loaded *a, const struct loaded *b)
{
	return strcmp(a->scenario, b->scenario) == 0 &&
	       strcmp(a->metric, b->metric) == 0 &&
	       strcmp(a->unit, b->unit) == 0 &&
	       (!by_curve || strcmp(a->curve, b->curve) == 0);
}

/* Of a query its time says it all, of many envelopes their rate. */
static bool is_said_otherwise(const struct loaded_file *file,
			      const struct loaded *r)
{
	const char *unit = "";

	if (!by_curve)
		return false;
	for (size_t i = 0; i < file->count; i++)
		if (has_curve(&file->results[i], r->scenario) &&
		    strcmp(file->results[i].curve, r->curve) == 0 &&
		    strcmp(file->results[i].metric, "rate") == 0)
			unit = file->results[i].unit;
	return strcmp(r->metric, strcmp(unit, "queries/s") == 0
					 ? "rate"
					 : "latency_p50") == 0;
}

static bool is_same_line(const struct loaded *a, const struct loaded *b)
{
	return is_same_panel(a, b) && strcmp(a->curve, b->curve) == 0 &&
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

/* Is it part of a line that this panel shows? */
static bool is_in_panel(const struct loaded_file *file, const struct loaded *r,
			const struct loaded *first)
{
	return r->curve[0] && is_same_panel(r, first) && points_of(file, r) > 1;
}

/* Has it a line of two points at least? */
static bool is_drawn(const struct loaded_file *file, const struct loaded *first)
{
	for (size_t i = 0; i < file->count; i++)
		if (is_in_panel(file, &file->results[i], first))
			return true;
	return false;
}

static unsigned panels_of(const struct loaded_file *file, const char *scenario,
			  struct panel panels[static PANELS_MAX])
{
	unsigned count = 0;

	for (unsigned rank = 0; rank < METRICS; rank++) {
		for (size_t i = 0; i < file->count; i++) {
			const struct loaded *r = &file->results[i];

			if (count == PANELS_MAX)
				return count;
			if (has_curve(r, scenario) &&
			    strcmp(r->metric, metrics[rank].metric) == 0 &&
			    is_first(file, i, is_same_panel) &&
			    is_drawn(file, r) && !is_said_otherwise(file, r))
				panels[count++] = (struct panel){r, rank};
		}
	}
	return count;
}

/* ---- the script ---- */

static void put_block(FILE *script, const struct loaded_file *file,
		      size_t index)
{
	(void)fprintf(script, "$d%zu << EOD\n", index);
	for (size_t i = 0; i < file->count; i++) {
		const struct loaded *r = &file->results[i];

		if (r->curve[0] && is_same_line(r, &file->results[index]))
			(void)fprintf(script, "%g %g %g %g\n", r->x, r->median,
				      r->min, r->max);
	}
	(void)fputs("EOD\n", script);
}

static void put_blocks(FILE *script, const struct loaded_file *file,
		       const char *scenario)
{
	for (size_t i = 0; i < file->count; i++)
		if (has_curve(&file->results[i], scenario) &&
		    is_first(file, i, is_same_line))
			put_block(script, file, i);
}

/* Powers where the range is wide and nothing is 0; a little room either side.
 */
static void put_scale(FILE *script, const char *axis, double least,
		      double greatest)
{
	if (least > 0 && greatest / least > WIDE)
		(void)fprintf(script,
			      "set logscale %s\nset %srange [%.10g:%.10g]\n",
			      axis, axis, least / 1.3, greatest * 1.3);
	else
		(void)fprintf(script,
			      "unset logscale %s\nset %srange [%.10g:%.10g]\n",
			      axis, axis, least >= 0 ? 0 : least * 1.1,
			      greatest > 0 ? greatest * 1.08 : 1);
}

/* Where a range of powers is short, 1, 2 and 5 of each. */
static void put_tics(FILE *script, double least, double greatest)
{
	static const double steps[] = {1, 2, 5};
	const char *join = "set ytics (";
	double power = 1e-6;

	(void)fputs("set ytics autofreq\n", script);
	if (least <= 0 || greatest / least <= WIDE || greatest / least > 1000)
		return;
	while (power < greatest) {
		for (unsigned i = 0; i < 3; i++) {
			double at = power * steps[i];

			if (at < least / 1.3 || at > greatest * 1.3)
				continue;
			(void)fprintf(script, "%s%.10g", join, at);
			join = ", ";
		}
		power *= 10;
	}
	(void)fputs(")\n", script);
}

#define TICS_MAX 8u

/* Where something was measured, if those are few places. */
static void put_x_tics(FILE *script, const struct loaded_file *file,
		       const struct loaded *first)
{
	double at[TICS_MAX];
	unsigned count = 0;

	(void)fputs("set xtics autofreq\n", script);
	for (size_t i = 0; i < file->count; i++) {
		const struct loaded *r = &file->results[i];
		bool is_new = is_in_panel(file, r, first);

		for (unsigned j = 0; j < count && is_new; j++)
			is_new = at[j] < r->x || at[j] > r->x;
		if (is_new && count == TICS_MAX)
			return;
		if (is_new)
			at[count++] = r->x;
	}
	for (unsigned i = 0; i < count; i++)
		(void)fprintf(script, "%s%.10g", i ? ", " : "set xtics (",
			      at[i]);
	(void)fputs(")\n", script);
}

static void put_scales(FILE *script, const struct loaded_file *file,
		       const struct loaded *first)
{
	double x[2] = {HUGE, 0}, y[2] = {HUGE, 0};

	for (size_t i = 0; i < file->count; i++) {
		const struct loaded *r = &file->results[i];

		if (!is_in_panel(file, r, first))
			continue;
		x[0] = r->x < x[0] ? r->x : x[0];
		x[1] = r->x > x[1] ? r->x : x[1];
		y[0] = r->min < y[0] ? r->min : y[0];
		y[1] = r->max > y[1] ? r->max : y[1];
	}
	put_scale(script, "x", x[0], x[1]);
	put_scale(script, "y", y[0], y[1]);
	put_tics(script, y[0], y[1]);
	put_x_tics(script, file, first);
}

static void put_panel(FILE *script, const struct loaded_file *file,
		      const struct loaded *first, const char *title)
{
	const char *join = "plot ";

	(void)fprintf(script,
		      "set title \"%s%s%s\"\nset xlabel \"%s\\n \"\n"
		      "set ylabel "
		      "\"%s\"\n",
		      by_curve ? first->curve : "", by_curve ? ": " : "", title,
		      first->axis, first->unit);
	put_scales(script, file, first);
	for (size_t i = 0; i < file->count; i++) {
		const struct loaded *r = &file->results[i];

		if (!is_first(file, i, is_same_line) ||
		    !is_in_panel(file, r, first))
			continue;
		(void)fprintf(
			script,
			"%s$d%zu using 1:2:3:4 with yerrorlines lw 2 pt 7 "
			"ps 0.6 title \"%s\"",
			join, i, by_curve ? r->who : r->curve);
		join = ", ";
	}
	(void)fputc('\n', script);
}

static void put_script(FILE *script, const char *base,
		       const struct loaded_file *file,
		       const struct panel *panels, unsigned count)
{
	static const char *const terminals[] = {"svg", "pngcairo"};
	static const char *const endings[] = {"svg", "png"};
	unsigned columns = count < 3 ? count : count == 4 ? 2 : 3;
	unsigned rows = (count + columns - 1) / columns;

	put_blocks(script, file, panels[0].first->scenario);
	(void)fputs("set grid\nset format \"%.10g\"\nset key below left "
		    "vertical maxrows 6 font \",9\"\nset rmargin 5\n",
		    script);
	for (unsigned i = 0; i < 2; i++) {
		(void)fprintf(script,
			      "set terminal %s size %u,%u noenhanced font "
			      "\"sans,11\" background \"white\"\n"
			      "set output \"%s.%s\"\n"
			      "set multiplot layout %u,%u title \"%s\" font "
			      "\",15\"\n",
			      terminals[i], columns * PANEL_WIDTH,
			      rows * PANEL_HEIGHT + 40, base, endings[i], rows,
			      columns, panels[0].first->scenario);
		for (unsigned panel = 0; panel < count; panel++)
			put_panel(script, file, panels[panel].first,
				  metrics[panels[panel].rank].title);
		(void)fputs("unset multiplot\nunset output\n", script);
	}
}

/* Returns whether it was drawn. */
static bool run_gnuplot(const char *folder, const char *script)
{
	const char *const argv[] = {"gnuplot", script, NULL};
	char log[BENCH_PATH_MAX + 16];
	int status = 1;
	pid_t pid;

	(void)snprintf(log, sizeof(log), "%s/gnuplot.log", folder);
	pid = bench_spawn(argv, NULL, log, NULL);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		(void)fprintf(stderr, "gnuplot failed, see %s\n", log);
		return false;
	}
	(void)remove(log);
	return true;
}

static void plot(const char *folder, const struct loaded_file *file,
		 const char *scenario, FILE *out)
{
	char base[BENCH_PATH_MAX], path[BENCH_PATH_MAX + 8];
	struct panel panels[PANELS_MAX];
	unsigned count;
	FILE *script;

	by_curve = has_rivals(file, scenario);
	count = panels_of(file, scenario, panels);
	if (count == 0)
		return;
	(void)snprintf(base, sizeof(base), "%s/plot-%s", folder, scenario);
	(void)snprintf(path, sizeof(path), "%s.gp", base);
	script = fopen(path, "w");
	if (!script)
		bench_fail("%s: %s", path, strerror(errno));
	put_script(script, base, file, panels, count);
	(void)fclose(script);
	if (run_gnuplot(folder, path))
		(void)fprintf(out, "![%s](plot-%s.svg)\n\n", scenario,
			      scenario);
}

void report_plots(const char *folder, const struct loaded_file *file, FILE *out)
{
	if (!bench_has_program("gnuplot")) {
		(void)fputs("No plots: gnuplot is not installed.\n\n", out);
		return;
	}
	for (size_t i = 0; i < file->count; i++) {
		const char *scenario = file->results[i].scenario;
		bool is_new = file->results[i].curve[0] != '\0';

		for (size_t j = 0; j < i && is_new; j++)
			is_new = !has_curve(&file->results[j], scenario);
		if (is_new)
			plot(folder, file, scenario, out);
	}
}
