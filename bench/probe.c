#include "bench/probe.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>

#include "bench/bench.h"
#include "bench/result.h"
#include "bench/target.h"
#include "core/clock.h"

#define TRIALS      2000u
#define ADAPT_AFTER 200u

/* Each step needs the one before, and no memory. */
static void run_loop(uint64_t steps)
{
	static _Atomic uint64_t sink;
	uint64_t state = steps;

	for (uint64_t i = 0; i < steps; i++)
		state = state * 0x5851f42d4c957f2du + 1;
	atomic_store_explicit(&sink, state, memory_order_relaxed);
}

static uint64_t faults_now(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_minflt;
}

static void count(struct probe *probe, enum access_answer answer)
{
	if (answer == ACCESS_NO)
		probe->denied++;
	else
		probe->allowed++;
}

static uint64_t median_of(struct histogram *histogram)
{
	uint64_t ns = histogram_quantile(histogram, 0.5);

	histogram_clear(histogram);
	return ns;
}

void probe_open(struct probe *probe, struct gate *gate,
		const uint8_t node[static SECP_PUBLIC_SIZE])
{
	uint64_t check_ns, loop_ns;

	probe->reader = gate_reader_new(gate);
	if (!probe->reader)
		bench_fail("the gate gives no reader");
	histogram_clear(&probe->check);
	histogram_clear(&probe->loop);
	histogram_clear(&probe->cpu);
	probe->steps = 1000;
	for (unsigned i = 0; i < TRIALS; i++) {
		uint64_t at_ns = clock_mono_ns();

		(void)gate_check(probe->reader, node);
		histogram_add(&probe->check, clock_mono_ns() - at_ns);
		at_ns = clock_mono_ns();
		run_loop(probe->steps);
		histogram_add(&probe->loop, clock_mono_ns() - at_ns);
		at_ns = bench_thread_ns();
		histogram_add(&probe->cpu, bench_thread_ns() - at_ns);
	}
	check_ns = median_of(&probe->check);
	loop_ns = median_of(&probe->loop);
	probe->clock_ns = median_of(&probe->cpu);
	probe->steps = probe->steps * check_ns / (loop_ns ? loop_ns : 1) + 1;
}

void probe_close(struct probe *probe)
{
	gate_reader_free(probe->reader);
	probe->reader = NULL;
}

void probe_begin(struct probe *probe)
{
	histogram_clear(&probe->check);
	histogram_clear(&probe->loop);
	histogram_clear(&probe->cpu);
	probe->faults_begun = faults_now();
}

/* As long as a check of those that are asked for, not of one in the cache. */
static void adapt_loop(struct probe *probe)
{
	uint64_t check_ns = histogram_quantile(&probe->check, 0.5);
	uint64_t loop_ns = histogram_quantile(&probe->loop, 0.5);

	probe->steps = probe->steps * check_ns / (loop_ns ? loop_ns : 1) + 1;
	histogram_clear(&probe->loop);
}

void probe_check(struct probe *probe,
		 const uint8_t node[static SECP_PUBLIC_SIZE],
		 const uint8_t other[static SECP_PUBLIC_SIZE])
{
	uint64_t at_ns = clock_mono_ns(), used_ns;

	count(probe, gate_check(probe->reader, node));
	histogram_add(&probe->check, clock_mono_ns() - at_ns);
	if (probe->check.total == ADAPT_AFTER)
		adapt_loop(probe);
	at_ns = clock_mono_ns();
	run_loop(probe->steps);
	histogram_add(&probe->loop, clock_mono_ns() - at_ns);
	at_ns = bench_thread_ns();
	count(probe, gate_check(probe->reader, other));
	used_ns = bench_thread_ns() - at_ns;
	histogram_add(&probe->cpu, used_ns > probe->clock_ns
					   ? used_ns - probe->clock_ns
					   : 0);
}

static double us_of(const struct histogram *histogram, double share)
{
	return (double)histogram_quantile(histogram, share) / 1e3;
}

void probe_take(struct probe *probe)
{
	uint64_t faults = faults_now() - probe->faults_begun;

	if (probe->check.total == 0)
		return;
	series_add(&probe->check_p50, us_of(&probe->check, 0.5));
	series_add(&probe->check_p99, us_of(&probe->check, 0.99));
	series_add(&probe->loop_p99, us_of(&probe->loop, 0.99));
	series_add(&probe->cpu_p99, us_of(&probe->cpu, 0.99));
	series_add(&probe->faults,
		   (double)faults / (2 * (double)probe->check.total));
	histogram_merge(&probe->all_check, &probe->check);
	histogram_merge(&probe->all_loop, &probe->loop);
	histogram_merge(&probe->all_cpu, &probe->cpu);
}

static void put(const struct series *series, const char *scenario,
		const char *work, const char *metric, const char *unit)
{
	const struct result result = {.scenario = scenario,
				      .work = work,
				      .who = "restante",
				      .metric = metric,
				      .unit = unit,
				      .series = series};

	result_put(&result);
}

void probe_put(const struct probe *probe, const char *scenario,
	       const char *work, double target_us)
{
	char beside[128];

	if (probe->check_p99.count == 0)
		bench_fail("%s: nothing was checked", work);
	put(&probe->check_p50, scenario, work, "latency_p50", "us");
	put(&probe->check_p99, scenario, work, "latency_p99", "us");
	if (target_us > 0)
		target_put(scenario, work, "latency_p99", "us",
			   &probe->check_p99, target_us, false);
	put(&probe->cpu_p99, scenario, work, "cpu_p99", "us");
	put(&probe->faults, scenario, work, "page_faults", "1/check");
	result_latency(scenario, work, "restante", &probe->all_check);
	(void)snprintf(beside, sizeof(beside), "%s, CPU time alone", work);
	result_latency(scenario, beside, "restante", &probe->all_cpu);
	(void)snprintf(beside, sizeof(beside), "%s, a plain loop beside", work);
	put(&probe->loop_p99, scenario, beside, "latency_p99", "us");
	result_latency(scenario, beside, "restante", &probe->all_loop);
}
