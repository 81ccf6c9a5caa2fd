#include "bench/rival.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

uint16_t rival_free_port(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		bench_fail("no port is free");
	(void)close(fd);
	return ntohs(addr.sin_port);
}

struct thread_work {
	void (*work)(unsigned connection, void *ctx);
	void *ctx;
	unsigned connection;
};

static void *run_work(void *arg)
{
	struct thread_work *w = arg;

	w->work(w->connection, w->ctx);
	return NULL;
}

void rival_in_threads(void (*work)(unsigned connection, void *ctx), void *ctx)
{
	struct thread_work works[RIVAL_CONNECTIONS];
	pthread_t threads[RIVAL_CONNECTIONS];

	for (unsigned i = 0; i < RIVAL_CONNECTIONS; i++) {
		works[i] = (struct thread_work){work, ctx, i};
		if (pthread_create(&threads[i], NULL, run_work, &works[i]))
			bench_fail("no thread");
	}
	for (unsigned i = 0; i < RIVAL_CONNECTIONS; i++)
		(void)pthread_join(threads[i], NULL);
}
