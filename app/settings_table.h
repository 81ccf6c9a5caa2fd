/*
 * Every setting of the daemon, a row each; included where SETTING is defined.
 * core/settings.h says what the columns mean. A new setting is a new row: the
 * parser, the flags, the help, the manual and check-config follow.
 */
/* clang-format off */
/*      name                     flag            kind      default           min    max       unit          help */
SETTING("config",                NULL,           TEXT,     "",               NULL,  "4095",   "file",       "file of settings (YAML)")
SETTING("datadir",               NULL,           TEXT,     "restante-data",  "1",   "1024",   "folder",     "folder of the archive, made when missing")
SETTING("nodekey",               NULL,           TEXT,     "",               NULL,  "1024",   "file",       "file of the node's private key; empty: nodekey in the datadir, made at the first start")

SETTING("net.listen",            "listen",       TEXT,     "0.0.0.0:30303",  "1",   "255",    "addr:port",  "where peers connect; port 0: a free one")
SETTING("net.advertise",         NULL,           TEXT,     "",               NULL,  "255",    "addr",       "address or name in the enode URL; empty: the one listened on")
SETTING("net.io",                "io",           WORD,     "auto",           NULL,  NULL,     "auto|uring|epoll", "engine of the sockets; auto: io_uring where it is allowed")
SETTING("net.rings",             NULL,           U64,      "0",              "0",   "256",    "threads",    "threads that serve sockets; 0: one a core")
SETTING("net.client_id",         NULL,           TEXT,     "",               NULL,  "128",    "text",       "name told to peers; empty: Restante and its version")
SETTING("net.sessions_max",      NULL,           U64,      "4096",           "1",   "1000000", "peers",     "peers served at once")
SETTING("net.per_ip_max",        NULL,           U64,      "64",             "1",   "1000000", "peers",     "of these from one address")
SETTING("net.per_net_max",       NULL,           U64,      "256",            "1",   "1000000", "peers",     "of these from one network (/24, /48)")
SETTING("net.handshakes_max",    NULL,           U64,      "64",             "1",   "65536",  "peers",      "handshakes in flight, on each ring")
SETTING("net.handshake_rate",    NULL,           U64,      "200",            "1",   "1000000", "a second",  "handshakes begun by one address")
SETTING("net.handshake_timeout", NULL,           DURATION, "5s",             "100ms", "1m",   NULL,         "time for a whole handshake")
SETTING("net.idle_timeout",      NULL,           DURATION, "60s",            "5s",  "1h",     NULL,         "silence after which a peer is gone")
SETTING("net.packet_max",        NULL,           BYTES,    "1M",             "64K", "16M",    NULL,         "largest packet, plain")
SETTING("net.queue_bytes_max",   NULL,           BYTES,    "8M",             "2M",  "1G",     NULL,         "what may wait for one peer to be sent")
SETTING("net.envelope_rate",     NULL,           U64,      "0",              "0",   "100000000", "a second", "envelopes taken from one peer; 0: any number")
SETTING("net.byte_rate",         NULL,           BYTES,    "0",              "0",   "1T",     "a second",   "bytes taken from one peer; 0: any number")
SETTING("net.peers[]",           "peer",         TEXT,     "",               "1",   "511",    "enode",      "peer that is dialled and kept, past the limits by address")
SETTING("net.redial_min",        NULL,           DURATION, "1s",             "100ms", "1h",   NULL,         "first pause before a peer is dialled again")
SETTING("net.redial_max",        NULL,           DURATION, "5m",             "1s",  "1d",     NULL,         "longest pause before a peer is dialled again")

SETTING("storage.shards",        NULL,           U64,      "1",              "1",   "256",    "shards",     "parts of the archive, each with a writer; fixed when it is made")
SETTING("storage.slice_span",    NULL,           DURATION, "1d",             "1h",  "7d",     NULL,         "time kept in one slice; fixed when the archive is made")
SETTING("storage.retention",     NULL,           DURATION, "30d",            "0",   "3650d",  NULL,         "age at which envelopes go; 0: never")
SETTING("storage.retention_bytes", NULL,         BYTES,    "0",              "0",   "1024T",  NULL,         "size beyond which the oldest go; 0: any size")
SETTING("storage.group_bytes",   NULL,           BYTES,    "1M",             "4K",  "256M",   NULL,         "what one commit takes at most")
SETTING("storage.group_wait",    NULL,           DURATION, "2ms",            "0",   "1s",     NULL,         "what a commit waits for more to come")
SETTING("storage.queue_bytes",   NULL,           BYTES,    "64M",            "1M",  "16G",    NULL,         "what may wait for the writer of a shard")
SETTING("storage.map_bytes",     NULL,           BYTES,    "16G",            "64M", "16T",    NULL,         "address space for one slice")
SETTING("storage.readers",       NULL,           U64,      "2",              "1",   "256",    "threads",    "threads that read history")
SETTING("storage.reads_max",     NULL,           U64,      "4096",           "16",  "1000000", "requests",  "requests that may wait for a reader")

SETTING("mail.pow_min",          NULL,           REAL,     "0.000002",       "0",   "1000000", NULL,        "least proof of work of an envelope")
SETTING("mail.envelope_max",     NULL,           BYTES,    "1M",             "256", "8M",     NULL,         "largest envelope")
SETTING("mail.password",         NULL,           SECRET,   "status-offline-inbox", "1", "256", NULL,        "password that seals requests for history")
SETTING("mail.require_signer",   NULL,           BOOL,     "true",           NULL,  NULL,     NULL,         "refuse requests that their node has not signed")
SETTING("mail.request_rate",     NULL,           U64,      "1000",            "1",   "100000", "a second",   "requests for history of one peer")
SETTING("mail.request_burst",    NULL,           U64,      "2000",            "1",   "100000", "requests",   "requests for history at once before the rate holds")
SETTING("mail.requests_max",     NULL,           U64,      "64",             "1",   "4096",   "requests",   "requests of one peer in work at once")
SETTING("mail.page_bytes",       NULL,           BYTES,    "256K",           "16K", "1M",     NULL,         "what one packet of history holds")
SETTING("mail.pool_bytes",       NULL,           BYTES,    "256M",           "1M",  "64G",    NULL,         "envelopes remembered against duplicates and for other peers")
SETTING("mail.sync_peers[]",     NULL,           TEXT,     "",               "1",   "511",    "enode",      "mail server that may copy the archive")
SETTING("mail.announce_rate_ip", NULL,           U64,      "0",              "0",   "4294967295", "a second", "rate limit told to peers, by address; 0: none")
SETTING("mail.announce_rate_peer", NULL,         U64,      "0",              "0",   "4294967295", "a second", "rate limit told to peers, by peer; 0: none")

SETTING("http.public",           "public-http",  TEXT,     "",               NULL,  "255",    "addr:port",  "listener for everybody: offers, claims, payment page; empty: none")
SETTING("http.private",          "private-http", TEXT,     "127.0.0.1:8550", NULL,  "255",    "addr:port",  "listener for the operator: metrics, admin; empty: none")
SETTING("http.hosts[]",          NULL,           TEXT,     "",               "1",   "255",    "name",       "host names the listeners answer to beside their address")
SETTING("http.connections_max",  NULL,           U64,      "256",            "1",   "65536",  "connections", "connections to each listener at once")
SETTING("http.token_file",       NULL,           TEXT,     "",               NULL,  "1024",   "file",       "file of the admin token; empty: admin-token in the datadir, made at the first start")

SETTING("log.level",             NULL,           WORD,     "info",           NULL,  NULL,     "debug|info|unusual|broken", "least level that is logged")
SETTING("log.format",            NULL,           WORD,     "logfmt",         NULL,  NULL,     "logfmt|json", "form of a line of the log")
/* clang-format on */
