#include "options.h"

#include "settings.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"Usage: pixal3d-sandbox [OPTION]...\n"
	"A stand-in on loopback for the Pixal3D service and its CDN. Nothing costs money.\n"
	"\n"
	"  --listen ADDR         IPv4 address of both ports (127.0.0.1)\n"
	"  --port N              gateway port; 0 = the kernel's choice (0)\n"
	"  --cdn-port N          CDN port; 0 = the kernel's choice (0)\n"
	"  --ready FILE          written when both listen: GATEWAY=URL, CDN=URL, PID=N\n"
	"  --ledger FILE         events are appended to it, and requests known from it again\n"
	"  --balance USD         what the wallet holds (100)\n"
	"  --key KEY             the only key that is accepted (any that is not empty)\n"
	"  --queue-time S        seconds a request is QUEUED (2)\n"
	"  --process-time S      seconds it is PROCESSING (6)\n"
	"  --rate BYTES          bytes per second of each CDN answer; 0 = unlimited (0)\n"
	"  --control FILE        a control to begin with (see below)\n"
	"  --allow-http-webhook  accept http callback URLs to loopback\n"
	"  --lifeline FD         exit when this inherited pipe ends\n"
	"  --version, --help\n"
	"\n"
	"Image URLs are never fetched. One whose last component contains \"fail\" makes a request\n"
	"FAILED (charged), \"error\" makes it ERROR (refunded). An https callback URL is accepted\n"
	"but never called: only http to loopback is. Outputs are made when first asked for.\n"
	"Prices by texture_size: 1024 0.30, 2048 0.42, 4096 0.42 USD, charged at acceptance.\n"
	"\n"
	"For tests, on the gateway port:\n"
	"  GET  /sandbox/ledger             counters, charges and request ids\n"
	"  GET  /sandbox/count?what=posts   one of them (or of a fault, by name) as text\n"
	"  GET  /sandbox/received           header fields and bodies of the last 32 submit POSTs\n"
	"  GET  /sandbox/wait?point=P&count=N&timeout=S     until N have reached the point\n"
	"  GET  /sandbox/wait?request=ID&state=WORD&timeout=S    until it is in that state\n"
	"  POST /sandbox/release?point=P[&count=N]  let those that wait there go (all, or N)\n"
	"  POST /sandbox/control            JSON, checked as a whole (400 changes nothing):\n"
	"\n"
	"  reset: true             back to the command line; no faults, no holds (goes first)\n"
	"  queue_time, process_time, outcome (COMPLETED, FAILED, ERROR or null), outputs,\n"
	"  output_bytes            of requests accepted from now on; exact size: a multiple of 4\n"
	"  rate, balance, time_format (iso, sql), webhook_cycle\n"
	"  advance: {request: ID or \"*\", to: STATE}    now\n"
	"  expire: true            media URLs given so far answer expired_status (403)\n"
	"  bump: true              content and ETag of all outputs change\n"
	"  hold: [POINT...]        requests stop at submit.received, submit.accepted,\n"
	"                          status.received, head.received, cdn.received, cdn.body,\n"
	"                          cdn.done, webhook.send, webhook.done; \"stall\" can be released\n"
	"  faults: [FAULT...]      replaces the faults; add_faults appends\n"
	"\n"
	"A fault: at (submit, status, cdn, head, webhook), do, name, skip (0), times (1; 0 = for\n"
	"ever), match (in the image URL or request id), when (a state: status, webhook), charge\n"
	"(submit: accepted before the fault? true, but false for http and redirect), after\n"
	"(submit: body or headers). do is one of\n"
	"  http {status, headers, body, shape: queue|status}    close    reset    stall\n"
	"  delay {seconds}    redirect {status, location}\n"
	"  at submit, status:  truncate {bytes}    not_json {body}    answer {set, drop}\n"
	"                      huge {bytes; 0 = endless}\n"
	"  at cdn:  no_range    wrong_range {by}    close_after, reset_after, stall_after,\n"
	"           bump_after {bytes | offset}    no_length {bytes}    bump    gzip    slow {rate}\n"
	"           corrupt {offset}    short {bytes}    huge {bytes}    answer {set, drop: header\n"
	"           fields}        at head:  no_length    bump    answer    length {bytes}\n"
	"  at webhook:  duplicate {copies}    lose    delay {seconds}\n"
	"%GATEWAY%, %CDN%, %ID% and %MEDIA% are replaced in set, headers, body and location.\n";

enum { LISTEN = 1, PORT, CDN_PORT, READY, LEDGER, BALANCE, KEY, QUEUE_TIME, PROCESS_TIME, RATE };
enum { CONTROL = 20, WEBHOOK, LIFELINE, PRINT_VERSION, HELP };

static const struct option options[] = {
	{ "listen", required_argument, NULL, LISTEN },
	{ "port", required_argument, NULL, PORT },
	{ "cdn-port", required_argument, NULL, CDN_PORT },
	{ "ready", required_argument, NULL, READY },
	{ "ledger", required_argument, NULL, LEDGER },
	{ "balance", required_argument, NULL, BALANCE },
	{ "key", required_argument, NULL, KEY },
	{ "queue-time", required_argument, NULL, QUEUE_TIME },
	{ "process-time", required_argument, NULL, PROCESS_TIME },
	{ "rate", required_argument, NULL, RATE },
	{ "control", required_argument, NULL, CONTROL },
	{ "allow-http-webhook", no_argument, NULL, WEBHOOK },
	{ "lifeline", required_argument, NULL, LIFELINE },
	{ "version", no_argument, NULL, PRINT_VERSION },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

static _Noreturn void usage(const char *text)
{
	fprintf(stderr, "pixal3d-sandbox: '%s' is no proper value; see --help\n", text);
	exit(2);
}

static double amount(const char *text, double limit)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0 && v <= limit))
		usage(text);
	return v;
}

static int64_t integer(const char *text, double limit)
{
	double v = amount(text, limit);

	if (floor(v) < v)
		usage(text);
	return (int64_t)v;
}

static _Noreturn void print(const char *text)
{
	fputs(text, stdout);
	exit(fflush(stdout) ? 1 : 0);
}

static void set_value(int option, struct settings *s, double *balance)
{
	switch (option) {
	case PORT: config.port = (unsigned)integer(optarg, 65535); break;
	case CDN_PORT: config.cdn_port = (unsigned)integer(optarg, 65535); break;
	case BALANCE: *balance = amount(optarg, 1e9); break;
	case QUEUE_TIME: s->queue_time = amount(optarg, 1e9); break;
	case PROCESS_TIME: s->process_time = amount(optarg, 1e9); break;
	case RATE: s->rate = integer(optarg, 1e15); break;
	case LIFELINE: config.lifeline = (int)integer(optarg, 1e6); break;
	default: break;
	}
}

static void set_text(int option)
{
	switch (option) {
	case LISTEN: config.listen = optarg; break;
	case READY: config.ready_file = optarg; break;
	case LEDGER: config.ledger_file = optarg; break;
	case KEY: config.key = optarg; break;
	case CONTROL: config.control_file = optarg; break;
	case WEBHOOK: config.allow_http_webhook = true; break;
	case PRINT_VERSION: print("pixal3d-sandbox " VERSION "\n");
	case HELP: print(help);
	case '?': exit(2);
	default: break;
	}
}

int64_t options_parse(int argc, char **argv)
{
	struct settings s = { .queue_time = 2,
			      .process_time = 6,
			      .outputs = 1,
			      .webhook_cycle = 5,
			      .expired_status = 403 };
	double balance = 100;
	int option;

	config.listen = "127.0.0.1";
	config.lifeline = -1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		set_text(option);
		set_value(option, &s, &balance);
	}
	if (optind < argc)
		usage(argv[optind]);
	settings_start(&s);
	return llround(balance * 100);
}
