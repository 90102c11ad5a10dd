#!/bin/sh
# Makes web_files.c out of the pages, so that a handler has them wherever it runs.
#   embed.sh FILE...
set -eu

echo '/* Made by web/embed.sh. */'
echo '#include "fcgi/web_files.h"'
for file in "$@"; do
    name=$(basename "$file" | tr '.-' '__')
    [ -s "$file" ] || { echo "$file: is empty" >&2; exit 1; }
    printf '\nstatic const unsigned char %s_bytes[] = {\n' "$name"
    od -An -v -tu1 "$file" | sed 's/  */,/g; s/^,//; s/$/,/'
    printf '};\nconst struct web_file web_%s = { %s_bytes, sizeof(%s_bytes) };\n' \
           "$name" "$name" "$name"
done
