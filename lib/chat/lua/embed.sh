#!/bin/sh
# Writes the Lua scripts as C: `const struct redis_script lua_NAME` for each NAME.lua.
#
# usage: embed.sh header|source [FILE.lua...] >OUTPUT
#
# A line `--@include PART` is replaced by the file PART beside the script: what several scripts
# share. The SHA-1 is taken over the bytes that stand in the string, so a script has to end
# with a newline, as every text file should, and holds no NUL.
set -eu
LC_ALL=C
export LC_ALL

what=$1
shift

# A line of the file becomes "line\n". '?' is escaped for the sake of trigraphs.
c_string()
{
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/?/\\?/g' -e 's/\t/\\t/g' -e 's/\r/\\r/g' \
        -e 's/^/    "/' -e 's/$/\\n"/'
}

with_parts()
{
    awk -v dir="$(dirname "$1")" '
        $1 == "--@include" {
            part = dir "/" $2
            lines = 0
            while ((getline line < part) > 0) { print line; lines++ }
            close(part)
            if (!lines) { print FILENAME ": no " part > "/dev/stderr"; exit 1 }
            next
        }
        { print }' "$1"
}

one_script()
{
    file=$1
    name=$(basename "$file" .lua)
    if [ ! -s "$file" ] || [ "$(tail -c 1 "$file" | od -An -tx1 | tr -d ' ')" != 0a ]; then
        echo "$file: is empty or does not end with a newline" >&2
        exit 1
    fi
    if [ "$what" = header ]; then
        echo "extern const struct redis_script lua_$name;"
        return
    fi
    text=$(with_parts "$file")      # without its last newline
    sha1=$(printf '%s\n' "$text" | sha1sum | cut -d ' ' -f 1)
    printf 'static const char %s_text[] =\n' "$name"
    printf '%s\n' "$text" | c_string
    printf '    "";\n'
    printf 'const struct redis_script lua_%s = { "%s", %s_text, "%s" };\n\n' \
           "$name" "$name" "$name" "$sha1"
}

echo "/* Made by lib/chat/lua/embed.sh. */"
if [ "$what" = header ]; then
    echo "#ifndef CONFAB_LUA_SCRIPTS_H"
    echo "#define CONFAB_LUA_SCRIPTS_H"
    echo
    echo '#include "lib/io/redis.h"'
    echo
else
    echo '#include "lib/chat/lua_scripts.h"'
    echo
fi
for file in "$@"; do
    one_script "$file"
done
[ "$what" = source ] || printf '\n#endif\n'
