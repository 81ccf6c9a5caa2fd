#!/bin/sh
# Walks the includes of all folders: downward only, written from the root, and
# each third-party header in the folder that owns it alone.
#
#   includes.sh ROOT
set -eu
cd "$1"

find core storage auth net app bench -name '*.[ch]' | sort | xargs awk '
BEGIN {
	# A folder includes itself and what stands before it.
	folders = split("core storage auth net app bench", order, " ")
	for (i = 1; i <= folders; i++)
		rank[order[i]] = i

	# Who owns which third-party header. The one list.
	owner["secp256k1.h"] = owner["secp256k1_ecdh.h"] = "core"
	owner["secp256k1_recovery.h"] = "core"
	owner["snappy-c.h"] = owner["yaml.h"] = "core"
	owner["lmdb.h"] = "storage auth"
	owner["xxhash.h"] = "storage"
	owner["curl/curl.h"] = owner["jansson.h"] = "auth"
	owner["liburing.h"] = owner["microhttpd.h"] = "net"
	owner["qrencode.h"] = "app"
	owner["libpq-fe.h"] = "bench"

	# What comes with the compiler, the C library and the kernel.
	n = split("aio.h alloca.h arpa/inet.h assert.h cpuid.h ctype.h " \
		  "dirent.h endian.h errno.h fcntl.h float.h ftw.h " \
		  "getopt.h glob.h ifaddrs.h immintrin.h inttypes.h " \
		  "langinfo.h libgen.h limits.h locale.h malloc.h math.h net/if.h " \
		  "netdb.h netinet/in.h netinet/ip.h netinet/tcp.h poll.h " \
		  "pthread.h pwd.h sched.h semaphore.h setjmp.h signal.h " \
		  "spawn.h stdalign.h stdarg.h stdatomic.h stdbool.h " \
		  "stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h " \
		  "string.h strings.h syslog.h termios.h threads.h time.h " \
		  "ucontext.h unistd.h wchar.h x86intrin.h", list, " ")
	for (i = 1; i <= n; i++)
		system_header[list[i]] = 1
}

function complain(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text
	wrong = 1
}

function owns(owners, folder,	i, n, list) {
	n = split(owners, list, " ")
	for (i = 1; i <= n; i++)
		if (list[i] == folder)
			return 1
	return 0
}

function ours(header, folder,	part) {
	split(header, part, "/")
	if (!(part[1] in rank))
		complain("\"" header "\" is not written from the root")
	else if (rank[part[1]] > rank[folder])
		complain(folder " must not include " part[1] ": " header)
}

function theirs(header, folder) {
	# bench measures the libraries themselves.
	if (header ~ /^openssl\//)
		owner[header] = "core"
	if (header in owner) {
		if (folder != "bench" && !owns(owner[header], folder))
			complain("<" header "> belongs to " owner[header])
	} else if (!(header in system_header) && header !~ /^(sys|linux)\//) {
		complain("<" header "> has no owner; " \
			 "name one in tests/source/includes.sh")
	}
}

/^[ \t]*#[ \t]*include/ {
	split(FILENAME, path, "/")
	seen++
	if (match($0, /"[^"]*"/))
		ours(substr($0, RSTART + 1, RLENGTH - 2), path[1])
	else if (match($0, /<[^>]*>/))
		theirs(substr($0, RSTART + 1, RLENGTH - 2), path[1])
	else
		complain("an include that cannot be read")
}

END {
	if (seen < 100)
		print "only " seen " includes seen: is this the root?"
	else if (!wrong)
		print seen " includes, all downward"
	exit wrong || seen < 100
}
'
