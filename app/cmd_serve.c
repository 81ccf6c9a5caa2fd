/*
 * `restante serve`. Read from here: settings, then server_start() in
 * app/server.c, then waiting for a signal.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "app/args.h"
#include "app/command.h"
#include "app/config.h"
#include "app/payee_lock.h"
#include "app/server.h"
#include "app/server_discovery.h"
#include "core/log.h"

static const struct usage usage = {
	.command = "serve",
	.summary = "Runs the server: receives envelopes from peers, archives "
		   "them, and hands history back.\nWhen it is ready it prints "
		   "its enode URL. Settings come from flags, the environment\n"
		   "(RESTANTE_NET_LISTEN for net.listen), a file, and "
		   "defaults, in this order.",
	.options = config_table,
	.add_layers = config_add_layers,
};

/* A connection is a descriptor, and so is a slice. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Of a thread: glibc takes it whole when the padding is as large. */
#define HEAP_BYTES (64 << 20)

/*
 * Packets, pages and what a commit writes come and go all the time: memory
 * that was given back would be asked for again, and cleared by the kernel page
 * by page. The pool of envelopes bounds what is kept. A thread's heap would
 * grow page by page, too, and each is a call that has all processors forget
 * what they know of the address space; pages that nobody touches cost nothing.
 */
static void keep_memory(void)
{
	/* No thread has been started yet. */
	/* NOLINTBEGIN(concurrency-mt-unsafe) */
	(void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
	(void)mallopt(M_TOP_PAD, HEAP_BYTES);
	/* NOLINTEND(concurrency-mt-unsafe) */
}

/* Blocked here, before any thread starts, and taken by main alone. */
static void block_signals(sigset_t *stop)
{
	(void)sigemptyset(stop);
	(void)sigaddset(stop, SIGINT);
	(void)sigaddset(stop, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, stop, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	/* A file limit is a full disk, not the end. */
	(void)signal(SIGXFSZ, SIG_IGN);
}

/* The next one ends the program at once. */
static void unblock_signals(const sigset_t *stop)
{
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)pthread_sigmask(SIG_UNBLOCK, stop, NULL);
}

static int wait_for_signal(struct server *server, struct payee_lock *payees,
			   const sigset_t *stop)
{
	const struct timespec second = {.tv_sec = 1};
	int signal;

	do {
		signal = sigtimedwait(stop, NULL, &second);
		server_tick(server);
		payee_lock_tick(payees);
	} while (signal < 0);
	return signal;
}

static int complain(const char *why)
{
	(void)fprintf(stderr, "restante serve: %s\n", why);
	return EXIT_FAILED;
}

/* A server whose standard output is closed serves all the same. */
static void tell(const char *enode, const char *record)
{
	(void)printf("%s\n", enode);
	if (record)
		(void)printf("%s\n", record);
	if (fflush(stdout) == 0)
		return;
	LOG_UNUSUAL("the enode URL could not be printed",
		    log_text("enode", enode));
	clearerr(stdout);
}

static int serve(struct server_config *config, struct payee_lock *payees)
{
	struct server *server = NULL;
	char why[SERVER_WHY_MAX];
	char enode[ENODE_TEXT_MAX];
	sigset_t stop;
	int signal;

	keep_memory();
	server_discovery_look_up(config);
	block_signals(&stop);
	raise_descriptors();
	if (server_start(config, &server, why))
		return complain(why);
	server_enode(server, enode);
	tell(enode, server_record(server));
	signal = wait_for_signal(server, payees, &stop);
	LOG_INFO("stopping",
		 log_text("signal", signal == SIGINT ? "SIGINT" : "SIGTERM"));
	unblock_signals(&stop);
	server_stop(server);
	LOG_INFO("stopped");
	return EXIT_OK;
}

/* Only when nothing else is wrong: then each option has a chain. */
static void take_payees(struct settings *s, const struct pay_config *config,
			struct payee_lock *payees)
{
	const struct payments_config *payments = &config->payments;
	char path[SETTINGS_PATH_MAX];
	char why[PAYEE_LOCK_WHY_MAX];

	if (settings_errors_count(s) > 0 ||
	    !settings_bool(s, "payments.own_payee"))
		return;
	for (unsigned i = 0; i < payments->options_count; i++) {
		const struct offer_option *option = &payments->options[i];

		(void)snprintf(path, sizeof(path), "option[%u].payee", i);
		if (payee_lock_take(payees, option->chain_id, option->payee,
				    why))
			settings_refuse(s, path, why);
	}
}

int cmd_serve(int argc, char **argv)
{
	struct payee_lock payees = {0};
	struct server_config config;
	struct args args;
	size_t errors;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	log_set_level((enum log_level)settings_word(args.options, "log.level"));
	log_set_format(
		(enum log_format)settings_word(args.options, "log.format"));
	server_config_read(args.options, &config);
	take_payees(args.options, &config.pay, &payees);
	errors = settings_errors_count(args.options);
	for (size_t i = 0; i < errors; i++)
		(void)complain(settings_error(args.options, i));
	status = errors ? EXIT_USAGE : serve(&config, &payees);
	payee_lock_release(&payees);
	server_config_release(&config);
	args_release(&args);
	return status;
}
