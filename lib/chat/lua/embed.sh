#!/bin/sh
# Writes the Lua scripts as C: `const struct redis_script lua_NAME` for each NAME.lua.
#
# usage: embed.sh header|source [FILE.lua...] >OUTPUT
#
# The SHA-1 is taken over the bytes that stand in the string, so a script has to end with
# a newline, as every text file should, and holds no NUL.
set -eu
LC_ALL=C
export LC_ALL

what=$1
shift

# A line of the file becomes "line\n". '?' is escaped for the sake of trigraphs.
c_string()
{
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/?/\\?/g' -e 's/\t/\\t/g' -e 's/\r/\\r/g' \
        -e 's/^/    "/' -e 's/$/\\n"/' "$1"
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
    sha1=$(sha1sum "$file" | cut -d ' ' -f 1)
    printf 'static const char %s_text[] =\n' "$name"
    c_string "$file"
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
