#ifndef BENCH_REPORT_PLOT_H
#define BENCH_REPORT_PLOT_H
/*
 * Plots of a run: for each scenario that has curves one picture, as SVG and as
 * PNG, with a panel for each unit. Drawn by gnuplot.
 *
 * Thread: main.
 */
#include <stdio.h>

struct loaded_file;

/* Into `folder`; the links to them go to `out`, as Markdown. */
void report_plots(const char *folder, const struct loaded_file *file,
		  FILE *out);

#endif
