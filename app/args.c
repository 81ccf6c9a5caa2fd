#include "app/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"

struct parse {
	const struct usage *usage;
	int argc;
	char **argv;
	struct args *args;
	bool is_dry; /* only look for --config and --help */
	bool wants_help;
	const char *config;
};

static void complain(struct parse *p, const char *flag, const char *why)
{
	struct setting_origin origin = {LAYER_FLAG, flag, 0};

	if (!p->is_dry)
		settings_refuse_at(p->args->options, &origin, why);
}

static const char *program_of(const struct usage *usage)
{
	return usage->program ? usage->program : "restante";
}

static void print_help(const struct usage *usage)
{
	bool has_options = usage->options[0].name != NULL;

	printf("usage: %s %s%s%s%s\n\n%s\n", program_of(usage), usage->command,
	       has_options ? " [OPTIONS]" : "", usage->operands ? " " : "",
	       usage->operands ? usage->operands : "", usage->summary);
	if (has_options) {
		printf("\noptions:\n");
		settings_print_help(usage->options, stdout);
	}
}

static void use_option(struct parse *p, const char *name, const char *value)
{
	char label[SETTINGS_PATH_MAX];
	struct setting_origin origin = {LAYER_FLAG, label, 0};

	if (strcmp(name, "config") == 0)
		p->config = value;
	(void)snprintf(label, sizeof(label), "--%s", name);
	if (!p->is_dry)
		settings_set(p->args->options, name, value, &origin);
}

/* Returns how many words were taken: the option, and perhaps its value. */
static int parse_option(struct parse *p, int at)
{
	const char *word = p->argv[at];
	size_t len = strcspn(word, "=");
	char label[SETTINGS_PATH_MAX];
	const char *name = label + 2;
	const struct setting *row;

	(void)snprintf(label, sizeof(label), "%.*s", (int)len, word);
	row = settings_row(p->usage->options, name);
	if (word[len] == '=')
		use_option(p, name, word + len + 1);
	else if (!row || row->kind == SETTING_BOOL)
		use_option(p, name, "true");
	else if (at + 1 < p->argc)
		use_option(p, name, p->argv[at + 1]);
	else
		complain(p, label, "needs a value");
	return row && row->kind != SETTING_BOOL && word[len] != '=' ? 2 : 1;
}

static void take_operand(struct parse *p, char *word)
{
	if (!p->is_dry)
		p->args->operands[p->args->operands_count++] = word;
}

static void parse_words(struct parse *p, bool is_dry)
{
	bool is_open = true;
	int at = 1;

	p->is_dry = is_dry;
	while (at < p->argc) {
		char *word = p->argv[at];

		if (is_open &&
		    (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0))
			p->wants_help = true;
		else if (is_open && strcmp(word, "--") == 0)
			is_open = false;
		else if (is_open && strncmp(word, "--", 2) == 0)
			at += parse_option(p, at) - 1;
		else if (is_open && word[0] == '-' && word[1])
			complain(p, word, "unknown option; see --help");
		else
			take_operand(p, word);
		at++;
	}
}

static void check_operands(struct parse *p)
{
	unsigned count = p->args->operands_count;
	const char *operands = p->usage->operands;

	if (count < p->usage->operands_min)
		complain(p, operands, "is missing");
	/* A wrong option leaves its value behind as a word: say one thing. */
	if (settings_errors_count(p->args->options) > 0)
		return;
	for (unsigned i = p->usage->operands_max; i < count; i++)
		complain(p, p->args->operands[i],
			 "is one word too many; see --help");
}

static bool has_errors(const struct usage *usage, const struct settings *s)
{
	size_t count = settings_errors_count(s);

	for (size_t i = 0; i < count; i++)
		(void)fprintf(stderr, "%s %s: %s\n", program_of(usage),
			      usage->command, settings_error(s, i));
	return count > 0;
}

bool args_parse(const struct usage *usage, int argc, char **argv,
		struct args *out, int *status)
{
	struct parse p = {
		.usage = usage, .argc = argc, .argv = argv, .args = out};

	*out = (struct args){0};
	parse_words(&p, true);
	if (p.wants_help) {
		print_help(usage);
		*status = EXIT_OK;
		return false;
	}
	out->options = settings_new(usage->options);
	out->operands = calloc((size_t)argc + 1, sizeof(*out->operands));
	if (!out->options || !out->operands)
		abort();
	if (usage->add_layers)
		usage->add_layers(out->options, p.config);
	parse_words(&p, false);
	check_operands(&p);
	settings_check(out->options);
	if (!has_errors(usage, out->options))
		return true;
	args_release(out);
	*status = EXIT_USAGE;
	return false;
}

void args_release(struct args *args)
{
	settings_free(args->options);
	free(args->operands);
	*args = (struct args){0};
}
