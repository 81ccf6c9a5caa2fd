#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H
/*
 * What a person reads of a run: report.md with the table and all results, and
 * plots (SVG and PNG, by gnuplot if it is there) beside the results.
 *
 * Thread: main.
 */

/* Write into the folder of the results; the table goes to stdout as well. */
void report_write(const char *folder);
/* What differs between two runs beyond the noise of both. Returns how many. */
unsigned report_compare(const char *before, const char *after);

#endif
