#!/bin/sh
# Each header stands alone: it compiles by itself, has a guard named after its
# path, and can be included twice.
#
#   headers.sh ROOT BUILD COMPILER [FLAGS...]
set -eu
root=$1
build=$2
shift 2
cd "$root"

wrong=0
count=0
for header in $(find core storage auth net app bench -name '*.h' | sort); do
	# A table is included where its macro is defined.
	case "$header" in
	*_table.h) continue ;;
	# Registers of one processor.
	core/keccak_x4.h) [ "$(uname -m)" = x86_64 ] || continue ;;
	esac
	count=$((count + 1))
	guard=$(echo "$header" | tr 'a-z/.-' 'A-Z___')
	if ! grep -q "^#ifndef $guard\$" "$header"; then
		echo "$header: has no guard $guard"
		wrong=1
	fi
	if ! printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
		"$@" -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -I. \
			-I"$build" -fsyntax-only -x c -; then
		echo "$header: does not stand alone"
		wrong=1
	fi
done
echo "$count headers"
[ "$count" -gt 20 ] && [ "$wrong" -eq 0 ]
