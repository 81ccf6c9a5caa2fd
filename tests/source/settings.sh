#!/bin/sh
# Every setting of payments stands in docs/payments.md, with its default, and
# in the manual; and these name no setting that is none.
#
#   settings.sh ROOT
set -eu
cd "$1"

awk '
BEGIN { part = "^(payments|offer|chain|option)[.[]" }
FILENAME == "app/settings_table.h" && /^SETTING\("/ {
	split($0, text, "\"")
	if (text[2] !~ part)
		next
	rest = $0
	sub(/^SETTING\("[^"]*", *(NULL|"[^"]*"), *[A-Z0-9]*, */, "", rest)
	known[text[2]] = rest ~ /^NULL/ ? "required" : rest
	sub(/^"/, "", known[text[2]])
	sub(/".*/, "", known[text[2]])
	next
}
FILENAME == "docs/payments.md" && /^\| `/ {
	split($0, cell, "|")
	name = cell[2]
	gsub(/[ `]/, "", name)
	if (name !~ part)
		next
	in_doc[name] = cell[3]
	gsub(/^ +| +$|`/, "", in_doc[name])
	next
}
FILENAME == "docs/restante.1" && /^\.B / {
	name = substr($0, 4)
	gsub(/\\/, "", name)
	if (name ~ part)
		in_manual[name] = 1
}
END {
	for (name in known) {
		count++
		wanted = known[name] == "" ? "—" : known[name]
		if (!(name in in_doc))
			bad(name " is not in docs/payments.md")
		else if (in_doc[name] != wanted)
			bad(name " has the default " wanted ", not " in_doc[name] " as in docs/payments.md")
		if (!(name in in_manual))
			bad(name " is not in docs/restante.1")
	}
	for (name in in_doc)
		if (!(name in known))
			bad(name " of docs/payments.md is no setting")
	for (name in in_manual)
		if (!(name in known))
			bad(name " of docs/restante.1 is no setting")
	if (count < 20)
		bad("only " count " settings were found")
	if (!wrong)
		print count " settings of payments, all documented"
	exit wrong
}
function bad(text) {
	print text
	wrong = 1
}' app/settings_table.h docs/payments.md docs/restante.1
