#include "net/http.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

Test(http_host, addresses_and_localhost_are_known)
{
	cr_assert(http_is_host_known("127.0.0.1:8080", NULL));
	cr_assert(http_is_host_known("127.0.0.1", NULL));
	cr_assert(http_is_host_known("[::1]:80", NULL));
	cr_assert(http_is_host_known("LocalHost:9", NULL));
}

Test(http_host, other_names_must_be_listed)
{
	cr_assert_not(http_is_host_known("evil.example", NULL));
	cr_assert_not(http_is_host_known("127.0.0.1.evil.example", NULL));
	cr_assert_not(http_is_host_known("localhost.evil.example", NULL));
	cr_assert_not(http_is_host_known("", NULL));
	cr_assert_not(http_is_host_known(NULL, NULL));
	cr_assert_not(http_is_host_known("[::1", NULL));
	cr_assert(http_is_host_known("Mail.example:443",
				     "a.example, mail.example"));
	cr_assert_not(http_is_host_known("mail.example", "a.example"));
	cr_assert_not(http_is_host_known("a.exampl", "a.example"));
	cr_assert(http_is_host_known("whatever", "*"));
}

/* ---- on loopback ---- */

static _Atomic(struct http_later *) waiting;

static void on_later(void *ctx, const struct http_request *request,
		     struct http_answer *answer)
{
	(void)ctx;
	(void)answer;
	atomic_store(&waiting, http_answer_later(request));
}

static struct http *serve(void)
{
	static const struct http_route routes[] = {
		{"GET", "/later", on_later, NULL},
		{"POST", "/later", on_later, NULL},
		{0},
	};
	struct http_config config;
	struct http *http;
	char why[256];

	(void)signal(SIGPIPE, SIG_IGN);
	http_config_default(&config);
	config.listen = "127.0.0.1:0";
	config.routes = routes;
	cr_assert_eq(http_start(&config, &http, why, sizeof(why)), 0, "%s",
		     why);
	return http;
}

static int dial(const struct http *http)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(http_port(http)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval wait = {.tv_sec = 5};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_geq(fd, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

/* As it is stopped, whoever waits for an answer gets the one that says so. */
Test(http, who_waits_is_told_that_it_stops)
{
	struct http *http = serve();
	struct http_answer answer = {.type = "text/plain"};
	char got[1024] = "";
	size_t len = 0;
	ssize_t n;
	int fd = dial(http);

	say(fd, "GET /later HTTP/1.1\r\nHost: localhost\r\n"
		"Connection: close\r\n\r\n");
	for (int i = 0; i < 500 && !atomic_load(&waiting); i++)
		(void)usleep(10000);
	cr_assert(atomic_load(&waiting));
	http_stop(http);
	while (len < sizeof(got) - 1 &&
	       (n = recv(fd, got + len, sizeof(got) - 1 - len, 0)) > 0)
		len += (size_t)n;
	got[len] = '\0';
	cr_assert(strstr(got, " 503 "), "%s", got);
	cr_assert(strstr(got, "\"stopping\""), "%s", got);
	cr_assert(strstr(got, "Retry-After: "), "%s", got);
	(void)close(fd);
	http_later_answer(atomic_load(&waiting), &answer);
}

/* It is read for as long as it might end, for the sake of the 413. */
Test(http, a_body_without_end_is_cut_off)
{
	static char chunk[8 + 65536 + 2];
	struct http *http = serve();
	size_t sent = 0;
	int fd = dial(http);

	(void)snprintf(chunk, sizeof(chunk), "010000\r\n");
	memset(chunk + 8, 'x', 65536);
	(void)memcpy(chunk + 8 + 65536, "\r\n", 2);
	say(fd, "POST /later HTTP/1.1\r\nHost: localhost\r\n"
		"Transfer-Encoding: chunked\r\n\r\n");
	while (sent < (size_t)64 << 20) {
		ssize_t n = send(fd, chunk, sizeof(chunk), 0);

		if (n != (ssize_t)sizeof(chunk))
			break;
		sent += (size_t)n;
	}
	/* And what the sockets hold. */
	cr_assert_lt(sent, (size_t)32 << 20);
	(void)close(fd);
	http_stop(http);
}
